"""A recurrent core of one's own: memory that leaks, every unit at a rate that it has learned."""

import torch
from torch import nn

from metarl.core.networks import Linear


class Leaky(nn.Module):
    """`h' = a h + (1 − a) tanh(W x)`, `a` a number in (0, 1) for each unit.

    Args:
        inputs: X.
        embedding_size: unused, there is no layer before.
        memory_size: H.
    """

    def __init__(self, inputs: int, embedding_size: int, memory_size: int) -> None:
        super().__init__()
        self.state_size = memory_size
        self.inward = Linear(inputs, memory_size)
        self.rate = nn.Parameter(torch.linspace(-2.0, 4.0, memory_size))

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `metarl.core.recurrent.Core` says; a step that was not played leaves the state alone."""
        keep, told = torch.sigmoid(self.rate), torch.tanh(self.inward(x))
        if mask is None:
            state = keep * start + (1 - keep) * told
            return state, state
        states, state = [], start
        for t in range(x.shape[1]):
            played = mask[:, t, None]
            state = torch.where(played > 0, keep * state + (1 - keep) * told[:, t], state)
            states.append(state)
        return torch.stack(states, dim=1), state
