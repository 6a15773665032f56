"""Few-shot runs: what the training loop and `metarl evaluate` need of them.

source -> tasks (support, query) -> learner.update -> loss and accuracy after every inner step
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from envs.registry import load_attribute
from metarl.core.types import FewShot, Metrics, State
from metarl.evaluation.evaluate import bootstrap_interval
from metarl.evaluation.files import write_record
from metarl.fewshot import SOURCES
from metarl.fewshot.learner import Learner, Problem, stacked
from metarl.fewshot.sources import Source
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.logger import CURVES
from metarl.runs.run_directory import RunDirectory
from metarl.runs.worlds import learner_class
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import world_size
from metarl.runtime.tasks_at_once import WithinMemory
from metarl.sampling.collect import torch_threads
from metarl.training.trainer import choose_device, resolve_hardware, shapes_of_run


@dataclass(frozen=True)
class FewShotSetup:
    """Everything that a config says, made real."""

    config: RunConfig
    source: Source
    learner: Learner
    within_memory: WithinMemory
    """Has parts of the tasks worked on where memory does not hold all."""

    counted = "examples"
    """What is counted as the run's experience."""

    @property
    def device(self) -> torch.device:
        """Where all is computed."""
        return self.learner.device

    @property
    def curves(self) -> dict[str, list[str]]:
        """Metrics that belong into one chart, after 0 … K steps each."""
        measured = ["loss"] + ["accuracy"] * self.source.classification
        return {name: [f"{name}/step_{k}" for k in range(self.learner.steps + 1)] for name in measured}

    def describe(self) -> str:
        """One line about the work of an iteration."""
        config = self.config
        return f"{config.environment} · {config.algorithm} · {config.train.tasks} tasks · {self.device}"

    def initial_state(self, address: Address) -> State:
        """What training starts from."""
        return self.learner.initial_state(address)

    def tasks(self, address: Address, numbers: range, split: str) -> FewShot:
        """Tasks of a split, each from its own stream below `address`; `[N, ...]`."""
        drawn = [self.source.sample(address.at(Purpose.TASKS, task).generator(), split) for task in numbers]
        return stacked(drawn, self.device)

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: new tasks, and what the learner makes of them."""
        start = time.perf_counter()
        tasks = self.tasks(address, range(self.config.train.tasks), "train")
        sampled = time.perf_counter()
        before = state
        state, scores = self.within_memory(lambda: self.learner.update(before, tasks))
        finished = time.perf_counter()
        curves = {
            f"{name}/step_{k}": value
            for name, values in scores.items()
            for k, value in enumerate(values.mean(dim=0).tolist())
        }
        times = {
            "time/sampling": sampled - start,
            "time/update": finished - sampled,
            "time/tasks_per_second": self.config.train.tasks / (finished - start),
        }
        return state, {**curves, **times}, sum(side.inputs.shape[0] * side.inputs.shape[1] for side in tasks)


def set_up_few_shot(config: RunConfig) -> FewShotSetup:
    """Source and learner of a config.

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
    learner = learner_class(config.algorithm)(config.algo, Problem.of(source), device)
    within_memory = WithinMemory(train.tasks, train.tasks_at_once)
    return FewShotSetup(replace(config, train=train, env=source.config), source, learner, within_memory)


def scores_of(
    setup: FewShotSetup, state: State, tasks: int, steps: int, seed: int, split: str = "test"
) -> dict[str, np.ndarray]:
    """Loss, and accuracy of classes, of `tasks` tasks of a split after 0 … `steps` steps, `[N, steps + 1]` each.

    As many tasks are met at once as in training.

    Raises:
        InputError: the source does not have the split.
    """
    if split not in setup.source.splits:
        raise InputError(f"there is no split '{split}' here — choose one of: {', '.join(setup.source.splits)}")
    address, at_once = Address(seed).at(Purpose.EVALUATION), setup.config.train.tasks
    parts = []
    with torch_threads(setup.config.train.torch_threads):
        for first in range(0, tasks, at_once):
            met = setup.tasks(address, range(first, min(first + at_once, tasks)), split)
            parts.append(setup.learner.evaluate(state, met, steps))
    return {name: torch.cat([part[name] for part in parts]).double().cpu().numpy() for name in parts[0]}


def evaluate_few_shot(
    run: RunDirectory,
    config: RunConfig,
    tasks: int | None,
    steps: int | None,
    seed: int,
    split: str,
    compare: Sequence[str] = (),
    shots: int | None = None,
) -> dict[str, Any]:
    """Evaluate a run's last checkpoint, store the result beside it, and return it; as `evaluation.run.evaluate_run`.

    Raises:
        InputError: no checkpoint, or a split or comparison that is not there.
    """
    if compare:
        raise InputError("--compare is for environments — train and evaluate each learner by itself")
    device = "auto" if config.train.device == "cuda" else config.train.device
    env = config.env
    if shots is not None and not hasattr(env, "shots"):
        raise InputError(f"--shots is {shots}, but {config.environment} has no such option — leave it out")
    env = env if shots is None else replace(env, shots=shots)
    setup = set_up_few_shot(replace(config, train=replace(config.train, device=device), env=env))
    checkpoint = run.require_checkpoint(setup.device, shapes_of_run(setup))
    steps = max(3, setup.learner.steps) if steps is None else steps
    scores = scores_of(setup, checkpoint.state, tasks or 600, steps, seed, split)
    record = {
        "env": config.environment,
        "algo": config.algorithm,
        "iteration": checkpoint.iteration,
        "split": split,
        "seed": seed,
        "tasks": len(scores["loss"]),
        "rounds": steps,
        **({} if shots in (None, getattr(config.env, "shots", None)) else {"shots": shots}),
        **{name: with_interval(per_task) for name, per_task in scores.items()},
    }
    write_record(run, record)
    return record


def with_interval(per_task: np.ndarray) -> dict[str, Any]:
    """Mean over tasks of `[N, K + 1]` values, its 95 % bootstrap interval, and the values."""
    low, high = bootstrap_interval(per_task)
    return {
        "mean": per_task.mean(axis=0).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "per_task": per_task.tolist(),
    }


def few_shot_table(record: dict[str, Any]) -> Table:
    """An evaluation as people read it."""
    tasks = f"{record['tasks']} {record['split']} tasks"
    title = f"{record['env']} · {record['algo']} · iteration {record['iteration']} · {tasks}"
    measured = [name for name in ("loss", "accuracy") if name in record]
    columns = [column for name in measured for column in (f"mean {name}", "95 % interval")]
    table = Table("after steps", *columns, title=Text(title))
    for k in range(len(record["loss"]["mean"])):
        cells = []
        for name in measured:
            mean, low, high = (format(record[name][part][k], CURVES[name][1]) for part in ("mean", "low", "high"))
            cells += [mean, f"{low} … {high}"]
        table.add_row(str(k), *cells)
    return table
