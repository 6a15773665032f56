"""Random numbers come from one counter-based generator per task, found by its address, not by its turn."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from envs.contract.errors import InputError

Seeds = int | Sequence[int] | np.ndarray
"""One seed for all tasks, or one per task."""

# What a stream is for: part of its address, so that drawing tasks never disturbs resets.
SAMPLE_TASKS, RUN_LANES, LIST_TASKS = 0, 1, 2


def is_integer(value: Any) -> bool:
    """Whether `value` is a whole number, of Python or numpy; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def require_counts(**counts: Any) -> None:
    """Refuse what is no whole number of 1 or above, by its name."""
    for name, count in counts.items():
        if not is_integer(count) or count < 1:
            raise InputError(f"{name} is {count!r} — give a whole number of 1 or above")


def generators(
    seeds: Seeds, num_tasks: int, purpose: int, wanted: Iterable[int] | None = None
) -> list[np.random.Generator]:
    """One generator per task, or per `wanted` task, at the address (seed, purpose, task), or (its own seed, purpose).

    Raises: InputError on a seed that is not a whole number of 0 or above, and on another number of seeds.
    """
    addresses: list[tuple[Any, tuple[int, ...]]]
    if isinstance(seeds, Sequence | np.ndarray):
        addresses = [(seed, (purpose,)) for seed in seeds]
    else:
        addresses = [(seeds, (purpose, task)) for task in range(num_tasks)]
    if len(addresses) != num_tasks:
        raise InputError(f"there are {len(addresses)} seeds for {num_tasks} tasks — give one seed, or one per task")
    for seed, _ in addresses:
        if not is_integer(seed) or seed < 0:
            raise InputError(f"seed is {seed!r} — give a whole number of 0 or above")
    chosen = addresses if wanted is None else [addresses[task] for task in wanted]
    sequences = [np.random.SeedSequence(int(seed), spawn_key=key) for seed, key in chosen]
    return [np.random.Generator(np.random.Philox(sequence)) for sequence in sequences]
