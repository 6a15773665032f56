"""What happens to robots in mid-episode: a motor dies, a load is put on, the ground turns to ice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envs.contract.config import option
from envs.contract.sources import Source, Variant
from envs.contract.tasks import Law, Uniform, check_numbers
from envs.engine.dynamics import Change, Scale
from envs.engine.schedule import Becomes


@dataclass(frozen=True)
class OneWeak:
    """The strength of every motor: 1, but of one, drawn among `motors`, where it is uniform in `[low, high]`."""

    motors: tuple[int, ...]
    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 0.3

    def __str__(self) -> str:
        return f"1, but U({self.low:g}, {self.high:g}) of one of {', '.join(map(str, self.motors))}"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        strength = np.ones(self.shape)
        strength[rng.choice(self.motors)] = rng.uniform(self.low, self.high)
        return strength

    check = check_numbers


@dataclass(frozen=True)
class ChangeConfig:
    """What a family whose tasks change has besides its robot's options."""

    change: Literal["motor", "load", "ice"] | None = option(unsaid="motor")
    """What happens in mid-episode."""


def change_variants(options: Mapping[str, Any], source: Source) -> dict[str, Variant]:
    """A variant for each of what may happen."""
    names = {"metarl": "motor", "load": "load", "ice": "ice"}
    return {name: Variant({**options, "change": change}, source) for name, change in names.items()}


def changing(options: Any, kinds: Mapping[str, tuple[Change, Law]]) -> dict[str, Any]:
    """The fields of a definition that say how the options' change happens: to what, and what it becomes, between a
    fifth and three fifths of the horizon."""
    before, then = kinds[options.change]
    when = Uniform(0.2 * options.horizon, 0.6 * options.horizon)
    return {"dynamics": {options.change: before}, "changes": {options.change: Becomes(then, at=when)}}


def of_a_runner(motors: int) -> dict[str, tuple[Change, Law]]:
    """What happens to a robot with so many motors and a torso, in factors."""
    some = Uniform(0.9, 1.1)
    return {
        "motor": (Scale("strength", Uniform(0.9, 1.1, (motors,)), each=True), OneWeak(tuple(range(motors)), (motors,))),
        "load": (Scale("mass", some, "torso"), Uniform(2.0, 4.0)),
        "ice": (Scale("friction", some), Uniform(0.05, 0.2)),
    }
