"""How the command line ends, and says so: exit codes, errors in one line, an output that nobody has to read."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, cast

from rich.console import Console

LONGEST_LINE = 1000  # letters; the longest of ours lists all environments


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    BUG = 1
    INPUT = 2
    NUMBERS = 3
    ENVIRONMENT = 4
    STORAGE = 5
    INTERRUPT = 130
    TERMINATED = 143


def fail(message: str, code: int) -> int:
    """Say in one line what went wrong; returns the exit code."""
    try:
        print(f"metarl: error: {rank()}{as_line(message)}", file=sys.stderr, flush=True)
    except OSError:  # the terminal was closed
        silence(sys.stderr)
    return code


def as_line(message: str) -> str:
    """A message in one line of bearable length, without what a terminal would obey; it may quote what others wrote."""
    line = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(message.splitlines())
    )
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"


def rank() -> str:
    """Which of the processes that torchrun started speaks; empty without torchrun."""
    return f"rank {os.environ['RANK']}: " if "TORCHELASTIC_RUN_ID" in os.environ else ""


def silence(stream: Any) -> None:
    """Nobody reads a stream any more: let what is still written to it vanish, and what it holds back."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Output(Console):
    """Standard output that nobody has to read: when a pipe's reader leaves or a terminal is closed, work goes on."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(file=cast(Any, _Unread(sys.stdout)), quiet=quiet)

    def say(self, text: str) -> None:
        """Print as it is."""
        self.out(text, highlight=False)


class _Unread:
    """A stream that falls silent when nobody is left at its other end."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with self._quietly():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._quietly():
            self.stream.flush()

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # the reader has left, the terminal was closed
                raise
            silence(self.stream)
