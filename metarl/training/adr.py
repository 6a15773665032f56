"""Automatic domain randomisation (Akkaya et al. 2019, "Solving Rubik's Cube with a Robot Hand", section 5,
Algorithm 1): task laws are as wide as training has come.

Every parameter that is drawn from an interval has a lower and an upper side, each with a width from 0 (the middle of
the interval) to 1 (its end). Now and then a task has one parameter at an end of its present interval, a boundary: the
mean return of `buffer` such tasks decides whether that side grows, shrinks or stays.

Where this is not Algorithm 1:

* its thresholds are returns that somebody has chosen; here they are shares of what was gained, between the mean return
  of the first `buffer` ordinary tasks, whose policy is as good as untrained, and the best mean of as many since. While
  nothing is gained nothing grows; and a factor or an offset of the rewards changes no decision;
* the elements of an array share their sides, and one of them, drawn, lies at the boundary: many elements would
  otherwise wait long for `buffer` tasks each. So do the families of a mixture that have a parameter of one name;
* tasks at a boundary are learned from too, since nothing that was met is thrown away;
* a width ends at 1: the laws that the environment declares, which evaluation always draws from.

Letters: N tasks, d parameters; side 2 i is the lower one of parameter i, 2 i + 1 its upper one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from envs.contract.mixed import Mixture
from envs.contract.seeding import SAMPLE_TASKS, generators
from envs.contract.tasks import TaskDistribution, Tasks
from envs.contract.widths import Parts, laws_of, names_of_intervals, narrowed, value_at
from metarl.core.types import Metrics, State
from metarl.runs.task_sampling import ADROptions
from metarl.runtime.errors import InputError

INSIDE = -1
"""The note of a task at no boundary."""


@dataclass(frozen=True)
class ADR:
    """A sampler of tasks (`task_sampling.py`) whose widths follow training."""

    laws: TaskDistribution
    options: ADROptions

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The d parameters that have an interval."""
        return names_of_intervals(self.laws)

    def start(self) -> State:
        """Widths of the sides `[2 d]`; sums and counts of returns since the last decision, of each side and, last, of
        ordinary tasks `[2 d + 1]`; untrained and best mean of these `[2]`, and how many such means there were.

        Raises: InputError where no law has an interval.
        """
        if not self.names:
            raise InputError("--task-sampling adr widens intervals, and tasks here are drawn from none — leave it out")
        sides = 2 * len(self.names)
        return {
            "width": torch.full((sides,), self.options.start, dtype=torch.float64),
            "sum": torch.zeros(sides + 1, dtype=torch.float64),
            "count": torch.zeros(sides + 1, dtype=torch.int64),
            "gain": torch.zeros(2, dtype=torch.float64),
            "means": torch.zeros((), dtype=torch.int64),
        }

    def draw(self, state: State, seeds: Sequence[int], rng: np.random.Generator) -> tuple[Tasks, np.ndarray]:
        """A task of the present widths from each seed, `[N, ...]` each, and at which boundary it is, `[N]`."""
        parts = self.parts(state)
        tasks = narrowed(self.laws, parts).sample(generators(seeds, len(seeds), SAMPLE_TASKS))
        at_boundary = rng.random(len(seeds)) < self.options.boundary
        sides = np.where(at_boundary, rng.integers(2 * len(self.names), size=len(seeds)), INSIDE)
        for task in np.flatnonzero(at_boundary):
            parameter, upper = divmod(int(sides[task]), 2)
            name, laws = self.names[parameter], laws_of(self.laws, tasks, int(task))
            values = tasks[name][task : task + 1].reshape(-1)  # a view of the task's elements
            element = rng.integers(len(values))
            if name in names_of_intervals(laws):
                values[element] = value_at(laws[name], parts[name][upper])
            else:  # a parameter of other families
                sides[task] = INSIDE
        return tasks, sides

    def learn(self, state: State, tasks: Tasks, note: np.ndarray, last: np.ndarray, best: np.ndarray) -> State:
        """The state after returns `last` `[N]` of the last round of the tasks that were drawn with this `note`."""
        options, sides = self.options, 2 * len(self.names)
        width, gain = state["width"].numpy().copy(), state["gain"].numpy().copy()
        means = int(state["means"])
        where = np.where(note == INSIDE, sides, note)
        total = state["sum"].numpy() + np.bincount(where, last, sides + 1)
        count = state["count"].numpy() + np.bincount(where, minlength=sides + 1)
        full = count >= options.buffer
        mean = total / np.maximum(count, 1)
        if full[-1]:
            gain = np.array([gain[0], max(gain[1], mean[-1])] if means else [mean[-1], mean[-1]])
            means += 1
        untrained, highest = gain
        if highest > untrained:
            level = (mean[:-1] - untrained) / (highest - untrained)
            grows, shrinks = level >= options.raise_above, level <= options.lower_below
            moved = np.round(width + options.step * (grows.astype(float) - shrinks), 9)  # ten tenths are 1
            width = np.where(full[:-1], np.clip(moved, 0.0, 1.0), width)
        return {
            "width": torch.from_numpy(width),
            "sum": torch.from_numpy(np.where(full, 0.0, total)),
            "count": torch.from_numpy(np.where(full, 0, count)),
            "gain": torch.from_numpy(gain),
            "means": torch.tensor(means),
        }

    def measure(self, state: State, note: np.ndarray) -> Metrics:
        """The mean width of all sides; and the ends of every interval, of a mixture its sides' widths."""
        parts, width = self.parts(state), state["width"].tolist()
        told: Metrics = {"tasks/width": float(state["width"].mean())}
        for parameter, name in enumerate(self.names):
            ends = width[2 * parameter : 2 * parameter + 2]
            if not isinstance(self.laws, Mixture):
                ends = [value_at(self.laws[name], fraction) for fraction in parts[name]]
            told |= {f"tasks/{name}_low": ends[0], f"tasks/{name}_high": ends[1]}
        return told

    def parts(self, state: State) -> Parts:
        """The present part of every interval."""
        width = state["width"].numpy().reshape(-1, 2)
        return {name: (0.5 - low / 2, 0.5 + high / 2) for name, (low, high) in zip(self.names, width, strict=True)}
