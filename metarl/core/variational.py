"""A recurrent variational autoencoder of trials: what is believed of a task after each step of it.

VariBAD (Zintgraf et al. 2020, section 3.2): an encoder reads (next observation, action, reward) of every step and says
after each, and before the first, what it believes of the task: a Gaussian over a latent. From a sample of what is
believed after `t` steps the decoder predicts the *whole* trial, past and future. The lower bound at prefix `t` (eq. 8)
is the log-likelihood of that, minus the KL divergence to what was believed a step before; at `t = 0`, to N(0, I).

Letters: B lanes, each one trial · L steps of a trial, of which `mask` says which were played · X inputs of a step ·
H hidden · Z latent · P prefixes of a trial at which the bound is taken · F what the decoder sees of a step beside the
latent · Y what it predicts.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int

from metarl.core.distributions import Gaussian
from metarl.core.recurrent import along

LARGEST_LOG_STD = 5.0  # of a belief, to either side: its KL divergences stay finite


def belief_of(outputs: Float[torch.Tensor, "... twice_Z"]) -> Gaussian:
    """The Gaussian `[..., Z]` that a network's outputs stand for; its log standard deviation is softly bounded."""
    mean, log_std = outputs.chunk(2, dim=-1)
    return Gaussian(mean, LARGEST_LOG_STD * torch.tanh(log_std / LARGEST_LOG_STD))


def kl_to_previous(belief: Gaussian) -> torch.Tensor:
    """KL divergence from each belief of a trial `[B, 1 + L, Z]` to that a step before, `[B, 1 + L]`.

    The first one's is to N(0, I); where a step was not played the belief stands still, and this is zero.
    """
    before = (torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1) for x in belief)
    return belief.kl(Gaussian(*before))


def drawn_prefixes(lanes: int, steps: int, count: int, generator: torch.Generator) -> Int[torch.Tensor, "B P"]:
    """`count` different numbers from 0 to `steps` for each lane, or all of them where there are fewer."""
    return torch.rand(lanes, 1 + steps, generator=generator).argsort(dim=1)[:, :count]


def decoder_inputs(latent: torch.Tensor, known: torch.Tensor) -> Float[torch.Tensor, "B P L inputs"]:
    """Every latent `[B, P, Z]` beside every step of its trial `[B, L, F]`: `[B, P, L, Z + F]`."""
    P, L = latent.shape[1], known.shape[1]
    return torch.cat([latent[:, :, None].expand(-1, -1, L, -1), known[:, None].expand(-1, P, -1, -1)], dim=-1)


class Bound(NamedTuple):
    """The negative lower bound and its parts: scalars, per prefix and predicted step."""

    loss: torch.Tensor
    error: torch.Tensor  # of what was decoded
    kl: torch.Tensor  # sum over the latent


def negative_bound(
    belief: Gaussian,
    mask: Float[torch.Tensor, "B L"],
    prefix: Int[torch.Tensor, "B P"],
    noise: Float[torch.Tensor, "B P Z"],
    error: Callable[[torch.Tensor], torch.Tensor],
    kl_weight: float,
) -> Bound:
    """The mean of `Σ_i error_i + kl_weight · KL` over the given prefixes, divided by the mean length of a trial.

    Args:
        belief: after each number of steps, `[B, 1 + L, Z]`.
        mask: steps that were played; a prefix that ends with another one does not count.
        prefix: numbers of steps, from 0 to L.
        noise: standard normal, to sample a latent at each prefix with.
        error: what a latent `[B, P, Z]` costs at each step of its trial, `[B, P, L]`.
        kl_weight: weight of the KL divergence.
    """
    chosen = Gaussian(*(x.gather(1, along(prefix, x)) for x in belief))  # [B, P, Z]
    lengths = mask.sum(dim=1, keepdim=True)
    ends_played = torch.cat([lengths.clamp(max=1), mask], dim=1)  # a lane that diverged has no prefix at all
    counted = ends_played.gather(1, prefix)
    predicted = (counted * lengths).sum().clamp(min=1)
    errors = (error(chosen.sample(noise)) * mask[:, None]).sum(dim=2)
    mean_error = (counted * errors).sum() / predicted
    mean_kl = (counted * kl_to_previous(belief).gather(1, prefix)).sum() / predicted
    return Bound(mean_error + kl_weight * mean_kl, mean_error, mean_kl)
