"""The meta-update of MAML-TRPO: a natural-gradient step within a trust region on the adapted policies.

Finn, Abbeel & Levine 2017 (algorithm 3, section 5.3); Schulman et al. 2015. It goes through the inner loop, whichever
it is.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.func import grad_and_value

from metarl.core.adaptation import Adaptation, kl_curvature
from metarl.core.distributions import Distribution
from metarl.core.inner_step import for_tasks
from metarl.core.losses import likelihood_ratio_loss, masked_mean
from metarl.core.trust_region import Finite, backtracking_line_search, dot, trust_region_step
from metarl.core.types import Batch, Metrics, Params, State
from metarl.runtime.ranks import mean_over_tasks

if TYPE_CHECKING:
    from metarl.algorithms.gradient_method import GradientMethod

logger = logging.getLogger("metarl")
Support = tuple[Batch, ...]


class TrustRegion:
    """A natural-gradient step, and a line search back to where it holds."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.config, self.policy = method, method.config, method.learned

    def initial_state(self, meta: Params) -> State:
        """Nothing is kept."""
        return {}

    def update(self, state: State, support: Support, query: Batch) -> tuple[State, Metrics]:
        """One trust-region step on the meta-parameters."""
        config, meta = self.config, state["policy"]
        adaptation = self.method.inner.adaptation(meta, support, len(query.mask))
        gradient, loss = self.gradient(meta, adaptation, support, query)
        before = for_tasks(self.policy.distribution)(adaptation.adapted, query)

        curvature = self.curvature(meta, adaptation, support, query)
        step = trust_region_step(gradient, curvature, config.max_kl, config.cg_iterations, config.cg_damping)
        finite = Finite()
        finite.note("meta-gradient", gradient)
        finite.note("trust-region step", step)
        finite.require()
        search = backtracking_line_search(
            lambda candidate: self.loss_and_kl(candidate, support, query, before),
            meta,
            step,
            loss,
            config.max_kl,
            config.backtrack_ratio,
            config.max_backtracks,
        )
        if not search.accepted:
            logger.warning("line search failed, parameters kept: %s", search.reason)
        metrics = {
            "update/loss_before": loss,
            "update/loss": search.loss,
            "update/kl": search.kl,
            "update/gradient_norm": float(dot(gradient, gradient).sqrt()),
            "update/accepted": float(search.accepted),
            "update/line_search": float(search.evaluations),
        }
        state = {**state, "policy": search.params}
        return state, metrics | self.method.measured(state, support, query, {}, adaptation.adapted)

    def gradient(self, meta: Params, adaptation: Adaptation, support: Support, query: Batch) -> tuple[Params, float]:
        """The gradient of the meta-objective with respect to the meta-parameters, and its value."""
        outer_gradient, losses = for_tasks(grad_and_value(self.outer_loss))(adaptation.adapted, query)
        gradient, loss = mean_over_tasks((adaptation.pullback(outer_gradient), losses))
        return gradient, float(loss)

    def curvature(
        self, meta: Params, adaptation: Adaptation, support: Support, query: Batch
    ) -> Callable[[Params], Params]:
        """The product with the curvature of the adapted policies' mean KL divergence, from a share of the lanes."""
        fewer, asked = tuple(self.share(batch) for batch in support), self.share(query)
        rougher = self.method.inner.rougher(meta, adaptation, support, fewer)
        before = for_tasks(self.policy.distribution)(rougher.adapted, asked)
        return kl_curvature(rougher, self.policy.kl, (asked, before))

    def loss_and_kl(
        self, meta: Params, support: Support, query: Batch, before: Distribution
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The meta-objective, and the mean divergence of the adapted policies from their distributions `before`."""
        adapted = self.method.adapted(meta, support, query)
        loss, kl = mean_over_tasks(for_tasks(self.outer_loss_and_kl)(adapted, query, before))
        return loss, kl

    def share(self, batch: Batch) -> Batch:
        """The lanes that the curvature is estimated from."""
        lanes = max(2, round(self.config.curvature_share * batch.mask.shape[1]))
        return Batch(*(field[:, :lanes] for field in batch))

    # What follows is for one task: no axis N.

    def outer_loss(self, params: Params, query: Batch) -> torch.Tensor:
        """The surrogate of the negative return after adaptation, less the entropy bonus."""
        return self.policy.outer_loss(likelihood_ratio_loss, params, query)

    def outer_loss_and_kl(
        self, params: Params, query: Batch, before: Distribution
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The outer loss, and the mean divergence from an older distribution, of one forward pass."""
        distribution: Any = self.policy.distribution(params, query)  # of the same kind as the older
        loss = self.policy.regularised(likelihood_ratio_loss, distribution, query)
        return loss, masked_mean(before.kl(distribution), query.mask)
