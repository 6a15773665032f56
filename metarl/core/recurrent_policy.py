"""A policy that remembers its episode: `(observation, state) -> (distribution, state)`.

Letters: E lanes · T steps · O observation · S numbers of the state.
"""

from typing import Any

import torch
from torch import nn

from metarl.core.distributions import Distribution


class RecurrentPolicy(nn.Module):
    """A recurrent core, and a policy on what it says. The state is of an episode: zeros where one starts.

    Args:
        core: `recurrent.Core` says what it takes and returns.
        head: a policy whose observations are the core's outputs.
    """

    def __init__(self, core: Any, head: nn.Module) -> None:
        super().__init__()
        self.core, self.head = core, head

    def forward(
        self, observation: torch.Tensor, state: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[Distribution, torch.Tensor]:
        """One step `[E, O]`, or a round `[E, T, O]` with its mask `[E, T]`; and the state after it, `[E, S]`."""
        said, state = self.core(observation, state, mask)
        return self.head(said), state
