"""Task sources: where a few-shot task's support and query come from. numpy alone, so that options are read quickly.

Letters: `B` examples · `S` shots · `Q` queries.

A source is a class with a frozen dataclass `Config`, made by `Source(config)`. A user's own needs what `Source` says
and is named `module:attribute`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from metarl.runtime.errors import InputError
from metarl.runtime.options import check_ranges, number

GRID = 100  # queries of a task in the split "test", evenly spaced


class Examples(NamedTuple):
    """Inputs and what belongs to them."""

    inputs: np.ndarray  # [B, ...] float32
    targets: np.ndarray  # [B, Y] float32, or [B] int64: classes


class Task(NamedTuple):
    """What a task is learned from, and what is asked afterwards."""

    support: Examples
    query: Examples


@runtime_checkable
class Source(Protocol):
    """The contract of a task source."""

    Config: ClassVar[type]
    config: Any
    """The options, filled in."""
    input_shape: tuple[int, ...]
    """Of one input: `(features,)`, or `(height, width, channels)`."""
    outputs: int
    """Numbers in a target, or classes."""
    classification: bool
    """Whether targets are classes."""
    splits: tuple[str, ...]
    """What `sample` knows; "train" and "test" among them."""

    def sample(self, generator: np.random.Generator, split: str) -> Task:
        """A task of a split. Sizes may differ between splits, never within one."""


@dataclass(frozen=True)
class RegressionConfig:
    """How much is seen of each function."""

    shots: int = number(10, least=1, most=1_000_000)
    """Examples K to learn a task from."""
    queries: int = number(10, least=1, most=1_000_000)
    """Examples asked afterwards, in training; in the split "test" a grid of 100."""

    def __post_init__(self) -> None:
        check_ranges(self, "env")
        if getattr(self, "lowest", 0.0) >= getattr(self, "highest", 1.0):
            raise InputError(f"env.lowest is {self.lowest} — it must be below env.highest")  # type: ignore[attr-defined]


@dataclass(frozen=True)
class SinusoidConfig(RegressionConfig):
    """Sine waves, as in Finn et al. 2017, section 5.1."""

    lowest: float = number(-5.0)
    """Lowest input x."""
    highest: float = number(5.0)
    """Highest input x."""
    largest_amplitude: float = number(5.0, above=0.1)
    """Amplitudes are uniform from 0.1 to this."""


@dataclass(frozen=True)
class PolynomialConfig(RegressionConfig):
    """Multiples of powers."""

    lowest: float = number(-2.0)
    """Lowest input x."""
    highest: float = number(2.0)
    """Highest input x."""
    degree: int = number(4, least=1, most=20)
    """Powers are 1, 2, … up to this, equally likely."""


class Regression:
    """Functions of one number; a family adds `draw`."""

    Config: ClassVar[type] = RegressionConfig
    input_shape = (1,)
    outputs = 1
    classification = False
    splits = ("train", "test")

    def __init__(self, config: Any) -> None:
        self.config = config

    def draw(self, generator: np.random.Generator) -> Any:
        """A function from inputs to targets, `[B, 1]` both."""
        raise NotImplementedError

    def sample(self, generator: np.random.Generator, split: str) -> Task:
        """A function seen at K points; asked at others, or all over the range in the split "test"."""
        config = self.config
        function = self.draw(generator)
        support = generator.uniform(config.lowest, config.highest, (config.shots, 1))
        if split == "train":
            query = generator.uniform(config.lowest, config.highest, (config.queries, 1))
        else:
            query = np.linspace(config.lowest, config.highest, GRID)[:, None]
        return Task(*(Examples(x.astype(np.float32), function(x).astype(np.float32)) for x in (support, query)))


class Sinusoid(Regression):
    """`y = A sin(x − φ)` with A ~ U[0.1, 5] and φ ~ U[0, π] (Finn et al. 2017)."""

    Config = SinusoidConfig

    def draw(self, generator: np.random.Generator) -> Any:
        """A wave."""
        amplitude = generator.uniform(0.1, self.config.largest_amplitude)
        phase = generator.uniform(0, np.pi)
        return lambda x: amplitude * np.sin(x - phase)


class Polynomial(Regression):
    """`y = a xᵈ` with a ~ U[−1, 1] and d from 1 to the degree."""

    Config = PolynomialConfig

    def draw(self, generator: np.random.Generator) -> Any:
        """A multiple of a power."""
        factor = generator.uniform(-1, 1)
        power = generator.integers(1, self.config.degree + 1)
        return lambda x: factor * x**power
