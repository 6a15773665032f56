"""Action distributions as data: they cross `vmap`, and sampling takes its noise from outside.

`...` stands for any leading axes (`[E, T]` in a loss, `[N, E]` while acting).
"""

import math
from typing import NamedTuple

import torch

LIKELIEST_GAUSSIAN, LIKELIEST_CATEGORICAL = 0.0, 1.0  # the noise that takes the likeliest action


class Gaussian(NamedTuple):
    """Independent normal actions."""

    mean: torch.Tensor  # [..., A]
    log_std: torch.Tensor  # [..., A] or fewer axes before A: broadcasts against `mean`

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """Actions `[..., A]` from standard normal `noise` `[..., A]`."""
        return self.mean + torch.exp(self.log_std) * noise

    def log_probability(self, action: torch.Tensor) -> torch.Tensor:
        """Log density `[...]` of `action` `[..., A]`."""
        deviation = (action - self.mean) * torch.exp(-self.log_std)
        constant = 0.5 * math.log(2 * math.pi) * self.mean.shape[-1]
        return -0.5 * (deviation * deviation).sum(dim=-1) - self.log_std.sum(dim=-1) - constant

    def kl(self, other: "Gaussian") -> torch.Tensor:
        """KL divergence from `self` to `other`, `[...]`."""
        log_ratio = self.log_std - other.log_std
        distance = (self.mean - other.mean) * torch.exp(-other.log_std)
        terms = 0.5 * (torch.exp(2 * log_ratio) + distance * distance - 1) - log_ratio
        return terms.sum(dim=-1)

    def entropy(self) -> torch.Tensor:
        """Differential entropy, `[...]`."""
        constant = 0.5 * math.log(2 * math.pi * math.e) * self.mean.shape[-1]
        return self.log_std.sum(dim=-1).expand(self.mean.shape[:-1]) + constant


class Categorical(NamedTuple):
    """One of `A` discrete actions."""

    logits: torch.Tensor  # [..., A], unnormalised

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """Actions `[...]` (int64) from uniform `noise` `[...]` in [0, 1), by the inverse distribution function.

        Noise of 1, which no draw is, takes the likeliest action.
        """
        cumulative = torch.softmax(self.logits, dim=-1).cumsum(dim=-1)
        chosen = (noise[..., None] >= cumulative).sum(dim=-1).clamp(max=self.logits.shape[-1] - 1)
        return torch.where(noise < 1, chosen, self.logits.argmax(dim=-1))

    def log_probability(self, action: torch.Tensor) -> torch.Tensor:
        """Log probability `[...]` of `action` `[...]` (int64)."""
        log_probabilities = torch.log_softmax(self.logits, dim=-1)
        return log_probabilities.gather(-1, action[..., None]).squeeze(-1)

    def kl(self, other: "Categorical") -> torch.Tensor:
        """KL divergence from `self` to `other`, `[...]`."""
        mine = torch.log_softmax(self.logits, dim=-1)
        theirs = torch.log_softmax(other.logits, dim=-1)
        return (torch.exp(mine) * (mine - theirs)).sum(dim=-1)

    def entropy(self) -> torch.Tensor:
        """Shannon entropy in nats, `[...]`."""
        log_probabilities = torch.log_softmax(self.logits, dim=-1)
        return -(torch.exp(log_probabilities) * log_probabilities).sum(dim=-1)


Distribution = Gaussian | Categorical
