"""A belief about a latent from many independent pieces of evidence: the product of their Gaussians.

PEARL (Rakelly et al. 2019, section 4.1) infers `q(z | c) ∝ Π Ψ(z | c_n)`; here the unit prior is a factor as well, so
that a belief without evidence is the prior and one with evidence is Bayes' rule for Gaussian likelihoods. In natural
parameters the product is a sum: it does not matter in which order evidence comes, nor in how many batches, and these
two sums are all that needs to be remembered of it.

Letters: `...` any leading axes · B pieces of evidence · Z latent.
"""

from typing import NamedTuple

import torch


class Belief(NamedTuple):
    """Independent Gaussians in natural parameters."""

    precision: torch.Tensor  # [..., Z], one over the variance
    shift: torch.Tensor  # [..., Z], precision times mean

    @property
    def mean(self) -> torch.Tensor:
        """`[..., Z]`"""
        return self.shift / self.precision

    @property
    def variance(self) -> torch.Tensor:
        """`[..., Z]`"""
        return 1 / self.precision

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """Latents `[..., Z]` from standard normal `noise` `[..., Z]`."""
        return self.mean + noise * self.variance.sqrt()

    def after(self, mean: torch.Tensor, variance: torch.Tensor, mask: torch.Tensor) -> "Belief":
        """The belief after evidence: factors of `mean` and `variance` `[..., B, Z]`, where `mask` `[..., B]` is one."""
        precision = mask.unsqueeze(-1) / variance
        return Belief(self.precision + precision.sum(dim=-2), self.shift + (precision * mean).sum(dim=-2))

    def kl_from_prior(self) -> torch.Tensor:
        """KL divergence from this belief to the unit prior, `[...]`."""
        return 0.5 * (self.variance + self.mean**2 - 1 + torch.log(self.precision)).sum(dim=-1)


def prior(*shape: int, device: torch.device | None = None) -> Belief:
    """Standard normal, of the shape `[..., Z]`."""
    return Belief(torch.ones(shape, device=device), torch.zeros(shape, device=device))
