"""HalfCheetahs with dynamics of their own against the plain cheetah, MuJoCo's own forces, and the definitions."""

from typing import Any

import mujoco
import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion.robot import ASSETS

# family: its factor's name, training range, and range outside of it
SCALED = {
    "half-cheetah-payload": ("payload", (1.0, 3.0), (3.0, 4.0)),
    "half-cheetah-friction": ("friction", (0.5, 2.0), (0.25, 0.5)),
    "half-cheetah-gravity": ("gravity", (0.5, 1.5), (1.5, 2.0)),
}


def make(name: str, num_tasks: int = 1, lanes_per_task: int = 1, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes_per_task, threads=1, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def actions_for(env: envs.TaskEnv, steps: int) -> np.ndarray:
    """[steps, num_envs, 6]"""
    bound = env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


@pytest.mark.parametrize("name", [*SCALED, "half-cheetah-params"])
def test_with_neutral_factors_it_is_the_cheetah_that_runs_forwards(name: str) -> None:
    env, plain = make(name, 1, 2), make("half-cheetah-dir", 1, 2)
    env.set_tasks({parameter: np.ones_like(values) for parameter, values in env.tasks.items()})
    plain.set_tasks({"direction": [1.0]})
    np.testing.assert_array_equal(env.reset(seed=0)[0], plain.reset(seed=0)[0])
    for action in actions_for(env, 30):
        for array, counterpart in zip(env.step(action)[:4], plain.step(action)[:4], strict=True):
            np.testing.assert_allclose(array, counterpart, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", SCALED)
def test_factors_are_uniform_and_beyond_the_training_range_outside(name: str) -> None:
    parameter, *ranges = SCALED[name]
    env = make(name)
    for split, (low, high) in zip(("train", "outside"), ranges, strict=True):
        factors = env.sample_tasks(0, 1000, split=split)[parameter]
        assert factors.shape == (1000,) and low <= factors.min() and factors.max() <= high
        # A uniform law's mean of 1000 draws is within 4 of its standard errors, (high - low) / √12000.
        assert abs(factors.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12_000)


def test_each_factor_changes_its_own_field() -> None:
    torso = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # the second body, after the world
    for name, field, expected in (
        ("half-cheetah-payload", "body_mass", torso),
        ("half-cheetah-payload", "body_inertia", torso[:, None]),
        ("half-cheetah-friction", "geom_friction", 2.0),
        ("half-cheetah-gravity", "opt.gravity", 2.0),
    ):
        env = make(name)
        env.set_tasks({SCALED[name][0]: [2.0]})
        env.reset(seed=0)
        default = env.model.opt.gravity if field == "opt.gravity" else getattr(env.model, field)
        np.testing.assert_array_equal(env.batch.expand(field)[0], default * expected)


def test_a_payload_makes_the_torso_denser() -> None:
    """A model compiled with a torso of 2.5 times the density, of the same shape: its inertia is MuJoCo's own."""
    spec = mujoco.MjSpec.from_file(str(ASSETS / "half_cheetah.xml"))
    spec.compiler.settotalmass = -1.0
    plain = spec.compile()
    density = 14.0 / plain.body_mass.sum()  # the file sets the whole to 14 kg: all densities by this factor
    for geom in spec.geoms:
        geom.density *= density * (2.5 if geom.parent.name == "torso" else 1.0)
    model = spec.compile()
    env = make("half-cheetah-payload")
    env.set_tasks({"payload": [2.5]})
    env.reset(seed=0)
    assert model.body("torso").mass[0] > 2.4 * env.model.body("torso").mass[0]
    for field in ("body_mass", "body_inertia", "body_subtreemass", "dof_invweight0"):
        np.testing.assert_allclose(env.batch.expand(field)[0], getattr(model, field), rtol=1e-9, err_msg=field)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.qpos[0], env.qvel[0]
    for action in actions_for(env, 20):
        env.step(action)
        data.ctrl[:] = action[0] / 10.0
        mujoco.mj_step(model, data, 5)
        np.testing.assert_allclose(env.qpos[0], data.qpos, rtol=0, atol=1e-8)


def test_half_the_gravity_halves_the_free_fall() -> None:
    # Two physics steps of 0.01 s high above the ground, in the pose of rest: the whole falls by 0.02 g.
    env = make("half-cheetah-gravity", 2, frame_skip=2, reset_position=0.0, reset_velocity=0.0)
    env.set_tasks({"gravity": [1.0, 0.5]})
    env.reset(seed=0)
    env.qpos[:, 1] = 50.0
    env.step(np.zeros((2, 6)))
    np.testing.assert_allclose(env.qvel[:, 1], [-0.02 * 9.81, -0.01 * 9.81], rtol=1e-9)


@pytest.mark.parametrize("variant", ["metarl", "grbal"])
def test_a_dead_motor_exerts_no_torque_and_the_others_all_of_theirs(variant: str) -> None:
    env = make("half-cheetah-cripple", 6, 1, variant=variant)
    env.set_tasks({"joint": np.arange(6)})
    torque = env.batch.bind("qfrc_actuator")  # [num_envs, 9]: the root's 3, then the joints
    env.reset(seed=0)
    gear = np.array([120.0, 90.0, 60.0, 120.0, 60.0, 30.0])
    for action in actions_for(env, 10):
        *_, info = env.step(action)
        controls = action / env.single_action_space.high * (1.0 - np.eye(6))
        np.testing.assert_allclose(torque[:, 3:], controls * gear, rtol=1e-12)
        np.testing.assert_array_equal(np.diag(torque[:, 3:]), np.zeros(6))
        np.testing.assert_allclose(info["control_cost"], 0.05 * (controls**2).sum(axis=1), rtol=1e-12)


def test_the_back_thigh_is_held_out_for_tests() -> None:
    env = make("half-cheetah-cripple")
    train, test = (env.sample_tasks(0, 500, split=split)["joint"] for split in ("train", "test"))
    assert set(train) == {1, 2, 3, 4, 5} and set(test) == {0}
    # 500 draws of 5: each about 100, with deviation √(500 * 0.2 * 0.8) = 8.9
    assert np.abs(np.unique(train, return_counts=True)[1] - 100).max() < 4 * 8.9
    assert env.model.actuator(0).name == "bthigh"


@pytest.mark.parametrize(("joint", "wanted"), [(6, "0 to 5"), (-1, "0 to 5"), (2.5, "a whole number")])
def test_a_joint_that_does_not_exist_is_refused(joint: float, wanted: str) -> None:
    env = make("half-cheetah-cripple", 2)
    before = env.tasks["joint"]
    with pytest.raises(envs.InputError, match=f"'joint' of task 1 is {joint} — give {wanted}"):
        env.set_tasks({"joint": [1, joint]})
    np.testing.assert_array_equal(env.tasks["joint"], before)


def test_grbals_cheetah_is_as_published() -> None:
    # learning_to_adapt/envs/half_cheetah_env.py in iclavera/learning_to_adapt (bd7d99b): 1000 steps of 0.01 s, actions
    # in ±1, 20 observations, noise 0.01 and 0.1, velocity of the whole.
    env = make("half-cheetah-cripple", 1, 2000, variant="grbal")
    found = env.horizon, env.dt, env.single_action_space.high[0], env.single_observation_space.shape[0]
    assert found == pytest.approx((1000, 0.01, 1.0, 20)) and env.config.mass_center
    env.reset(seed=0)
    np.testing.assert_allclose([(env.qpos - env.model.qpos0).std(), env.qvel.std()], [0.01, 0.1], rtol=0.021)


def test_the_reward_is_the_velocity_less_the_cost() -> None:
    for name in (*SCALED, "half-cheetah-params", "half-cheetah-cripple"):
        env = make(name, 3)
        env.reset(seed=0)
        for action in actions_for(env, 3):
            _, reward, terminated, _, info = env.step(action)
            np.testing.assert_array_equal(reward, info["velocity"] - info["control_cost"])
            assert not terminated.any()


def test_parameters_are_68_factors_and_reach_the_models() -> None:
    # mass 8, inertia 8 * 3, damping 9, friction 9 * 3 = 68
    env = make("half-cheetah-params", 3)
    assert sum(values[0].size for values in env.tasks.values()) == 8 + 24 + 9 + 27
    env.reset(seed=0)
    for field, name in (("body_mass", "mass"), ("body_inertia", "inertia"), ("dof_damping", "damping")):
        np.testing.assert_array_equal(env.batch.expand(field), getattr(env.model, field) * env.tasks[name])
    whole = env.batch.expand("body_subtreemass")[:, 0]  # derived constants follow
    np.testing.assert_allclose(whole, env.batch.expand("body_mass").sum(axis=1), rtol=1e-12)


def test_a_cheetah_without_controls_gains_nothing() -> None:
    # Five episodes of 200 zero actions with the body of gymnasium 1.4.0, apart from this code: -0.2 ± 0.7.
    env = make("half-cheetah-payload", 30, 1)
    env.reset(seed=0)
    total = sum(env.step(np.zeros((30, 6)))[1] for _ in range(200))
    np.testing.assert_allclose(np.mean(total), -0.2, atol=0.7)
