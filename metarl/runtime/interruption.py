"""Ctrl-C, SIGTERM and SIGHUP, taken where they do no harm.

Python raises them between any two bytecodes. In the midst of `torch.func` that leaves its stack of transforms broken,
so that nothing can be saved any more, and torch's C++ may swallow the exception. And what the system does by default is
to end the process on the spot. So while a run trains signals are noted, and the work stops with `Interrupted` at the
next `interruption_point`. Once it has unwound, and saved what it has, they do what they would have done without us.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_noted: list[int] = []


class Interrupted(BaseException):
    """A signal stopped the work.

    It leaves `interruptible_at_points` only where the signal's own handler, which has run by then, has returned.
    """


@contextmanager
def interruptible_at_points() -> Iterator[None]:
    """Within the block signals wait for the next `interruption_point`, and until the block has unwound.

    Then they do what they do by default, or what the program's own handlers do. A second Ctrl-C stops the work at once.

    Raises:
        Interrupted: a signal came whose handler returned.
    """
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        found = {number: signal.getsignal(number) for number in SIGNALS}
        # those that are ignored, or not handled by Python, stay so
        handlers = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}
    for number in handlers:
        signal.signal(number, _note)
    try:
        yield
    finally:
        noted = list(dict.fromkeys(_noted)) if handlers else []
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if handlers:
            _noted.clear()
        _hear(noted)


def interruption_point() -> None:
    """Here the numbers are whole: stop, if a signal was noted.

    Raises:
        Interrupted: also in a thread that works for the main one.
    """
    if _noted:
        raise Interrupted(f"stopped by {signal.Signals(_noted[0]).name}")


def _hear(numbers: list[int]) -> None:
    """Let each signal do what it does; what the first one's handler raises is what is seen."""
    if numbers:
        try:
            _hear(numbers[1:])
        finally:
            signal.raise_signal(numbers[0])


def _note(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    if number == signal.SIGINT and len(_noted) > 1:  # whoever is impatient means it; a closed terminal signals twice
        interruption_point()
