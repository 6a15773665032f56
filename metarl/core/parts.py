"""Several networks in one optimiser: their parameters as one dict, by `PART.NAME`."""

from collections.abc import Mapping

import torch
from torch import nn

from metarl.core.networks import initial_parameters
from metarl.core.types import Params
from metarl.runtime.devices import sent

Parts = dict[str, Params]
"""The parameters of several networks, each by its own names."""


def fresh_parameters(modules: Mapping[str, nn.Module], generator: torch.Generator, device: torch.device) -> Params:
    """Of several networks, drawn from `generator` alone, on a device."""
    parts = {name: initial_parameters(module, generator) for name, module in modules.items()}
    return {name: sent(value, device) for name, value in joined(parts).items()}


def joined(parts: Parts) -> Params:
    """All parameters, the very same tensors, in one dict."""
    return {f"{part}.{name}": value for part, params in parts.items() for name, value in params.items()}


def part_of(params: Params, part: str, device: torch.device | None = None) -> Params:
    """One network's parameters, by its own names; on a device, where they are asked for there."""
    prefix = part + "."
    own = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
    return own if device is None else {name: value.to(device) for name, value in own.items()}


def gradients(loss: torch.Tensor, parts: Parts) -> Params:
    """The gradient of a loss in all parameters of some networks, by `PART.NAME`."""
    leaves = joined(parts)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
