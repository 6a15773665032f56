"""ProMP's corners against hand numbers, all paths of a small grid and quadrature."""

import itertools
from typing import Any

import numpy as np
import pytest

import envs
from envs.families.point.corner_navigation import PointCorners

# variant: horizon, action bound, observation size. Sources: meta_policy_search/envs/point_envs/point_env_2d_corner.py,
# point_env_2d_momentum.py and point_env_2d_walls.py in jonasrothfuss/ProMP (93ae339).
PUBLISHED = {
    "promp-sparse": (100, 0.2, 2),
    "promp-dense": (100, 0.2, 2),
    "promp-dense-squared": (100, 0.2, 2),
    "promp-momentum": (200, 0.1, 4),
    "promp-walls": (100, 0.2, 2),
}


def make(num_tasks: int = 1, lanes: int = 1, **fields: Any) -> PointCorners:
    env = envs.make("point-corners", num_tasks, lanes, **fields)
    assert isinstance(env, PointCorners)
    return env


def placed(position: Any, goal: tuple[float, float] = (2.0, 2.0), lanes: int = 1, **fields: Any) -> PointCorners:
    """An environment whose points stand at `position`, at rest; its gaps are at the angles 0 and pi."""
    env = make(1, lanes, **fields)
    gaps = {"inner_gap": [0.0], "outer_gap": [np.pi]} if env.config.walls else {}
    env.set_tasks({"goal": [goal], **gaps})
    env.reset(seed=0)
    env.position[:], env.velocity[:] = position, 0.0
    return env


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_is_as_published(variant: str) -> None:
    horizon, bound, size = PUBLISHED[variant]
    env = make(1, 1000, variant=variant)
    observation, _ = env.reset(seed=0)
    assert (env.horizon, observation.shape[1]) == (horizon, size)
    np.testing.assert_array_equal(env.single_action_space.high, [bound, bound])
    # 2000 uniform numbers come within 1 % of their bound with probability 1 - 0.99^2000 > 1 - 1e-8.
    assert 0.99 * 0.2 <= np.abs(observation[:, :2]).max() <= 0.2
    if size == 4:
        assert 0.99 * 0.1 <= np.abs(observation[:, 2:]).max() <= 0.1
    tasks = env.sample_tasks(0, num_tasks=400)
    corners, counts = np.unique(tasks["goal"], axis=0, return_counts=True)
    np.testing.assert_array_equal(corners, [(-2, -2), (-2, 2), (2, -2), (2, 2)])
    assert np.abs(counts - 100).max() < 4 * np.sqrt(400 * 3 / 16)
    assert set(tasks) == ({"goal", "inner_gap", "outer_gap"} if variant == "promp-walls" else {"goal"})
    assert set(PointCorners.variants) == set(PUBLISHED)


def test_progress_is_paid_outside_the_origins_diamond_and_in_the_goals_quadrant_only() -> None:
    def reward(start: tuple[float, float], move: tuple[float, float]) -> float:
        return float(placed([start]).step(np.array([move]))[1][0])

    # To (0.3, 0.3), |p|_1 = 0.6: from sqrt(2) * 1.9 to sqrt(2) * 1.7 of the goal (2, 2).
    assert reward((0.1, 0.1), (0.2, 0.2)) == pytest.approx(0.2 * np.sqrt(2))
    assert reward((0.3, 0.3), (-0.01, -0.01)) == pytest.approx(-0.01 * np.sqrt(2))
    assert reward((0.05, 0.05), (0.19, 0.19)) == 0.0  # to (0.24, 0.24), |p|_1 = 0.48
    assert reward((0.6, 0.1), (0.0, -0.2)) == 0.0  # to (0.6, -0.1), nearest to (2, -2)
    assert reward((-0.1, 1.0), (0.2, 0.0)) == pytest.approx(np.hypot(2.1, 1.0) - np.hypot(1.9, 1.0))
    assert reward((0.1, 0.1), (9.0, 9.0)) == pytest.approx(0.2 * np.sqrt(2))  # clipped


def test_dense_rewards_are_the_distance_after_the_move_and_its_square() -> None:
    move = np.array([[0.2, -0.1]])  # from (0, 0): (1.8, 2.1) are left to (2, 2)
    assert placed([0.0, 0.0], variant="promp-dense").step(move)[1][0] == pytest.approx(-np.hypot(1.8, 2.1))
    squared = placed([0.0, 0.0], variant="promp-dense-squared").step(move)[1][0]
    assert squared == pytest.approx(-(1.8**2 + 2.1**2))


def test_momentum_adds_the_action_to_the_velocity_and_the_velocity_to_the_position() -> None:
    env = placed([0.5, 0.5], variant="promp-momentum")
    observation, reward, *_ = env.step(np.array([[0.1, 5.0]]))
    np.testing.assert_allclose(observation, [[0.6, 0.6, 0.1, 0.1]])
    np.testing.assert_allclose(reward, [2.0 - 1.4 * np.sqrt(2)])
    observation, reward, *_ = env.step(np.array([[-0.1, 0.1]]))
    np.testing.assert_allclose(observation, [[0.6, 0.8, 0.0, 0.2]], atol=1e-15)
    np.testing.assert_allclose(reward, [2.0 - np.hypot(1.4, 1.2)])
    assert placed([-1.0, 0.0], variant="promp-momentum").step(np.zeros((1, 2)))[1][0] == 0.0  # 3.6 away


def test_a_ring_lets_out_who_steps_across_near_its_gap() -> None:
    def after(start: tuple[float, float], move: tuple[float, float]) -> tuple[np.ndarray, float]:
        observation, reward, *_ = placed([start], variant="promp-walls").step(np.array([move]))
        return observation[0], float(reward[0])

    # The inner ring's gap is (1, 0): (1.1, 0) is 0.1 from it, (0, 1.1) is 1.49; who is stopped stands on the ring,
    # but was paid for (0, 1.1), which is hypot(2, 0.9) from (2, 2).
    np.testing.assert_allclose(after((0.9, 0.0), (0.2, 0.0))[0], [1.1, 0.0])
    stopped, reward = after((0.0, 0.9), (0.0, 0.2))
    np.testing.assert_allclose(stopped, [0.0, 1.0], atol=2e-6)
    assert np.linalg.norm(stopped) < 1.0 and reward == pytest.approx(-np.hypot(2.0, 0.9))
    # The outer ring's gap is (-2, 0); inwards both are open.
    np.testing.assert_allclose(after((-1.9, 0.0), (-0.2, 0.0))[0], [-2.1, 0.0])
    stopped, _ = after((1.9, 0.0), (0.2, 0.0))
    np.testing.assert_allclose(stopped, [2.0, 0.0], atol=4e-6)
    assert np.linalg.norm(stopped) < 2.0
    np.testing.assert_allclose(after((0.0, 2.1), (0.0, -0.2))[0], [0.0, 1.9])
    np.testing.assert_allclose(after((0.0, 1.1), (0.0, -0.2))[0], [0.0, 0.9])


def test_a_long_step_meets_the_first_ring_in_its_way_only() -> None:
    # Both end beyond the outer ring, and farther than 1 from any point of the inner one.
    for start, move in (((0.0, 0.3), (0.0, 2.0)), ((-0.3, 0.0), (-2.0, 0.0))):
        observation, *_ = placed([start], variant="promp-walls", step_size=3.0).step(np.array([move]))
        np.testing.assert_allclose(observation[0], np.sign(move), atol=2e-6)


def greedy_costs(offset: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """What points `offset` [..., 2] away from their goals pay that step towards them, by variant."""
    costs = {"promp-dense": np.zeros(offset.shape[:-1]), "promp-dense-squared": np.zeros(offset.shape[:-1])}
    for _ in range(horizon):
        if not offset.any():
            break
        offset = offset - np.clip(offset, -0.2, 0.2)
        costs["promp-dense"] += np.hypot(offset[..., 0], offset[..., 1])
        costs["promp-dense-squared"] += (offset**2).sum(axis=-1)
    return costs


@pytest.mark.parametrize("variant", ["promp-dense", "promp-dense-squared"])
def test_no_path_beats_the_greedy_one_and_the_oracle_is_its_mean_over_the_starts(variant: str) -> None:
    levels = [-0.2, -0.1, 0.0, 0.1, 0.2]
    sequences = np.array(list(itertools.product(levels, repeat=6))).reshape(-1, 3, 2)
    for start in ([0.0, 0.0], [1.7, -0.1], [1.5, 2.3]):
        env = placed(start, lanes=len(sequences), variant=variant, horizon=3)
        total = sum(env.step(sequences[:, step])[1] for step in range(3))
        expected = -greedy_costs(np.array([2.0, 2.0]) - start, 3)[variant]
        np.testing.assert_allclose(np.max(total), expected, atol=1e-12)
    # Midpoints of 200 x 200 small squares, for ProMP's starts and for starts all over the plane.
    for start_range in (0.2, 3.0):
        middle = start_range * ((np.arange(200) + 0.5) / 100 - 1)
        starts = np.stack(np.meshgrid(middle, middle), axis=-1)
        env = make(4, 1, variant=variant, start_range=start_range)
        oracle = env.informed_return(env.tasks)
        expected = [-greedy_costs(goal - starts, 100)[variant].mean() for goal in env.tasks["goal"]]
        np.testing.assert_allclose(oracle, expected, rtol=1e-4)


def test_the_oracles_policy_earns_the_oracles_return() -> None:
    env = make(4, 2000, variant="promp-dense")
    position, _ = env.reset(seed=0)
    total = np.zeros(env.num_envs)
    for _ in range(env.horizon):
        position, reward, *_ = env.step(env.lane_tasks["goal"] - position)
        total += reward
    played = total.reshape(4, 2000)
    oracle = env.informed_return(env.tasks)
    assert oracle is not None
    np.testing.assert_array_less(np.abs(played.mean(axis=1) - oracle), 4 * played.std(axis=1) / np.sqrt(2000))


def test_progress_has_no_oracle_because_crossing_back_and_forth_beats_the_way_to_the_corner() -> None:
    # All the way from (0.2, 0.2) is worth 1.8 sqrt(2) = 2.5; a step out to (0.4, 0.4) pays 0.2 sqrt(2), the step back
    # into the diamond costs nothing: 50 times that is 14.1.
    env = placed([0.2, 0.2])
    assert env.informed_return(env.tasks) is None
    total = sum(env.step(np.full((1, 2), 0.2 if step % 2 == 0 else -0.2))[1][0] for step in range(100))
    np.testing.assert_allclose(total, 50 * 0.2 * np.sqrt(2))


@pytest.mark.parametrize(
    "fields", [{"variant": "promp-momentum"}, {"variant": "promp-walls"}, {"variant": "promp-dense", "walls": True}]
)
def test_the_oracle_claims_nothing_that_it_has_not_worked_out(fields: dict[str, Any]) -> None:
    env = make(**fields)
    assert env.informed_return(env.tasks) is None
