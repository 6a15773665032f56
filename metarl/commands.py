"""What the command line offers: a dataclass of options for each command, and what it does.

torch is imported by the functions that need it, once the input is known to be good.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from metarl.listing import listed
from metarl.output import EXIT_BUG, Output, fail
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.worlds import DEFAULT_ALGORITHM


@dataclass(frozen=True)
class TrainCommand:
    """Meta-train a policy on a distribution of tasks. Name ENV (and ALGO) first; each adds its own options."""

    environment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A name from `metarl list envs`, `module:attribute` or `path/to/file.py:attribute`."""
    algorithm: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ALGO")] = DEFAULT_ALGORITHM
    """A name from `metarl list algos`, `module:attribute` or `path/to/file.py:attribute`."""
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    out: Path | None = None
    """The run's folder (default: runs/ENV/ALGO/seed-S)."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with the run in --out, or with the newest one of this ENV, ALGO and seed."""


@dataclass(frozen=True)
class EvaluateCommand:
    """Adapt a trained policy to tasks, those of the test split by default, and print its returns after each round."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    tasks: int | None = None
    """How many tasks (default: all of a fixed list, 40 fresh ones otherwise)."""
    rounds: int | None = None
    """Adaptation rounds K (default: 3, or those of training where these are more)."""
    compare: tuple[str, ...] = ()
    """Algorithms to compare with, e.g. random-init multitask: trained alike in RUN/compare/, on the same tasks."""
    split: Literal["train", "validation", "test", "outside"] = "test"
    """Tasks as in training; held out from it; or beyond its range, where the environment has such."""
    seed: int = 0
    """Where evaluation's own randomness starts."""
    deterministic: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Report returns of the likeliest actions (a Gaussian's mean), as PEARL and VariBAD publish them, beside those of
    sampled ones."""
    shots: int | None = None
    """Labelled data: examples to learn from (default: as in training)."""
    film: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also film the first task before and after adaptation: adaptation.gif, and in TensorBoard."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Let the run's own code (path.py:Class in its config.yaml) be run: you know where it comes from."""


@dataclass(frozen=True)
class RenderCommand:
    """Show tasks before and after adaptation: as a video, side by side, or as a map of paths in the plane."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """A name in .mp4 or .gif; or in .png, for tasks in the plane. A file that is there is replaced."""
    tasks: int = 3
    """How many tasks, one after the other."""
    rounds: int | None = None
    """Adaptation rounds K (default: as in training)."""
    split: Literal["train", "test", "outside"] = "test"
    """Tasks as in training; held out from it; or beyond its range, where the environment has such."""
    seed: int = 0
    """Where the randomness starts; the tasks are those that `metarl evaluate` meets with it."""
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Let the run's own code (path.py:Class in its config.yaml) be run: you know where it comes from."""


@dataclass(frozen=True)
class ExportCommand:
    """Write a policy for programs without metarl: weights, a description, and a program that torch alone runs."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """A new folder."""
    rounds: int = 0
    """Rounds to adapt for first, each with as many episodes as in training; 0: the policy as it was trained."""
    task: int = 0
    """The number of the unseen task that it adapts to, as `metarl evaluate` counts them."""
    seed: int = 0
    """Where the randomness starts."""
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Let the run's own code (path.py:Class in its config.yaml) be run: you know where it comes from."""


@dataclass(frozen=True)
class SpeedCommand:
    """Measure environment steps per second, update times and memory, against bare physics and Gymnasium."""

    environments: tyro.conf.Positional[tuple[str, ...]] = ()
    """MuJoCo environments to measure (default: half-cheetah-dir; all of them with --only-environments)."""
    only_environments: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Measure stepping and switching tasks alone: no sampling, no Gymnasium, no training."""
    every_update: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Measure the updates of all algorithms instead, on trials of the same size."""
    tasks: int = 40
    """Tasks N."""
    lanes: int = 20
    """Lanes E of each task."""
    horizon: int = 100
    """Steps of an episode."""
    threads: int = 0
    """Physics threads (0: one for each core)."""
    repeats: int = 3
    """Measurements of each row; the median counts."""
    devices: tuple[Literal["cpu", "cuda"], ...] = ()
    """Where updates and whole iterations are measured (default: the CPU, and the GPU where there is one)."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True)
class LearnCommand:
    """Compare methods: a grid of algorithms × environments × seeds. The same command again goes on where it ended."""

    suite: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SUITE")]
    """smoke (minutes), classic, dynamics, memory, reproduce-…, or the path of your own YAML file."""
    out: Path | None = None
    """The grid's folder (default: grids/SUITE); any number of launchers may work on it."""
    parallel: int = 0
    """Cells side by side, each on one thread (0: one for each core)."""
    only: tuple[str, ...] = ()
    """Cells to work on, all by default: ENV, ENV/ALGO or ENV/ALGO/seed-S, as their folders are called."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print each unfinished cell's commands, a line a cell, and run nothing."""


@dataclass(frozen=True)
class BenchmarkCommand:
    """Measure how fast (`speed`) or how well (`learn`)."""

    what: Annotated[
        Annotated[SpeedCommand, tyro.conf.subcommand("speed")] | Annotated[LearnCommand, tyro.conf.subcommand("learn")],
        tyro.conf.arg(name=""),
    ]


@dataclass(frozen=True)
class ReportCommand:
    """Show runs on one HTML page: curves with intervals, tables, configs, and their data as CSV."""

    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="DIR")]
    """Folders with runs in or below them."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("report.html")
    """The page; it needs no network. One that is there is replaced."""


@dataclass(frozen=True)
class ListCommand:
    """List environments, algorithms and presets."""

    what: tyro.conf.Positional[Literal["all", "envs", "algos", "presets"]] = "all"
    """What to list."""


def train_command(command: Any) -> None:
    """`metarl train`."""
    from metarl.training.run import train_run

    config = RunConfig(command.environment, command.algorithm, command.train, command.env, command.algo)
    train_run(config, command.out, command.resume, Output())


def evaluate_command(command: EvaluateCommand) -> None:
    """`metarl evaluate`."""
    from metarl.evaluation.files import FILM, PICTURE, TABLE, evaluation_table
    from metarl.evaluation.identity import FILE, identity_of, places_of
    from metarl.evaluation.labels import few_shot_table
    from metarl.evaluation.run import evaluate_run
    from metarl.runtime.files import as_json

    record = evaluate_run(
        command.run,
        command.tasks,
        command.rounds,
        command.seed,
        command.split,
        command.compare,
        command.film,
        command.deterministic,
        command.shots,
        trust=command.trust,
    )
    console = Output()
    if command.json:
        console.out(as_json(record), highlight=False)
        return
    console.print(evaluation_table(record) if "returns" in record else few_shot_table(record))
    own, *newest = places_of(command.run, identity_of(record))
    shown = newest[0] if newest else own
    for path in (*(shown / name for name in (FILE, TABLE, PICTURE, FILM)), *([own] if newest else ())):
        if path.exists():
            console.out(f"written: {path}", highlight=False)


def render_command(command: RenderCommand) -> None:
    """`metarl render`."""
    from metarl.evaluation.render import render_run

    render_run(
        command.run,
        command.out,
        command.tasks,
        command.rounds,
        command.split,
        command.seed,
        trust=command.trust,
    )
    Output().out(f"written: {command.out}", highlight=False)


def export_command(command: ExportCommand) -> None:
    """`metarl export`."""
    from metarl.deployment.export import export_run

    export_run(command.run, command.out, command.rounds, command.task, command.seed, trust=command.trust)
    names = "policy.pt2, weights.safetensors, policy.json"
    Output().out(f"written: {command.out} ({names})", highlight=False)


def benchmark_command(command: BenchmarkCommand) -> int:
    """`metarl benchmark`."""
    if isinstance(command.what, LearnCommand):
        return _learn(command.what)
    _speed(command.what)
    return 0


def _speed(command: SpeedCommand) -> None:
    from metarl.runtime.files import as_json
    from metarl.speed.benchmark import measure_speed, speed_table

    rows = measure_speed(
        command.environments,
        command.tasks,
        command.lanes,
        command.horizon,
        command.threads,
        command.repeats,
        Console(stderr=True),
        command.only_environments,
        command.every_update,
        command.devices,
    )
    if command.json:
        print(as_json({"rows": rows}))
    else:
        Console().print(speed_table(rows))


def _learn(command: LearnCommand) -> int:
    """The exit code is that of the first cell that failed."""
    from metarl.comparison import grid

    console = Output()
    if command.dry_run:
        for line in grid.dry_run(command.suite, command.out, command.only):
            console.out(line, highlight=False)
        return 0
    failures = grid.learn(command.suite, command.out, command.parallel, console, command.only)
    for each in failures:
        fail(f"{each.cell.folder} failed (exit code {each.code}: {each.reason}) — see its log", each.code)
    return max(failures[0].code, EXIT_BUG) if failures else 0


def report_command(command: ReportCommand) -> None:
    """`metarl report`."""
    from metarl.comparison.report import write_report

    write_report(command.folders, command.out)
    Output().out(f"written: {command.out}", highlight=False)


COMMANDS: dict[str, Callable[[Any], int | None]] = {
    "TrainCommand": train_command,
    "EvaluateCommand": evaluate_command,
    "RenderCommand": render_command,
    "ExportCommand": export_command,
    "BenchmarkCommand": benchmark_command,
    "ReportCommand": report_command,
    "ListCommand": lambda command: listed(command.what),
}
