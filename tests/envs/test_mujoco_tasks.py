"""The batched engine with robots of our own: dynamics per task, the end of an episode, broken models.

The robots are small enough for closed forms. MuJoCo's Euler step is semi-implicit (velocity first), so that a constant
acceleration a gives after n steps of h seconds the velocity n h a and the displacement n (n + 1) / 2 h² a.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import envs
from envs.half_cheetah import XML
from envs.mujoco_tasks import MujocoTasks, load_model
from envs.tasks import TaskDistribution, Tasks, Uniform

CART = """
<mujoco>
  <option timestep="0.02" gravity="0 0 -10"/>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0"/>
      <geom type="box" size="0.1 0.1 0.1" mass="2"/>
      <body name="load" pos="0 0 0.5">
        <joint name="lift" type="slide" axis="0 0 1"/>
        <geom type="sphere" size="0.1" mass="1" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="rail" gear="6" ctrlrange="-1 3"/></actuator>
</mujoco>
"""
# The user's own robot, as a user would write it: about thirty lines, found by its path.
CART_FILE = """
from pathlib import Path
import numpy as np
from envs import MujocoTasks, TaskDistribution, Uniform, load_model

class Cart(MujocoTasks):
    def __init__(self, num_tasks, lanes_per_task, config=None, *, threads=0):
        super().__init__(
            num_tasks, lanes_per_task, config, threads=threads, observation_size=4,
            model=load_model(Path(__file__).parent / "cart.xml"), frame_skip=2, horizon=10,
            task_distribution=TaskDistribution(velocity=Uniform(0.0, 2.0)),
        )

    def initial_state(self, rng):
        shape = (self.lanes_per_task, 2)
        return rng.uniform(-0.1, 0.1, shape), np.zeros(shape)

    def observe(self):
        return np.concatenate([self.qpos, self.qvel], axis=1)

    def reward(self, controls):
        velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
        return -np.abs(velocity - self.lane_tasks["velocity"]), {"velocity": velocity}

    def terminated(self):
        return np.abs(self.qpos[:, 0]) > 0.15
"""


class Dynamic(MujocoTasks):
    """A robot whose tasks scale fields of its model: parameter `factor_0` scales the first field, and so on."""

    def __init__(self, model: mujoco.MjModel, fields: tuple[str, ...], num_tasks: int, lanes_per_task: int = 2) -> None:
        self.fields = {f"factor_{index}": field for index, field in enumerate(fields)}
        laws = {}
        for parameter, field in self.fields.items():
            value = getattr(model.opt, field[4:]) if field.startswith("opt.") else getattr(model, field)
            laws[parameter] = Uniform(0.5, 2.0, value.shape)
        super().__init__(
            num_tasks,
            lanes_per_task,
            None,
            model=model,
            frame_skip=1,
            horizon=1000,
            task_distribution=TaskDistribution(laws),
            observation_size=model.nq + model.nv,
            threads=1,
        )

    def field_factors(self, tasks: Tasks) -> Mapping[str, np.ndarray]:
        return {field: tasks[parameter] for parameter, field in self.fields.items()}

    def observe(self) -> np.ndarray:
        return np.concatenate([self.qpos, self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.qvel[:, 0], {}


@pytest.fixture
def cart(tmp_path: Path) -> mujoco.MjModel:
    path = tmp_path / "cart.xml"
    path.write_text(CART)
    return load_model(path)


def scaled_cart(cart: mujoco.MjModel, mass_factors: list[list[float]]) -> Dynamic:
    env = Dynamic(cart, ("body_mass",), len(mass_factors))
    env.set_tasks({"factor_0": mass_factors})
    env.reset(seed=0)
    return env


def test_a_users_robot_drives_as_newton_says(cart: mujoco.MjModel, tmp_path: Path) -> None:
    # Mass 2 + 1, gear 6. Action 1 is control 3: acceleration 6 m/s²; action -1 is control -1: -2 m/s²; the middle of
    # the control range is 1. A step is two physics steps of 0.02 s: displacement 3 * 0.02² * a, velocity 0.04 a.
    (tmp_path / "cart.py").write_text(CART_FILE)
    env = envs.make(f"{tmp_path / 'cart.py'}:Cart", 1, 4, threads=1)
    assert isinstance(env, MujocoTasks) and env.dt == 0.04
    env.set_tasks({"velocity": [1.0]})
    start, _ = env.reset(seed=0)
    acceleration = np.array([6.0, -2.0, 2.0, 6.0])
    observation, reward, _, _, info = env.step(np.array([[1.0], [-1.0], [0.0], [9.0]]))
    np.testing.assert_allclose(observation[:, 2], 0.04 * acceleration, rtol=1e-12)
    np.testing.assert_allclose(observation[:, 0] - start[:, 0], 0.0012 * acceleration, rtol=1e-12)
    np.testing.assert_allclose(info["velocity"], 0.03 * acceleration, rtol=1e-10)
    np.testing.assert_array_equal(reward, -np.abs(info["velocity"] - 1.0))
    # Lanes go on until the cart is 0.15 away.
    for _ in range(9):
        observation, _, terminated, truncated, _ = env.step(np.ones((4, 1)))
    np.testing.assert_array_equal(terminated, np.abs(observation[:, 0]) > 0.15)
    np.testing.assert_array_equal(truncated, ~terminated)
    assert terminated.any()
    np.testing.assert_array_equal(env.qpos, observation[:, :2])  # ended lanes were not simulated any further


def test_mass_factors_change_the_acceleration_as_newton_says(cart: mujoco.MjModel) -> None:
    # Control 3, gear 6: force 18 on (2 f + g) kg for 10 steps of 0.02 s; factors (f, g) of cart and load.
    env = scaled_cart(cart, [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 0.5, 3.0]])
    for _ in range(10):
        observation, *_ = env.step(np.ones((6, 1)))
    expected = 10 * 0.02 * 18.0 / np.repeat([3.0, 5.0, 4.0], 2)
    np.testing.assert_allclose(observation[:, 2], expected, rtol=1e-12)


def test_option_fields_scale_too(cart: mujoco.MjModel) -> None:
    # The load falls freely: velocity -10 f t along z after 5 steps of 0.02 s.
    env = Dynamic(cart, ("opt.gravity",), 2)
    env.set_tasks({"factor_0": [[1.0, 1.0, 1.0], [1.0, 1.0, 0.3]]})
    env.reset(seed=0)
    for _ in range(5):
        observation, *_ = env.step(np.zeros((4, 1)))
    np.testing.assert_allclose(observation[:, 3], [-1.0, -1.0, -0.3, -0.3], rtol=1e-12)


def test_scaled_lanes_equal_models_edited_one_by_one() -> None:
    """HalfCheetah with random mass, inertia, damping and friction, against a plain loop on an edited model."""
    fields = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
    env = Dynamic(load_model(XML), fields, num_tasks=3, lanes_per_task=2)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (40, 6, 6))
    steps = [env.step(action)[0] for action in actions]
    for lane in range(6):
        model = load_model(XML)
        for parameter, field in env.fields.items():
            getattr(model, field)[:] *= env.tasks[parameter][lane // 2]
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        for action, observation in zip(actions[:, lane], steps, strict=True):
            data.ctrl[:] = action
            mujoco.mj_step(model, data)
            np.testing.assert_allclose(observation[lane], [*data.qpos, *data.qvel], rtol=0, atol=1e-10)


def test_factors_do_not_compound_over_a_thousand_switches(cart: mujoco.MjModel) -> None:
    env = scaled_cart(cart, [[1.0, 1.0, 1.0]] * 2)
    factors = np.random.default_rng(0).uniform(0.5, 2.0, (1000, 2, 3))
    for factor in factors:
        env.scale_fields({"body_mass": factor})
    mass = env.batch.expand("body_mass")
    np.testing.assert_array_equal(mass, np.repeat(factors[-1] * [0.0, 2.0, 1.0], 2, axis=0))
    env.scale_fields({})  # a field that is not named is the default
    np.testing.assert_array_equal(mass, [[0.0, 2.0, 1.0]] * 4)
    np.testing.assert_array_equal(env.model.body_mass, [0.0, 2.0, 1.0])


def test_derived_constants_follow_where_asked(cart: mujoco.MjModel) -> None:
    env = scaled_cart(cart, [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    subtree = env.batch.expand("body_subtreemass")  # of world, cart and load: 3, 3 and 1 kg
    np.testing.assert_allclose(subtree, [[3, 3, 1], [3, 3, 1], [7, 7, 3], [7, 7, 3]], rtol=1e-12)
    env.scale_fields({"body_mass": np.full((2, 3), 10.0)}, set_const=False)
    np.testing.assert_allclose(subtree, [[3, 3, 1], [3, 3, 1], [7, 7, 3], [7, 7, 3]], rtol=1e-12)
    env.recompute_constants = False
    env.set_tasks({"factor_0": np.full((2, 3), 0.5)})
    env.reset(seed=0)
    np.testing.assert_allclose(env.batch.expand("body_mass"), [[0, 1, 0.5]] * 4, rtol=1e-12)
    np.testing.assert_allclose(subtree, [[3, 3, 1], [3, 3, 1], [7, 7, 3], [7, 7, 3]], rtol=1e-12)


@pytest.mark.parametrize(("recompute", "acceleration"), [(True, 0.25), (False, 0.5)])
def test_a_simple_body_feels_its_mass_only_through_derived_constants(
    tmp_path: Path, recompute: bool, acceleration: float
) -> None:
    # A free box of 2 kg whose mass is doubled, under 1 N: 1 / 4 m/s², or 1 / 2 m/s² where MuJoCo still sees 2 kg.
    path = tmp_path / "box.xml"
    box = '<body><freejoint/><geom type="box" size="0.1 0.1 0.1" mass="2"/></body>'
    path.write_text(f'<mujoco><option gravity="0 0 0"/><worldbody>{box}</worldbody></mujoco>')
    env = Dynamic(load_model(path, timestep=0.01), ("body_mass",), 1, 1)
    env.recompute_constants = recompute
    env.set_tasks({"factor_0": [[1.0, 2.0]]})
    env.reset(seed=0)
    env.batch.bind("qfrc_applied")[:, 0] = 1.0
    env.step(np.zeros((1, 0)))
    np.testing.assert_allclose(env.qvel[0, 0], 0.01 * acceleration, rtol=1e-12)


def test_a_masked_reset_gives_new_dynamics_to_its_lanes_alone(cart: mujoco.MjModel) -> None:
    env = scaled_cart(cart, [[1.0, 1.0, 1.0], [1.0, 2.0, 2.0]])
    env.set_tasks({"factor_0": [[1.0, 3.0, 3.0], [1.0, 4.0, 4.0]]})
    env.reset(options={"reset_mask": np.array([False, True, True, False])})
    np.testing.assert_array_equal(env.batch.expand("body_mass")[:, 1], [2.0, 6.0, 8.0, 4.0])
    env.reset()
    np.testing.assert_array_equal(env.batch.expand("body_mass")[:, 1], [6.0, 6.0, 8.0, 8.0])


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"body_mass": [[1, 1, 1], [1, -0.5, 1]]}, "task 1 scales body_mass by -0.5 — give finite factors above 0"),
        ({"body_mass": [[1, np.nan, 1], [1, 1, 1]]}, "task 0 scales body_mass by nan — give finite factors above 0"),
        ({"dof_damping": [[0, 0], [-1, 0]]}, "task 1 scales dof_damping by -1.0 — give finite factors of 0 or above"),
        ({"opt.gravity": [[1, 1, np.inf], [1, 1, 1]]}, "task 0 scales opt.gravity by inf — give finite factors"),
        ({"body_mass": [1, 1]}, "the factors of body_mass have shape (2,) — give (2, 3)"),
        ({"body_mas": [1, 1]}, "unknown model field 'body_mas' — did you mean 'body_mass'?"),
        ({"geom_contype": [1, 1]}, "model field 'geom_contype' cannot be scaled — name a physical quantity"),
        ({"opt.timestep": [1, 1]}, "model field 'opt.timestep' cannot be scaled — name a physical quantity"),
    ],
)
def test_impossible_factors_are_refused_by_name(cart: mujoco.MjModel, factors: Any, message: str) -> None:
    env = scaled_cart(cart, [[1.0, 2.0, 1.0]] * 2)
    with pytest.raises(envs.InputError) as error:
        env.scale_fields(factors)
    assert str(error.value) == message
    np.testing.assert_array_equal(env.batch.expand("body_mass"), [[0.0, 4.0, 1.0]] * 4)


def test_tasks_with_impossible_dynamics_are_refused_and_the_old_ones_stay(cart: mujoco.MjModel) -> None:
    env = scaled_cart(cart, [[1.0, 2.0, 1.0]] * 2)
    with pytest.raises(envs.InputError, match="task 0 scales body_mass by 0.0"):
        env.set_tasks({"factor_0": [[1.0, 0.0, 1.0]] * 2})
    np.testing.assert_array_equal(env.tasks["factor_0"], [[1.0, 2.0, 1.0]] * 2)
    env.reset()
    np.testing.assert_array_equal(env.batch.expand("body_mass"), [[0.0, 4.0, 1.0]] * 4)


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<mujoco><worldbdy/></mujoco>", "unrecognized element"),
        ("<mujoco", "XML"),
        (CART.replace('joint="rail"', 'joint="road"'), "road"),
        (CART.replace('mass="2"', 'mass="-2"'), "mass"),
    ],
)
def test_a_broken_model_is_refused_in_one_line(tmp_path: Path, xml: str, message: str) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(xml)
    with pytest.raises(envs.InputError, match=message) as error:
        load_model(path)
    assert "\n" not in str(error.value) and str(error.value).endswith("— repair the XML")


def test_a_missing_model_and_an_actuator_without_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(envs.InputError, match="there is no model file .* — check the path"):
        load_model(tmp_path / "nowhere.xml")
    path = tmp_path / "robot.xml"
    path.write_text(CART.replace(' ctrlrange="-1 3"', ""))
    with pytest.raises(envs.InputError, match="actuator 0 has no control range — give it a ctrlrange in the XML"):
        Dynamic(load_model(path), (), 1)


def test_the_timestep_and_edits_reach_the_compiled_model(tmp_path: Path) -> None:
    path = tmp_path / "cart.xml"
    path.write_text(CART.replace("<worldbody>", '<compiler settotalmass="6"/><worldbody>'))
    model = load_model(path, timestep=0.005, edit=lambda spec: spec.body("load").add_site(name="tip") and None)
    assert model.opt.timestep == 0.005 and model.site("tip").bodyid == model.body("load").id
    np.testing.assert_allclose(model.body_mass, [0.0, 4.0, 2.0], rtol=1e-12)


def test_a_task_distribution_of_dynamics_draws_one_factor_per_element(cart: mujoco.MjModel) -> None:
    env = Dynamic(cart, ("body_mass",), 100, 1)
    factors = env.tasks["factor_0"]
    assert factors.shape == (100, 3) and len(np.unique(factors)) == 300
    env.reset(seed=0)
    np.testing.assert_array_equal(env.batch.expand("body_mass"), factors * [0.0, 2.0, 1.0])
