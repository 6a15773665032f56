"""Ctrl-C and SIGTERM, taken where they do no harm.

Python raises them between any two bytecodes. In the midst of `torch.func` that leaves its stack of transforms broken,
so that nothing can be saved any more, and torch's C++ may swallow the exception. So while a run trains they are noted,
and raised at the next `interruption_point`. Threads that work for the main one stop there with `Interrupted`, and leave
the signal to it.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_handlers: dict[int, Any] = {}  # what a block has set aside
_noted: list[int] = []


class Interrupted(Exception):
    """A thread stopped since the main one was signalled."""


@contextmanager
def interruptible_at_points() -> Iterator[None]:
    """Within the block a signal waits for the next `interruption_point`, or for the end; a second one does not."""
    if threading.current_thread() is threading.main_thread():  # others get no signals
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as in the background of a script
                _handlers[number] = signal.signal(number, _note) or signal.SIG_DFL
    try:
        yield
        interruption_point()
    finally:
        _restore()


def interruption_point() -> None:
    """Here the numbers are whole: let the signal that was noted, if any, do what it does by default.

    Raises:
        Interrupted: in another thread than the main one.
    """
    if _noted:
        if threading.current_thread() is not threading.main_thread():
            raise Interrupted
        number = _noted[0]
        _restore()
        signal.raise_signal(number)


def _note(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    if len(_noted) > 1:
        interruption_point()


def _restore() -> None:
    for number, handler in _handlers.items():
        signal.signal(number, handler)
    _handlers.clear()
    _noted.clear()
