"""What a family says of itself (`Definition`, `Summary`), and what its lanes say of a step (`Outcome`)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space

from envs.contract.tasks import TaskDistribution


@dataclass(frozen=True)
class NoConfig:
    """The config of a family without options."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What tasks there are, what is seen and what is done: `TaskEnv.define` gives these by name."""

    task_distribution: TaskDistribution
    """What training tasks come from."""
    test_distribution: TaskDistribution | None = None
    """Tasks held out from training; by default test tasks follow the training law."""
    outside_distribution: TaskDistribution | None = None
    """Tasks beyond the training range, where the family has them."""
    action_space: Space[Any]
    """What a lane does: a one-dimensional Box, or Discrete."""
    observation_size: int | None = None
    """O; by default the size of what `observe` gives."""
    horizon: int | None = None
    """Steps after which an episode is truncated; by default the config's."""


class Summary(NamedTuple):
    """What the table of environments says of a family with some options."""

    reward: str
    """Of a step, as a formula with the options' numbers."""
    termination: str
    """What ends an episode before the horizon; "never" if nothing does."""


Text = str | Callable[[Any], str]


def states(reward: Text, termination: Text = "never") -> Any:
    """A family's `summary`: both texts, or what they are at its options, with options in braces filled in.

    Terms and factors that say nothing are left out: in `v + {bonus:g} − {cost:g}·Σa²` a bonus of 0, a cost of 0 or 1.
    """

    def said(text: Text, options: Any) -> str:
        formula = (text if isinstance(text, str) else text(options)).format(**vars(options))
        return re.sub(r" [+−] 0(·\S+)?(?= |$)|(?<![\d.])1·", "", formula)

    def summary(env: Any) -> Summary:
        return Summary(said(reward, env.config), said(termination, env.config))

    return summary


def joined(observed: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
    """An observation, `[num_envs, O]`, of its parts by name, `[num_envs, …]` or `[num_envs]` each."""
    if not isinstance(observed, Mapping):
        return observed
    return np.concatenate([np.reshape(part, (len(part), -1)) for part in observed.values()], axis=1)


class Outcome(NamedTuple):
    """What one step did to the lanes; what it says of a lane that was not live is ignored."""

    reward: np.ndarray
    """[num_envs]"""
    terminated: np.ndarray | bool = False
    """bool [num_envs]: the task says that the episode is over."""
    diverged: np.ndarray | bool = False
    """bool [num_envs]: the simulation broke, so that neither its state nor its reward mean anything."""
    terms: Mapping[str, np.ndarray] = {}
    """Diagnostics by name, such as the terms of the reward: [num_envs] each."""
    truncated: np.ndarray | bool = False
    """bool [num_envs]: a clock other than the horizon stopped the episode."""
