"""Point navigation against hand numbers, and every variant against its published definition."""

from typing import Any

import numpy as np
import pytest

import envs

# variant: horizon, half the side of the goals' and of the starts' square, of the action box; observation size
PUBLISHED = {
    "maml": (100, 0.5, 0.0, 1.0, 2),
    "maml-two-goals": (100, 0.5, 0.0, 1.0, 2),
    "maml-oracle": (100, 0.5, 0.0, 1.0, 4),
    "meta-sgd": (100, 0.5, 0.5, 1.0, 2),
    "deleu": (100, 0.5, 0.0, 0.1, 2),
    "l2l": (100, 0.5, 0.0, 1.0, 2),
    "garage": (100, 2.0, 0.0, 0.1, 3),
    "pearl": (20, 1.0, 1.0, 1.0, 2),
    "promp": (100, 2.0, 0.0, 0.1, 2),
}


def one_lane(goal: tuple[float, float], **fields: Any) -> envs.TaskEnv:
    env = envs.make("point-nav", 1, 1, **fields)
    env.set_tasks({"goal": [goal]})
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_variant_is_as_published(variant: str) -> None:
    horizon, goal_range, start_range, bound, observation_size = PUBLISHED[variant]
    env = envs.make("point-nav", 1, 500, variant=variant)
    observation, _ = env.reset(seed=0)
    assert (env.horizon, observation.shape[1]) == (horizon, observation_size)
    np.testing.assert_array_equal(env.single_action_space.high, [bound, bound])
    # 500 uniform starts and goals come within 2 % of their bounds with probability 1 - 0.98^500 > 0.9999.
    assert 0.98 * start_range <= np.abs(observation[:, :2]).max() <= start_range
    goals = env.sample_tasks(0, num_tasks=500)["goal"]
    assert 0.98 * goal_range <= np.abs(goals).max() <= goal_range
    if variant == "maml-two-goals":
        assert set(map(tuple, goals)) == {(-0.5, 0.0), (0.5, 0.0)}
    # The longest move is 0.1 along each axis, and it is clipped.
    moved = env.step(np.full((500, 2), 5 * bound))[0]
    np.testing.assert_allclose(moved[:, :2] - observation[:, :2], 0.1, atol=1e-12)


def test_every_variant_has_its_published_definition_here() -> None:
    assert set(envs.make("point-nav", 1, 1).variants) == set(PUBLISHED)


def test_maml_scales_actions_and_rewards_by_the_distance_after_the_move() -> None:
    # From (0, 0) by 0.1 * (0.5, -1) to (0.05, -0.1); to the goal (0.3, 0.4) hypot(0.25, 0.5) are left.
    observation, reward, *_ = one_lane((0.3, 0.4)).step(np.array([[0.5, -3.0]]))
    np.testing.assert_allclose(observation, [[0.05, -0.1]], atol=1e-15)
    np.testing.assert_allclose(reward, [-np.hypot(0.25, 0.5)], atol=1e-15)


def test_deleu_clips_raw_actions() -> None:
    observation, *_ = one_lane((0.3, 0.4), variant="deleu").step(np.array([[0.05, -3.0]]))
    np.testing.assert_allclose(observation, [[0.05, -0.1]], atol=1e-15)


def test_an_episode_ends_within_a_hundredth_of_the_goal_along_both_axes() -> None:
    env = one_lane((0.1, 0.05))
    assert not env.step(np.array([[1.0, 0.39]]))[2][0]  # (0.1, 0.039): y is off by 0.011
    assert env.step(np.array([[0.0, 0.02]]))[2][0]  # (0.1, 0.041): y is off by 0.009


def test_garage_shows_the_distance_stays_inside_and_ends_within_a_diagonal_move() -> None:
    # Goal (0.3, 0). The distance from (0.1, 0), 0.2, is above sqrt(2) * 0.1 = 0.141, that from (0.2, 0) below.
    env = one_lane((0.3, 0.0), variant="garage")
    observation, _, terminated, *_ = env.step(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(observation, [[0.1, 0.0, 0.2]], atol=1e-15)
    assert not terminated[0]
    assert env.step(np.array([[1.0, 0.0]]))[2][0]
    env = one_lane((2.0, 0.0), variant="garage")
    for _ in range(60):  # 60 moves of 0.1 would lead to -6
        observation, *_ = env.step(np.array([[-1.0, 0.0]]))
    np.testing.assert_array_equal(observation, [[-5.0, 0.0, 7.0]])


def test_promp_ends_around_the_origin_and_pearl_never() -> None:
    at_rest = np.zeros((1, 2))
    assert one_lane((1.0, 1.0), variant="promp").step(at_rest)[2][0]
    assert not one_lane((0.0, 0.0), variant="promp").step(np.array([[1.0, 0.0]]))[2][0]
    assert not one_lane((0.0, 0.0), variant="pearl", start_range=0.0).step(at_rest)[2][0]


def test_the_oracle_sees_the_goal_of_its_lane() -> None:
    env = envs.make("point-nav", 4, 2, variant="maml-oracle")
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation[:, 2:], np.repeat(env.tasks["goal"], 2, axis=0))


def test_staying_at_the_origin_costs_the_mean_distance_to_the_goals() -> None:
    # The mean distance of a unit square's points to its centre is (sqrt(2) + log(1 + sqrt(2))) / 6 = 0.3826,
    # its deviation sqrt(1/6 - 0.3826²) = 0.142: -38.3 in 100 steps, ± 4 standard errors of 14.2 / sqrt(4000).
    env = envs.make("point-nav", 4000, 1)
    env.reset(seed=0)
    total = sum(env.step(np.zeros((4000, 2)))[1] for _ in range(100))
    expected = -100 * (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 6
    assert abs(np.mean(total) - expected) < 4 * 14.2 / np.sqrt(4000)


def test_the_best_path_to_a_goal_loses_little() -> None:
    # To (0.5, 0.3) by 0.1 along each axis: distances hypot(0.4, 0.2), hypot(0.3, 0.1), 0.2, 0.1, 0.
    env = one_lane((0.5, 0.3))
    steps = [env.step(np.array([action])) for action in ([1, 1], [1, 1], [1, 1], [1, 0], [1, 0])]
    total = sum(reward[0] for _, reward, *_ in steps)
    np.testing.assert_allclose(total, -(np.hypot(0.4, 0.2) + np.hypot(0.3, 0.1) + 0.3), atol=1e-12)
    assert [bool(terminated[0]) for _, _, terminated, *_ in steps] == [False] * 4 + [True]
