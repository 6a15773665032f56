"""GridNavi against hand moves, every walk through a small grid, and its known levels."""

import itertools
from typing import Any

import numpy as np
import pytest

import envs

STAY, UP, RIGHT, DOWN, LEFT = range(5)
GOALS = [cell for cell in itertools.product(range(5), repeat=2) if cell not in {(0, 0), (0, 1), (1, 0), (1, 1)}]


def make(num_tasks: int = 1, lanes: int = 1, **fields: Any) -> envs.TaskEnv:
    return envs.make("grid-navi", num_tasks, lanes, **fields)


def test_the_grid_is_as_published() -> None:
    env = make()
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, [[0.0, 0.0]])
    assert (env.horizon, env.single_action_space.n, set(env.variants)) == (15, 5, {"varibad"})
    goals, counts = np.unique(env.sample_tasks(0, num_tasks=4200)["goal"], axis=0, return_counts=True)
    assert sorted(map(tuple, goals)) == GOALS and len(GOALS) == 21
    assert np.abs(counts - 200).max() < 4 * np.sqrt(200)


def test_actions_move_by_a_cell_and_the_border_holds() -> None:
    env = make()
    env.set_tasks({"goal": [(4, 4)]})
    env.reset(seed=0)
    walk = [(LEFT, (0, 0)), (DOWN, (0, 0)), (UP, (0, 1)), (RIGHT, (1, 1)), (DOWN, (1, 0)), (STAY, (1, 0))]
    walk += [(LEFT, (0, 0))] + [(RIGHT, (x, 0)) for x in (1, 2, 3, 4, 4)]
    for action, cell in walk:
        observation, reward, terminated, *_ = env.step(np.array([action]))
        np.testing.assert_array_equal(observation, [cell])
        assert reward[0] == -0.1 and not terminated[0]


def test_the_goal_pays_as_long_as_one_stays() -> None:
    env = make()
    env.set_tasks({"goal": [(0, 2)]})
    env.reset(seed=0)
    rewards = [float(env.step(np.array([action]))[1][0]) for action in [UP, UP, STAY, LEFT, RIGHT, LEFT]]
    assert rewards == [-0.1, 1.0, 1.0, 1.0, -0.1, 1.0]  # left of it is the border


def test_impossible_grids_and_goals_are_refused() -> None:
    with pytest.raises(envs.InputError, match="env.size is 2"):
        make(size=2)
    env = make(2)
    for goal in ((5, 0), (0, -1)):
        with pytest.raises(envs.InputError, match="'goal' of task 1 is .* — give cells from 0 to 4"):
            env.set_tasks({"goal": [(2, 2), goal]})
    with pytest.raises(envs.InputError, match="give a whole number"):
        env.set_tasks({"goal": [(2, 2), (2, 2.5)]})


@pytest.mark.parametrize("goal", [(2, 0), (2, 1), (1, 2), (2, 2), (0, 0), (1, 0)])
def test_no_walk_beats_the_oracle_and_one_reaches_it(goal: tuple[int, int]) -> None:
    walks = np.array(list(itertools.product(range(5), repeat=6)))
    env = make(1, len(walks), size=3, horizon=6)
    env.set_tasks({"goal": [goal]})
    env.reset(seed=0)
    total = sum(env.step(walks[:, step])[1] for step in range(6))
    np.testing.assert_allclose(env.informed_return(env.tasks), [np.max(total)])


def test_an_oracle_that_cannot_arrive_in_time_pays_for_every_step() -> None:
    env = make(1, 1, horizon=3)
    np.testing.assert_allclose(env.informed_return({"goal": np.array([(4, 4), (2, 2), (2, 1)])}), [-0.3, -0.3, 0.8])


def test_the_mean_oracle_is_the_known_one() -> None:
    oracle = make().informed_return({"goal": np.array(GOALS)})
    assert oracle is not None
    # Of the 21 goals 2, 4, 5, 4, 3, 2 and 1 are 2, 3, … 8 steps away; who needs d steps earns 16 - d - 0.1 (d - 1).
    assert round(oracle.mean(), 2) == 11.07


def test_the_best_sweep_finds_14_goals_and_earns_4() -> None:
    # It finds a new goal at each of the steps 2 to 15 and stays there, 16 - t - 0.1 (t - 1) for step t: 94.5 in all;
    # the other 7 goals cost 1.5 each: 84 / 21 = 4.0.
    sweep = [RIGHT] * 4 + [UP, LEFT, LEFT, UP, RIGHT, RIGHT, UP, LEFT, LEFT, LEFT, UP]
    env = make(21)
    env.set_tasks({"goal": GOALS})
    env.reset(seed=0)
    total, found = np.zeros(21), np.zeros(21, bool)
    for action in sweep:
        reward = env.step(np.where(found, STAY, action))[1]
        found |= reward > 0
        total += reward
    assert found.sum() == 14
    np.testing.assert_allclose(total.mean(), 4.0)


def test_random_actions_have_their_known_mean_return() -> None:
    # -1.16 in a simulation apart from this code: ± 4 standard errors of a difference.
    env, rng = make(5000), np.random.default_rng(0)
    env.reset(seed=0)
    total = sum(env.step(rng.integers(0, 5, 5000))[1] for _ in range(15))
    assert abs(np.mean(total) + 1.16) < 4 * np.sqrt(2) * np.std(total) / np.sqrt(5000)
