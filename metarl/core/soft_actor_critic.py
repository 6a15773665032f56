"""Soft actor-critic: Haarnoja, Zhou, Abbeel & Levine 2018; with twin critics and a temperature, Haarnoja et al. 2018b.

The policy is a normal distribution squashed by `tanh` into (−1, 1); the critics value an action by what it earns plus
the entropy of the policy after it, times the temperature `α`:

    target  y = scale · r + γ (1 − d) (min Q'(s', a') − α log π(a' | s')),   a' ~ π(s'),  d: terminated, not truncated
    actor   α log π(a | s) − min Q(s, a)
    temperature  −log α (log π(a | s) + target entropy)

`...` stands for any leading axes.
"""

import math
from typing import NamedTuple

import torch
from torch.nn.functional import softplus

from metarl.core.distributions import Gaussian
from metarl.core.types import Params

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


class TanhGaussian(NamedTuple):
    """`tanh` of independent normal numbers: actions in (−1, 1)."""

    mean: torch.Tensor  # [..., A], before tanh
    log_std: torch.Tensor  # [..., A]

    def sample_with_log_probability(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions `[..., A]` from standard normal `noise` `[..., A]`, and their log density `[...]`.

        The density of `a = tanh(u)` is that of `u` over `1 − tanh²(u)`, whose logarithm is
        `2 (log 2 − u − softplus(−2u))` without cancellation for a large `u`.
        """
        unsquashed = Gaussian(self.mean, self.log_std)
        u = unsquashed.sample(noise)
        log_slope = 2 * (math.log(2) - u - softplus(-2 * u))
        return torch.tanh(u), unsquashed.log_probability(u) - log_slope.sum(dim=-1)


def tanh_gaussian(outputs: torch.Tensor) -> TanhGaussian:
    """The policy that a network's outputs `[..., 2A]` stand for."""
    mean, log_std = outputs.chunk(2, dim=-1)
    return TanhGaussian(mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX))


def critic_target(
    reward: torch.Tensor,
    terminated: torch.Tensor,
    next_values: torch.Tensor,
    next_log_probability: torch.Tensor,
    temperature: torch.Tensor,
    discount: float | torch.Tensor,
) -> torch.Tensor:
    """What both critics should say, `[...]`: no gradient.

    Args:
        reward: already scaled, `[...]`.
        terminated: bool `[...]`; where an episode was merely truncated, its value goes on.
        next_values: of all target critics at the next action, `[C, ...]`.
        next_log_probability: of that action, `[...]`.
        temperature: α, a scalar.
        discount: γ; or several, of a shape that `next_values` and the others go along with.
    """
    soft_value = next_values.amin(dim=0) - temperature * next_log_probability
    return (reward + discount * (~terminated) * soft_value).detach()


def actor_loss(values: torch.Tensor, log_probability: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Mean of `α log π − min Q`, for all critics' values `[C, ...]` of the policy's own actions."""
    return (temperature.detach() * log_probability - values.amin(dim=0)).mean()


def temperature_loss(
    log_temperature: torch.Tensor, log_probability: torch.Tensor, target_entropy: float
) -> torch.Tensor:
    """Its gradient raises the temperature where the policy's entropy, `−log π`, is below the target."""
    return -(log_temperature * (log_probability.detach() + target_entropy)).mean()


def polyak_(targets: Params, params: Params, rate: float) -> None:
    """Move `targets`, in place, by `rate` of the way to `params`."""
    for name, target in targets.items():
        target.lerp_(params[name].detach(), rate)
