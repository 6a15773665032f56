"""What a preset is, and the groups of methods that presets are for."""

from typing import Any, NamedTuple

from metarl.algorithms import ALGORITHMS

GRADIENT_BASED = tuple(name for name, entry in ALGORITHMS.items() if entry.pair)
BY_SEVERAL_STEPS = tuple(name for name in GRADIENT_BASED if name != "imaml")  # which solves its one problem
MAML = ("maml-trpo", "fomaml", "anil", "meta-sgd", "e-maml")


class Runs(NamedTuple):
    """Which runs a preset is for; what is empty matches everything."""

    environments: tuple[str, ...] = ()
    variant: str | None = None
    algorithms: tuple[str, ...] = ()

    def hold(self, environment: str, variant: str | None, algorithm: str) -> bool:
        """Whether a run is one of them."""
        return (
            (not self.environments or environment in self.environments)
            and self.variant in (None, variant)
            and (not self.algorithms or algorithm in self.algorithms)
        )


def options(**values: Any) -> dict[str, Any]:
    """Options by name."""
    return values


def budget(iterations: int, tasks: int, lanes: int | None = None, **others: Any) -> dict[str, Any]:
    """Options of training: how long, and how much at once."""
    return {"iterations": iterations, "tasks": tasks} | ({"lanes": lanes} if lanes else {}) | others


class Preset(NamedTuple):
    """Options of some runs that differ from the defaults of their classes."""

    source: str
    """Where they come from."""
    runs: Runs
    train: dict[str, Any] = {}  # noqa: RUF012
    algo: dict[str, Any] = {}  # noqa: RUF012
