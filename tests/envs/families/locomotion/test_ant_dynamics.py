"""Ants with dynamics of their own against the plain ant, models edited one by one, and the definitions."""

from typing import Any

import mujoco
import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks, load_model
from envs.families.locomotion.robot import ASSETS

# By leg, in the XML's order: its geoms (upper, lower) and its motors, as GrBAL numbers them:
# learning_to_adapt/envs/ant_env.py in iclavera/learning_to_adapt (bd7d99b).
GEOMS = [(3, 4), (6, 7), (9, 10), (12, 13)]
MOTORS = [(2, 3), (4, 5), (6, 7), (0, 1)]


def make(name: str, num_tasks: int = 1, lanes_per_task: int = 1, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes_per_task, threads=1, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def actions_for(env: envs.TaskEnv, steps: int) -> np.ndarray:
    """[steps, num_envs, 8]"""
    bound = env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


def test_with_neutral_factors_it_is_the_ant_that_runs_forwards() -> None:
    env = make("ant-params", 1, 2)
    plain = make("ant-dir", 1, 2, survive_bonus=0.05, control_cost=0.005)
    env.set_tasks({parameter: np.ones_like(values) for parameter, values in env.tasks.items()})
    plain.set_tasks({"direction": [1.0]})
    np.testing.assert_array_equal(env.reset(seed=0)[0], plain.reset(seed=0)[0])
    for action in actions_for(env, 30):
        for array, counterpart in zip(env.step(action)[:4], plain.step(action)[:4], strict=True):
            np.testing.assert_allclose(array, counterpart, rtol=0, atol=1e-10)


def test_random_parameters_are_those_of_separate_models() -> None:
    env = make("ant-params", 2, 1)
    # mass 14, inertia 14 * 3, damping 14, friction 14 * 3
    assert sum(values[0].size for values in env.tasks.values()) == 14 + 42 + 14 + 42
    env.terminated = lambda: np.zeros(2, bool)  # type: ignore[method-assign]
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 20)
    states = [(env.step(action), env.qpos.copy())[1] for action in actions]
    for lane in range(2):
        model = load_model(ASSETS / "ant.xml")
        for field, name in (
            ("body_mass", "mass"),
            ("body_inertia", "inertia"),
            ("dof_damping", "damping"),
            ("geom_friction", "friction"),
        ):
            getattr(model, field)[:] *= env.tasks[name][lane]
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = start[0][lane], start[1][lane]
        for action, qpos in zip(actions[:, lane], states, strict=True):
            data.ctrl[:] = action / 10.0
            mujoco.mj_step(model, data, 5)
            np.testing.assert_allclose(qpos[lane], data.qpos, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", ["metarl", "grbal"])
def test_a_crippled_leg_has_no_torque_and_the_others_all_of_theirs(variant: str) -> None:
    env = make("ant-cripple", 4, 1, variant=variant)
    env.set_tasks({"leg": np.arange(4)})
    torque = env.batch.bind("qfrc_actuator")  # [num_envs, 14]: the root's 6, then hip and ankle of each leg
    env.reset(seed=0)
    for action in actions_for(env, 5):
        env.step(action)
        controls = action / env.single_action_space.high
        for leg in range(4):
            expected = 150.0 * controls[leg, np.concatenate(MOTORS)]
            expected[2 * leg : 2 * leg + 2] = 0.0
            np.testing.assert_allclose(torque[leg, 6:], expected, rtol=1e-12)


def test_a_crippled_leg_is_short_thin_and_folded_and_moves_as_a_model_of_that_shape() -> None:
    env = make("ant-cripple", 4, 1, variant="grbal")
    env.set_tasks({"leg": np.arange(4)})
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 60)
    states = [(env.step(action), env.qpos.copy())[1] for action in actions]
    touched = False
    for leg, (upper, lower) in enumerate(GEOMS):
        spec = mujoco.MjSpec.from_file(str(ASSETS / "ant.xml"))
        spec.option.timestep = 0.02
        model = spec.compile()
        healthy = model.geom_size.copy(), model.geom_pos.copy()
        model.geom_size[[upper, lower]] /= 2
        model.geom_pos[lower] = model.geom_pos[upper]
        np.testing.assert_array_equal(env.batch.expand("geom_size")[leg], model.geom_size)
        np.testing.assert_array_equal(env.batch.expand("geom_pos")[leg], model.geom_pos)
        others = [geom for geom in range(14) if geom not in (upper, lower)]
        np.testing.assert_array_equal(model.geom_size[others], healthy[0][others])
        model.geom_sameframe[lower] = 0  # its place is no longer that of its body's inertia
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = start[0][leg], start[1][leg]
        for action, qpos in zip(actions[:, leg], states, strict=True):
            data.ctrl[:] = action
            data.ctrl[list(MOTORS[leg])] = 0.0
            mujoco.mj_step(model, data)
            np.testing.assert_allclose(qpos[leg], data.qpos, rtol=0, atol=1e-10)
            touched |= any(lower in (contact.geom1, contact.geom2) for contact in data.contact)
    assert touched


def test_a_leg_grows_back_when_the_task_changes() -> None:
    env, fresh = make("ant-cripple", 2, 1), make("ant-cripple", 2, 1)
    for legs in ([0, 1], [1, 2], [2, 0]):
        env.set_tasks({"leg": legs})
        env.reset(seed=0)
    fresh.set_tasks({"leg": [2, 0]})
    fresh.reset(seed=0)
    for field in ("geom_size", "geom_pos", "geom_rbound"):
        np.testing.assert_array_equal(env.batch.expand(field), fresh.batch.expand(field))
    env.set_tasks({"leg": [3, 3]})
    env.reset(options={"reset_mask": np.array([True, False])})
    np.testing.assert_array_equal(env.batch.expand("geom_size")[1], fresh.batch.expand("geom_size")[1])


def test_the_last_leg_is_held_out_for_tests() -> None:
    env = make("ant-cripple", 2)
    train, test = (env.sample_tasks(0, 300, split=split)["leg"] for split in ("train", "test"))
    assert set(train) == {0, 1, 2} and set(test) == {3}
    with pytest.raises(envs.InputError, match="task parameter 'leg' of task 1 is 4 — give 0 to 3"):
        env.set_tasks({"leg": [1, 4]})


def test_grbals_ant_is_as_published() -> None:
    # learning_to_adapt/envs/ant_env.py in iclavera/learning_to_adapt (bd7d99b): 1000 steps of 0.02 s, actions in ±1, 41
    # observations, noise 0.01 and 0.1, v + 0.05, no end.
    env = make("ant-cripple", 1, 50, variant="grbal")
    found = env.horizon, env.dt, env.single_action_space.high[0], env.single_observation_space.shape[0]
    assert found == pytest.approx((1000, 0.02, 1.0, 41)) and env.config.mass_center
    env.reset(seed=0)
    np.testing.assert_allclose([(env.qpos - env.qpos.mean(axis=0)).std(), env.qvel.std()], [0.01, 0.1], rtol=0.1)
    _, reward, terminated, _, info = env.step(actions_for(env, 1)[0])
    np.testing.assert_allclose(reward, info["x_velocity"] + 0.05, rtol=1e-12)
    env.qpos[:, 2] = 5.0
    assert not env.terminated().any() and not terminated.any()


def test_a_motionless_ant_earns_its_bonus_alone() -> None:
    # 0.05 a step for 200 steps; an ant of Gymnasium's that does nothing drifts by about 1 m at most.
    env = make("ant-params", 10, 1)
    env.reset(seed=0)
    total = sum(env.step(np.zeros((10, 8)))[1] for _ in range(200))
    np.testing.assert_allclose(np.mean(total), 10.0, atol=5.0)
