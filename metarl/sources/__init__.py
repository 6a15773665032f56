"""Source algorithms: agents that meet each task alone and leave a history for others to learn from.

A source is a class and a line below, or `module:attribute` from anywhere: an agent (`sampling/collect.py`) whose
constructor takes `(config, env)`, what it will meet, with its options in `Config`. Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import NamedTuple

from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class NoOptions:
    """Of a source that has none."""


@dataclass(frozen=True)
class QLearningConfig:
    """Tabular Q-learning (Watkins 1989), for environments of few observations and discrete actions."""

    rate: float = number(0.5, above=0, most=1)
    """How far a value moves to its target in a step."""
    discount: float = number(0.9, least=0, below=1)
    """Discount factor γ."""
    epsilon: float = number(0.02, least=0, most=1)
    """Share of the steps with a random action."""
    first_value: float = number(1.0)
    """What an action is thought to be worth that was never taken: more than rewards pay has all be tried."""

    def __post_init__(self) -> None:
        check_ranges(self, "source")


@dataclass(frozen=True)
class UCBConfig:
    """UCB1 (Auer et al. 2002), for bandits: takes the arm of the greatest upper confidence bound."""

    width: float = number(1.0, least=0)
    """Factor on the width of bounds, √(2 ln t / n)."""

    def __post_init__(self) -> None:
        check_ranges(self, "source")


class Entry(NamedTuple):
    """A registered source."""

    target: str
    """`module:attribute` of its class."""
    config: type
    """Its options."""
    description: str
    """One line."""


SOURCES = {
    "random": Entry("metarl.sources.agents:Random", NoOptions, "uniformly random actions"),
    "q-learning": Entry("metarl.sources.agents:QLearning", QLearningConfig, "tabular Q-learning (Watkins 1989)"),
    "posterior-sampling": Entry(
        "metarl.sources.posterior_sampling:PosteriorSampling",
        NoOptions,
        "does what is best in a task that nothing has contradicted yet (Strens 2000; Osband et al. 2013)",
    ),
    "ucb": Entry("metarl.sources.agents:UCB", UCBConfig, "UCB1, for bandits (Auer et al. 2002)"),
}
