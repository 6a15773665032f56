"""Few-shot runs: what the training loop and `metarl evaluate` need of them.

source -> tasks (support, query) -> algorithm.update -> loss and accuracy after every inner step
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from envs.registry import load_attribute
from metarl.algorithms import make_algorithm
from metarl.core.types import FewShot, Metrics, State
from metarl.fewshot import SOURCES
from metarl.fewshot.problem import Problem, stacked
from metarl.fewshot.sources import Source
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.until import UNSEEN
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import world_size
from metarl.runtime.tasks_at_once import WithinMemory
from metarl.training.setup import choose_device, resolve_hardware

UNSEEN_TASKS = 100  # of an evaluation while training goes on


@dataclass(frozen=True)
class FewShotSetup:
    """Everything that a config says, made real."""

    config: RunConfig
    source: Source
    algorithm: Any
    within_memory: WithinMemory
    """Has parts of the tasks worked on where memory does not hold all."""

    counted = "examples"
    """What is counted as the run's experience."""

    @property
    def device(self) -> torch.device:
        """Where all is computed."""
        return self.algorithm.device

    @property
    def curves(self) -> dict[str, list[str]]:
        """Metrics that belong into one chart, after 0 … K steps each."""
        measured = ["loss"] + ["accuracy"] * self.source.classification
        return {name: [f"{name}/step_{k}" for k in range(self.algorithm.steps + 1)] for name in measured}

    def forecast(self, iterations: int) -> str:
        """Nothing: what it learns from lies ready."""
        return ""

    def describe(self) -> str:
        """One line about the work of an iteration."""
        config = self.config
        return f"{config.environment} · {config.algorithm} · {config.train.tasks} tasks · {self.device}"

    def initial_state(self, address: Address) -> State:
        """What training starts from."""
        return self.algorithm.initial_state(address)

    def tasks(self, address: Address, numbers: range, split: str) -> FewShot:
        """Tasks of a split, each from its own stream below `address`; `[N, ...]`."""
        drawn = [self.source.sample(address.at(Purpose.TASKS, task).generator(), split) for task in numbers]
        return stacked(drawn, self.device)

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: new tasks, and what the algorithm makes of them."""
        start = time.perf_counter()
        tasks = self.tasks(address, range(self.config.train.tasks), "train")
        sampled = time.perf_counter()
        before = state
        state, metrics = self.within_memory(lambda: self.algorithm.update(before, tasks, address.at(Purpose.UPDATE)))
        finished = time.perf_counter()
        times = {
            "time/sampling": sampled - start,
            "time/update": finished - sampled,
            "time/tasks_per_second": self.config.train.tasks / (finished - start),
        }
        return state, {**metrics, **times}, sum(side.inputs.shape[0] * side.inputs.shape[1] for side in tasks)

    def scores(
        self, state: State, tasks: int, adaptations: int, address: Address, split: str
    ) -> dict[str, torch.Tensor]:
        """`loss`, and `accuracy` of classes, of N tasks of a split, as many at once as in training: `[N, K + 1]`."""
        parts, at_once = [], self.config.train.tasks
        for first in range(0, tasks, at_once):
            met = self.tasks(address, range(first, min(first + at_once, tasks)), split)
            parts.append(self.algorithm.scores(state, met, adaptations))
        return {name: torch.cat([part[name] for part in parts]).double().cpu() for name in parts[0]}

    def on_unseen_tasks(self, state: State) -> Metrics:
        """The curves on `UNSEEN_TASKS` tasks, the same each time, which training never learns from."""
        address = Address(self.config.train.seed).at(Purpose.UNSEEN)
        start = time.perf_counter()
        split = "validation" if "validation" in self.source.splits else "test"
        scores = self.scores(state, UNSEEN_TASKS, self.algorithm.steps, address, split)
        means = {name: values.mean(dim=0) for name, values in scores.items()}  # [K + 1]
        return {
            **{f"{UNSEEN}{name}/step_{k}": float(mean) for name in means for k, mean in enumerate(means[name])},
            "time/unseen": time.perf_counter() - start,
        }


def set_up_few_shot(config: RunConfig) -> FewShotSetup:
    """Source and algorithm of a config.

    Raises:
        InputError: whatever is wrong with the config.
    """
    if world_size() > 1:
        raise InputError("labelled data do not divide over ranks — train without torchrun")
    if config.train.lanes != TrainConfig.lanes:
        raise InputError("--lanes is for environments, labelled data have shots — give --env.shots")
    train = resolve_hardware(config.train)
    device = choose_device(train.device)
    target = SOURCES[config.environment].target if config.environment in SOURCES else config.environment
    source: Any = load_attribute(target)(config.env)
    algorithm: Any = make_algorithm(config.algorithm, config.algo, Problem.of(source), device)
    within_memory = WithinMemory(train.tasks, train.tasks_at_once)
    return FewShotSetup(replace(config, train=train, env=source.config), source, algorithm, within_memory)
