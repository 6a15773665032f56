"""HumanoidDir against Gymnasium's own environment and the published definitions."""

from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.humanoid_v5 import HumanoidEnv

import envs
from envs.families.locomotion.humanoid import HumanoidDir

# variant: action bound, observation size, whether ±x only. Sources:
# meta_policy_search/envs/mujoco_envs/humanoid_rand_direc.py and humanoid_rand_direc_2d.py in jonasrothfuss/ProMP
# (93ae339), rlkit/envs/humanoid_dir.py in katerakelly/oyster (44e20fd), environments/mujoco/humanoid_dir.py in
# lmzintgraf/varibad (57e1795), learn2learn/gym/envs/mujoco/humanoid_*.py in learnables/learn2learn (db5cee3).
PUBLISHED = {
    "metarl": (10.0, 45, False),
    "promp": (10.0, 376, True),
    "promp-2d": (10.0, 376, False),
    "pearl": (1.0, 376, False),
    "varibad": (1.0, 376, False),
    "l2l": (1.0, 376, True),
    "l2l-2d": (1.0, 376, False),
}


class PresentHumanoid(HumanoidEnv):
    """Gymnasium's Humanoid, whose derived quantities are those of the state after the step, not of a moment earlier."""

    def _step_mujoco_simulation(self, ctrl: Any, n_frames: int) -> None:
        super()._step_mujoco_simulation(ctrl, n_frames)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)


def make(num_tasks: int = 1, lanes_per_task: int = 1, threads: int = 1, **fields: Any) -> HumanoidDir:
    env = envs.make("humanoid-dir", num_tasks, lanes_per_task, threads=threads, **fields)
    assert isinstance(env, HumanoidDir)
    return env


def actions_for(env: HumanoidDir, steps: int) -> np.ndarray:
    """[steps, num_envs, 17]"""
    bound = env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_is_as_published(variant: str) -> None:
    env = make(variant=variant)
    bound, size, line = PUBLISHED[variant]
    assert (env.horizon, env.dt) == pytest.approx((200, 0.015))
    assert (env.single_action_space.high[0], env.single_observation_space.shape[0]) == (bound, size)
    angles = env.sample_tasks(0, 1000)["angle"]
    if line:
        assert set(angles) == {0.0, np.pi} and abs((angles == 0.0).sum() - 500) < 4 * np.sqrt(250)
    else:
        assert 0.0 <= angles.min() < 0.1 * np.pi and 1.9 * np.pi < angles.max() < 2 * np.pi


def test_every_variant_has_its_published_definition_here() -> None:
    assert set(make().variants) == set(PUBLISHED)


def test_pearls_angles_are_100_for_training_and_30_others_for_tests() -> None:
    env = make(variant="pearl")
    train, test = (np.unique(env.sample_tasks(0, 3000, split=split)["angle"]) for split in ("train", "test"))
    assert (len(train), len(test), len(np.union1d(train, test))) == (100, 30, 130)


@pytest.mark.parametrize("variant", ["metarl", "pearl"])
def test_equals_gymnasiums_humanoid_at_the_present_state(variant: str) -> None:
    """The same states and actions for 200 steps, falls included: observations, and the terms of the reward.

    In Gymnasium v5 no observation has the world's body (10, 6 and 6 numbers) and the root's torques (6).
    """
    # Without forces nothing runs MuJoCo's forward(), whose result the contact solver would start from.
    base: HumanoidEnv = (PresentHumanoid if variant == "pearl" else HumanoidEnv)(terminate_when_unhealthy=False)
    env = make(2, variant=variant, terminates=False)
    env.set_tasks({"angle": [0.0, 2.0]})
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 200)
    steps = [env.step(action) for action in actions]
    felt = 0.0
    for lane, angle in enumerate((0.0, 2.0)):
        base.reset(seed=0)
        mujoco.mj_resetData(base.model, base.data)
        base.set_state(start[0][lane], start[1][lane])
        if variant == "metarl":
            base.data.qacc_warmstart[:] = 0.0
        for action, (observation, reward, _, _, info) in zip(actions, steps, strict=True):
            controls = 0.4 * action[lane] / env.single_action_space.high
            expected, _, _, _, base_info = base.step(controls)
            np.testing.assert_allclose(observation[lane, :45], expected[:45], rtol=0, atol=1e-10)
            np.testing.assert_allclose(-info["control_cost"][lane], base_info["reward_ctrl"], rtol=0, atol=1e-10)
            if variant == "metarl":
                continue
            parts = np.split(observation[lane, 45:], np.cumsum([140, 84, 23]))
            kept = np.concatenate([part[rest:] for part, rest in zip(parts, (10, 6, 6, 6), strict=True)])
            assert all(not part[:rest].any() for part, rest in zip(parts, (10, 6, 6, 6), strict=True))
            np.testing.assert_allclose(kept, expected[45:], rtol=1e-10, atol=1e-10)
            # 0.25 / 0.003 * Δ, where Gymnasium divides Δ by 0.015
            along = np.cos(angle) * base_info["x_velocity"] + np.sin(angle) * base_info["y_velocity"]
            contact_cost = min(0.5e-6 * np.square(expected[-78:]).sum(), 10.0)
            wanted = 0.25 * 0.015 * along / 0.003 + 5.0 + base_info["reward_ctrl"] - contact_cost
            np.testing.assert_allclose(reward[lane], wanted, rtol=0, atol=1e-9)
            felt = max(felt, contact_cost)
    assert variant == "metarl" or felt > 0.1


def test_the_velocity_is_that_of_the_mass_weighted_centres_of_the_bodies() -> None:
    env = make(2, variant="metarl")
    env.set_tasks({"angle": [0.0, np.pi / 2]})
    env.reset(seed=0)
    data = mujoco.MjData(env.model)

    def center(qpos: np.ndarray) -> np.ndarray:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(env.model, data)
        center: np.ndarray = env.model.body_mass @ data.xipos / env.model.body_mass.sum()
        return center

    for action in actions_for(env, 10):
        before = [center(qpos) for qpos in env.qpos]
        *_, info = env.step(action)
        for lane, axis in enumerate((0, 1)):
            velocity = (center(env.qpos[lane]) - before[lane])[axis] / 0.015
            np.testing.assert_allclose(info["velocity"][lane], velocity, rtol=0, atol=1e-10)


def test_contacts_cost_no_more_than_the_limit() -> None:
    free, limited = make(variant="pearl", contact_cost=1.0), make(variant="pearl", contact_cost=1.0, contact_limit=0.5)
    for env, most in ((free, 10.0), (limited, 0.5)):
        env.reset(seed=0)
        costs = [env.step(np.zeros((1, 17)))[4]["contact_cost"][0] for _ in range(20)]
        assert max(costs) == most


@pytest.mark.parametrize(("height", "ends"), [(0.99, True), (1.01, False), (1.99, False), (2.01, True)])
def test_an_episode_ends_beyond_one_and_two_metres(height: float, ends: bool) -> None:
    env, endless = make(variant="pearl"), make(variant="pearl", terminates=False)
    for humanoid in (env, endless):
        humanoid.reset(seed=0)
        humanoid.qpos[0, 2] = height
    assert (env.terminated()[0], endless.terminated()[0]) == (ends, False)


def test_a_humanoid_that_does_nothing_falls_after_forty_steps() -> None:
    # Five episodes of zero actions with the body of gymnasium 1.4.0 and PEARL's reward, apart from this code: 199 ± 4,
    # length 40.
    env = make(20, variant="pearl")
    env.reset(seed=0)
    total, length = 0.0, np.zeros(20)
    for _ in range(60):
        _, reward, terminated, _, _ = env.step(np.zeros((20, 17)))
        total, length = total + reward, length + ~terminated
    assert terminated.all()
    assert length.mean() + 1 == pytest.approx(40.0, abs=1.5)
    assert np.mean(total) == pytest.approx(199.0, abs=4.0)
