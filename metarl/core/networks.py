"""Policies: modules that are only ever called through `functional_call`, with parameters as values.

Layers are written with broadcasting products, so the same module takes one task's parameters
(`weight [H, O]`, input `[..., O]`) or all tasks' (`weight [N, H, O]`, input `[N, ..., O]`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from metarl.core.distributions import Categorical, Gaussian
from metarl.core.types import Params
from metarl.runtime.errors import InputError

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class Linear(nn.Module):
    """`x Wᵀ + b`, with or without a leading task axis on `W` and `b`."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = gain

    def initialise(self, generator: torch.Generator) -> None:
        """Glorot-uniform weights, zero biases (as rllab and pytorch-maml-rl do)."""
        nn.init.xavier_uniform_(self.weight, gain=self.gain, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.weight.dim() == 2:  # one task: x [..., O]
            return x @ self.weight.mT + self.bias
        if x.dim() == 3:  # all tasks: x [N, B, O]
            return torch.baddbmm(self.bias.unsqueeze(-2), x, self.weight.mT)
        flat = x.reshape(x.shape[0], -1, x.shape[-1])  # [N, ..., O] -> [N, B, O]
        return torch.baddbmm(self.bias.unsqueeze(-2), flat, self.weight.mT).reshape(*x.shape[:-1], -1)


class MLP(nn.Module):
    """Fully connected layers; the output layer is linear, with initial weights times `output_gain`.

    With `context_size` there is a parameter `context` [context_size], at first 0, that stands beside every input.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str = "tanh",
        output_gain: float = 1.0,
        context_size: int = 0,
    ) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.zeros(context_size)) if context_size else None
        sizes = [inputs + context_size, *hidden]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.layers.append(Linear(sizes[-1], outputs, gain=output_gain))
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.context is not None:
            context = across(self.context, x.dim() - 1)
            x = torch.cat([x, context.expand(*x.shape[:-1], context.shape[-1])], dim=-1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


def across(parameter: torch.Tensor, leading: int) -> torch.Tensor:
    """A vector `[X]`, or one of each task `[N, X]`, so that it broadcasts against `leading` axes, the first one N."""
    if parameter.dim() == 1:
        return parameter
    return parameter.reshape(parameter.shape[0], *[1] * (leading - 1), parameter.shape[-1])


class GaussianPolicy(nn.Module):
    """Observation -> `Gaussian`; its log standard deviation is a parameter, and what the body says besides if asked to.

    Args:
        body: observation -> mean; twice as many numbers where `state_dependent_std`.
    """

    def __init__(
        self, body: nn.Module, action_size: int, initial_std: float, state_dependent_std: bool = False
    ) -> None:
        super().__init__()
        self.state_dependent_std = state_dependent_std
        self.body = body
        self.log_std = nn.Parameter(torch.full((action_size,), float(np.log(initial_std))))

    def forward(self, observation: torch.Tensor) -> Gaussian:
        mean = self.body(observation)
        log_std = across(self.log_std, mean.dim() - 1)
        if self.state_dependent_std:
            mean, change = mean.chunk(2, dim=-1)
            log_std = log_std + change
        return Gaussian(mean, torch.clamp(log_std, min=-13.8))  # a standard deviation of 1e-6 at the least


class CategoricalPolicy(nn.Module):
    """Observation -> `Categorical`, whose logits a body says."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, observation: torch.Tensor) -> Categorical:
        return Categorical(self.body(observation))


def make_policy(
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
    body: Callable[[int, int], nn.Module],
    initial_std: float,
    state_dependent_std: bool = False,
) -> nn.Module:
    """A policy whose sizes come from the (single-lane) spaces.

    Args:
        body: makes a network of so many inputs and outputs.
        state_dependent_std: let the standard deviation of continuous actions depend on the observation.

    Raises:
        InputError: an observation that is not a flat `Box`, or an action neither `Box` nor `Discrete`.
    """
    inputs = size_of_observation(observation_space)
    if isinstance(action_space, gymnasium.spaces.Box) and len(action_space.shape) == 1:
        size = action_space.shape[0]
        outputs = 2 * size if state_dependent_std else size
        return GaussianPolicy(body(inputs, outputs), size, initial_std, state_dependent_std)
    if isinstance(action_space, gymnasium.spaces.Discrete) and action_space.start == 0:
        return CategoricalPolicy(body(inputs, int(action_space.n)))
    raise InputError(f"actions of {action_space} — use a one-dimensional Box, or a Discrete space that starts at 0")


def size_of_observation(space: gymnasium.Space[Any]) -> int:
    """Numbers in an observation.

    Raises:
        InputError: it is not a flat `Box`.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise InputError(f"observations of {space} — flatten them to a one-dimensional Box")
    return space.shape[0]


def size_of_action(space: gymnasium.Space[Any]) -> int:
    """Numbers that an action is told with: its own, or one for each choice of discrete ones."""
    return int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else (space.shape or ())[0]


def action_as_input(action: torch.Tensor, size: int) -> torch.Tensor:
    """Actions as floats `[..., A]`: one-hot, of this size, where they are discrete; floats are left alone."""
    return action if action.is_floating_point() else torch.nn.functional.one_hot(action, size).to(torch.float32)


def initial_parameters(module: nn.Module, generator: torch.Generator) -> Params:
    """Fresh parameters of `module`, drawn from `generator` alone."""
    for layer in module.modules():
        initialise = getattr(layer, "initialise", None)  # Linear's, and that of whatever other layer has one
        if initialise is not None:
            initialise(generator)
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def for_acting(params: Params) -> Params:
    """The same numbers on the CPU, weights `[..., H, O]` stored by columns: products in small batches run faster."""
    return {
        name: value.cpu().mT.contiguous().mT if name.endswith("weight") else value.cpu()
        for name, value in params.items()
    }


def apply(module: nn.Module, params: Params, *inputs: Any) -> Any:
    """What a module makes of its inputs under `params`: a policy, a `Distribution` of actions at an observation."""
    # No weights are tied; looking for ties costs as much as acting does.
    return functional_call(module, params, inputs, tie_weights=False)
