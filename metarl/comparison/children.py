"""Processes that do not outlive the one that starts them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def start(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a command in a process group of its own, on one thread, both its outputs going to `log`.

    On Linux it is killed when this process dies, even by kill -9.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_dying_with(os.getpid()),
        env=os.environ | ONE_THREAD,
    )


def _dying_with(parent: int) -> Callable[[], None] | None:
    """What a child does first on Linux: ask to be killed when its parent dies, were it by kill -9."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return ask


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to what is left of a child's group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
