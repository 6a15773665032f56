"""Options of the ways to choose the tasks of training (`metarl/training/task_sampling.py`); read without torch."""

from dataclasses import dataclass

from metarl.runtime.errors import InputError
from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class ADROptions:
    """Of `--task-sampling adr`. Levels count what was gained: 0 is the untrained policy's mean return, 1 the best that
    tasks within the present widths have had; so nobody has to know an environment's returns."""

    start: float = number(0.1, least=0.0, most=1.0)
    """Width of each side at first: the share of the way from the middle of a law's interval to its end."""
    boundary: float = number(0.3, above=0.0, below=1.0)
    """Chance of a task to have one parameter at an end of its present interval."""
    buffer: int = number(10, least=1)
    """Tasks at an end whose mean decides about it."""
    raise_above: float = number(0.5, least=0.0, most=1.0)
    """Level of that mean from which on the side grows. Lower it where far tasks pay less by nature."""
    lower_below: float = number(0.25, least=0.0, most=1.0)
    """Level down from which it shrinks."""
    step: float = number(0.1, above=0.0, most=1.0)
    """By how much."""

    def __post_init__(self) -> None:
        check_ranges(self, "adr")
        if self.lower_below >= self.raise_above:
            raise InputError(
                f"adr.lower_below is {self.lower_below} and adr.raise_above {self.raise_above} — give a lower one first"
            )


@dataclass(frozen=True)
class PLROptions:
    """Of `--task-sampling plr`."""

    capacity: int = number(200, least=2, most=1_000_000)
    """Tasks that are remembered (of a finite list at most all)."""
    replay: float = number(0.5, above=0.0, most=1.0)
    """Chance of a task to be a remembered one, once so many are remembered (in proportion before)."""
    temperature: float = number(0.3, least=0.01)
    """β: the lower, the more the tasks with the highest scores are preferred."""
    staleness: float = number(0.3, least=0.0, most=1.0)
    """ρ: how much those count that were not met for long, instead of the score."""

    def __post_init__(self) -> None:
        check_ranges(self, "plr")
