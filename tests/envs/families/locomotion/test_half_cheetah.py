"""HalfCheetah against Gymnasium's own environment, MuJoCo's own functions and the published definitions."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks, load_model
from envs.families.locomotion.robot import ASSETS

# variant: horizon, seconds a step, action bound, observation size. Sources: rllab/envs/mujoco/half_cheetah_env_rand*.py
# in cbfinn/maml_rl (9c8e2eb), maml_rl/envs/mujoco/half_cheetah.py in tristandeleu/pytorch-maml-rl (21d4ba1),
# meta_policy_search/envs/mujoco_envs/half_cheetah_rand_*.py in jonasrothfuss/ProMP (93ae339),
# rlkit/envs/half_cheetah_*.py in katerakelly/oyster (44e20fd), environments/mujoco/half_cheetah_*.py in
# lmzintgraf/varibad (57e1795), learn2learn/gym/envs/mujoco/halfcheetah_forward_backward.py in learnables/learn2learn
# (db5cee3), src/garage/envs/mujoco/half_cheetah_*_env.py in rlworkgroup/garage (2d59480),
# amago/envs/builtin/half_cheetah_v4_vel.py in UT-Austin-RPL/amago (2d85600).
PUBLISHED_DIR = {
    "metarl": (200, 0.05, 10.0, 20),
    "maml": (200, 0.01, 1.0, 20),
    "deleu": (100, 0.05, 10.0, 20),
    "promp": (100, 0.05, 10.0, 17),
    "pearl": (200, 0.05, 1.0, 20),
    "varibad": (200, 0.05, 1.0, 20),
    "l2l": (100, 0.05, 1.0, 20),
    "garage": (100, 0.05, 10.0, 20),
}
# the same, and the highest velocity
PUBLISHED_VEL = {
    "metarl": (200, 0.05, 10.0, 20, 3.0),
    "maml": (200, 0.01, 1.0, 20, 2.0),
    "deleu": (100, 0.05, 10.0, 20, 2.0),
    "promp": (100, 0.05, 10.0, 17, 3.0),
    "pearl": (200, 0.05, 1.0, 20, 3.0),
    "varibad": (200, 0.05, 1.0, 20, 3.0),
    "garage": (200, 0.05, 10.0, 20, 2.0),
    "amago": (1000, 0.05, 1.0, 17, 3.0),
}


@contextmanager
def silent_mujoco() -> Iterator[None]:
    """Loading half_cheetah.xml as it is makes MuJoCo warn on the console and in a log file."""
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_console = silent.logto_file = False
    silent.set()
    yield
    before.set()


def make(name: str, num_tasks: int = 1, lanes_per_task: int = 1, threads: int = 1, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes_per_task, threads=threads, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def actions_for(env: envs.TaskEnv, steps: int, size: float = 1.0) -> np.ndarray:
    """[steps, num_envs, 6], some of them beyond the action box when `size` is above 1."""
    bound = size * env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


@pytest.mark.parametrize("variant", PUBLISHED_DIR)
def test_a_direction_variant_is_as_published(variant: str) -> None:
    env = make("half-cheetah-dir", 1000, variant=variant)
    bound, size = env.single_action_space.high[0], env.single_observation_space.shape[0]
    assert (env.horizon, env.dt, bound, size) == pytest.approx(PUBLISHED_DIR[variant])
    directions = env.sample_tasks(0, num_tasks=1000)["direction"]
    assert set(directions) == {-1.0, 1.0}
    assert abs(directions.sum()) < 4 * np.sqrt(1000)  # the sum of 1000 fair signs


@pytest.mark.parametrize("variant", PUBLISHED_VEL)
def test_a_velocity_variant_is_as_published(variant: str) -> None:
    env = make("half-cheetah-vel", variant=variant)
    bound, size = env.single_action_space.high[0], env.single_observation_space.shape[0]
    velocities = env.sample_tasks(0, num_tasks=1000)["velocity"]
    *published, highest = PUBLISHED_VEL[variant]
    assert (env.horizon, env.dt, bound, size) == pytest.approx(tuple(published))
    assert 0.0 <= velocities.min() < 0.02 and 0.99 * highest < velocities.max() <= highest


def test_faster_velocities_are_outside() -> None:
    velocities = make("half-cheetah-vel", max_velocity=1.5).sample_tasks(0, 1000, split="outside")["velocity"]
    assert 1.5 <= velocities.min() < 1.52 and 2.48 < velocities.max() <= 2.5


def test_pearls_velocities_are_100_for_training_and_30_others_for_tests() -> None:
    env = make("half-cheetah-vel", variant="pearl")
    train, test = (np.unique(env.sample_tasks(0, 3000, split=split)["velocity"]) for split in ("train", "test"))
    assert (len(train), len(test), len(np.union1d(train, test))) == (100, 30, 130)


def test_every_variant_has_its_published_definition_here() -> None:
    assert set(make("half-cheetah-dir").variants) == set(PUBLISHED_DIR)
    assert set(make("half-cheetah-vel").variants) == set(PUBLISHED_VEL)


@pytest.mark.parametrize(("variant", "position_deviation"), [("metarl", 0.1 / np.sqrt(3)), ("maml", 0.01)])
def test_an_episode_starts_with_the_published_noise(variant: str, position_deviation: float) -> None:
    # 2000 * 9 draws: a sample deviation is within 4 / sqrt(2 * 18000) = 2.1 % of the law's.
    env = make("half-cheetah-vel", 1, 2000, variant=variant)
    env.reset(seed=0)
    position = env.qpos - env.model.qpos0
    np.testing.assert_allclose([position.std(), env.qvel.std()], [position_deviation, 0.1], rtol=0.021)
    assert (np.abs(position).max() <= 0.1) and (variant != "metarl" or np.abs(position).max() > 0.0999)


def test_equals_gymnasiums_half_cheetah() -> None:
    """The same states and actions for 200 steps: observations, and the terms of the reward."""
    with silent_mujoco():
        base: Any = gymnasium.make("HalfCheetah-v5", ctrl_cost_weight=0.05).unwrapped
    env = make("half-cheetah-dir", 2, variant="pearl")
    env.set_tasks({"direction": [1.0, -1.0]})
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 200)
    steps = [env.step(action) for action in actions]
    for lane, sign in enumerate((1.0, -1.0)):
        base.reset(seed=0)
        base.set_state(start[0][lane], start[1][lane])
        for action, (observation, reward, _, _, info) in zip(actions, steps, strict=True):
            expected, base_reward, *_, base_info = base.step(action[lane])
            np.testing.assert_allclose(observation[lane, :17], expected, rtol=0, atol=1e-10)
            np.testing.assert_allclose(info["velocity"][lane], base_info["x_velocity"], rtol=0, atol=1e-10)
            np.testing.assert_allclose(-info["control_cost"][lane], base_info["reward_ctrl"], rtol=0, atol=1e-10)
            task_reward = base_reward if sign > 0 else base_reward - 2 * base_info["reward_forward"]
            np.testing.assert_allclose(reward[lane], task_reward, rtol=0, atol=1e-10)


@pytest.mark.parametrize("variant", ["metarl", "maml"])
def test_rewards_follow_the_formulas(variant: str) -> None:
    runs = {}
    for name, tasks in (("dir", {"direction": [1.0, -1.0]}), ("vel", {"velocity": [0.3, 1.7]})):
        env = make(f"half-cheetah-{name}", 2, variant=variant)
        env.set_tasks(tasks)
        env.reset(seed=0)
        runs[name] = [env.step(action) for action in actions_for(env, 30, size=1.5)]
    for directed, paced in zip(runs["dir"], runs["vel"], strict=True):
        velocity, cost = directed[4]["velocity"], directed[4]["control_cost"]
        np.testing.assert_array_equal(paced[4]["velocity"], velocity)
        np.testing.assert_array_equal(directed[1], np.array([1.0, -1.0]) * velocity - cost)
        np.testing.assert_array_equal(paced[1], -np.abs(velocity - np.array([0.3, 1.7])) - cost)


def test_the_control_cost_is_that_of_the_clipped_controls() -> None:
    # Actions of 20 on a scale of 10 are clipped to 1: 0.05 * 6 * 1² = 0.3; actions of 5 are 0.5: 0.05 * 6 * 0.25.
    env = make("half-cheetah-vel", 1, 2)
    env.reset(seed=0)
    *_, info = env.step(np.repeat([[20.0], [-5.0]], 6, axis=1))
    np.testing.assert_allclose(info["control_cost"], [0.3, 0.075], rtol=1e-12)
    np.testing.assert_array_equal(env.batch.bind("ctrl")[:, 0], [1.0, -0.5])


def test_the_action_scale_changes_only_the_unit_of_actions() -> None:
    scaled, plain = make("half-cheetah-dir", variant="metarl"), make("half-cheetah-dir", variant="pearl")
    np.testing.assert_array_equal(scaled.reset(seed=0)[0], plain.reset(seed=0)[0])
    for action in actions_for(plain, 20):
        np.testing.assert_allclose(scaled.step(10.0 * action)[0], plain.step(action)[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("variant", ["metarl", "maml"])
def test_the_observation_holds_the_torsos_present_place_and_the_reward_the_present_velocity(variant: str) -> None:
    """What MuJoCo itself computes for the state after the step, and finite differences of the centre of mass."""
    env = make("half-cheetah-vel", 1, 2, variant=variant)
    env.reset(seed=1)
    observation, _ = env.reset(seed=0)
    data = mujoco.MjData(env.model)
    torso = env.model.body("torso").id

    def center(qpos: np.ndarray, qvel: np.ndarray, seconds: float) -> np.ndarray:
        data.qpos[:] = qpos + seconds * qvel  # hinges and slides: positions move along velocities
        data.qvel[:] = qvel
        mujoco.mj_forward(env.model, data)
        mujoco.mj_subtreeVel(env.model, data)
        return data.subtree_com[torso].copy()

    center(env.qpos[0], env.qvel[0], 0.0)
    place = data.subtree_com[torso] if variant == "maml" else data.xpos[torso]
    np.testing.assert_allclose(observation[0, 17:], place, atol=1e-12)
    for action in actions_for(env, 20):
        before = env.qpos[:, 0].copy()
        observation, _, _, _, info = env.step(action)
        for lane in range(2):
            state = env.qpos[lane], env.qvel[lane]
            slope = (center(*state, 1e-6) - center(*state, -1e-6))[0] / 2e-6
            place = center(*state, 0.0)
            if variant == "maml":
                np.testing.assert_allclose(info["velocity"][lane], data.subtree_linvel[torso][0], atol=1e-12)
                np.testing.assert_allclose(info["velocity"][lane], slope, atol=1e-7)
            else:
                place = data.xpos[torso]
                np.testing.assert_allclose(info["velocity"][lane], (env.qpos[lane, 0] - before[lane]) / 0.05)
            np.testing.assert_allclose(observation[lane, 17:], place, atol=1e-12)


@pytest.mark.parametrize("variant", ["metarl", "maml"])
def test_the_physics_is_a_plain_loop_of_mj_step(variant: str) -> None:
    env = make("half-cheetah-vel", variant=variant)
    env.reset(seed=0)
    data = mujoco.MjData(env.model)
    data.qpos[:], data.qvel[:] = env.qpos[0], env.qvel[0]
    for action in actions_for(env, 50):
        env.step(action)
        data.ctrl[:] = action[0] / env.single_action_space.high
        mujoco.mj_step(env.model, data, env.frame_skip)
        np.testing.assert_array_equal(env.qpos[0], data.qpos)
        np.testing.assert_array_equal(env.qvel[0], data.qvel)


@pytest.mark.parametrize("variant", ["metarl", "maml"])
def test_threads_change_no_bit(variant: str) -> None:
    single, double = (make("half-cheetah-vel", 4, 5, threads, variant=variant) for threads in (1, 2))
    np.testing.assert_array_equal(single.reset(seed=0)[0], double.reset(seed=0)[0])
    for action in actions_for(single, 30):
        for array, twin in zip(single.step(action)[:4], double.step(action)[:4], strict=True):
            np.testing.assert_array_equal(array, twin)


@pytest.mark.parametrize("variant", ["metarl", "maml"])
def test_a_diverging_lane_ends_alone_counted_and_in_silence(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # where MuJoCo would write its log
    env, undisturbed = (make("half-cheetah-vel", 2, 2, variant=variant) for _ in range(2))
    actions = actions_for(env, 10)
    env.reset(seed=0), undisturbed.reset(seed=0)
    good = env.step(actions[0])[0]
    undisturbed.step(actions[0])
    env.qvel[2] = 1e12
    others = np.array([True, True, False, True])
    for action in actions[1:5]:
        observation, reward, terminated, truncated, info = env.step(action)
        expected = undisturbed.step(action)
        np.testing.assert_array_equal(info["diverged"], ~others)
        np.testing.assert_array_equal(truncated, ~others)
        assert not terminated.any() and reward[2] == 0.0 and info["velocity"][2] == 0.0
        np.testing.assert_array_equal(observation[2], good[2])
        np.testing.assert_array_equal(observation[others], expected[0][others])
        np.testing.assert_array_equal(reward[others], expected[1][others])
    # After its reset the lane lives as one that never diverged.
    start, info = env.reset(seed=9, options={"reset_mask": ~others})
    np.testing.assert_array_equal(start[2], undisturbed.reset(seed=9)[0][2])
    for action in actions[5:]:
        observation, *_, info = env.step(action)
        np.testing.assert_array_equal(observation[2], undisturbed.step(action)[0][2])
        assert not info["diverged"].any()
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())


def test_the_model_loads_in_silence_and_equals_the_plain_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with silent_mujoco():
        plain = mujoco.MjModel.from_xml_path(str(ASSETS / "half_cheetah.xml"))
    monkeypatch.chdir(tmp_path)
    model = load_model(ASSETS / "half_cheetah.xml")
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())
    np.testing.assert_allclose(model.body_mass.sum(), 14.0, rtol=1e-12)
    for field in ("body_mass", "body_inertia", "body_invweight0", "body_subtreemass", "dof_invweight0", "dof_M0"):
        np.testing.assert_allclose(getattr(model, field), getattr(plain, field), rtol=1e-12, atol=0)


def test_standing_still_costs_the_velocity_that_was_asked_for() -> None:
    # Without controls the cheetah settles near its place: the return of 100 steps is -100 v* but for the settling.
    env = make("half-cheetah-vel", 20, variant="deleu")
    env.reset(seed=0)
    total = sum(env.step(np.zeros((20, 6)))[1] for _ in range(100))
    np.testing.assert_allclose(total, -100 * env.tasks["velocity"], atol=6.0)
