"""Prioritised level replay (Jiang et al. 2021a, "Prioritized Level Replay"): tasks are met again where most is left.

A task's score is its regret as Jiang et al. 2021b ("Replay-Guided Adversarial Environment Design") and ACCEL (Parker-
Holder et al. 2022) estimate it from Monte Carlo returns alone (*MaxMC*), since not every method has a value function:
the best return that any episode on this task ever had, less the mean return of the last round now. Tasks that nobody
has solved yet have none, and so are not insisted on.

Where this is not their algorithm: a meta-batch replays different tasks, drawn without replacement, since rank
prioritisation would else fill it with one; and new tasks are learned from as well, as in 2021a (the robust variant of
2021b updates from replayed ones alone). Rows of equal numbers are one task: so a finite list works likewise.

Letters: N tasks of a meta-batch, K remembered ones, P numbers of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from envs.contract.seeding import SAMPLE_TASKS, generators
from envs.contract.tasks import TaskDistribution, Tasks
from metarl.core.types import Metrics, State
from metarl.runs.task_sampling import PLROptions
from metarl.runtime.errors import InputError

NEVER = -1


def replay_probabilities(scores: np.ndarray, ages: np.ndarray, temperature: float, staleness: float) -> np.ndarray:
    """Jiang et al. 2021a, section 3: `(1 - ρ) P_S + ρ P_C`, `[K]`.

    P_S goes as `(1 / rank) ** (1 / β)`, rank 1 being the highest of `scores` `[K]` (the first of equals);
    P_C as `ages` `[K]`, iterations since a task was met, of which one at least is above 0.
    """
    rank = np.empty(len(scores))
    rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    by_score = rank ** (-1 / temperature)
    return (1 - staleness) * by_score / by_score.sum() + staleness * ages / ages.sum()


def without_replacement(probabilities: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` different numbers, each drawn by its probability among those left: the first of so many clocks to ring.

    Of clocks with exponential times of such rates, the next to ring is each in proportion to its rate.
    """
    with np.errstate(divide="ignore"):
        times = rng.standard_exponential(len(probabilities)) / probabilities
    return np.argsort(times, kind="stable")[:count]


@dataclass(frozen=True)
class PLR:
    """A sampler of tasks (`task_sampling.py`) that remembers the most instructive."""

    laws: TaskDistribution
    options: PLROptions

    def start(self) -> State:
        """No task remembered: of each its numbers `[K, P]`, its score, its best return and the iteration that last met
        it `[K]`; and the iterations so far.

        Raises: InputError where all tasks are one.
        """
        members, capacity = self.laws.members(), self.options.capacity
        if members is not None:
            capacity = min(capacity, len(np.unique(rows_of(members), axis=0)))
        if not self.laws or capacity < 2:
            raise InputError("--task-sampling plr chooses among tasks, and there is one here — leave it out")
        drawn = rows_of(self.laws.sample(generators(0, 1, SAMPLE_TASKS)))
        return {
            "tasks": torch.zeros(capacity, drawn.shape[1], dtype=torch.float64),
            "score": torch.zeros(capacity, dtype=torch.float64),
            "best": torch.zeros(capacity, dtype=torch.float64),
            "met": torch.full((capacity,), NEVER),
            "iteration": torch.zeros((), dtype=torch.int64),
        }

    def draw(self, state: State, seeds: Sequence[int], rng: np.random.Generator) -> tuple[Tasks, np.ndarray]:
        """A task of the laws from each seed or a remembered one in its place, `[N, ...]` each; and which of the
        remembered it is, or NEVER, `[N]`."""
        tasks, note = self.laws.sample(generators(seeds, len(seeds), SAMPLE_TASKS)), np.full(len(seeds), NEVER)
        remembered = int((state["met"] != NEVER).sum())  # they stand first
        chance = self.options.replay * remembered / len(state["met"])
        places = np.flatnonzero(rng.random(len(seeds)) < chance)[:remembered]
        note[places] = without_replacement(self.probabilities(state), len(places), rng)
        again, column = state["tasks"].numpy()[note[places]], 0
        for values in tasks.values():
            size = values[0].size
            values[places] = again[:, column : column + size].reshape(len(places), *values.shape[1:])
            column += size
        return tasks, note

    def probabilities(self, state: State) -> np.ndarray:
        """Of each remembered task, to be replayed next."""
        met = state["met"].numpy()
        remembered = met != NEVER
        scores, ages = state["score"].numpy()[remembered], int(state["iteration"]) - met[remembered]
        return replay_probabilities(scores, ages, self.options.temperature, self.options.staleness)

    def learn(self, state: State, tasks: Tasks, note: np.ndarray, last: np.ndarray, best: np.ndarray) -> State:
        """The state after these `tasks` `[N, ...]` were met, each with a mean return of the `last` round and a `best`
        one of an episode, `[N]`: what is remembered is what is likeliest to be replayed, of old and new."""
        now, capacity = int(state["iteration"]), len(state["met"])
        kept = (state["met"] != NEVER).numpy()
        old = {name: state[name].numpy()[kept] for name in ("tasks", "score", "best", "met")}
        rows, which = np.unique(np.concatenate([old["tasks"], rows_of(tasks)]), axis=0, return_inverse=True)
        before, here = np.split(which.reshape(-1), [int(kept.sum())])
        highest, met, score = np.full(len(rows), -np.inf), np.full(len(rows), NEVER), np.zeros(len(rows))
        score[before], highest[before], met[before] = old["score"], old["best"], old["met"]
        np.maximum.at(highest, here, best)
        met[here] = now
        times = np.bincount(here, minlength=len(rows))
        mean = np.bincount(here, last, len(rows)) / np.maximum(times, 1)
        score = np.where(times > 0, highest - mean, score)
        probabilities = replay_probabilities(score, now + 1 - met, self.options.temperature, self.options.staleness)
        chosen = np.sort(np.argsort(-probabilities, kind="stable")[:capacity])
        after = {"tasks": rows, "score": score, "best": highest, "met": met}
        empty = {"tasks": 0.0, "score": 0.0, "best": 0.0, "met": NEVER}
        whole = {name: torch.full_like(state[name], value) for name, value in empty.items()}
        for name, values in after.items():
            whole[name][: len(chosen)] = torch.from_numpy(values[chosen])
        return whole | {"iteration": torch.tensor(now + 1)}

    def measure(self, state: State, note: np.ndarray) -> Metrics:
        """The share of replayed tasks among those just met, and the mean score of what is remembered."""
        remembered = state["met"] != NEVER
        score = state["score"][remembered]
        return {
            "tasks/replayed": float((note != NEVER).mean()),
            "tasks/remembered": int(remembered.sum()),
            "tasks/score": float(score.mean()) if len(score) else 0.0,
        }


def rows_of(tasks: Tasks) -> np.ndarray:
    """All numbers of each task in a row, doubles `[N, P]`; -0 is 0."""
    rows = [np.asarray(values, np.float64).reshape(len(values), -1) for values in tasks.values()]
    return np.concatenate(rows, axis=1) + 0.0 if rows else np.zeros((0, 0))
