"""The command line: `metarl train | evaluate | render | export | benchmark | report | list`.

It turns words into a command, and what goes wrong into one line and an exit code; `commands.py` says what there is.
"""

import contextlib
import dataclasses
import errno
import io
import itertools
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.logging import RichHandler

from envs.contract.errors import InputError, NonFiniteError, nearest
from metarl.commands import COMMANDS, TrainCommand
from metarl.output import (
    EXIT_ENVIRONMENT,
    EXIT_INPUT,
    EXIT_INTERRUPT,
    EXIT_NUMBERS,
    EXIT_STORAGE,
    EXIT_TERMINATED,
    fail,
    rank,
    silence,
)
from metarl.runs.config import TrainConfig
from metarl.runs.presets import default_config
from metarl.runs.worlds import default_algorithm
from metarl.runtime.errors import EnvironmentBroke, RankLost, StorageError

RENAMED_ARGUMENTS = {
    "train": {"--episodes": "--lanes", "--algo.episodes-per-trial": "--algo.rounds"},
    "benchmark": {"--episodes": "--lanes"},
    **dict.fromkeys(("evaluate", "render", "export"), {"--rounds": "--adaptations"}),
}
"""What options were called in former days, by command, and what they are called now."""

HANGUP = getattr(signal, "SIGHUP", None)  # which Windows lacks


class EmptyPath(Exception):
    """An argument that is to be a path is empty; no `ValueError`, which the parser would put into words of its own."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    if HANGUP and signal.getsignal(HANGUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(HANGUP, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without · and → is no reason to stop
    errors = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)]
    )
    remedy = "add --resume to go on" if arguments[:1] == ["train"] else "run it again"
    try:
        command = parse(arguments)
        if rank() and not isinstance(command, TrainCommand):
            raise InputError("torchrun is for metarl train — run this without it")
        code: int = command()
        return code
    except KeyboardInterrupt:
        return fail(f"interrupted — {remedy}", EXIT_INTERRUPT)
    except Terminated as signalled:
        (number,) = signalled.args
        what = "hung up" if number == HANGUP else "terminated"
        return fail(f"{what} — {remedy}", 128 + number)
    except InputError as error:
        return fail(str(error), EXIT_INPUT)
    except NonFiniteError as error:
        return fail(str(error), EXIT_NUMBERS)
    except EnvironmentBroke as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        return fail(f"{error} — repair it, then {remedy}", EXIT_ENVIRONMENT)
    except StorageError as error:
        return fail(str(error), EXIT_STORAGE)
    except RankLost as error:
        return fail(f"{error}, then {remedy}", EXIT_TERMINATED)
    except BrokenPipeError:  # whoever reads our help has seen enough
        silence(sys.stdout)
        return 0
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return fail(f"{error.strerror}: '{error.filename}' — give a shorter one", EXIT_STORAGE)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return fail("out of memory — lower --tasks, --lanes, the horizon or --algo.hidden", EXIT_INPUT)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is numpy's, torch's on the CPU ("can't allocate memory") or on a GPU ("out of memory")."""
    text = str(error)
    return isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text


def _terminate(signal_number: int, frame: Any) -> None:
    raise Terminated(signal_number)


def parse(arguments: list[str]) -> Any:
    """The command that `arguments` ask for.

    Raises:
        InputError: an unknown command or name, an impossible value, or names that do not come first.
        SystemExit: the parser refused (code 2) or printed help (code 0).
    """
    if arguments[:1] == ["train"] and "--" in arguments:
        raise InputError("'--' stands for nothing among names and options — leave it out")
    for argument in arguments:
        if (former := argument.split("=")[0]) in RENAMED_ARGUMENTS.get(arguments[0], {}):
            today = RENAMED_ARGUMENTS[arguments[0]][former]
            raise InputError(f"{former} says what {today} says now — give {today}")
    names = _leading_names(arguments)
    commands = COMMANDS | {"train": _train_command(names, arguments)}
    first = arguments[0] if arguments else "--help"
    if first not in commands and first not in ("-h", "--help") and not first.startswith("--tyro-"):
        # the parser would say of every option that it belongs to another command
        raise InputError(f"unknown command '{first}'" + nearest(first, commands))
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command = _parse(commands, arguments, console_outputs=False)
    except EmptyPath:
        raise InputError("a path is empty — name a folder or a file (is a shell's variable not set?)") from None
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
    with PATHS:
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog="metarl", args=arguments, console_outputs=console_outputs
        )


PATHS = tyro.constructors.ConstructorRegistry()


@PATHS.primitive_rule
def _path_rule(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec[Path] | None:
    """Paths as the parser takes them, but for the empty one: `Path("")` would be the working directory."""
    if info.type is not Path:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: _path(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


def _path(word: str) -> Path:
    if not word:
        raise EmptyPath
    return Path(word)


def _leading_names(arguments: list[str]) -> tuple[str, str] | None:
    """ENV and ALGO of `metarl train`, if they come before any option."""
    leading = arguments[1:3] if arguments[:1] == ["train"] else []
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), leading))
    return (names[0], names[1] if len(names) > 1 else default_algorithm(names[0])) if names else None


def _train_command(names: tuple[str, str] | None, arguments: list[str]) -> Any:
    """`TrainCommand`, with the options of the environment and algorithm of these names, and their presets."""
    if names is None:
        return TrainCommand
    given = {part: _value_of(f"--algo.{part}", arguments) for part in ("inner", "outer")}
    defaults = default_config(*names, _value_of("--env.variant", arguments), given)
    options = [
        (room, type(value), field(default=value)) for room, value in (("env", defaults.env), ("algo", defaults.algo))
    ]
    train: Any = Annotated[TrainConfig, tyro.conf.arg(name="")]
    algorithm: Any = TrainCommand.__annotations__["algorithm"]
    return dataclasses.make_dataclass(
        "TrainCommand",
        [
            ("algorithm", algorithm, field(default=defaults.algorithm)),
            ("train", train, field(default=defaults.train)),
            *options,
        ],
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
