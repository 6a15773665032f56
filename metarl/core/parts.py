"""Several networks in one optimiser: their parameters as one dict, by `PART.NAME`."""

import torch

from metarl.core.types import Params


def joined(parts: dict[str, Params]) -> Params:
    """All parameters, the very same tensors, in one dict."""
    return {f"{part}.{name}": value for part, params in parts.items() for name, value in params.items()}


def part_of(params: Params, part: str, device: torch.device | None = None) -> Params:
    """One network's parameters, by its own names; on a device, where they are asked for there."""
    prefix = part + "."
    own = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
    return own if device is None else {name: value.to(device) for name, value in own.items()}


def gradients(loss: torch.Tensor, parts: dict[str, Params]) -> Params:
    """The gradient of a loss in all parameters of some networks, by `PART.NAME`."""
    leaves = joined(parts)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
