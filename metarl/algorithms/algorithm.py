"""What a method is: an agent that meets tasks, and an update that learns across them.

A method's constructor takes `(config, observation_space, action_space, device)`, the spaces being those of one lane,
and its class attribute `Config` names the frozen dataclass of its options.

A method that learns from single episodes, because it keeps its knowledge lane by lane (a recurrent state, a sampled
latent), says so by the class attribute `adapts_after_each_episode = True`: with one environment at hand, a round is
then one episode. Any other needs many episodes for a step, and its memory serves any number of lanes.

A method whose update is the same when the tasks are divided over processes, because every mean over tasks in it is one
over ranks (`runtime/ranks.py`) too, says so by `divides_over_ranks = True`. Its tasks are sampled in groups then as
well (`sampling/groups.py`): nothing that an agent does for a task may depend, to the last bit, on the tasks beside it.
"""

from typing import Protocol, runtime_checkable

import torch

from metarl.core.types import Metrics, State, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import Agent


@runtime_checkable
class Algorithm(Agent, Protocol):
    """The contract between methods and everything that trains, evaluates or stores them."""

    device: torch.device
    """Where adaptation and updates are computed."""

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
