"""A box of actions, and the numbers in [−1, 1] that stand for them."""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from metarl.runtime.devices import sent
from metarl.runtime.errors import InputError


class ActionBox(NamedTuple):
    """Actions are `center + radius · unit`."""

    center: torch.Tensor  # [A]
    radius: torch.Tensor  # [A], half the sides

    def action(self, unit: torch.Tensor) -> torch.Tensor:
        """The actions `[..., A]` that `unit` `[..., A]` stands for."""
        return self.center + self.radius * unit

    def unit(self, action: torch.Tensor) -> torch.Tensor:
        """The numbers `[..., A]` that stand for `action` `[..., A]`."""
        return (action - self.center) / self.radius

    def on(self, device: torch.device) -> "ActionBox":
        """The same box for actions on a device."""
        return ActionBox(sent(self.center, device), sent(self.radius, device))

    def log_density(self, log_density_of_unit: torch.Tensor) -> torch.Tensor:
        """The log density of actions, from that of the numbers that stand for them."""
        return log_density_of_unit - self.radius.log().sum()


def action_box(space: gymnasium.Space[Any]) -> ActionBox:
    """The box of an action space.

    Raises:
        InputError: no flat box, or one without finite borders.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise InputError(f"actions of {space}, but this method takes continuous ones — use a one-dimensional Box")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all() and (space.low < space.high).all()):
        raise InputError(f"actions of {space}, but this method fills their box — give it finite borders, low < high")
    low, high = (torch.as_tensor(border, dtype=torch.float32) for border in (space.low, space.high))
    return ActionBox((low + high) / 2, (high - low) / 2)
