"""Whole jobs, as the command line and Python call them: train a run, evaluate a run."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from envs.registry import environment_class
from metarl.algorithms import config_class
from metarl.core.errors import InputError
from metarl.core.types import Metrics
from metarl.experiment.config import RunConfig, TrainConfig, options_from_dict, read_yaml
from metarl.experiment.evaluate import check_evaluation, evaluate, evaluation_record, write_evaluation
from metarl.experiment.logger import read_metrics
from metarl.experiment.presets import default_config
from metarl.experiment.run_directory import RunDirectory, latest_run_path, new_run_path
from metarl.experiment.trainer import set_up
from metarl.experiment.trainer import train as train_setup


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
        train: fields of `TrainConfig`: `iterations`, `seed`, `tasks`, `episodes`, `device`, …

    Raises:
        InputError: anything impossible, named.
    """
    env, algo = env or {}, algo or {}
    defaults = default_config(environment, algorithm, env.get("variant"))
    config = RunConfig(
        environment,
        defaults.algorithm,
        _changed(defaults.train, train),
        _changed(defaults.env, env),
        _changed(defaults.algo, algo),
    )
    return train_run(config, None if out is None else Path(out), resume, Console())


def _changed(options: Any, values: dict[str, Any]) -> Any:
    """`options` with some fields replaced."""
    current = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return options_from_dict(type(options), current | values)


def train_run(config: RunConfig, out: Path | None, resume: bool, console: Console) -> Run:
    """Train a new run, or go on with an old one. Nothing is written before the input is known to be good."""
    names = (config.environment, config.algorithm, config.train.seed)
    if resume:
        run = RunDirectory.existing(out or latest_run_path(*names))
        torch_threads = config.train.torch_threads or load_config(run).train.torch_threads
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, torch_threads=torch_threads))
    else:
        run = RunDirectory(out or new_run_path(*names))
    setup = set_up(config)
    if resume:
        run.reopen(setup.config)
    else:
        run.create(setup.config)
    env = setup.env
    console.out(
        f"{config.environment} · {config.algorithm} · {env.num_tasks} tasks × {env.lanes_per_task} episodes"
        f" × {env.horizon} steps · {setup.algorithm.device}",
        highlight=False,
    )
    train_setup(setup, run, console)
    metrics = read_metrics(run.metrics_path)
    if metrics:
        console.print(_summary(metrics))
    _print_paths(run, console)
    return Run(run.path, metrics)


def _summary(metrics: list[Metrics]) -> Table:
    """Returns of every round, at the start and at the end of training."""
    window = min(5, len(metrics))
    first, last = metrics[:window], metrics[-window:]
    table = Table("return", f"first {window} iterations", f"last {window} iterations", title="training")
    rounds = [name for name in metrics[-1] if name.startswith("return/round_")]
    for k, name in enumerate(rounds):
        label = "before adaptation" if k == 0 else f"after {k} round{'s' if k > 1 else ''}"
        means = [sum(line[name] for line in lines) / window for lines in (first, last)]
        table.add_row(label, *(f"{mean:.2f}" for mean in means))
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


def load_config(run: RunDirectory) -> RunConfig:
    """The config that a run directory holds.

    Raises:
        InputError: it is broken.
    """
    values = read_yaml(run.config_path)
    try:
        return RunConfig(
            values["environment"],
            values["algorithm"],
            options_from_dict(TrainConfig, values["train"]),
            options_from_dict(environment_class(values["environment"]).Config, values["env"]),
            options_from_dict(config_class(values["algorithm"]), values["algo"]),
        )
    except (TypeError, AttributeError) as error:
        raise InputError(f"{run.config_path} is damaged ({error}) — train again") from error


def evaluate_run(
    path: str | Path, tasks: int | None = None, rounds: int = 3, seed: int = 0, split: str = "test"
) -> dict[str, Any]:
    """Evaluate a run's last checkpoint on the tasks of a split, store the result beside it, and return it.

    Args:
        path: the run's folder.
        tasks: how many; by default all of a fixed list, and 40 where tasks come fresh.
        rounds: adaptation rounds K.
        seed: where evaluation's own randomness starts.
        split: "train", "test" or "outside"; the tasks of all but a "train" with a fixed list are unseen.

    Raises:
        InputError: no such run, one without a checkpoint, impossible numbers, or a split that is not there.
        StorageError: all checkpoints are damaged.
    """
    check_evaluation(40 if tasks is None else tasks, rounds, seed)
    run = RunDirectory.existing(Path(path))
    config = load_config(run)
    listed = getattr(config.env, f"{split}_tasks", 0)
    if tasks is not None and 0 < listed < tasks:
        raise InputError(f"--tasks is {tasks}, but the list of {split} tasks holds {listed} — give at most {listed}")
    tasks = tasks or listed or 40
    # this machine need not be the one that trained: it may have no GPU, and other cores
    device = "auto" if config.train.device == "cuda" else config.train.device
    train = dataclasses.replace(config.train, device=device, threads=0)
    setup = set_up(dataclasses.replace(config, train=train), num_tasks=tasks)
    checkpoint = run.load(setup.algorithm.device)
    if checkpoint is None:
        raise InputError(f"{path} has no checkpoint yet — train it first: metarl train … --out {path} --resume")
    curve = evaluate(setup, checkpoint.state, rounds, seed, split)
    record = evaluation_record(setup, checkpoint.iteration, split, curve)
    write_evaluation(run, record)
    return record
