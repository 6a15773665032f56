"""How a policy reads what is remembered beside what it sees (Beck et al. 2022, 2023).

A body takes an observation and what a memory says, `[..., O + M]`, the memory being last, and returns `[..., Y]`:

* `memory`: a network of the memory alone, which was told the observation (RL², as published);
* `state`: a network of both side by side (RNN+S; what VariBAD's policy is, as published);
* `film`: the memory scales and shifts the hidden units of a network of the observation (Perez et al. 2018);
* `hypernetwork`: the memory emits the weights of a network of the observation (RNN+HN).

What the memory emits begins as zeros beside ordinary first weights: Bias-HyperInit (Beck et al. 2022, section 4). With
other beginnings hypernetworks hardly learn (there, table 1: 378 instead of 2,300 on cheetah-dir).

A step of Adam moves each parameter as far as any other, so what is emitted, a sum over M of them, would move M times as
far as a weight of its own: the first twenty steps of size 1e-3 would move an RL² policy a hundred times as far (in KL
divergence) as its other heads. Hence that sum is divided by M. (The authors' code takes smaller steps instead.)
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from metarl.core.networks import MLP


class Emitted(nn.Module):
    """What a memory `[..., M]` adds to something, `[..., *shape]`: a mean over the memory, and zero before training."""

    def __init__(self, memory_size: int, *shape: int) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.zeros(torch.Size(shape).numel(), memory_size))

    def initialise(self, generator: torch.Generator) -> None:
        """Zeros."""
        nn.init.zeros_(self.weight)

    def forward(self, memory: torch.Tensor) -> torch.Tensor:
        return (memory @ self.weight.mT / memory.shape[-1]).unflatten(-1, self.shape)


class Conditioned(nn.Module):
    """A network of the observation that a memory moves: by what is emitted for each of its layers."""

    def __init__(self, memory_size: int, inputs: int, hidden: Sequence[int], outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.sizes = [inputs - memory_size, memory_size]
        self.network = MLP(self.sizes[0], hidden, outputs, "tanh", gain)
        layers = itertools.pairwise([self.sizes[0], *hidden, outputs])
        self.emitted = nn.ModuleList(Emitted(memory_size, *shape) for shape in self.shapes(list(layers)))

    def shapes(self, layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        """Of what is emitted, for layers of so many inputs and outputs."""
        raise NotImplementedError


class FiLM(Conditioned):
    """Hidden units h become h (1 + γ) + β before they are activated; γ and β are emitted by the memory."""

    def shapes(self, layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        return [(2, units) for _, units in layers[:-1]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, memory = x.split(self.sizes, dim=-1)
        layers = list(self.network.layers)
        for layer, emitted in zip(layers[:-1], self.emitted, strict=True):
            scale, shift = emitted(memory).unbind(dim=-2)
            x = self.network.activation(layer(x) * (1 + scale) + shift)
        y: torch.Tensor = layers[-1](x)
        return y


class HyperNetwork(Conditioned):
    """All weights and biases of the network are moved by what the memory emits."""

    def shapes(self, layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        return [(outs, ins + 1) for ins, outs in layers]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, memory = x.split(self.sizes, dim=-1)
        for number, (layer, emitted) in enumerate(zip(self.network.layers, self.emitted, strict=True)):
            moved = emitted(memory)  # [..., Y, X + 1], the bias last
            x = self.network.activation(x) if number else x
            x = layer(x) + (moved[..., :-1] @ x[..., None]).squeeze(-1) + moved[..., -1]
        return x


CONDITIONED: dict[str, type[Conditioned]] = {"film": FiLM, "hypernetwork": HyperNetwork}
CONDITIONED_HIDDEN = 32, 32
"""Units, where none are named (Beck et al. 2023): without any, FiLM would have none to move."""


def body_of(head: str, memory_size: int, hidden: Sequence[int], gain: float = 1.0) -> Callable[[int, int], nn.Module]:
    """What makes a body of so many inputs and outputs, which reads a memory of M numbers as the `head` says."""
    if head in CONDITIONED:
        units = hidden or CONDITIONED_HIDDEN
        return lambda inputs, outputs: CONDITIONED[head](memory_size, inputs, units, outputs, gain)
    return lambda inputs, outputs: MLP(inputs, hidden, outputs, "tanh", gain)
