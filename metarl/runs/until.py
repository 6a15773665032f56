"""A level at which training may end early: `--until return=250`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from envs.contract.errors import InputError

CURVES = ("return", "success", "loss", "accuracy")
UNSEEN = "unseen/"
"""What the names of metrics begin with that were measured on tasks which training never meets."""
WINDOW = 5
"""Iterations of training whose mean counts: one alone is noise."""


class Target(NamedTuple):
    """A level to train until."""

    curve: str
    """One of `CURVES`, also below `UNSEEN`."""
    level: float

    def reached(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Whether training is there, by the metrics of its iterations so far, the newest last (of all, or `WINDOW`)."""
        window = 1 if self.curve.startswith(UNSEEN) else WINDOW  # an evaluation is of the same tasks each time
        points = [last_point(line, self.curve) for line in list(lines)[-window:]]
        measured = [point for point in points if point is not None]
        if len(measured) < window:
            return False
        mean = sum(measured) / window
        return mean <= self.level if self.curve.endswith("loss") else mean >= self.level


def last_point(metrics: Mapping[str, Any], curve: str) -> float | None:
    """What a curve says after the last adaptation; None where it was not measured."""
    return next((value for name, value in reversed(list(metrics.items())) if name.startswith(f"{curve}/")), None)


def target_of(text: str, unseen: bool) -> Target | None:
    """What `--until` says; None where it says nothing.

    Args:
        text: `CURVE=LEVEL`, or nothing.
        unseen: whether unseen tasks are met during training.

    Raises:
        InputError: it is no level, or one of what is never measured.
    """
    if not text:
        return None
    curve, _, level = text.partition("=")
    try:
        target = Target(curve, float(level))
    except ValueError:
        target = Target("", math.nan)
    if curve.removeprefix(UNSEEN) not in CURVES or not math.isfinite(target.level):
        raise InputError(f"--until is '{text}' — give a level such as return=250, loss=0.3 or unseen/return=250")
    if curve.startswith(UNSEEN) and not unseen:
        raise InputError(f"--until is '{text}', but no unseen tasks are met — add --evaluate-every")
    return target
