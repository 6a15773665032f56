"""A whole training job, as the command line and Python call it."""

import dataclasses
import math
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from metarl.core.types import Metrics
from metarl.runs.checkpoint import shapes_of
from metarl.runs.config import RunConfig, read_yaml
from metarl.runs.continuing import taken_up
from metarl.runs.logger import CURVES, curves_of, read_metrics
from metarl.runs.presets import config_with
from metarl.runs.run_directory import RunDirectory, latest_run_path, make_run_path
from metarl.runs.worlds import is_few_shot
from metarl.runtime.ranks import rank, value_of_first, wait_for_all
from metarl.training.labels import FewShotSetup, set_up_few_shot
from metarl.training.loop import train as train_setup
from metarl.training.ranks import joined
from metarl.training.setup import Setup, fresh_state, set_up


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: where it is, and what it measured."""

    path: Path
    metrics: list[Metrics]
    """One for each iteration, as in `metrics.jsonl`."""


def train(
    environment: str,
    algorithm: str | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    env: dict[str, Any] | None = None,
    algo: dict[str, Any] | None = None,
    **train: Any,
) -> Run:
    """Meta-train a policy; the same as `metarl train`.

    Args:
        environment: a registered name, `module:attribute` or `path/to/file.py:attribute`.
        algorithm: likewise; default `maml-trpo`.
        out: the run's folder; default `runs/ENV/ALGO/seed-S`.
        resume: go on with the run in `out`.
        env: options of the environment's `Config`.
        algo: options of the algorithm's `Config`.
        train: fields of `TrainConfig`: `iterations`, `seed`, `tasks`, `lanes`, `device`, …

    Raises:
        InputError: anything impossible, named; also where another process is writing this run.
        Interrupted: SIGINT, SIGTERM or SIGHUP came. The last finished iteration is saved, and then the signal does what
            it did before: by default it raises `KeyboardInterrupt` or ends the process. This is raised only where the
            program has a handler of its own that returns.
    """
    config = config_with(environment, algorithm, train, env or {}, algo or {})
    return train_run(config, None if out is None else Path(out), resume, Console())


def train_run(config: RunConfig, out: Path | None, resume: bool, console: Console) -> Run:
    """Train a new run, or go on with an old one. Nothing is written before the input is known to be good.

    Of the processes that torchrun started rank 0 alone looks at the run's folder, which the others need not see.
    """
    with joined():
        names = (config.environment, config.algorithm, config.train.seed)
        run = None if out is None else RunDirectory(out)
        if rank() == 0 and resume:
            run = RunDirectory.existing(out or latest_run_path(*names))
            config = taken_up(config, read_yaml(run.config_path))
        config = value_of_first(config)
        setup: Setup | FewShotSetup = set_up_few_shot(config) if is_few_shot(config.environment) else set_up(config)
        wait_for_all()  # every rank has found its input good
        start = fresh_state(setup)
        if rank() > 0:
            train_setup(setup, None, start, console)
            return value_of_first(Run(Path(), []))
        run = run or RunDirectory(make_run_path(*names))
        with run.writing(setup.config, resume, shapes_of(start)):
            console.out(setup.describe(), highlight=False)
            train_setup(setup, run, start, console)
        metrics = read_metrics(run.metrics_path)
        if metrics:
            console.print(_summary(metrics))
        _print_paths(run, console)
        return value_of_first(Run(run.path, metrics))


def _summary(metrics: list[Metrics]) -> Table:
    """Every curve (returns; loss and accuracy), at the start and at the end of training."""
    window = min(max(5, len(metrics) // 50), len(metrics))
    first, last = metrics[:window], metrics[-window:]
    curves = curves_of(metrics[-1])
    table = Table(", ".join(curves), f"first {window} iterations", f"last {window} iterations", title="training")
    for what, names in curves.items():
        prefix, form = CURVES[what]
        step = prefix.split("/")[1].rstrip("_")  # "round" or "step"
        for k, name in enumerate(names):
            label = "before adaptation" if k == 0 else f"after {k} {step}{'s' if k > 1 else ''}"
            means = [sum(line.get(name, math.nan) for line in lines) / window for lines in (first, last)]
            table.add_row(label, *(format(mean, ".2f" if what == "return" else form) for mean in means))
    return table


def _print_paths(run: RunDirectory, console: Console) -> None:
    folder = shlex.quote(str(run.path))
    for what, path in (
        ("metrics", run.metrics_path),
        ("checkpoints", run.checkpoints),
        ("curves", f"tensorboard --logdir {folder}"),
        ("next", f"metarl evaluate {folder}"),
    ):
        console.out(f"{what + ':':13}{path}", highlight=False)
