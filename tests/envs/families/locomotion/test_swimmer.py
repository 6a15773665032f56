"""SwimmerVel against Gymnasium's own environment, MuJoCo's own functions and the published definitions."""

from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.swimmer_v5 import SwimmerEnv

import envs
from envs.families.locomotion.swimmer import SwimmerVel

# variant: seconds a step, action bound, observation size, weight of the distance, control cost. Sources:
# rllab/envs/mujoco/swimmer_randgoal_env.py in cbfinn/maml_rl (9c8e2eb),
# meta_policy_search/envs/mujoco_envs/swimmer_rand_vel.py in jonasrothfuss/ProMP (93ae339), which has the distance with
# the wrong sign.
PUBLISHED = {
    "metarl": (0.04, 10.0, 8, -1.0, 1e-4),
    "maml": (0.05, 1.0, 13, -1.5, 0.005),
    "promp": (0.04, 10.0, 8, 1.0, 1e-4),
}


def make(num_tasks: int = 1, lanes_per_task: int = 1, threads: int = 1, **fields: Any) -> SwimmerVel:
    env = envs.make("swimmer-vel", num_tasks, lanes_per_task, threads=threads, **fields)
    assert isinstance(env, SwimmerVel)
    return env


def actions_for(env: SwimmerVel, steps: int) -> np.ndarray:
    """[steps, num_envs, 2]"""
    bound = env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_is_as_published(variant: str) -> None:
    """Sizes, and the reward from the velocity that the step reports."""
    env = make(2, variant=variant)
    *sizes, weight, control_weight = PUBLISHED[variant]
    observed = env.dt, env.single_action_space.high[0], env.single_observation_space.shape[0]
    assert observed == pytest.approx(tuple(sizes)) and env.horizon == 200
    velocities = env.sample_tasks(0, 1000)["velocity"]
    assert 0.1 <= velocities.min() < 0.101 and 0.199 < velocities.max() <= 0.2
    wanted = np.array([0.11, 0.19])
    env.set_tasks({"velocity": wanted})
    env.reset(seed=0)
    for action in 1.5 * actions_for(env, 20):  # some beyond the box, where they are clipped
        _, reward, terminated, _, info = env.step(action)
        controls = np.clip(action / env.single_action_space.high, -1.0, 1.0)
        expected = weight * np.abs(info["velocity"] - wanted) - control_weight * (controls**2).sum(axis=1)
        np.testing.assert_allclose(reward, expected, rtol=0, atol=1e-12)
        assert not terminated.any()


def test_every_variant_has_its_published_definition_here() -> None:
    assert set(make().variants) == set(PUBLISHED)


def test_the_sign_of_promp_can_be_set_as_it_was_meant() -> None:
    meant, ours = make(variant="promp", pays_for_missing=False), make(variant="metarl")
    assert meant.reset(seed=0) and ours.reset(seed=0)
    for action in actions_for(meant, 5):
        np.testing.assert_array_equal(meant.step(action)[1], ours.step(action)[1])


def test_equals_gymnasiums_swimmer() -> None:
    """The same states and actions for 200 steps: observations, and the terms of the reward."""
    base = SwimmerEnv()
    env = make(2)
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 200)
    steps = [env.step(action) for action in actions]
    for lane in range(2):
        base.reset(seed=0)
        base.set_state(start[0][lane], start[1][lane])
        for action, (observation, _, _, _, info) in zip(actions, steps, strict=True):
            expected, *_, base_info = base.step(action[lane] / 10.0)
            np.testing.assert_allclose(observation[lane], expected, rtol=0, atol=1e-10)
            np.testing.assert_allclose(info["velocity"][lane], base_info["x_velocity"], rtol=0, atol=1e-10)
            np.testing.assert_allclose(-info["control_cost"][lane], base_info["reward_ctrl"], rtol=0, atol=1e-10)


def test_rllabs_velocity_and_place_are_those_of_the_centre_of_mass() -> None:
    """What MuJoCo itself computes for the state after the step, and finite differences."""
    env = make(1, 2, variant="maml")
    env.reset(seed=0)
    data = mujoco.MjData(env.model)

    def center(qpos: np.ndarray) -> np.ndarray:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(env.model, data)
        place: np.ndarray = env.model.body_mass @ data.xipos / env.model.body_mass.sum()
        return place

    for action in actions_for(env, 10):
        observation, *_, info = env.step(action)
        for lane in range(2):
            qpos, qvel = env.qpos[lane], env.qvel[lane]
            np.testing.assert_allclose(observation[lane], [*qpos, *qvel, *center(qpos)], rtol=0, atol=1e-12)
            ahead, behind = center(qpos + 1e-6 * qvel), center(qpos - 1e-6 * qvel)
            np.testing.assert_allclose(info["velocity"][lane], (ahead - behind)[0] / 2e-6, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("variant", "position", "velocity"),
    [("metarl", 0.1 / np.sqrt(3), 0.1 / np.sqrt(3)), ("maml", 0.01, 0.1)],
)
def test_an_episode_starts_with_the_noise_of_its_source(variant: str, position: float, velocity: float) -> None:
    # 4000 * 5 draws: a sample deviation is within 4 / sqrt(2 * 20000) = 2 % of the law's.
    env = make(1, 4000, variant=variant)
    env.reset(seed=0)
    np.testing.assert_allclose([env.qpos.std(), env.qvel.std()], [position, velocity], rtol=0.02)


def test_faster_velocities_are_outside() -> None:
    velocities = make(min_velocity=0.5, max_velocity=0.8).sample_tasks(0, 1000, split="outside")["velocity"]
    assert 0.8 <= velocities.min() < 0.805 and 1.095 < velocities.max() <= 1.1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_velocity": 0.3}, "env.min_velocity is 0.3, above env.max_velocity at 0.2 — swap them"),
        ({"velocity_weight": -1.0}, "env.velocity_weight is -1.0 — give a finite number, 0 or above"),
    ],
)
def test_impossible_options_are_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError, match=message):
        make(**fields)
