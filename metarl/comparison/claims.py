"""What a suite claims of a method, and whether the figures of a run bear it out.

A claim stands in words and as checks, `LEFT OPERATOR RIGHT` each, of numbers and of these figures of one seed:
`before`, `after`, `gain` and `relative_gain` (of |before|) of training, by its last iterations; and of the first
evaluation `return_K`, `loss_K` or `accuracy_K` after K adaptations, and `trial_return`, the sum of all returns.
"""

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.contract.errors import InputError

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
FIGURE = re.compile(r"before|after|gain|relative_gain|trial_return|(?:return|loss|accuracy)_(\d{1,4})")


@dataclass(frozen=True)
class Claim:
    """What must hold of a method, and what others have published of it."""

    says: str
    """In words."""
    checks: tuple[str, ...]
    """All must hold of a seed's figures."""
    seeds: int | None = None
    """Of how many seeds at least (None: of all)."""
    published: str = ""
    """What is known of the same, and where from."""

    def __post_init__(self) -> None:
        for check in self.checks:
            sides = check.split()
            sound = len(sides) == 3 and sides[1] in OPERATORS
            if not sound or not all(FIGURE.fullmatch(side) or _is_number(side) for side in sides[::2]):
                raise InputError(f"the check '{check}' cannot be read — write such as 'gain >= 60' or 'loss_1 <= 0.5'")

    @property
    def adaptations(self) -> int:
        """The most that a check asks for."""
        found = [FIGURE.fullmatch(side) for check in self.checks for side in check.split()]
        return max((int(match[1]) for match in found if match and match[1]), default=0)

    def holds(self, figures: Mapping[str, Any]) -> bool:
        """Whether it holds of a seed; what was not measured, or is not finite, bears nothing out."""
        return all(_holds(check, figures) for check in self.checks)

    def is_kept(self, held: int, seeds: int) -> bool:
        """Whether it is enough that it holds of `held` of `seeds` seeds."""
        return held >= (seeds if self.seeds is None else self.seeds)


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _holds(check: str, figures: Mapping[str, Any]) -> bool:
    left, sign, right = check.split()
    values: list[Any] = [float(side) if _is_number(side) else figures.get(side) for side in (left, right)]
    return all(value is not None and math.isfinite(value) for value in values) and bool(OPERATORS[sign](*values))
