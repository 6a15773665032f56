"""The two errors that environments raise on purpose, and the helper that finds the name a user meant."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The user asked for something impossible; the message is one line, "WHAT — WHAT TO DO"."""


class NonFiniteError(ArithmeticError):
    """The numbers broke; the message is one line naming the quantity, the task, the lane and the step."""


def nearest(name: str, candidates: Iterable[str], many: str = "check the name") -> str:
    """How an error about an unknown name ends: with the nearest candidate, with all of a few, or what to do of many."""
    candidates = list(candidates)
    close = difflib.get_close_matches(name, candidates, n=1)
    if close:
        return f" — did you mean '{close[0]}'?"
    few = 0 < len(candidates) <= 30
    return f" — choose one of: {', '.join(candidates)}" if few else f" — {many}"


def require_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the first of `names` that is none of the `known`, as "`what` 'name' — did you mean …"."""
    known = list(known)
    for name in names:
        if name not in known:
            raise InputError(f"{what} '{name}'" + nearest(str(name), known))
