"""Objectives for one task, as losses to minimise. A `Batch` here is `[E, T, ...]`; `N` is never seen.

`distribution` is the policy's at `batch.observation`. Where a loss needs the policy that acted, it uses the
stored `batch.log_probability`, which is a constant.

* log-likelihood: REINFORCE with baseline (Williams 1992); MAML (Finn et al. 2017, eq. 5).
* likelihood ratio: the same gradient; its second derivative keeps `∇log π ∇log πᵀ`. It is the low-variance
  curvature surrogate of ProMP (Rothfuss et al. 2019, eq. 13).
* DiCE: Foerster et al. 2018, in its loaded form (Farquhar, Whiteson & Foerster 2019), which takes estimated
  advantages; every expected derivative is right, at a higher variance.
* clipped: PPO (Schulman et al. 2017, eq. 7).
"""

from collections.abc import Callable

import torch

from metarl.core.distributions import Distribution
from metarl.core.types import Batch

PolicyLoss = Callable[[Distribution, Batch], torch.Tensor]


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the valid steps (zero where there are none)."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def log_ratio(distribution: Distribution, batch: Batch) -> torch.Tensor:
    """`log π(a|s) − log π_acted(a|s)` `[E, T]`, zero where no step was played."""
    return (distribution.log_probability(batch.action) - batch.log_probability) * batch.mask


def log_likelihood_loss(distribution: Distribution, batch: Batch) -> torch.Tensor:
    """`−mean_t log π(a_t|s_t) A_t`."""
    return -masked_mean(distribution.log_probability(batch.action) * batch.advantage, batch.mask)


def likelihood_ratio_loss(distribution: Distribution, batch: Batch) -> torch.Tensor:
    """`−mean_t π(a_t|s_t) / π_acted(a_t|s_t) A_t`."""
    return -masked_mean(torch.exp(log_ratio(distribution, batch)) * batch.advantage, batch.mask)


def dice_loss(distribution: Distribution, batch: Batch) -> torch.Tensor:
    """`−mean_t [exp(Σ_{s≤t} log-ratio_s) − exp(Σ_{s<t} log-ratio_s)] A_t`, with time along the last axis of `batch`.

    With `A_t = R_t − V̂(s_t, t)`, `R_t` the undiscounted reward to go, and one trajectory a lane, `−T ×` this loss is in
    expectation the change of the return since the policy that acted, whatever V̂ and wherever the policy is now: an
    action's ratio is one on average, so that V̂ drops out. So it is for the discounted return, where advantages are
    discounted to the start of the trajectory, `γ^t A_t`. Where `R_t` is discounted to t alone, the first derivative is
    that of the other losses, which credit late actions in full.
    """
    log = log_ratio(distribution, batch)
    cumulative = log.cumsum(dim=-1)
    added = torch.exp(cumulative - log) * torch.expm1(log)  # exp(Σ_{s≤t}) − exp(Σ_{s<t})
    return -masked_mean(added * batch.advantage, batch.mask)


def clipped_loss(distribution: Distribution, batch: Batch, clip: float) -> torch.Tensor:
    """`−mean_t min(ratio A, clip(ratio, 1 ± clip) A)`."""
    ratio = torch.exp(log_ratio(distribution, batch))
    bounded = torch.clamp(ratio, 1 - clip, 1 + clip)
    return -masked_mean(torch.minimum(ratio * batch.advantage, bounded * batch.advantage), batch.mask)


INNER_LOSSES: dict[str, PolicyLoss] = {
    "log_likelihood": log_likelihood_loss,
    "likelihood_ratio": likelihood_ratio_loss,
    "dice": dice_loss,
}
