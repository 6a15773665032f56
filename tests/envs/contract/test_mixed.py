"""Mixed: families side by side are what each of them is alone, whatever tasks come when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

import envs
from envs.contract.base import TaskEnv
from envs.contract.definition import Outcome
from envs.contract.mixed import Member, Mixed
from envs.contract.tasks import TaskDistribution, TaskList, Uniform

N, E = 6, 2


@dataclass(frozen=True)
class Size:
    """How wide an observation is."""

    width: int = 2


class Drift(TaskEnv):
    """A number that starts anywhere and moves by the action and the task's `slope`."""

    Config = Size
    events = ("success",)

    def define(self, options: Any) -> dict[str, Any]:
        laws = TaskDistribution(slope=Uniform(0.0, 1.0))
        return {"task_distribution": laws, "action_space": Box(-1.0, 1.0, (1,), np.float64), "horizon": 4}

    def build(self) -> None:
        self.value = np.zeros(self.num_envs)

    def reset_lanes(self, mask: np.ndarray) -> None:
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.value[lanes] = rng.normal(size=self.lanes_per_task)[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        self.value = np.where(live, self.value + actions[:, 0] + self.lane_tasks["slope"], self.value)
        return Outcome(self.value, terms={"success": (self.value > 2).astype(float), "value": self.value})

    def observe(self) -> np.ndarray:
        return np.repeat(self.value[:, None], self.config.width, axis=1)


class Jump(Drift):
    """Another, of listed tasks, with noise in every step, which ends above 3."""

    def define(self, options: Any) -> dict[str, Any]:
        return {
            **super().define(options),
            "task_distribution": TaskList({"leap": [[1.0, 2.0], [2.0, 3.0]]}),
            "test_distribution": TaskList({"leap": [[-1.0, -2.0]]}),
        }

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        noise = np.concatenate([rng.normal(size=self.lanes_per_task) for rng in self.rngs])
        self.value = np.where(live, self.value + self.lane_tasks["leap"][:, 0] + 0.1 * noise, self.value)
        return Outcome(self.value, self.value > 3, terms={"success": np.ones(self.num_envs)})


class Both(Mixed):
    """Drift and Jump; Jump's held-out tasks are its tests."""

    events = ("success",)

    def mixture(self, options: Any) -> Mapping[str, Sequence[Member]]:
        drift, jump = Member("drift", Drift, Size()), Member("jump", Jump, Size())
        return {"train": [drift, jump], "test": [jump]}


def tasks_of(numbers: Sequence[int]) -> dict[str, np.ndarray]:
    """Tasks of these families, all different."""
    family = np.array(numbers)
    rows = np.arange(1.0, len(family) + 1)
    return {
        "family": family,
        "slope": np.where(family == 0, rows / 10, 0.0),
        "leap": np.where(family[:, None] == 1, np.stack([rows, rows], axis=1) / 10, 0.0),
    }


def actions(steps: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (steps, N * E, 1))


@pytest.mark.parametrize("numbers", [[0, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]])
def test_lanes_are_those_of_their_family_alone(numbers: list[int]) -> None:
    env, seeds, tasks = Both(N, E), list(range(10, 10 + N)), tasks_of(numbers)
    env.set_tasks(tasks)
    seen, moves = env.reset(seed=seeds)[0], actions(4)
    steps = [env.step(move) for move in moves]
    for number, family, parameter in ((0, Drift, "slope"), (1, Jump, "leap")):
        rows = np.flatnonzero(np.array(numbers) == number)
        if not len(rows):
            continue
        alone, lanes = family(len(rows), E), (rows[:, None] * E + np.arange(E)).ravel()
        alone.set_tasks({parameter: tasks[parameter][rows]})
        np.testing.assert_array_equal(seen[lanes], alone.reset(seed=[seeds[row] for row in rows])[0])
        for move, (*arrays, info) in zip(moves, steps, strict=True):
            *expected, known = alone.step(move[lanes])
            for array, value in zip((*arrays, info["success"]), (*expected, known["success"]), strict=True):
                np.testing.assert_array_equal(array[lanes], value)
            if "value" in info and "value" not in known:  # nothing is said of what only another family tells of
                assert not np.nan_to_num(info["value"][lanes]).any()
                assert info is not steps[0][-1] or np.isnan(info["value"][lanes]).all()  # where all lanes live


def test_tasks_come_from_every_family_and_tests_are_held_out() -> None:
    env = Both(N, E)
    drawn = env.sample_tasks(0, num_tasks=200)
    # of 200 fair draws, a share outside 0.4 … 0.6 has a probability of 0.5 %
    assert 0.4 < drawn["family"].mean() < 0.6
    assert not drawn["leap"][drawn["family"] == 0].any() and not drawn["slope"][drawn["family"] == 1].any()
    tests = env.sample_tasks(0, num_tasks=5, split="test")
    np.testing.assert_array_equal(tests["leap"], [[-1.0, -2.0]] * 5)
    assert env.unseen("test")


def test_lanes_that_are_not_reset_finish_their_episode_with_their_earlier_task() -> None:
    env, undisturbed, moves = Both(N, E), Both(N, E), actions(4)
    first, second = tasks_of([0, 0, 0, 0, 0, 0]), tasks_of([1, 0, 1, 0, 0, 1])
    for each in (env, undisturbed):
        each.set_tasks(first)
        each.reset(seed=0)
        each.step(moves[0])
    env.set_tasks(second)
    early = np.arange(N * E) < 3  # a task and a half
    env.reset(seed=5, options={"reset_mask": early})
    for move in moves[1:]:
        mixed, alone = env.step(move), undisturbed.step(move)
        for array, expected in zip(mixed[:4], alone[:4], strict=True):
            np.testing.assert_array_equal(array[~early], expected[~early])
    fresh = Both(N, E)
    fresh.set_tasks(second)
    fresh.reset(seed=9)
    env.reset(seed=9)
    for move in moves:
        for array, expected in zip(env.step(move)[:4], fresh.step(move)[:4], strict=True):
            np.testing.assert_array_equal(array, expected)


def test_unequal_families_and_unknown_ones_are_refused() -> None:
    class Unequal(Mixed):
        def mixture(self, options: Any) -> Mapping[str, Sequence[Member]]:
            return {"train": [Member("narrow", Drift, Size(1)), Member("wide", Drift, Size(3))]}

    with pytest.raises(envs.InputError, match="'wide' has another single_observation_space than 'narrow'"):
        Unequal(2, 1)
    env = Both(N, E)
    with pytest.raises(envs.InputError, match="'family' is 2 — give 0 to 1"):
        env.set_tasks({**tasks_of([0] * N), "family": np.array([0, 1, 2, 0, 0, 0])})
