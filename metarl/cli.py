"""The command line: `metarl train | evaluate | render | export | benchmark | list`.

It joins names to things, and turns what goes wrong into one line and an exit code. torch is imported only once the
input is known to be good.
"""

import contextlib
import dataclasses
import io
import itertools
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from envs.errors import InputError, NonFiniteError
from envs.registry import describe
from metarl.algorithms import ALGORITHMS
from metarl.core.errors import EnvironmentBroke, StorageError
from metarl.experiment.config import RunConfig, TrainConfig
from metarl.experiment.presets import DEFAULT_ALGORITHM, PRESETS, default_config

EXIT_BUG, EXIT_INPUT, EXIT_NUMBERS, EXIT_ENVIRONMENT, EXIT_STORAGE = 1, 2, 3, 4, 5
EXIT_INTERRUPT, EXIT_TERMINATED = 130, 143


class Terminated(BaseException):
    """SIGTERM arrived."""


class Output(Console):
    """Standard output that nobody has to read: when the reader of a pipe leaves, work goes on in silence."""

    def on_broken_pipe(self) -> None:
        """Keep rich from ending the process."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


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
    """Adapt a trained policy to tasks, unseen ones by default, and print its returns after each round."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    tasks: int | None = None
    """How many tasks (default: all of a fixed list, 40 fresh ones otherwise)."""
    rounds: int | None = None
    """Adaptation rounds K (default: 3, or those of training where these are more)."""
    compare: tuple[str, ...] = ()
    """Algorithms to compare with, e.g. random-init multitask: trained alike in RUN/compare/, on the same tasks."""
    split: Literal["train", "test", "outside"] = "test"
    """Tasks as in training; held out from it; or beyond its range, where the environment has such."""
    seed: int = 0
    """Where evaluation's own randomness starts."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""


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


@dataclass(frozen=True)
class BenchmarkCommand:
    """Measure environment steps per second, update times and memory, against bare physics and Gymnasium."""

    what: tyro.conf.Positional[Literal["speed"]]
    """What to measure."""
    environments: tyro.conf.Positional[tuple[str, ...]] = ()
    """MuJoCo environments to measure (default: half-cheetah-dir; all of them with --only-environments)."""
    only_environments: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Measure stepping and switching tasks alone: no sampling, no Gymnasium, no training."""
    tasks: int = 40
    """Tasks N."""
    episodes: int = 20
    """Episodes E of each task and round."""
    horizon: int = 100
    """Steps of an episode."""
    threads: int = 0
    """Physics threads (0: one for each core)."""
    repeats: int = 3
    """Measurements of each row; the median counts."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True)
class ListCommand:
    """List environments, algorithms and presets."""

    what: tyro.conf.Positional[Literal["all", "envs", "algos", "presets"]] = "all"
    """What to list."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without · and → is no reason to stop
    errors = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)]
    )
    remedy = "add --resume to go on" if arguments[:1] == ["train"] else "run it again"
    try:
        command = parse(arguments)
        COMMANDS[type(command).__name__](command)
        return 0
    except KeyboardInterrupt:
        return _fail(f"interrupted — {remedy}", EXIT_INTERRUPT)
    except Terminated:
        return _fail(f"terminated — {remedy}", EXIT_TERMINATED)
    except InputError as error:
        return _fail(str(error), EXIT_INPUT)
    except NonFiniteError as error:
        return _fail(str(error), EXIT_NUMBERS)
    except EnvironmentBroke as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        return _fail(f"{error} — repair it, then {remedy}", EXIT_ENVIRONMENT)
    except StorageError as error:
        return _fail(str(error), EXIT_STORAGE)
    except BrokenPipeError:  # whoever reads our help has seen enough
        Output().on_broken_pipe()
        return 0
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return _fail("out of memory — lower --tasks, --episodes, the horizon or --algo.hidden", EXIT_INPUT)


def _fail(message: str, code: int) -> int:
    print(f"metarl: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is numpy's, torch's on the CPU ("can't allocate memory") or on a GPU ("out of memory")."""
    text = str(error)
    return isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text


def _terminate(signal_number: int, frame: Any) -> None:
    raise Terminated


def parse(arguments: list[str]) -> Any:
    """The command that `arguments` ask for.

    Raises:
        InputError: an unknown name, an impossible value, or names that do not come first.
        SystemExit: the parser refused (code 2) or printed help (code 0).
    """
    names = _leading_names(arguments)
    commands = {
        "train": _train_command(names, arguments),
        "evaluate": EvaluateCommand,
        "render": RenderCommand,
        "export": ExportCommand,
        "benchmark": BenchmarkCommand,
        "list": ListCommand,
    }
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command = _parse(commands, arguments, console_outputs=False)
    except SystemExit as refusal:
        # where one of our own dataclasses refused, its line stands, without the parser's box around it
        error: BaseException | None = refusal
        while error:
            if isinstance(error, InputError):
                raise error from None
            error = error.__context__
        command = _parse(commands, arguments, console_outputs=True)
    if isinstance(command, TrainCommand) and (command.environment, command.algorithm) != names:
        raise InputError("the names come first — metarl train ENV [ALGO] [options]")
    return command


def _parse(commands: dict[str, Any], arguments: list[str], console_outputs: bool) -> Any:
    return tyro.extras.subcommand_cli_from_dict(
        commands, prog="metarl", args=arguments, console_outputs=console_outputs
    )


def _leading_names(arguments: list[str]) -> tuple[str, str] | None:
    """ENV and ALGO of `metarl train`, if they come before any option."""
    leading = arguments[1:3] if arguments[:1] == ["train"] else []
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), leading))
    return (names[0], names[1] if len(names) > 1 else DEFAULT_ALGORITHM) if names else None


def _train_command(names: tuple[str, str] | None, arguments: list[str]) -> Any:
    """`TrainCommand`, with the options of the environment and algorithm of these names, and their presets."""
    if names is None:
        return TrainCommand
    defaults = default_config(*names, _value_of("--env.variant", arguments))
    options = [
        (room, type(value), field(default=value)) for room, value in (("env", defaults.env), ("algo", defaults.algo))
    ]
    train: Any = Annotated[TrainConfig, tyro.conf.arg(name="")]
    return dataclasses.make_dataclass(
        "TrainCommand",
        [("train", train, field(default=defaults.train)), *options],
        bases=(TrainCommand,),
        namespace={"__doc__": TrainCommand.__doc__},
        frozen=True,
    )


def _value_of(option: str, arguments: list[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"{option}="):
            return argument.split("=", 1)[1]
    return None


def train_command(command: Any) -> None:
    """`metarl train`."""
    from metarl.experiment import api

    config = RunConfig(command.environment, command.algorithm, command.train, command.env, command.algo)
    api.train_run(config, command.out, command.resume, Output())


def evaluate_command(command: EvaluateCommand) -> None:
    """`metarl evaluate`."""
    import json

    from metarl.experiment import api
    from metarl.experiment.evaluation_files import evaluation_table

    record = api.evaluate_run(command.run, command.tasks, command.rounds, command.seed, command.split, command.compare)
    console = Output()
    if command.json:
        console.out(json.dumps(record), highlight=False)
        return
    console.print(evaluation_table(record))
    for name in ("evaluation.json", "evaluation.csv", "adaptation.png"):
        if (command.run / name).exists():
            console.out(f"written: {command.run / name}", highlight=False)


def render_command(command: RenderCommand) -> None:
    """`metarl render`."""
    from metarl.experiment.render import render_run

    render_run(command.run, command.out, command.tasks, command.rounds, command.split, command.seed)
    Output().out(f"written: {command.out}", highlight=False)


def export_command(command: ExportCommand) -> None:
    """`metarl export`."""
    from metarl.experiment.export import export_run

    export_run(command.run, command.out, command.rounds, command.task, command.seed)
    names = "policy.pt2, weights.safetensors, policy.json"
    Output().out(f"written: {command.out} ({names})", highlight=False)


def benchmark_command(command: BenchmarkCommand) -> None:
    """`metarl benchmark`."""
    import json

    from metarl.experiment.benchmark import measure_speed, speed_table

    rows = measure_speed(
        command.environments,
        command.tasks,
        command.episodes,
        command.horizon,
        command.threads,
        command.repeats,
        Console(stderr=True),
        command.only_environments,
    )
    if command.json:
        print(json.dumps({"rows": rows}))
    else:
        Console().print(speed_table(rows))


def list_command(command: ListCommand) -> None:
    """`metarl list`."""
    console = Output()
    if command.what in ("all", "envs"):
        table = Table("environment", "tasks", title="environments")
        for name, description in describe().items():
            table.add_row(name, description)
        console.print(table)
    if command.what in ("all", "algos"):
        table = Table("algorithm", "what it is", title="algorithms")
        for name, entry in ALGORITHMS.items():
            table.add_row(name, entry.description)
        console.print(table)
    if command.what in ("all", "presets"):
        table = Table("environment", "variant", "algorithm", "options", "source", title="presets")
        for preset in PRESETS:
            options = [f"{name} {value}" for name, value in preset.train.items()]
            options += [f"algo.{name} {value}" for name, value in preset.algo.items()]
            table.add_row(
                preset.environment or "any",
                preset.variant or "any",
                ", ".join(preset.algorithms) or "any",
                ", ".join(options),
                preset.source,
            )
        console.print(table)


COMMANDS = {
    "TrainCommand": train_command,
    "EvaluateCommand": evaluate_command,
    "RenderCommand": render_command,
    "ExportCommand": export_command,
    "BenchmarkCommand": benchmark_command,
    "ListCommand": list_command,
}
