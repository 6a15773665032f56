"""Worker processes, each with a share of a Gymnasium family's lanes, and how they end."""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from envs.adapters.gymnasium_lanes import Share

GRACE = 5.0  # seconds that workers get to close their environments


class ShareLost(RuntimeError):
    """A worker is gone or hangs: the share's number, and what it did."""


class Workers:
    """Shares in processes of their own, each of which answers within `timeout` seconds or counts as lost."""

    def __init__(self, shares: Sequence[Share], timeout: float) -> None:
        self.timeout, self.owner = timeout, os.getpid()
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        # forked, so that environments and functions of the user's own script need not be importable
        context = multiprocessing.get_context("fork")
        try:
            for share in shares:
                pipe, their_pipe = context.Pipe()
                self.pipes.append(pipe)
                self.processes.append(context.Process(target=_work, args=(share, their_pipe), daemon=True))
                self.processes[-1].start()
                their_pipe.close()
        except BaseException:
            self.kill()
            raise

    def call(self, function: str) -> list[Any]:
        """What each share's `function` returns.

        Raises: ShareLost on a worker that is gone or does not answer in time.
        """
        for index, pipe in enumerate(self.pipes):
            try:
                pipe.send(function)
            except OSError:
                raise self._gone(index) from None
        deadline = time.monotonic() + self.timeout
        return [self._answer(index, deadline) for index in range(len(self.pipes))]

    def _answer(self, index: int, deadline: float) -> Any:
        pipe, process = self.pipes[index], self.processes[index]
        if not wait([pipe, process.sentinel], max(0.0, deadline - time.monotonic())):
            os.kill(process.pid, signal.SIGUSR1)  # it prints where it hangs
            time.sleep(0.2)
            raise ShareLost(index, f"took more than {self.timeout:g} s")
        try:
            if pipe.poll():
                return pipe.recv()
        except (EOFError, OSError):
            pass
        raise self._gone(index)

    def _gone(self, index: int) -> ShareLost:
        self.processes[index].join(GRACE)
        return ShareLost(index, f"ended its worker process ({_manner(self.processes[index].exitcode)})")

    def close(self) -> None:
        """Close the environments within GRACE seconds, then end the processes come what may."""
        if os.getpid() == self.owner:  # a fork of the owner must leave its workers alone
            self.timeout = GRACE
            with contextlib.suppress(Exception):
                self.call("close")
            self.kill()

    def kill(self) -> None:
        """End the processes."""
        if os.getpid() == self.owner:
            for process in self.processes:
                process.kill()
            for process in self.processes:
                process.join()
            for pipe in self.pipes:
                pipe.close()
            self.processes, self.pipes = [], []


def _work(share: Share, pipe: Connection) -> None:
    """A worker's life: it ends when and only when its owner does or wants it to."""
    # Ctrl-C reaches the whole group of processes, and the owner decides what to do about it. A handler, because
    # processes that the environment starts would inherit SIG_IGN.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the owner is gone
        while True:
            pipe.send(getattr(share, pipe.recv())())


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _manner(code: int | None) -> str:
    """How a process ended, in words."""
    return f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
