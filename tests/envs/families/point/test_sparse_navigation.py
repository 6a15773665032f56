"""Sparse point navigation against hand numbers, all paths of a small grid, and the published levels."""

import itertools
from typing import Any

import numpy as np
import pytest

import envs

# variant: horizon, reward paid, lowest and highest angle. Sources: environments/navigation/point_robot.py in
# lmzintgraf/varibad (57e1795), rlkit/envs/point_robot.py and configs/sparse-point-robot.json in katerakelly/oyster
# (44e20fd).
PUBLISHED = {
    "varibad": (100, "sparse", 0.0, np.pi),
    "varibad-circle": (100, "sparse", 0.0, 2 * np.pi),
    "pearl": (20, "sparse", 0.0, np.pi),
    "pearl-dense": (20, "dense", 0.0, np.pi),
}


def make(num_tasks: int = 1, lanes: int = 1, **fields: Any) -> envs.TaskEnv:
    return envs.make("sparse-point-nav", num_tasks, lanes, **fields)


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_is_as_published(variant: str) -> None:
    horizon, reward, low, high = PUBLISHED[variant]
    env = make(variant=variant)
    observation, _ = env.reset(seed=0)
    assert (env.horizon, env.config.reward, env.config.goal_radius) == (horizon, reward, 0.2)
    np.testing.assert_array_equal(observation, [[0.0, 0.0]])
    np.testing.assert_array_equal(env.single_action_space.high, [1.0, 1.0])
    angles = np.concatenate([env.sample_tasks(0, num_tasks=1000, split=split)["angle"] for split in ("train", "test")])
    assert low <= angles.min() < low + 0.05 and high - 0.05 < angles.max() <= high
    assert set(env.variants) == set(PUBLISHED)


@pytest.mark.parametrize("variant", ["pearl", "pearl-dense"])
def test_pearl_has_100_equally_spaced_goals_20_of_them_held_out(variant: str) -> None:
    env = make(variant=variant)
    # Each of 80 goals is missed by 3000 draws with probability (79/80)^3000 < 1e-16.
    train, test = (np.unique(env.sample_tasks(0, num_tasks=3000, split=split)["angle"]) for split in ("train", "test"))
    assert (len(train), len(test)) == (80, 20)
    np.testing.assert_allclose(np.sort(np.concatenate([train, test])), np.linspace(0, np.pi, 100))
    assert test.min() < np.pi / 4 and test.max() > 3 * np.pi / 4  # shuffled: not one end of the semicircle


def test_goals_outside_lie_in_the_lower_half() -> None:
    angles = make().sample_tasks(0, num_tasks=1000, split="outside")["angle"]
    assert -np.pi <= angles.min() < angles.max() <= 0.0
    with pytest.raises(envs.InputError, match="no split 'outside'"):
        make(variant="varibad-circle").sample_tasks(0, split="outside")


@pytest.mark.parametrize("paid", ["sparse", "dense"])
def test_the_goal_pays_from_a_distance_of_a_fifth_on(paid: str) -> None:
    # The goal is (0, 1), and a move is 0.1 at most: seven lead to (0, 0.7), half a one more to (0, 0.75), another to
    # (0, 0.85), 0.15 away: only there the sparse reward is 0.85.
    env = make(reward=paid)
    env.set_tasks({"angle": [np.pi / 2]})
    env.reset(seed=0)
    for action in [7.0] * 7 + [0.5, 1.0]:
        observation, reward, _, _, info = env.step(np.array([[0.0, action]]))
    np.testing.assert_allclose(observation, [[0.0, 0.85]])
    np.testing.assert_allclose([info["sparse_reward"][0], info["dense_reward"][0]], [0.85, -0.15])
    np.testing.assert_array_equal(reward, info[f"{paid}_reward"])
    _, _, terminated, _, info = env.step(np.array([[0.7, 0.0]]))  # (0.07, 0.85): hypot(0.07, 0.15) = 0.166 away
    np.testing.assert_allclose(info["sparse_reward"], 1.0 - np.hypot(0.07, 0.15))
    _, _, terminated, _, info = env.step(np.array([[0.8, 0.0]]))  # (0.15, 0.85): 0.212 away
    assert info["sparse_reward"][0] == 0.0 and not terminated[0]


@pytest.mark.parametrize("reward", ["sparse", "dense"])
def test_no_path_beats_the_oracle_and_one_reaches_it(reward: str) -> None:
    levels = [-1.0, -0.5, 0.0, 0.5, 1.0]
    sequences = np.array(list(itertools.product(levels, repeat=6))).reshape(-1, 3, 2)
    env = make(1, len(sequences), horizon=3, goal_radius=0.8, reward=reward)
    env.set_tasks({"angle": [np.arctan2(0.6, 0.8)]})
    env.reset(seed=0)
    total = sum(env.step(sequences[:, step])[1] for step in range(3))
    # To (0.8, 0.6): hypot(0.7, 0.5) = 0.86, hypot(0.6, 0.4) and hypot(0.5, 0.3) are left, the first beyond the radius.
    sparse = 2 - np.hypot(0.6, 0.4) - np.hypot(0.5, 0.3)
    expected = sparse if reward == "sparse" else sparse - 2 - np.hypot(0.7, 0.5)
    oracle = env.informed_return(env.tasks)
    np.testing.assert_allclose(oracle, [expected])
    np.testing.assert_allclose(np.max(total), expected)


def goals(env: envs.TaskEnv) -> np.ndarray:
    angle = env.lane_tasks["angle"]
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


# Mean returns to one decimal, from a simulation apart from this code: straight to the goal, greedily along each axis.
@pytest.mark.parametrize(("horizon", "straight", "greedy"), [(20, 13.2, 13.4), (60, 53.2, 53.4), (100, 93.2, 93.4)])
def test_straight_and_greedy_paths_have_their_known_returns(horizon: int, straight: float, greedy: float) -> None:
    env = make(2000, 1, horizon=horizon)
    totals = {}
    for path in ("straight", "greedy"):
        position, _ = env.reset(seed=0)
        totals[path] = np.zeros(2000)
        for _ in range(horizon):
            left = (goals(env) - position) / 0.1
            shorter = np.maximum(np.abs(left).max(axis=1, keepdims=True), 1.0)
            position, reward, *_ = env.step(left / shorter if path == "straight" else left)
            totals[path] += reward
    # Rounding to one decimal, and 4 standard errors of our 2000 tasks.
    for path, level in (("straight", straight), ("greedy", greedy)):
        assert abs(totals[path].mean() - level) < 0.05 + 4 * totals[path].std() / np.sqrt(2000)
    np.testing.assert_allclose(totals["greedy"], env.informed_return(env.tasks))


@pytest.mark.parametrize(("horizon", "level"), [(20, 0.0), (60, 0.1), (100, 0.6)])
def test_a_random_policy_finds_next_to_nothing(horizon: int, level: float) -> None:
    env, rng = make(3000, 1, horizon=horizon), np.random.default_rng(1)
    env.reset(seed=0)
    total = sum(env.step(rng.uniform(-1.0, 1.0, (3000, 2)))[1] for _ in range(horizon))
    # The level is rounded to one decimal and simulated itself: ± 4 standard errors of a difference.
    assert abs(np.mean(total) - level) < 0.05 + 4 * np.sqrt(2) * np.std(total) / np.sqrt(3000)


def test_standing_still_pays_nothing_sparse_and_the_radius_dense() -> None:
    env = make(5, 2, variant="pearl-dense")
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros((10, 2)))
    np.testing.assert_allclose(reward, -1.0)
    assert not info["sparse_reward"].any()
