"""The command line: `metarl train | resume | show | evaluate | render | export | compare | speed | report | list |
collect-data`.

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
from typing import Any

import tyro
from rich.console import Console
from rich.logging import RichHandler

from envs.contract.errors import InputError, NonFiniteError, nearest
from metarl.collecting import CollectDataCommand, options_of
from metarl.commands import COMMANDS, ResumeCommand, TrainCommand
from metarl.output import Exit, fail, rank, silence
from metarl.runs.config import versions
from metarl.runs.load import config_from, train_options
from metarl.runtime.errors import EnvironmentBroke, RankLost, StorageError

RENAMED_ARGUMENTS = {
    "train": {"--episodes": "--lanes", "--algo.episodes-per-trial": "--algo.rounds"},
    "speed": {"--episodes": "--lanes"},
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
    if arguments == ["--version"]:
        print(f"metarl {versions()['metarl']}")
        return 0
    remedy = "add --resume to go on" if arguments[:1] == ["train"] else "run it again"
    try:
        command = parse(arguments)
        if rank() and not isinstance(command, TrainCommand | ResumeCommand):
            raise InputError("torchrun is for metarl train and resume — run this without it")
        code: int = command()
        return code
    except KeyboardInterrupt:
        return fail(f"interrupted — {remedy}", Exit.INTERRUPT)
    except Terminated as signalled:
        (number,) = signalled.args
        what = "hung up" if number == HANGUP else "terminated"
        return fail(f"{what} — {remedy}", 128 + number)
    except EnvironmentBroke as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        return fail(f"{error} — repair it, then {remedy}", Exit.ENVIRONMENT)
    except InputError as error:
        return fail(str(error), Exit.INPUT)
    except NonFiniteError as error:
        return fail(str(error), Exit.NUMBERS)
    except StorageError as error:
        return fail(str(error), Exit.STORAGE)
    except RankLost as error:
        return fail(f"{error}, then {remedy}", Exit.TERMINATED)
    except BrokenPipeError:  # whoever reads our help has seen enough
        silence(sys.stdout)
        return 0
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return fail(f"{error.strerror}: '{error.filename}' — give a shorter one", Exit.STORAGE)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return fail("out of memory — lower --tasks, --lanes, the horizon or --algo.hidden", Exit.INPUT)


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
    commands: dict[str, Any] = {**COMMANDS, "collect-data": CollectDataCommand}
    names: tuple[str, ...] = ()
    if arguments[:1] == ["train"]:
        commands["train"], names, arguments = _train_command(arguments)
    if arguments[:1] == ["collect-data"]:
        names, options = options_of(arguments, _value_of("--env.variant", arguments))
        commands["collect-data"] = _with_defaults(CollectDataCommand, options)
    if arguments[:1] == ["resume"]:
        commands["resume"] = _resume_command(arguments)
    first = arguments[0] if arguments else "--help"
    if first == "benchmark":
        today = "metarl speed" if "speed" in arguments[1:2] else "metarl compare"
        raise InputError(f"'metarl {' '.join(arguments[:2])}' is '{today}' now — give that")
    if first not in commands and first not in ("-h", "--help") and not first.startswith("--tyro-"):
        # the parser would say of every option that it belongs to another command
        raise InputError(f"unknown command '{first}'" + nearest(first, commands))
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command = _parsed(commands, arguments, console_outputs=False)
    except EmptyPath:
        raise InputError("a path is empty — name a folder or a file (is a shell's variable not set?)") from None
    except SystemExit as refusal:
        # where one of our own dataclasses refused, its line stands, without the parser's box around it
        error: BaseException | None = refusal
        while error:
            if isinstance(error, InputError):
                raise error from None
            error = error.__context__
        command = _parsed(commands, arguments, console_outputs=True)
    if isinstance(command, TrainCommand) and (command.environment, command.algorithm) != names:
        raise InputError("the names come first — metarl train ENV [ALGO] [options]")
    if isinstance(command, CollectDataCommand) and (command.environment, command.source) != names:
        raise InputError("the names come first — metarl collect-data ENV SOURCE [options]")
    return command


def _parsed(commands: dict[str, Any], arguments: list[str], console_outputs: bool) -> Any:
    """What tyro makes of the arguments; where they name a command, its parser alone is made, and alone speaks."""
    first, *others = arguments or ["--help"]
    with PATHS:
        if first in commands:
            prog = f"metarl {first}"
            return tyro.cli(commands[first], prog=prog, args=others, console_outputs=console_outputs)
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


def _train_command(arguments: list[str]) -> tuple[Any, tuple[str, ...], list[str]]:
    """`TrainCommand`, with the options of the environment and algorithm that are named, and the values that presets or
    a file give them; the names; and the arguments with those names in them, where a file has said them."""
    names = tuple(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments[1:3]))
    file = _value_of("--config", arguments)
    if not names and file is None:
        return TrainCommand, (), arguments
    variant = _value_of("--env.variant", arguments)
    env = {} if variant is None else {"variant": variant}
    algo = {part: value for part in ("inner", "outer") if (value := _value_of(f"--algo.{part}", arguments)) is not None}
    environment, algorithm = (*names, None, None)[:2]
    trust = "--trust" in arguments
    defaults = config_from(None if file is None else Path(file), environment, algorithm, {}, env, algo, trust)
    kinds = {name: TrainCommand.__annotations__[name] for name in ("algorithm", "train")}
    kinds |= {room: type(getattr(defaults, room)) for room in ("env", "algo")}
    command = _with_defaults(TrainCommand, {name: (kind, getattr(defaults, name)) for name, kind in kinds.items()})
    whole = defaults.environment, defaults.algorithm
    if file is not None:
        arguments = ["train", *whole, *arguments[1 + len(names) :]]
    return command, whole, arguments


def _resume_command(arguments: list[str]) -> Any:
    """`ResumeCommand`, with the values that the run's own options of training have."""
    if len(arguments) < 2 or arguments[1].startswith("-"):
        return ResumeCommand
    options = train_options(Path(arguments[1]), {})
    return _with_defaults(ResumeCommand, {"train": (ResumeCommand.__annotations__["train"], options)})


def _with_defaults(command: type, fields: dict[str, tuple[Any, Any]]) -> type:
    """A command with fields of other kinds and defaults."""
    made = [(name, kind, field(default=default)) for name, (kind, default) in fields.items()]
    namespace = {"__doc__": command.__doc__}
    return dataclasses.make_dataclass(command.__name__, made, bases=(command,), namespace=namespace, frozen=True)


def _value_of(option: str, arguments: list[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"{option}="):
            return argument.split("=", 1)[1]
    return None
