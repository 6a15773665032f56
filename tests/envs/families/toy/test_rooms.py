"""Dark rooms against hand moves, dynamic programming over all states, and their known levels."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import envs

STAY, UP, RIGHT, DOWN, LEFT = range(5)
STEPS = {STAY: (0, 0), UP: (0, 1), RIGHT: (1, 0), DOWN: (0, -1), LEFT: (-1, 0)}


def make(name: str = "dark-room", num_tasks: int = 1, lanes: int = 1, **fields: Any) -> envs.TaskEnv:
    return envs.make(name, num_tasks, lanes, **fields)


def cell(observation: np.ndarray, size: int = 9) -> tuple[int, int]:
    x, y = observation.reshape(2, size)
    assert x.sum() == y.sum() == 1
    return int(x.argmax()), int(y.argmax())


def test_the_rooms_are_as_published() -> None:
    # Laskin et al. 2022, section 4: 9 × 9 from the middle, 20 steps; hard 17 × 17; key and door 50 steps, any start.
    sizes = {variant: make(variant=variant) for variant in ("laskin", "laskin-hard", "dpt")}
    assert {name: (env.config.size, env.horizon) for name, env in sizes.items()} == {
        "laskin": (9, 20),
        "laskin-hard": (17, 20),
        "dpt": (10, 100),
    }
    assert [cell(env.reset(seed=0)[0], env.config.size) for env in sizes.values()] == [(4, 4), (8, 8), (0, 0)]
    keys = make("key-to-door", 1, 8100)
    starts, counts = np.unique([cell(row) for row in keys.reset(seed=0)[0]], axis=0, return_counts=True)
    assert keys.horizon == 50 and len(starts) == 81
    assert np.abs(counts - 100).max() < 5 * np.sqrt(100)
    for env, tasks in ((sizes["laskin"], 81), (keys, 81**2)):
        members = env.splits["train"].members()
        assert members is not None and {len(values) for values in members.values()} == {tasks}


def test_actions_move_by_a_cell_and_walls_hold() -> None:
    env = make(size=3, start="corner")
    env.set_tasks({"goal": [(2, 2)]})
    env.reset(seed=0)
    walk = [(LEFT, (0, 0)), (DOWN, (0, 0)), (UP, (0, 1)), (RIGHT, (1, 1)), (DOWN, (1, 0)), (STAY, (1, 0))]
    walk += [(RIGHT, (2, 0)), (RIGHT, (2, 0)), (UP, (2, 1))]
    for action, place in walk:
        observation, reward, terminated, *_ = env.step(np.array([action]))
        assert (cell(observation, 3), reward[0], terminated[0]) == (place, 0.0, False)


@pytest.mark.parametrize(("pays", "rewards"), [("always", [0, 1, 1, 0, 1, 1]), ("once", [0, 1, 0, 0, 0, 0])])
def test_a_goal_pays_as_long_as_one_stays_or_once(pays: str, rewards: list[float]) -> None:
    env = make(pays=pays)
    env.set_tasks({"goal": [(4, 6)]})
    for _ in range(2):  # an episode owes nothing to the one before
        env.reset(seed=0)
        assert [env.step(np.array([action]))[1][0] for action in [UP, UP, STAY, LEFT, RIGHT, STAY]] == rewards


def test_a_door_opens_after_the_key_and_both_pay_once() -> None:
    env = make("key-to-door", start="corner", size=3)
    env.set_tasks({"key": [(1, 0)], "door": [(0, 0)]})
    env.reset(seed=0)
    walk = [(STAY, 0), (RIGHT, 1), (STAY, 0), (LEFT, 1), (STAY, 0), (RIGHT, 0), (LEFT, 0)]
    assert [env.step(np.array([action]))[1][0] for action, _ in walk] == [paid for _, paid in walk]
    env.set_tasks({"key": [(0, 0)], "door": [(0, 0)]})  # both in the cell of the start
    env.reset(seed=0)
    assert [env.step(np.array([STAY]))[1][0] for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize(("name", "hidden"), [("dark-room", "goal"), ("key-to-door", "door")])
def test_cells_outside_are_refused(name: str, hidden: str) -> None:
    env = make(name, 2)
    for place in ((9, 0), (0, -1)):
        with pytest.raises(envs.InputError, match=f"'{hidden}' of task 1 is .* — give cells from 0 to 8"):
            env.set_tasks({other: [(2, 2), place if other == hidden else (2, 2)] for other in env.tasks})


Step = Callable[[tuple[int, int], int, dict[str, tuple[int, int]]], tuple[float, int]]
"""Cell after a move, how often was paid, the task -> reward, how often was paid then."""


def dark_room(once: bool) -> Step:
    return lambda place, paid, task: (
        float(place == task["goal"] and not (once and paid)),
        int(paid or place == task["goal"]),
    )


def key_to_door(place: tuple[int, int], paid: int, task: dict[str, tuple[int, int]]) -> tuple[float, int]:
    finds = paid < 2 and place == task["door" if paid else "key"]
    return float(finds), paid + finds


def best(step: Step, size: int, horizon: int, task: dict[str, tuple[int, int]]) -> dict[tuple[int, int], float]:
    """The best return from every start, by dynamic programming over cell and payments, written without the family."""
    cells = list(itertools.product(range(size), repeat=2))
    value = {(place, paid): 0.0 for place in cells for paid in range(3)}
    for _ in range(horizon):
        later, value = value, {}
        for (x, y), paid in itertools.product(cells, range(3)):
            moves = [(min(max(x + dx, 0), size - 1), min(max(y + dy, 0), size - 1)) for dx, dy in STEPS.values()]
            outcomes = [(move, *step(move, paid, task)) for move in moves]
            value[(x, y), paid] = max(reward + later[move, then] for move, reward, then in outcomes)
    return {place: value[place, 0] for place in cells}


@pytest.mark.parametrize("start", ["centre", "corner", "anywhere"])
@pytest.mark.parametrize(
    ("name", "fields", "step"),
    [
        ("dark-room", {"pays": "always"}, dark_room(once=False)),
        ("dark-room", {"pays": "once"}, dark_room(once=True)),
        ("key-to-door", {}, key_to_door),
    ],
    ids=["always", "once", "key"],
)
def test_no_policy_beats_the_oracle_and_its_actions_reach_it(
    name: str, fields: dict[str, Any], step: Step, start: str
) -> None:
    size, horizon = 3, 5  # too short for some keys and doors
    tasks = make(name, size=size).splits["train"].members()
    assert tasks is not None
    number = len(next(iter(tasks.values())))
    env = make(name, number, 1, size=size, horizon=horizon, start=start, **fields)
    env.set_tasks(tasks)
    places = {"centre": [(1, 1)], "corner": [(0, 0)], "anywhere": list(itertools.product(range(size), repeat=2))}
    rows = [{key: tuple(values[row].tolist()) for key, values in tasks.items()} for row in range(number)]
    values = [best(step, size, horizon, row) for row in rows]
    expected = [np.mean([value[place] for place in places[start]]) for value in values]
    np.testing.assert_allclose(env.informed_return(env.tasks), expected)
    for seed in range(3):  # whatever the start, the informed actions earn the best from there
        begun = [cell(row, size) for row in env.reset(seed=seed)[0]]
        total = sum(env.step(env.informed_action())[1] for _ in range(horizon))
        np.testing.assert_allclose(total, [value[place] for value, place in zip(values, begun, strict=True)])


def test_the_mean_oracle_is_the_known_one() -> None:
    # A goal d ≥ 1 steps away pays 21 − d, the one in the middle 20. |x − 4| is 20/9 on average, so d is 40/9:
    # 21 − 40/9 − 1/81 = 16.5432. Hard: no goal is more than 16 steps away. A key and a door are at most 32.
    for env, mean in ((make(), 16.5432), (make(variant="laskin-hard"), 1.0), (make("key-to-door"), 2.0)):
        members = env.splits["train"].members()
        assert members is not None
        returns = env.informed_return(members)
        assert returns is not None and round(returns.mean(), 4) == mean
