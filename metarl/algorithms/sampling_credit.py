"""E-MAML: Stadie, Yang, Houthooft, Chen, Duan, Wu, Abbeel & Sutskever 2018 (eq. 6), within a trust region.

The return after adaptation depends on the initial policy in two ways: through the inner step, which MAML
differentiates, and through the experience that the step was taken on, which the initial policy chose. E-MAML adds the
second: the log-probability of that experience, weighted with the return that it led to. With several inner steps only
the first round is credited; and the inner objective is the log-likelihood, since the others hold the sampling already.
"""

import torch
from torch.func import grad_and_value

from metarl.algorithms.trust_region_update import Support, TrustRegion
from metarl.core.adaptation import Adaptation
from metarl.core.distributions import Distribution
from metarl.core.inner_step import for_tasks
from metarl.core.losses import log_ratio, masked_mean
from metarl.core.types import Batch, Params
from metarl.runtime.ranks import gather, mean_over_tasks


class CreditedTrustRegion(TrustRegion):
    """A trust-region step with credit to how the inner loop's data were sampled."""

    def loss_and_kl(
        self, meta: Params, support: Support, query: Batch, before: Distribution
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """MAML's, and the sampling's loss beside it."""
        loss, kl = super().loss_and_kl(meta, support, query, before)
        return loss + self.sampling_loss(meta, support, query), kl

    def sampling_loss(self, meta: Params, support: Support, query: Batch) -> torch.Tensor:
        """Minus the mean over tasks of `sampling_credit` · ratio · how much better than other tasks' was the return.

        The ratio is that of the initial policy's probability of a support action to the probability that it was
        taken with, averaged over the steps of the first round.
        """
        mean: torch.Tensor = mean_over_tasks(for_tasks(self.credited_loss, shared=[0])(meta, support[0], credit(query)))
        return mean

    def gradient(self, meta: Params, adaptation: Adaptation, support: Support, query: Batch) -> tuple[Params, float]:
        """MAML's gradient and value, and the sampling's."""
        gradient, loss = super().gradient(meta, adaptation, support, query)
        of_tasks = for_tasks(grad_and_value(self.credited_loss), shared=[0])
        owed, value = mean_over_tasks(of_tasks(meta, support[0], credit(query)))
        return {name: gradient[name] + owed[name] for name in gradient}, loss + float(value)

    def credited_loss(self, meta: Params, batch: Batch, credit: torch.Tensor) -> torch.Tensor:
        """For one task, and its credit: the loss of the first round's sampling."""
        ratio = torch.exp(log_ratio(self.policy.distribution(self.method.inner.start(meta), batch), batch))
        return -self.config.sampling_credit * credit * masked_mean(ratio, batch.mask)


def credit(query: Batch) -> torch.Tensor:
    """How much better a task's return is than those of the whole meta-batch, in standard deviations, `[N]`."""
    returns = (query.return_[..., 0] * query.mask[..., 0]).sum(-1) / query.mask[..., 0].sum(-1).clamp(min=1)
    everyones = gather(returns).double()
    return ((returns - everyones.mean()) / everyones.std(unbiased=False).clamp(min=1e-8)).to(returns.dtype)
