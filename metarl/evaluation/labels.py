"""Evaluation on labelled data: scores after every inner step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from metarl.core.types import State
from metarl.evaluation.evaluate import bootstrap_interval
from metarl.evaluation.files import write_record
from metarl.runs.config import RunConfig
from metarl.runs.logger import CURVES
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.collect import torch_threads
from metarl.training.labels import FewShotSetup, set_up_few_shot
from metarl.training.setup import shapes_of_run


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
            parts.append(setup.algorithm.scores(state, met, steps))
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
        raise InputError("--compare is for environments — train and evaluate each method by itself")
    device = "auto" if config.train.device == "cuda" else config.train.device
    env = config.env
    if shots is not None and not hasattr(env, "shots"):
        raise InputError(f"--shots is {shots}, but {config.environment} has no such option — leave it out")
    env = env if shots is None else replace(env, shots=shots)
    setup = set_up_few_shot(replace(config, train=replace(config.train, device=device), env=env))
    checkpoint = run.require_checkpoint(setup.device, shapes_of_run(setup))
    steps = max(3, setup.algorithm.steps) if steps is None else steps
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
