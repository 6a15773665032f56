"""`metarl` in processes of its own, to be killed: forked from one that has imported torch already."""

import contextlib
import itertools
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
# torch._dynamo is what the first step of an optimiser imports, for seconds
CONTEXT.set_forkserver_preload(["metarl.evaluation.run", "torch._dynamo", "torch.utils.tensorboard"])


class WithinSave(NamedTuple):
    """A moment within the writing of a checkpoint: before one of the calls that the operating system gets there."""

    save: int  # the first checkpoint that the process writes is 1
    call: int  # likewise


Sabotage = tuple[Literal["halfway", "before", "after"], Literal["replace", "unlink"], str] | WithinSave | int
"""When to kill the process: before, halfway or after the call of `os.replace` or `os.unlink` that makes or removes
the file of this name; or within the writing of a checkpoint, which the log then says. Or a signal to send where it
hurts, in the midst of `torch.func`."""
SYSTEM_CALLS = ("open", "write", "flush", "fsync", "close", "replace", "unlink", "listdir")


class Job:
    """A running `metarl` command, or a function that is another program; what it prints goes to `log`."""

    def __init__(
        self,
        work: list[str] | Callable[[], int],
        log: Path,
        sabotage: Sabotage | None = None,
        most_bytes: int | None = None,
        terminal: str = "",
        hangs_up: bool = True,
    ) -> None:
        """Start it, in a session of its own.

        Args:
            work: the command's arguments, or what returns an exit code and can be pickled.
            log: a file.
            sabotage: what happens to it.
            most_bytes: no file of its may be longer.
            terminal: the name of the terminal that it runs in, instead of a log.
            hangs_up: whether it heeds the terminal's end; without, it ignores it, as under nohup.
        """
        self.log = log
        parts = (work, terminal or str(log), sabotage, most_bytes, hangs_up)
        self.process: BaseProcess = CONTEXT.Process(target=_work, args=parts, daemon=True)
        self.process.start()

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Until something is true, while the command runs."""
        deadline = time.monotonic() + 60
        while not ready():
            assert self.process.is_alive(), self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.005)

    def send(self, number: int) -> None:
        """A signal, unless the command has ended already."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def end(self, timeout: float = 60) -> int:
        """The exit code, once it has ended and left no process behind."""
        self.process.join(timeout)
        assert self.process.pid is not None
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {timeout} s: {self.log.read_text()}")
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return self.process.exitcode
        raise AssertionError("it left processes behind")


def _work(
    work: list[str] | Callable[[], int], log: str, sabotage: Sabotage | None, most_bytes: int | None, hangs_up: bool
) -> None:
    os.setsid()  # whatever it starts is in its group; and the terminal that it opens is its own
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have said to ignore it
    signal.signal(signal.SIGHUP, signal.SIG_DFL if hangs_up else signal.SIG_IGN)
    file = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    from metarl.cli import main

    if most_bytes is not None:  # of a file: beyond it writing fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    if isinstance(sabotage, int):
        _signal_within_torch_func(sabotage)
    elif isinstance(sabotage, WithinSave):
        _kill_within_save(sabotage)
    elif sabotage:
        _kill_at(*sabotage)
    sys.exit(main(work) if isinstance(work, list) else work())


def _signal_within_torch_func(number: int) -> None:
    """The twentieth time that a level of `grad` is about to be pushed, within the `try` that pops it."""
    from torch._functorch import eager_transforms

    push, calls = eager_transforms._grad_increment_nesting, []

    def sabotaged() -> int:
        calls.append(number)
        if len(calls) == 20:
            os.kill(os.getpid(), number)
        return push()

    eager_transforms._grad_increment_nesting = sabotaged


def _kill_at(when: str, function: str, name: str) -> None:
    real = getattr(os, function)

    def sabotaged(*paths: str, **options: int) -> None:
        hit = Path(paths[-1]).name == name
        if hit and when == "halfway":
            os.truncate(paths[0], os.path.getsize(paths[0]) // 2)  # as if it were still being written
        if hit and when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        real(*paths, **options)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, function, sabotaged)


def _kill_within_save(moment: WithinSave) -> None:
    from metarl.runs import run_directory

    real, saves, calls = run_directory.save_checkpoint, itertools.count(1), itertools.count(1)

    def watch(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in SYSTEM_CALLS and next(calls) == moment.call:
            os.write(1, f"killed within the writing of a checkpoint, before {function.__name__}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def sabotaged(*arguments: Any) -> None:
        sys.setprofile(watch if next(saves) == moment.save else None)
        real(*arguments)
        sys.setprofile(None)

    run_directory.save_checkpoint = sabotaged
