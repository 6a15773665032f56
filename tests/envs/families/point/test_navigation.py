"""Point navigation against hand numbers, and every variant against its published definition."""

import itertools
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


def test_pearl_trains_on_80_goals_and_tests_on_20_others() -> None:
    env = envs.make("point-nav", 1, 1, variant="pearl")
    # Each of 80 goals is missed by 3000 draws with probability (79/80)^3000 < 1e-16.
    lists = {split: env.sample_tasks(0, num_tasks=3000, split=split)["goal"] for split in ("train", "test")}
    train, test = ({tuple(goal) for goal in goals} for goals in lists.values())
    assert (len(train), len(test), len(train & test)) == (80, 20, 0)


def test_goals_outside_lie_beyond_the_range_and_fill_the_ring_around_it() -> None:
    goals = envs.make("point-nav", 1, 1).sample_tasks(0, num_tasks=4000, split="outside")["goal"]
    largest = np.abs(goals).max(axis=1)
    assert largest.min() > 0.5 and largest.max() <= 1.0
    # The square of half side 0.75 holds (0.5625 - 0.25) / 0.75 = 5/12 of the ring; ± 4 standard errors.
    assert abs((largest < 0.75).mean() - 5 / 12) < 4 * 0.5 / np.sqrt(4000)
    with pytest.raises(envs.InputError, match="no split 'outside'"):
        envs.make("point-nav", 1, 1, variant="maml-two-goals").sample_tasks(0, split="outside")


def best_of_all_paths(env: envs.TaskEnv, levels: list[float]) -> float:
    """The highest return of all sequences of actions with entries in `levels`, one a lane."""
    steps = [np.array(sequence) for sequence in itertools.product(levels, repeat=2 * env.horizon)]
    actions = np.stack(steps).reshape(-1, env.horizon, 2) * env.single_action_space.high
    assert len(actions) == env.num_envs
    total = np.zeros(env.num_envs)
    for step in range(env.horizon):
        total += env.step(actions[:, step])[1]
    return float(total.max())


# Goals that three moves of 0, 0.05 or 0.1 an axis can follow exactly as the greedy path does.
@pytest.mark.parametrize(
    ("variant", "goal", "fields"),
    [
        ("maml", (0.3, 0.15), {}),
        ("maml", (-0.25, 0.4), {}),
        ("maml", (0.1, -0.05), {}),
        ("maml", (0.011, -0.004), {"step_size": 0.004}),  # ends 0.007 away: a further step would cost 0.003
        ("deleu", (0.05, 0.3), {}),
        ("garage", (0.3, 0.2), {}),
        ("garage", (0.32, 0.0), {}),  # ends 0.12 away: a further step would cost 0.02
        ("garage", (1.2, -0.2), {"position_bound": 0.25}),
        ("promp", (0.25, 0.15), {}),
        ("promp", (0.0, 0.0), {}),
    ],
)
def test_no_path_beats_the_oracle_and_one_reaches_it(
    variant: str, goal: tuple[float, float], fields: dict[str, Any]
) -> None:
    levels = [-1.0, -0.5, 0.0, 0.5, 1.0]
    env = envs.make("point-nav", 1, len(levels) ** 6, variant=variant, horizon=3, **fields)
    env.set_tasks({"goal": [goal]})
    env.reset(seed=0)
    oracle = env.informed_return(env.tasks)
    assert oracle is not None
    np.testing.assert_allclose(best_of_all_paths(env, levels), oracle[0], atol=1e-12)


def test_promps_end_at_the_origin_is_worth_taking_at_once_for_a_far_goal() -> None:
    # Three steps towards (1, 1) cost (0.9 + 0.8 + 0.7) sqrt(2) = 3.39; ending just inside (0.01, 0.01) costs 1.40.
    levels = [-1.0, 0.0, 0.0999, 1.0]
    env = envs.make("point-nav", 1, len(levels) ** 6, variant="promp", horizon=3)
    env.set_tasks({"goal": [(1.0, 1.0)]})
    env.reset(seed=0)
    oracle = env.informed_return(env.tasks)
    assert oracle is not None
    np.testing.assert_allclose(oracle, [-0.99 * np.sqrt(2)])
    assert -2e-5 < best_of_all_paths(env, levels) - oracle[0] < 0


def greedy_cost(offset: np.ndarray, step_size: float, horizon: int) -> np.ndarray:
    """Summed distances of points that step towards their goals, `offset` [..., 2] away, until the end."""
    total = np.zeros(offset.shape[:-1])
    for _ in range(horizon):
        if not offset.any():
            break
        offset = offset - np.clip(offset, -step_size, step_size)
        total += np.hypot(offset[..., 0], offset[..., 1])
    return total


@pytest.mark.parametrize("variant", ["meta-sgd", "pearl"])
def test_the_oracle_averages_over_random_starts(variant: str) -> None:
    goals = np.array([(0.0, 0.0), (0.4, -0.1), (-0.5, 0.5), (0.03, 1.7)])
    env = envs.make("point-nav", 4, 5000, variant=variant)
    env.set_tasks({"goal": goals})
    oracle = env.informed_return(env.tasks)
    assert oracle is not None
    # Midpoints of 200 x 200 small squares.
    middle = env.config.start_range * ((np.arange(200) + 0.5) / 100 - 1)
    starts = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    expected = [-greedy_cost(goal - starts, 0.1, env.horizon).mean() for goal in goals]
    np.testing.assert_allclose(oracle, expected, rtol=1e-4)
    # And played in the environment: ± 4 standard errors.
    position, _ = env.reset(seed=0)
    total = np.zeros(env.num_envs)
    for _ in range(env.horizon):
        position, reward, *_ = env.step((np.repeat(goals, 5000, axis=0) - position) / 0.1)
        total += reward
    played = total.reshape(4, 5000)
    np.testing.assert_array_less(np.abs(played.mean(axis=1) - oracle), 4 * played.std(axis=1) / np.sqrt(5000))


@pytest.mark.parametrize(
    "fields",
    [
        {"variant": "garage", "start_range": 0.5},
        {"variant": "promp", "start_range": 0.5},
        {"variant": "meta-sgd", "position_bound": 0.4},
        {"variant": "meta-sgd", "step_size": 0.005},
        {"variant": "meta-sgd", "start_range": 1e-5},
        {"variant": "promp", "step_size": 0.005},
        {"variant": "promp", "position_bound": 0.005},
    ],
)
def test_the_oracle_claims_nothing_that_it_has_not_worked_out(fields: dict[str, Any]) -> None:
    env = envs.make("point-nav", 1, 1, **fields)
    assert env.informed_return(env.tasks) is None


# Mean returns of 100 steps, from a simulation apart from this code: uniform in ±0.1, N(0, 1) clipped to ±0.1,
# N(0, 0.1²).
@pytest.mark.parametrize(("policy", "level"), [("uniform", -61.7), ("clipped", -90.3), ("normal", -70.3)])
def test_random_policies_have_their_known_returns(policy: str, level: float) -> None:
    env, rng = envs.make("point-nav", 4000, 1, variant="deleu"), np.random.default_rng(0)
    env.reset(seed=0)
    total = np.zeros(4000)
    for _ in range(100):
        uniform, normal = rng.uniform(-0.1, 0.1, (4000, 2)), rng.normal(size=(4000, 2))
        total += env.step({"uniform": uniform, "clipped": normal, "normal": 0.1 * normal}[policy])[1]
    # Both are simulated, and we allow the other as many episodes as ours: ± 4 standard errors of the difference.
    assert abs(total.mean() - level) < 4 * np.sqrt(2) * total.std() / np.sqrt(4000)


def test_the_mean_oracle_is_the_known_one() -> None:
    env = envs.make("point-nav", 1, 1)
    oracle = env.informed_return(env.sample_tasks(0, num_tasks=4000))
    assert oracle is not None
    assert abs(oracle.mean() + 0.51) < 0.005 + 4 * oracle.std() / np.sqrt(4000)
