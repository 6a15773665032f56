"""The batched engine with a robot of our own: its steps, the end of an episode, broken lanes, broken models.

The robot is small enough for closed forms. MuJoCo's Euler step is semi-implicit (velocity first), so that a constant
acceleration a gives after n steps of h seconds the velocity n h a and the displacement n (n + 1) / 2 h² a.
"""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import envs
from envs.contract.tasks import Uniform
from envs.engine.dynamics import Scale
from envs.engine.mujoco_tasks import MujocoTasks, load_model

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
# The user's own robot, as a user would write it: found by its path, and with what it is in a constructor of its own, as
# in the files of earlier versions, or in `define`.
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

CONSTRUCTOR = CART_FILE[CART_FILE.index("    def __init__") : CART_FILE.index("    def initial_state")]
DEFINE = """
    def define(self, options):
        return {
            "model": load_model(Path(__file__).parent / "cart.xml"), "frame_skip": 2, "horizon": 10,
            "task_distribution": TaskDistribution(velocity=Uniform(0.0, 2.0)),
        }

"""


class Cart(MujocoTasks):
    """The cart, whose tasks are loads."""

    def __init__(self, model: mujoco.MjModel, num_tasks: int = 1, lanes_per_task: int = 1) -> None:
        super().__init__(
            num_tasks,
            lanes_per_task,
            None,
            model=model,
            frame_skip=1,
            horizon=1000,
            dynamics={"load": Scale("body_mass", Uniform(0.5, 2.0), names="load")},
            observation_size=model.nq + model.nv,
            threads=2,
        )

    def observe(self) -> np.ndarray:
        return np.concatenate([self.qpos, self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.qvel[:, 0], {}


@pytest.fixture
def cart(tmp_path: Path) -> mujoco.MjModel:
    path = tmp_path / "cart.xml"
    path.write_text(CART)
    return load_model(path)


@pytest.mark.parametrize("file", [CART_FILE, CART_FILE.replace(CONSTRUCTOR, DEFINE)], ids=["constructor", "define"])
def test_a_users_robot_drives_as_newton_says(cart: mujoco.MjModel, tmp_path: Path, file: str) -> None:
    # Mass 2 + 1, gear 6. Action 1 is control 3: acceleration 6 m/s²; action -1 is control -1: -2 m/s²; the middle of
    # the control range is 1. A step is two physics steps of 0.02 s: displacement 3 * 0.02² * a, velocity 0.04 a.
    (tmp_path / "cart.py").write_text(file)
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


def test_the_fields_of_a_definition_are_those_of_the_present_state(cart: mujoco.MjModel) -> None:
    class Seeing(Cart):
        def define(self, options: Any) -> dict[str, Any]:
            return {"fields": ["xpos"]}

    env = Seeing(cart, 1, 2)
    load = env.fields["xpos"][:, cart.body("load").id]
    for _ in range(3):  # the load's place is the cart's along x, and 0.5 m above it but for its own slide
        env.reset() if env._observation is None else env.step(np.ones((2, 1)))
        np.testing.assert_allclose(load, np.stack([env.qpos[:, 0], [0.0, 0.0], 0.5 + env.qpos[:, 1]], axis=1))
    assert (load[:, 0] > 0.0).all()


def test_one_diverging_lane_of_800_touches_no_bit_of_the_others(cart: mujoco.MjModel) -> None:
    env, undisturbed = Cart(cart, 40, 20), Cart(cart, 40, 20)
    env.reset(seed=0), undisturbed.reset(seed=0)
    others = np.arange(800) != 417
    env.qvel[417] = 1e12
    for step in range(20):
        actions = np.random.default_rng(step).uniform(-1.0, 1.0, (800, 1))
        found, expected = env.step(actions), undisturbed.step(actions)
        for array, counterpart in zip(found[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(array[others], counterpart[others])
        np.testing.assert_array_equal(found[4]["diverged"], ~others)


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
        Cart(load_model(path))


def test_the_timestep_and_edits_reach_the_compiled_model(tmp_path: Path) -> None:
    path = tmp_path / "cart.xml"
    path.write_text(CART.replace("<worldbody>", '<compiler settotalmass="6"/><worldbody>'))
    model = load_model(path, timestep=0.005, edit=lambda spec: spec.body("load").add_site(name="tip") and None)
    assert model.opt.timestep == 0.005 and model.site("tip").bodyid == model.body("load").id
    np.testing.assert_allclose(model.body_mass, [0.0, 4.0, 2.0], rtol=1e-12)
