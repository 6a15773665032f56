"""The two errors that environments raise on purpose, and the helper that finds the name a user meant."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The user asked for something impossible; the message is one line, "WHAT — WHAT TO DO"."""


class NonFiniteError(ArithmeticError):
    """The numbers broke; the message is one line naming the quantity, the task, the lane and the step."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The second half of an error about an unknown name: the nearest candidate, or all of them when none is near."""
    candidates = list(candidates)
    close = difflib.get_close_matches(name, candidates, n=1)
    return f" — did you mean '{close[0]}'?" if close else f" — choose one of: {', '.join(candidates)}"
