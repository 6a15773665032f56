"""Task distributions: a task is data, one array row per parameter, and never an object with behaviour.

A distribution gives every task parameter a law. Each task is drawn from its own generator, so that its data
depend on its own seed only, and not on how many other tasks are drawn. Letter: N tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from envs.contract.errors import InputError, require_known

Tasks = dict[str, np.ndarray]
"""Task parameters by name, each `[N, ...]`."""

MOST_MEMBERS = 1_000_000
"""Beyond so many different tasks, a law counts as endless."""


@runtime_checkable
class Law(Protocol):
    """The distribution of one task parameter; printed, it is a short formula. Impossible numbers raise InputError.

    A law of countably many values, as `Choice`, also has `members()`: all of them, `[count, ...]`.
    """

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One task's value, `[...]`."""

    def check(self, name: str, values: Any) -> np.ndarray:
        """A copy of `values`, `[N, ...]`; InputError on what no task can have (other than by its law)."""


def check_numbers(law: Any, name: str, values: Any) -> np.ndarray:
    """A copy of `values` `[N, *law.shape]`: finite numbers."""
    return _check(name, values, law.shape, np.dtype(np.float64))


@dataclass(frozen=True)
class Uniform:
    """Uniform in the box `[low, high]` of the given shape; a number by default."""

    low: float
    high: float
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not -np.inf < self.low <= self.high < np.inf:
            raise InputError(f"Uniform({self.low}, {self.high}) is empty or endless — give the lower bound first")

    def __str__(self) -> str:
        return f"U({self.low:g}, {self.high:g})" + _sized(self.shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(rng.uniform(self.low, self.high, self.shape))

    check = check_numbers


@dataclass(frozen=True)
class LogUniform:
    """`base ** u` with u uniform in `[low, high]`, each element of the given shape on its own; a number by default."""

    base: float
    low: float
    high: float
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.base < np.inf or not -np.inf < self.low <= self.high < np.inf:
            raise InputError(
                f"LogUniform({self.base}, {self.low}, {self.high}) is empty or endless — give a base above 0, "
                "then the lower and the upper exponent"
            )

    def __str__(self) -> str:
        return f"{self.base:g}^U({self.low:g}, {self.high:g})" + _sized(self.shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.base ** rng.uniform(self.low, self.high, self.shape))

    check = check_numbers


@dataclass(frozen=True)
class Normal:
    """Normal with the given mean and standard deviation, each element of the shape on its own; a number by default."""

    mean: float
    std: float
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and 0 <= self.std < np.inf):
            raise InputError(f"Normal({self.mean}, {self.std}) is no law — give a finite mean, and a deviation of 0 up")

    def __str__(self) -> str:
        return f"N({self.mean:g}, {self.std:g}²)" + _sized(self.shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(rng.normal(self.mean, self.std, self.shape))

    check = check_numbers


@dataclass(frozen=True)
class Dirichlet:
    """Probabilities along the last axis of the shape, each row on its own, of one concentration for all outcomes."""

    concentration: float
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 < self.concentration < np.inf or not self.shape or min(self.shape) < 1:
            raise InputError(
                f"Dirichlet({self.concentration}, {self.shape}) is no law — "
                "give a concentration above 0, and at least one outcome"
            )

    def __str__(self) -> str:
        return f"Dirichlet({self.concentration:g})" + _sized(self.shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        *rows, outcomes = self.shape
        return np.asarray(rng.dirichlet(np.full(outcomes, self.concentration), tuple(rows)))

    def check(self, name: str, values: Any) -> np.ndarray:
        """Finite numbers of the right shape, none below 0, whose rows sum to 1 but for rounding."""
        array = check_numbers(self, name, values)
        bad = (array < 0).any(axis=-1) | (np.abs(array.sum(axis=-1) - 1.0) > 1e-6)  # [N, rows]
        if bad.any():
            task, *row = (int(index) for index in np.argwhere(bad)[0])
            place = f"row {row} of task {task}" if row else f"task {task}"
            raise InputError(f"task parameter '{name}' has no probabilities in {place} — give 0 or above, summing to 1")
        return array


@dataclass(frozen=True)
class Choice:
    """One of `values` with equal probability; the values are numbers, or tuples of numbers of one length."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return "one of " + (", ".join(map(str, self.values)) if len(self.values) <= 5 else str(len(self.values)))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.values)[rng.integers(len(self.values))]

    def members(self) -> np.ndarray:
        """The different values, `[count, ...]`."""
        return np.unique(np.asarray(self.values), axis=0)

    def check(self, name: str, values: Any) -> np.ndarray:
        """Finite numbers of the right shape."""
        table = np.asarray(self.values)
        return _check(name, values, table.shape[1:], table.dtype)


class TaskDistribution(dict[str, Law]):
    """The law of every task parameter by name: `TaskDistribution(velocity=Uniform(0.0, 3.0))`."""

    def sample(self, rngs: Sequence[np.random.Generator]) -> Tasks:
        """One task from each generator: every parameter `[N, ...]`, N the number of generators."""
        draws = [{name: law.draw(rng) for name, law in self.items()} for rng in rngs]
        return {name: np.stack([draw[name] for draw in draws]) for name in self}

    def members(self) -> Tasks | None:
        """Every task that there is, `[count, ...]` each, where these can be counted; None where they are endless."""
        values: list[np.ndarray] = [law.members() for law in self.values() if hasattr(law, "members")]
        sizes = [len(value) for value in values]
        if not values or len(values) < len(self) or np.prod(sizes, dtype=float) > MOST_MEMBERS:
            return None
        rows = np.indices(sizes).reshape(len(sizes), -1)  # [parameters, count]
        return {name: value[row] for name, value, row in zip(self, values, rows, strict=True)}

    def check(self, tasks: Mapping[str, Any], num_tasks: int) -> Tasks:
        """Copies of the tasks' parameters, `[N, ...]` each.

        Raises: InputError on an unknown or missing parameter, another number of tasks than `num_tasks`, and
        values that no task can have (wrong kind or shape, not finite).
        """
        require_known("unknown task parameter", tasks, self)
        for name in self:
            if name not in tasks:
                raise InputError(f"task parameter '{name}' is missing — give one value per task")
        checked = {name: law.check(name, tasks[name]) for name, law in self.items()}
        for name, values in checked.items():
            if len(values) != num_tasks:
                raise InputError(f"task parameter '{name}' has {len(values)} values — give {num_tasks}, one a task")
        return checked


class TaskList(TaskDistribution):
    """A fixed list of tasks, each as likely as the others; several parameters are listed together, row by row.

    TaskList({"velocity": [0.5, 1.0, 2.0], "mass": [1.0, 1.0, 3.0]})
    """

    def __init__(self, tasks: Mapping[str, Any], laws: TaskDistribution | None = None) -> None:
        """List `tasks`, `[count, ...]` each.

        Args:
            laws: what the parameters may be and what they are called; by default anything like the listed ones.

        Raises: InputError on an empty list, on parameters with other numbers of rows, and on what `laws` do not let
        pass.
        """
        super().__init__(laws or {name: Choice(_rows(name, values)) for name, values in tasks.items()})
        self.count = max((len(_rows(name, values)) for name, values in tasks.items()), default=0)
        """How many tasks are listed."""
        self.tasks = self.check(tasks, self.count)

    def sample(self, rngs: Sequence[np.random.Generator]) -> Tasks:
        """One task of the list from each generator: every parameter `[N, ...]`."""
        chosen = [int(rng.integers(self.count)) for rng in rngs]
        return {name: values[chosen] for name, values in self.tasks.items()}

    def members(self) -> Tasks:
        """The listed tasks."""
        return self.tasks


def require_number(parameter: str, values: np.ndarray, count: int) -> None:
    """Refuse values `[N]` that are none of the numbers 0, 1, … count - 1, as of a robot's joints or legs."""
    good = np.isin(values, np.arange(count))
    if not good.all():
        task = int(np.argmin(good))
        raise InputError(f"task parameter '{parameter}' of task {task} is {values[task]} — give 0 to {count - 1}")


def _rows(name: str, values: Any) -> tuple[Any, ...]:
    """The rows of a list, numbers or nested lists of one shape."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or not array.ndim or not len(array):
        raise InputError(f"the list of task parameter '{name}' is no array of numbers — give one row per task")
    return tuple(array.tolist())


def _sized(shape: tuple[int, ...]) -> str:
    return f" each of [{', '.join(map(str, shape))}]" if shape else ""


def _check(name: str, values: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """A copy of `values` as `[N, *shape]` of `dtype`, after refusing what cannot be a task parameter."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"task parameter '{name}' is no array of numbers — give one row per task") from None
    if array.ndim == 0 or array.shape[1:] != shape:
        wanted = ", ".join(map(str, ("tasks", *shape)))
        raise InputError(f"task parameter '{name}' has shape {array.shape} — give ({wanted})")
    bad = ~np.isfinite(array)
    if dtype.kind in "iu":
        bad |= array != np.round(array)
    if bad.any():
        index = tuple(np.argwhere(bad)[0])
        kind = "a whole number" if dtype.kind in "iu" else "a finite number"
        raise InputError(f"task parameter '{name}' of task {index[0]} is {array[index]} — give {kind}")
    return array.astype(dtype)
