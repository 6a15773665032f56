"""What a method is: an agent that meets tasks, and an update that learns across them.

A method's constructor takes `(config, spaces, device)`; its class attribute `Config` names the frozen dataclass of its
options; and its class method `traits(config)` declares what everything around it must know before it is made.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box

from metarl.core.types import Metrics, State, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import Acting, Agent, Memory


class Traits(NamedTuple):
    """What a method does, or needs, beside the common contract."""

    sees_task: bool = False
    """Acting is shown the task's parameters behind the observation (an oracle)."""
    teaches: bool = False
    """Training alone shows it the task so; wherever else it acts, in evaluation and on a robot, it is not shown."""
    divides_over_ranks: bool = False
    """The update is the same when tasks are divided over processes, because every mean over tasks in it is one over
    ranks too (`runtime/ranks.py`). Tasks are sampled in groups then as well (`sampling/groups.py`): nothing that an
    agent does for a task may depend, to the last bit, on the tasks beside it."""
    learns_from_whole_batch: bool = False
    """Its tasks are met by any number of ranks, each of which then learns from the trials of all: the update is the
    same one everywhere, repeated and not divided."""
    adapts_after_each_episode: bool = False
    """It learns from single episodes, because it keeps its knowledge lane by lane (a recurrent state, a sampled
    latent): with one environment at hand, a round is then one episode. Any other needs many episodes for a step, and
    its memory serves any number of lanes."""
    remembers_steps: bool = False
    """Its memory moves with every step of an episode, lane by lane, and is of no use to other lanes, though it learns
    from rounds of many."""
    estimates_task: bool = False
    """What it believes (`Believing`) is the task's parameters themselves, in the order of their names."""
    replay: int = 0
    """Transitions that its state keeps room for."""
    learns_from_histories: bool = False
    """Its update takes stored `Histories` (`sampling/histories.py`) in place of a trial; trials are for evaluation. It
    also has what `in_context.InContext` has: `require`, and the options of `InContextConfig`."""
    learns: bool = True
    """Its updates change what it knows; without, it is as good untrained."""


@runtime_checkable
class Believing(Protocol):
    """What an agent has besides that can say what it holds true of its task."""

    def belief(self, acting: Acting, memory: Memory) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of each lane's latent, `[N, E, Z]` both; a variance of 0 where it does not say how sure it
        is."""


class Spaces(NamedTuple):
    """What a method's sizes come from, all of one lane."""

    observation: gymnasium.Space[Any]
    action: gymnasium.Space[Any]
    task: Box = Box(-np.inf, np.inf, (0,), np.float64)
    """The P numbers of a row of `Trial.tasks`: for learning, never for acting."""


@runtime_checkable
class Algorithm(Agent, Protocol):
    """The contract between methods and everything that trains, evaluates or stores them."""

    device: torch.device
    """Where adaptation and updates are computed."""

    @classmethod
    def traits(cls, config: Any) -> Traits:
        """What a method with these options does or needs."""

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial, `K + 1`."""

    def initial_state(self, address: Address) -> State:
        """What training starts from: nested dicts of tensors, all that a checkpoint holds.

        An update changes their values, never their names, shapes or types.
        """

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Learn from a trial on every task of the meta-batch.

        The new state may share memory with `state` (a replay is written in place), which stays as good as it was until
        the new one is updated.

        Raises:
            NonFiniteError: the numbers broke; `state` is as good as before.
        """
