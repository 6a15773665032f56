"""Offline runs: what the training loop needs where an agent learns from stored histories, and acts to be evaluated.

histories -> contexts drawn anew -> algorithm.update -> loss; now and then unseen tasks are met, as in any evaluation
"""

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from envs.contract.errors import InputError
from envs.contract.splits import overlap
from envs.contract.tasks import TaskList
from metarl.algorithms import algorithm_class
from metarl.core.networks import size_of_action, size_of_observation
from metarl.core.types import Metrics, State
from metarl.runs.config import RunConfig
from metarl.runs.worlds import is_few_shot
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.histories import Histories, read_histories
from metarl.training.labels import set_up_few_shot
from metarl.training.setup import Setup, World, set_up, spaces_of


@dataclass(frozen=True)
class OfflineSetup(Setup):
    """A setup whose environments are for evaluation alone."""

    histories: Histories

    counted = "examples"

    @property
    def curves(self) -> dict[str, list[str]]:
        """Returns are of unseen tasks; loss and accuracy of what is to be done."""
        return {**super().curves, "loss": ["loss/step_0"], "accuracy": ["accuracy/step_0"]}

    def forecast(self, iterations: int) -> str:
        """Nothing: what it learns from lies ready."""
        return ""

    def describe(self) -> str:
        """One line about the work of an iteration."""
        algo, (count, episodes, horizon) = self.config.algo, self.histories.steps.mask.shape
        return (
            f"{self.config.environment} · {self.config.algorithm} · {count} histories × {episodes} episodes × {horizon}"
            f" steps · contexts of {algo.rounds} episodes · {self.device}"
        )

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """An iteration's gradient steps, and the steps of histories that they learned from."""
        start, algorithm, algo = time.perf_counter(), self.algorithm, self.config.algo
        learned: tuple[State, Metrics] = algorithm.update(state, self.histories, address.at(Purpose.UPDATE))  # type: ignore[arg-type]
        seconds = time.perf_counter() - start
        examples = algo.updates * algo.batch_size * algo.rounds * self.env.horizon
        times = {"time/update": seconds, "time/steps_per_second": examples / seconds}
        return learned[0], {**learned[1], **times}, examples


def set_up_offline(config: RunConfig) -> OfflineSetup:
    """Environment, algorithm and histories of a config; nothing is written.

    Raises:
        InputError: whatever is wrong with the config, no histories, or such as do not fit its environment.
    """
    if not config.algo.data:
        raise InputError("algo.data names no histories — make some with metarl collect-data, and give --algo.data DIR")
    if config.train.normalise_observations:
        raise InputError("histories are learned from as they are — leave out --normalise-observations")
    if config.train.reward_unit != 1:
        raise InputError("histories are learned from as they are — leave out --reward-unit")
    setup = set_up(config)
    histories = read_histories(Path(config.algo.data))
    require_fitting(setup, histories)
    algorithm: Any = setup.algorithm
    algorithm.require(histories)
    return OfflineSetup(**{field.name: getattr(setup, field.name) for field in fields(setup)}, histories=histories)


def require_fitting(setup: Setup, histories: Histories) -> None:
    """Refuse histories of other spaces or longer episodes than the environment has, or of its unseen test tasks.

    Raises:
        InputError: says in what they differ.
    """
    folder, spaces, env = setup.config.algo.data, spaces_of(setup.env), setup.env
    steps, discrete = histories.steps, not histories.steps.action.is_floating_point()
    there = steps.observation.shape[-1], steps.mask.shape[-1]
    here = size_of_observation(spaces.observation), env.horizon
    for what, mine, theirs in zip(("numbers in an observation", "steps in an episode"), here, there, strict=True):
        if mine != theirs:
            raise InputError(f"{folder} has {theirs} {what}, {setup.config.environment} {mine} — collect others")
    size = size_of_action(spaces.action)
    fits = bool((steps.action < size).all()) if discrete else steps.action.shape[-1] == size
    if discrete != np.issubdtype(spaces.action.dtype, np.integer) or not fits:
        raise InputError(f"{folder} has other actions than {setup.config.environment} — collect others")
    known = histories.tasks.keys() == env.tasks.keys()
    if known and env.unseen("test") and overlap(TaskList(histories.tasks), env.splits["test"]):
        raise InputError(f"{folder} holds test tasks of this run — collect with the same --env.test-tasks")


def world_of(config: RunConfig) -> World:
    """What a config trains: on labelled data, on stored histories, or on what it samples itself; nothing is written.

    Raises:
        InputError: whatever is wrong with the config.
    """
    labelled = is_few_shot(config.environment)
    offline = not labelled and algorithm_class(config.algorithm).traits(config.algo).learns_from_histories
    if (labelled or offline) and config.train.task_sampling != "uniform":
        raise InputError(
            f"--task-sampling {config.train.task_sampling} needs returns to learn from — leave it out here"
        )
    if labelled:
        return set_up_few_shot(config)
    return set_up_offline(config) if offline else set_up(config, training=True)
