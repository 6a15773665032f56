"""Which tasks training meets. By default any that the laws of the environment have; by a sampler, others.

    draw(state, seeds, rng) -> tasks, note        learn(state, tasks, note, last, best) -> state

A sampler is such a pair of pure functions over a small state, which is part of the training state: so a run that was
interrupted and resumed equals one that was not. Every rank draws the whole meta-batch from the same state, meets its
own block of it, and learns from the returns of all. Evaluation draws from the laws, whatever training meets.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from envs.contract.tasks import TaskDistribution, Tasks
from metarl.core.types import Metrics, State, Trial
from metarl.runs.config import TrainConfig
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import gather
from metarl.training.adr import ADR
from metarl.training.plr import PLR

SAMPLING = "task_sampling"
"""Where the training state holds a sampler's."""


@runtime_checkable
class Sampler(Protocol):
    """How tasks are chosen; N tasks of a meta-batch."""

    def start(self) -> State:
        """The state at first; its shapes stay. InputError where there is nothing to choose."""

    def draw(self, state: State, seeds: Sequence[int], rng: np.random.Generator) -> tuple[Tasks, np.ndarray]:
        """Tasks `[N, ...]` from a seed each, and what is to be remembered of each until it was met, `[N]`."""

    def learn(self, state: State, tasks: Tasks, note: np.ndarray, last: np.ndarray, best: np.ndarray) -> State:
        """The state after the tasks were met: their mean returns of the last round, and their best episode's, `[N]`."""

    def measure(self, state: State, note: np.ndarray) -> Metrics:
        """What curves show of it."""


SAMPLERS: dict[str, Any] = {"adr": ADR, "plr": PLR}
"""By the name of the option, which its options have too."""


class Drawn(NamedTuple):
    """A whole meta-batch that is to be met."""

    tasks: Tasks
    note: np.ndarray


def sampler_of(train: TrainConfig, laws: TaskDistribution) -> Sampler | None:
    """What a config asks for; None where tasks are taken as the laws draw them."""
    if train.task_sampling == "uniform":
        return None
    made: Sampler = SAMPLERS[train.task_sampling](laws, getattr(train, train.task_sampling))
    return made


def task_seeds(address: Address, tasks: Sequence[int]) -> list[int]:
    """A seed for each task of a meta-batch."""
    return [address.at(Purpose.TASKS, task).seed() for task in tasks]


def draw_tasks(sampler: Sampler | None, state: State, num_tasks: int, address: Address) -> Drawn | None:
    """A meta-batch, every task of it with a seed of its own; None where there is no sampler."""
    if sampler is None:
        return None
    seeds, rng = task_seeds(address, range(num_tasks)), address.at(Purpose.TASK_SAMPLING).generator()
    return Drawn(*sampler.draw(state[SAMPLING], seeds, rng))


def learn_from(sampler: Sampler | None, state: State, drawn: Drawn | None, trial: Trial) -> tuple[State, Metrics]:
    """What a sampler's part of the training state becomes by this rank's trial, and its curves; nothing without one.

    A task without a lane that counts has shown nothing: its physics broke.
    """
    if sampler is None or drawn is None:
        return {}, {}
    last, best, played = gather(outcomes(trial)).numpy().T
    counted = played > 0
    tasks = {name: values[counted] for name, values in drawn.tasks.items()}
    learned = sampler.learn(state[SAMPLING], tasks, drawn.note[counted], last[counted], best[counted])
    return {SAMPLING: learned}, sampler.measure(learned, drawn.note)


def outcomes(trial: Trial) -> torch.Tensor:
    """Of each task the mean return of the last round, the best return of any episode, and whether the last round has a
    lane that counts: doubles `[N, 3]`."""
    returns = torch.stack([(rollout.reward * rollout.mask).sum(dim=-1) for rollout in trial.rollouts])  # [K + 1, N, E]
    counted = torch.stack([rollout.mask.amax(dim=-1) > 0 for rollout in trial.rollouts])
    best = returns.masked_fill(~counted, -torch.inf).amax(dim=(0, 2))
    return torch.stack([trial.rollouts[-1].returns, best, counted[-1].any(dim=-1)], dim=1).double().cpu()
