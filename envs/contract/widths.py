"""Narrower laws: parameters that are drawn from an interval, from a part of it alone.

A part is said in fractions of the interval, 0 its lower and 1 its upper end; of `LogUniform`, of its exponents'. The
elements of an array share their part. Drawn from a narrower law, a task takes as much from its generator as before.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from envs.contract.mixed import FAMILY, Anything, Mixture
from envs.contract.tasks import Law, LogUniform, TaskDistribution, Tasks, Uniform

Parts = Mapping[str, tuple[float, float]]
"""By parameter, where the part of its interval begins and ends."""


def has_interval(law: Law) -> bool:
    """Whether a law can be narrowed: a subclass may draw otherwise, and an interval without length has no parts."""
    return isinstance(law, Uniform | LogUniform) and type(law) in (Uniform, LogUniform) and law.low < law.high


def names_of_intervals(laws: TaskDistribution) -> tuple[str, ...]:
    """The parameters whose laws can be narrowed; in a mixture those of any family, a name being one parameter.

    Rows of a list belong together, so that it has none; nor has a distribution that draws in a way of its own.
    """
    if isinstance(laws, Mixture):
        return tuple(dict.fromkeys(name for law in laws.laws.values() for name in names_of_intervals(law)))
    plain = type(laws).sample is TaskDistribution.sample
    return tuple(name for name, law in laws.items() if plain and has_interval(law))


def narrowed(laws: TaskDistribution, parts: Parts) -> TaskDistribution:
    """The same distribution with parts of the intervals; what has none stays as it is."""
    if isinstance(laws, Mixture):
        shapes = {name: law.shape for name, law in laws.items() if isinstance(law, Anything)}
        return Mixture({number: narrowed(law, parts) for number, law in laws.laws.items()}, shapes)
    found = names_of_intervals(laws)
    if not found:
        return laws
    return TaskDistribution({name: _part(law, parts[name]) if name in found else law for name, law in laws.items()})


def laws_of(laws: TaskDistribution, tasks: Tasks, number: int) -> TaskDistribution:
    """What a task is drawn from: in a mixture its family's laws."""
    return laws.laws[int(tasks[FAMILY][number])] if isinstance(laws, Mixture) else laws


def value_at(law: Law, fraction: float) -> float:
    """The value at a fraction of a law's interval.

    Raises: TypeError where it has none.
    """
    if isinstance(law, LogUniform):
        return float(law.base ** _between(law, fraction))
    if isinstance(law, Uniform):
        return float(_between(law, fraction))
    raise TypeError(f"{law} has no interval")


def _part(law: Law, part: tuple[float, float]) -> Law:
    assert isinstance(law, Uniform | LogUniform)
    low, high = (_between(law, fraction) for fraction in part)
    return replace(law, low=low, high=high)


def _between(law: Uniform | LogUniform, fraction: float) -> float:
    """Exactly the ends at 0 and 1."""
    return float(np.clip((1 - fraction) * law.low + fraction * law.high, law.low, law.high))
