"""Declared dynamics: closed forms on a robot of our own, and Gymnasium's robots against models edited one by one.

MuJoCo's Euler step is semi-implicit (velocity first): a constant acceleration a gives after n steps of h seconds the
velocity n h a.
"""

import gc
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import envs
from envs.contract.tasks import Choice, LogUniform, TaskDistribution, TaskList, Uniform
from envs.engine.dynamics import Scale
from envs.engine.mujoco_tasks import MujocoTasks, load_model
from envs.families.locomotion.random_parameters import RandomParametersConfig, random_parameters

ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
ROBOT = """
<mujoco>
  <option timestep="0.02" gravity="0 0 -10" density="0"/>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0"/>
      <geom name="box" type="box" size="0.1 0.1 0.1" mass="2" friction="0.5 0.1 0.2"/>
      <body name="load" pos="0 0 0.5">
        <joint name="lift" type="slide" axis="0 0 1" limited="true" range="-9 1"/>
        <geom name="bag" type="sphere" size="0.1" mass="1" contype="0" conaffinity="0"/>
      </body>
    </body>
    <body name="lamp" pos="0 5 0">
      <joint name="swing" type="ball" damping="3"/>
      <geom name="bulb" type="sphere" size="0.1" mass="1" pos="0 0 -1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="rail" gear="6" ctrlrange="-1 3"/>
    <motor name="winch" joint="lift" gear="2" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
BODIES = {"world": 0, "cart": 2, "load": 1, "lamp": 1}  # kg
FACTOR = Uniform(0.5, 2.0)
RANDOM_PARAMETERS = random_parameters(RandomParametersConfig(largest_exponent=3.0))["dynamics"]


class Dynamic(MujocoTasks):
    """A robot whose tasks are its dynamics; an observation is its whole state."""

    def __init__(
        self, model: mujoco.MjModel, dynamics: Mapping[str, Scale], num_tasks: int, lanes_per_task: int = 2, **more: Any
    ) -> None:
        super().__init__(
            num_tasks,
            lanes_per_task,
            None,
            model=model,
            frame_skip=1,
            horizon=1000,
            dynamics=dynamics,
            observation_size=model.nq + model.nv,
            threads=1,
            **more,
        )

    def observe(self) -> np.ndarray:
        return np.concatenate([self.qpos, self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.qvel[:, 0], {}


@pytest.fixture
def robot(tmp_path: Path) -> mujoco.MjModel:
    path = tmp_path / "robot.xml"
    path.write_text(ROBOT)
    return load_model(path)


def masses(robot: mujoco.MjModel, factors: list[list[float]], **more: Any) -> Dynamic:
    """A robot with a factor for each body's mass: world, cart, load, lamp."""
    env = Dynamic(robot, {"mass": Scale("body_mass", FACTOR, each=True)}, len(factors), **more)
    env.set_tasks({"mass": factors})
    env.reset(seed=0)
    return env


def test_every_scale_is_a_task_parameter_with_the_declared_law(robot: mujoco.MjModel) -> None:
    dynamics = {
        "shared": Scale("body_mass", LogUniform(2.0, -1.0, 1.0)),
        "pair": Scale("body_inertia", Uniform(0.5, 0.6), names=("cart", "load"), each=True),
        "gravity": Scale("opt.gravity", Choice((0.4, 1.7))),
    }
    laws = TaskDistribution(velocity=Uniform(0.0, 2.0))
    tasks = Dynamic(robot, dynamics, 500, 1, task_distribution=laws).tasks
    assert {name: values.shape[1:] for name, values in tasks.items()} == {
        "velocity": (), "shared": (), "pair": (2, 3), "gravity": (),
    }  # fmt: skip
    exponents = np.log2(tasks["shared"])
    # Uniform in [-1, 1]: mean 0 and deviation 1 / √3, so a mean of 500 is within 4 / √1500 of it.
    assert np.abs(exponents).max() <= 1.0 and abs(exponents.mean()) < 4 / np.sqrt(1500) and exponents.std() > 0.5
    assert tasks["pair"].min() >= 0.5 and tasks["pair"].max() <= 0.6 and len(np.unique(tasks["pair"])) == 3000
    assert set(tasks["gravity"]) == {0.4, 1.7}


@pytest.mark.parametrize(
    ("scale", "factors", "expected"),
    [
        (Scale("body_mass", FACTOR, names="load"), 3.0, [0, 2, 3, 1]),
        (Scale("body_mass", FACTOR, names=("lamp", "cart"), each=True), [3.0, 5.0], [0, 10, 1, 3]),
        (Scale("geom_friction", FACTOR, names=("box",)), 2.0, [[1, 0.2, 0.4], [1, 5e-3, 1e-4], [1, 5e-3, 1e-4]]),
        (Scale("dof_damping", FACTOR, names=("swing",), each=True), [2.0, 3.0, 4.0], [0, 0, 6, 9, 12]),
        (Scale("jnt_range", FACTOR, names=("lift",)), 0.5, [[0, 0], [-4.5, 0.5], [0, 0]]),
        # The first motor has no name and goes by that of its joint.
        (Scale("actuator_gear", FACTOR, names="rail"), 0.5, [[3, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]]),
        (Scale("actuator_gear", FACTOR, names="winch"), 7.0, [[6, 0, 0, 0, 0, 0], [14, 0, 0, 0, 0, 0]]),
        (Scale("opt.gravity", FACTOR), 0.5, [0, 0, -5]),
        (Scale("opt.gravity", FACTOR, each=True), [1.0, 1.0, 0.1], [0, 0, -1]),
        (Scale("opt.impratio", FACTOR), 2.0, 2.0),
    ],
)
def test_names_find_their_rows(robot: mujoco.MjModel, scale: Scale, factors: Any, expected: Any) -> None:
    env = Dynamic(robot, {"factor": scale}, 1, 1)
    env.set_tasks({"factor": [factors]})
    env.reset(seed=0)
    np.testing.assert_allclose(env.batch.expand(scale.field)[0], expected, rtol=1e-12)


def test_scales_of_one_field_multiply(robot: mujoco.MjModel) -> None:
    dynamics = {"all": Scale("body_mass", FACTOR), "cart": Scale("body_mass", FACTOR, names="cart")}
    env = Dynamic(robot, dynamics, 2, 1)
    env.set_tasks({"all": [2.0, 3.0], "cart": [5.0, 1.0]})
    env.reset(seed=0)
    np.testing.assert_array_equal(env.batch.expand("body_mass"), [[0, 20, 2, 2], [0, 6, 3, 3]])


def test_one_factor_may_scale_several_fields(robot: mujoco.MjModel) -> None:
    env = Dynamic(robot, {"bulk": Scale(("body_mass", "body_inertia"), FACTOR, names=("load", "cart"))}, 2, 1)
    env.set_tasks({"bulk": [2.0, 3.0]})
    env.reset(seed=0)
    for lane, factor in enumerate((2.0, 3.0)):
        factors = np.array([1.0, factor, factor, 1.0])
        np.testing.assert_array_equal(env.batch.expand("body_mass")[lane], robot.body_mass * factors)
        np.testing.assert_array_equal(env.batch.expand("body_inertia")[lane], robot.body_inertia * factors[:, None])


def test_mass_factors_change_the_acceleration_as_newton_says(robot: mujoco.MjModel) -> None:
    # Control 3, gear 6: force 18 on (2 f + g) kg for 10 steps of 0.02 s; factors (f, g) of cart and load.
    env = masses(robot, [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 1.0], [1.0, 0.5, 3.0, 1.0]])
    for _ in range(10):
        env.step(np.ones((6, 2)))
    expected = 10 * 0.02 * 18.0 / np.repeat([3.0, 5.0, 4.0], 2)
    np.testing.assert_allclose(env.qvel[:, 0], expected, rtol=1e-12)


def test_gravity_scales_the_fall(robot: mujoco.MjModel) -> None:
    # The load falls freely: velocity -10 f t along z after 5 steps of 0.02 s.
    env = Dynamic(robot, {"gravity": Scale("opt.gravity", FACTOR)}, 2)
    env.set_tasks({"gravity": [1.0, 0.3]})
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros((4, 2)))
    np.testing.assert_allclose(env.qvel[:, 1], [-1.0, -1.0, -0.3, -0.3], rtol=1e-12)


def test_full_control_is_that_of_the_tasks_own_control_range(robot: mujoco.MjModel) -> None:
    # The first motor's range [-1, 3] times f: actions -1, 0 and 1 are the controls -f, f and 3 f. With gear 6 on 3 kg,
    # a step of 0.02 s gives the velocity 0.02 * 6 / 3 of the control.
    env = Dynamic(robot, {"power": Scale("actuator_ctrlrange", FACTOR, names="rail")}, 2, 3)
    charged: list[np.ndarray] = []
    env.reward = lambda controls: (charged.append(controls.copy()), (np.zeros(6), {}))[1]  # type: ignore[method-assign]
    for power in ([0.5, 2.0], [1.0, 0.25]):
        env.set_tasks({"power": power})
        env.reset(seed=0)
        env.step(np.tile([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], (2, 1)))
        controls = np.outer(power, [-1.0, 1.0, 3.0]).ravel()
        np.testing.assert_allclose(charged[-1][:, 0], controls, rtol=1e-12)
        np.testing.assert_allclose(env.qvel[:, 0], 0.04 * controls, rtol=1e-12)


@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize("xml", ["half_cheetah.xml", "walker2d.xml", "hopper.xml"])
def test_lanes_with_their_own_parameters_are_bit_equal_to_models_edited_one_by_one(xml: str, recompute: bool) -> None:
    dynamics = {
        **RANDOM_PARAMETERS,
        "gear": Scale("actuator_gear", FACTOR, each=True),
        "gravity": Scale("opt.gravity", FACTOR),
        "limits": Scale("jnt_range", FACTOR),
    }
    if xml == "half_cheetah.xml":  # the others have none
        dynamics["stiffness"] = Scale("jnt_stiffness", FACTOR, each=True)
    env = Dynamic(load_model(ASSETS / xml), dynamics, num_tasks=3, lanes_per_task=2, recompute_constants=recompute)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (60, *env.action_space.shape))
    steps = [env.step(action)[0] for action in actions]
    for lane in range(6):
        model = load_model(ASSETS / xml)
        for parameter, scale in dynamics.items():
            holder, field = (model.opt, "gravity") if parameter == "gravity" else (model, scale.field)
            getattr(holder, field)[:] *= env.tasks[parameter][lane // 2]
        data = mujoco.MjData(model)
        if recompute:
            mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        for action, observation in zip(actions[:, lane], steps, strict=True):
            data.ctrl[:] = action
            mujoco.mj_step(model, data)
            np.testing.assert_array_equal(observation[lane], [*data.qpos, *data.qvel])


def test_neither_factors_nor_memory_pile_up_over_a_thousand_switches(robot: mujoco.MjModel) -> None:
    env, fresh = (Dynamic(robot, RANDOM_PARAMETERS, 2) for _ in range(2))

    def switch(seeds: range) -> None:
        for seed in seeds:
            env.set_tasks(env.sample_tasks(seed))
            env.reset(seed=seed)

    def traced() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    switch(range(20))
    before = traced()
    switch(range(20, 1020))
    grown = traced() - before
    tracemalloc.stop()
    assert grown < 8000  # bytes: less than one number of 8 bytes a switch
    fresh.set_tasks(fresh.sample_tasks(1019))
    fresh.reset(seed=1019)
    derived = ("body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0")
    for field in ("body_mass", "body_inertia", "dof_damping", "geom_friction", *derived):
        np.testing.assert_array_equal(env.batch.expand(field), fresh.batch.expand(field))
    np.testing.assert_array_equal(env.model.body_mass, list(BODIES.values()))


def test_derived_constants_follow_where_asked(robot: mujoco.MjModel) -> None:
    factors = [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 5.0]]
    # The subtrees of world, cart, load and lamp weigh 4, 3, 1 and 1 kg; of the second task 12, 7, 3 and 5 kg.
    follows = masses(robot, factors).batch.expand("body_subtreemass")
    np.testing.assert_allclose(follows, [[4, 3, 1, 1]] * 2 + [[12, 7, 3, 5]] * 2, rtol=1e-12)
    env = masses(robot, factors, recompute_constants=False)
    np.testing.assert_allclose(env.batch.expand("body_subtreemass"), [[4, 3, 1, 1]] * 4, rtol=1e-12)
    np.testing.assert_allclose(env.batch.expand("body_mass"), [[0, 2, 1, 1]] * 2 + [[0, 4, 3, 5]] * 2, rtol=1e-12)


@pytest.mark.parametrize(("recompute", "acceleration"), [(True, 0.25), (False, 0.5)])
def test_a_simple_body_feels_its_mass_only_through_derived_constants(
    tmp_path: Path, recompute: bool, acceleration: float
) -> None:
    # A free box of 2 kg whose mass is doubled, under 1 N: 1 / 4 m/s², or 1 / 2 m/s² where MuJoCo still sees 2 kg.
    path = tmp_path / "box.xml"
    box = '<body><freejoint/><geom type="box" size="0.1 0.1 0.1" mass="2"/></body>'
    path.write_text(f'<mujoco><option gravity="0 0 0"/><worldbody>{box}</worldbody></mujoco>')
    env = masses(load_model(path, timestep=0.01), [[1.0, 2.0]], lanes_per_task=1, recompute_constants=recompute)
    env.batch.bind("qfrc_applied")[:, 0] = 1.0
    env.step(np.zeros((1, 0)))
    np.testing.assert_allclose(env.qvel[0, 0], 0.01 * acceleration, rtol=1e-12)


def test_a_masked_reset_gives_new_dynamics_to_its_lanes_alone(robot: mujoco.MjModel) -> None:
    env = masses(robot, [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 1.0]])
    env.set_tasks({"mass": [[1.0, 3.0, 3.0, 1.0], [1.0, 4.0, 4.0, 1.0]]})
    env.reset(options={"reset_mask": np.array([False, True, True, False])})
    np.testing.assert_array_equal(env.batch.expand("body_mass")[:, 1], [2.0, 6.0, 8.0, 4.0])
    np.testing.assert_allclose(env.batch.expand("body_subtreemass")[:, 1], [3.0, 9.0, 12.0, 6.0], rtol=1e-12)
    env.reset()
    np.testing.assert_array_equal(env.batch.expand("body_mass")[:, 1], [6.0, 6.0, 8.0, 8.0])


def test_a_split_draws_its_own_law_and_otherwise_the_training_law(robot: mujoco.MjModel) -> None:
    dynamics = {"mass": Scale("body_mass", Uniform(0.5, 2.0), each=True), "grip": Scale("geom_friction", FACTOR)}
    outside = TaskDistribution(mass=Uniform(3.0, 4.0))
    velocity = TaskDistribution(velocity=Uniform(8.0, 9.0))
    env = Dynamic(robot, dynamics, 2, 1, task_distribution=velocity, outside_distribution=outside)
    tasks = env.sample_tasks(0, 100, split="outside")
    assert tasks["mass"].shape == (100, 4) and tasks["mass"].min() >= 3.0 and tasks["mass"].max() <= 4.0
    assert 0.5 <= tasks["grip"].min() < tasks["grip"].max() <= 2.0 and tasks["velocity"].min() >= 8.0
    env.set_tasks({name: values[:2] for name, values in tasks.items()})
    with pytest.raises(envs.InputError, match="a split has the unknown task parameter 'mas' — did you mean 'mass'?"):
        Dynamic(robot, dynamics, 2, 1, test_distribution=TaskDistribution(mas=Uniform(3.0, 4.0)))


def test_a_list_joins_dynamics_with_other_parameters_and_lacks_none(robot: mujoco.MjModel) -> None:
    dynamics = {"load": Scale("body_mass", FACTOR, names="load")}
    listed = TaskList({"load": [0.5, 2.0, 3.0], "velocity": [1.0, 4.0, 6.0]})
    env = Dynamic(robot, dynamics, 50, 1, task_distribution=listed)
    np.testing.assert_array_equal(env.tasks["velocity"], 2.0 * env.tasks["load"])
    env.reset(seed=0)
    np.testing.assert_array_equal(env.batch.expand("body_mass")[:, 2], env.tasks["load"])
    with pytest.raises(envs.InputError, match="a list of tasks lacks 'load' — list it too, one row per task"):
        Dynamic(robot, dynamics, 2, 1, task_distribution=TaskList({"velocity": [1.0, 4.0]}))
    with pytest.raises(envs.InputError, match="a list of tasks lacks 'velocity' — list it too, one row per task"):
        Dynamic(robot, dynamics, 2, 1, task_distribution=listed, test_distribution=TaskList({"load": [1.0, 4.0]}))


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (Scale("body_mas", FACTOR), "unknown model field 'body_mas' — did you mean 'body_mass'?"),
        (Scale("opt.gravty", FACTOR), "unknown model field 'opt.gravty' — did you mean 'opt.gravity'?"),
        (Scale("geom_contype", FACTOR), "model field 'geom_contype' cannot be scaled — name a physical quantity"),
        (Scale("opt.timestep", FACTOR), "model field 'opt.timestep' cannot be scaled — name a physical quantity"),
        (Scale("body_mass", FACTOR, ("crat",)), "'f' scales body_mass of unknown 'crat' — did you mean 'cart'?"),
        (
            Scale("jnt_range", FACTOR, "cart"),
            "'f' scales jnt_range of unknown 'cart' — choose one of: rail, lift, swing",
        ),
        (Scale("opt.gravity", FACTOR, "z"), "'f' scales opt.gravity of unknown 'z' — check the name"),
        (Scale("body_mass", Uniform(1.0, 2.0, (3,))), "the law of 'f' draws shape (3,) — give one that draws ()"),
        (Scale("body_mass", Choice((1.0, 2.0)), each=True), "the law of 'f' draws shape () — give one that draws (4,)"),
        (Scale("jnt_stiffness", FACTOR), "'f' scales jnt_stiffness, which is 0 — scale what is not"),
        (Scale("dof_damping", FACTOR, "rail"), "'f' scales dof_damping of rail, which is 0 — scale what is not"),
        (Scale("tendon_stiffness", FACTOR), "'f' scales tendon_stiffness, which is 0 — scale what is not"),
        (Scale("opt.wind", FACTOR), "'f' scales opt.wind, which is 0 — scale what is not"),
        (
            Scale("body_subtreemass", FACTOR),
            "'f' scales body_subtreemass, which MuJoCo derives from other fields — scale those",
        ),
        (Scale("dof_M0", FACTOR), "'f' scales dof_M0, which MuJoCo derives from other fields — scale those"),
        (
            Scale("actuator_acc0", FACTOR, "winch"),
            "'f' scales actuator_acc0, which MuJoCo derives from other fields — scale those",
        ),
        (
            Scale(("body_mass", "body_inertia"), FACTOR, each=True),
            "'f' gives each number a factor, but scales 2 fields — name one of them",
        ),
        (
            Scale(("body_mass", "body_inertai"), FACTOR),
            "unknown model field 'body_inertai' — did you mean 'body_inertia'?",
        ),
    ],
)
def test_impossible_declarations_are_refused_by_name(robot: mujoco.MjModel, scale: Scale, message: str) -> None:
    with pytest.raises(envs.InputError) as error:
        Dynamic(robot, {"f": scale}, 1)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("field", "factors", "message"),
    [
        ("body_mass", [1.0, 0.0], "task parameter 'f' of task 1 is 0.0 — give factors above 0"),
        ("body_inertia", [-2.0, 1.0], "task parameter 'f' of task 0 is -2.0 — give factors above 0"),
        ("body_mass", [np.nan, 1.0], "task parameter 'f' of task 0 is nan — give a finite number"),
        ("geom_friction", [0.0, -0.5], "task parameter 'f' of task 1 is -0.5 — give factors of 0 or above"),
        ("dof_damping", [0.0, -1.0], "task parameter 'f' of task 1 is -1.0 — give factors of 0 or above"),
        ("jnt_range", [1.0, -1.0], "task parameter 'f' of task 1 makes jnt_range empty — give other factors"),
        ("opt.gravity", [1.0, 1e308], "task parameter 'f' of task 1 makes opt.gravity endless — give other factors"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_impossible_tasks_are_refused_by_name_and_the_old_ones_stay(
    robot: mujoco.MjModel, field: str, factors: list[float], message: str
) -> None:
    env = Dynamic(robot, {"f": Scale(field, FACTOR)}, 2, 1)
    env.reset(seed=0)
    before, values = env.tasks["f"], env.batch.expand(field).copy()
    with pytest.raises(envs.InputError) as error:
        env.set_tasks({"f": factors})
    assert str(error.value) == message
    np.testing.assert_array_equal(env.tasks["f"], before)
    env.reset()
    np.testing.assert_array_equal(env.batch.expand(field), values)
