"""What a method is: an agent that meets tasks, and an update that learns across them.

A method's constructor takes `(config, observation_space, action_space, device)`, the spaces being those of one lane,
and its class attribute `Config` names the frozen dataclass of its options.
"""

from typing import Protocol, runtime_checkable

import torch

from metarl.core.randomness import Address
from metarl.core.types import Metrics, State, Trial
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
        """What training starts from: nested dicts of tensors, all that a checkpoint holds."""

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Learn from a trial on every task of the meta-batch.

        Raises:
            NonFiniteError: the numbers broke; `state` is as good as before.
        """
