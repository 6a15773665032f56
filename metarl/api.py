"""Whole jobs, as the command line and Python call them: train a run, evaluate a run."""

import dataclasses
import logging
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from metarl.core.types import Metrics
from metarl.evaluation.baselines import baseline_directory, baselines, trained
from metarl.evaluation.evaluate import (
    check_evaluation,
    curve_record,
    evaluate,
    evaluation_record,
    levels,
    listed_tasks,
)
from metarl.evaluation.files import write_evaluation, write_film
from metarl.runs.checkpoint import shapes_of
from metarl.runs.config import RunConfig, options_from_dict, read_yaml
from metarl.runs.continuing import taken_up
from metarl.runs.load import load_config
from metarl.runs.logger import CURVES, curves_of, read_metrics
from metarl.runs.presets import default_config
from metarl.runs.run_directory import RunDirectory, latest_run_path, make_run_path
from metarl.runs.worlds import is_few_shot
from metarl.runtime.errors import InputError
from metarl.runtime.ranks import rank, value_of_first, wait_for_all
from metarl.training.fewshot import FewShotSetup, evaluate_few_shot, set_up_few_shot
from metarl.training.loop import train as train_setup
from metarl.training.ranks import joined
from metarl.training.setup import Setup, fresh_state, set_up, shapes_of_run

logger = logging.getLogger("metarl")


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
        InputError: anything impossible, named; also where another process is writing this run.
        Interrupted: SIGINT, SIGTERM or SIGHUP came. The last finished iteration is saved, and then the signal does what
            it did before: by default it raises `KeyboardInterrupt` or ends the process. This is raised only where the
            program has a handler of its own that returns.
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


def evaluate_run(
    path: str | Path,
    tasks: int | None = None,
    rounds: int | None = None,
    seed: int = 0,
    split: str = "test",
    compare: Sequence[str] = (),
    film: bool = False,
    deterministic: bool = False,
    *,
    trust: bool = False,
) -> dict[str, Any]:
    """Evaluate a run's last checkpoint on the tasks of a split, store the result beside it, and return it.

    No evaluation replaces another: each lies in `evaluations/` below the run's folder, named for what makes it the one
    it is (`EvaluationIdentity`), and the newest on test tasks is also `evaluation.json`.

    Args:
        path: the run's folder.
        tasks: how many; by default all of a fixed list, and 40 where tasks come fresh (600 of labelled data).
        rounds: adaptation rounds K; by default 3, or those of training where these are more.
        seed: where evaluation's own randomness starts.
        split: "train", "validation", "test" or "outside"; the record says whether its tasks are "unseen".
        compare: algorithms to train alike, in `compare/` below the run's folder, and to meet the same tasks with.
        film: also draw the first task before and after adaptation: `adaptation.gif`, and in TensorBoard.
        deterministic: report returns of the likeliest actions, beside those of sampled ones (see `collect`).
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one without a checkpoint, one that names code and is not trusted, impossible numbers,
            an algorithm that cannot be compared with, or a split that is not there.
        StorageError: all checkpoints are damaged or gone.
    """
    from metarl.evaluation.render import check_drawable  # which loads runs through this module

    check_evaluation(40 if tasks is None else tasks, rounds or 0, seed)
    run = RunDirectory.existing(Path(path))
    config = load_config(run, trust)
    if is_few_shot(config.environment):
        if film:
            raise InputError("--film is for environments — labelled data have no episodes to draw")
        if deterministic:
            raise InputError("--deterministic is for environments — labelled data have no actions; leave it out")
        return evaluate_few_shot(run, config, tasks, rounds, seed, split, compare)
    listed = listed_tasks(config, split)
    if tasks is not None and 0 < listed < tasks:
        raise InputError(f"--tasks is {tasks}, but the list of {split} tasks holds {listed} — give at most {listed}")
    tasks = tasks or listed or 40
    # this machine need not be the one that trained: it may have no GPU, and other cores
    device = "auto" if config.train.device == "cuda" else config.train.device
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, device=device, threads=0))
    setup = set_up(config, num_tasks=tasks)
    checkpoint = run.require_checkpoint(setup.algorithm.device, shapes_of_run(setup))
    if film:
        check_drawable(setup.env, ".gif")
    train = dataclasses.replace(config.train, iterations=checkpoint.iteration)
    others = baselines(dataclasses.replace(config, train=train), compare)
    if rounds is None:
        rounds = max(3, setup.algorithm.rounds - 1)
    curve = evaluate(setup, checkpoint.state, rounds, seed, split, deterministic)
    beside = levels(setup, seed)
    compared = {}
    for name, other in others.items():
        trained_other = trained(baseline_directory(run, name), other, Console(stderr=True))
        curve_of_other = evaluate(
            set_up(other, num_tasks=tasks), trained_other.state, rounds, seed, split, deterministic
        )
        compared[name] = curve_record(trained_other, curve_of_other)
    record = evaluation_record(setup, split, seed, checkpoint, curve, beside, compared)
    write_evaluation(run, record, {name: baseline_directory(run, name) for name in compared})
    if film:
        write_film(run, record, seed, trust)
    return record
