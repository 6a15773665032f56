"""Model-agnostic meta-learning for reinforcement learning: Finn, Abbeel & Levine 2017 (algorithm 3).

Inner loop: one policy-gradient step a round of experience. Meta-update, from the returns after adaptation:

* `MAMLTRPO`: a natural-gradient step within a trust region on the adapted policies (the paper's choice);
* `MAMLPPO`: several epochs of Adam on the clipped objective, by likelihood-ratio steps, as the round they are taken on
  grows old meanwhile;
* `MAMLVPG`: one Adam step on the policy gradient.

All differentiate through the inner loop; `first_order` cuts that path.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch.func import grad_and_value

from metarl.algorithms.configs import MAMLPPOConfig, MAMLTRPOConfig, MAMLVPGConfig
from metarl.algorithms.gradient_based import AdamBased, GradientBased
from metarl.core.distributions import Distribution
from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss, likelihood_ratio_loss, log_likelihood_loss, masked_mean
from metarl.core.meta_gradient import Adaptation, differentiable_adaptation, kl_curvature
from metarl.core.trust_region import Finite, backtracking_line_search, dot, require_finite, trust_region_step
from metarl.core.types import Batch, Metrics, Params, State, Trial
from metarl.runtime.devices import read_back
from metarl.runtime.randomness import Address
from metarl.runtime.ranks import mean_over_tasks
from metarl.sampling.normalisation import normalised

logger = logging.getLogger("metarl")


class MAMLTRPO(GradientBased):
    """MAML with a trust-region meta-update."""

    Config = MAMLTRPOConfig
    config: MAMLTRPOConfig

    def adaptation(self, meta: Params, support: tuple[Batch, ...]) -> Adaptation:
        """All tasks' inner loops, and the way back through them."""
        return differentiable_adaptation(self.adapt_task, meta, support)

    def outer_loss(self, params: Params, query: Batch) -> torch.Tensor:
        """For one task: the surrogate of the negative return after adaptation, less the entropy bonus."""
        return self.surrogate(self.distribution(params, query), query)

    def surrogate(self, distribution: Distribution, query: Batch) -> torch.Tensor:
        """The same, of the adapted policy's distribution at every step."""
        return likelihood_ratio_loss(distribution, query) - self.bonus(distribution, query)

    def outer_loss_and_kl(
        self, params: Params, query: Batch, before: Distribution
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """For one task: the outer loss, and the mean divergence from an older distribution, of one forward pass."""
        distribution: Any = self.distribution(params, query)  # of the same kind as the older
        return self.surrogate(distribution, query), masked_mean(before.kl(distribution), query.mask)

    def meta_loss_and_kl(
        self, meta: Params, support: tuple[Batch, ...], query: Batch, before: Distribution
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The meta-objective, and the mean divergence of the adapted policies from their distributions `before`."""
        adapted = self.adapt_all(meta, support)
        loss, kl = mean_over_tasks(for_tasks(self.outer_loss_and_kl)(adapted, query, before))
        return loss, kl

    def meta_loss_gradient(
        self, meta: Params, adaptation: Adaptation, support: tuple[Batch, ...], query: Batch
    ) -> tuple[Params, float]:
        """The gradient of the meta-objective with respect to the meta-parameters, and its value."""
        outer_gradient, losses = for_tasks(grad_and_value(self.outer_loss))(adaptation.adapted, query)
        gradient, loss = mean_over_tasks((adaptation.pullback(outer_gradient), losses))
        return gradient, float(loss)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """One trust-region step on the meta-parameters."""
        config, policy = self.config, state["policy"]
        support, query = self.batches(normalised(trial, state))

        adaptation = self.adaptation(policy, support)
        gradient, loss = self.meta_loss_gradient(policy, adaptation, support, query)
        before = self.distribution_of_all(adaptation.adapted, query)

        step = trust_region_step(
            gradient,
            self.curvature(policy, adaptation, support, query),
            config.max_kl,
            config.cg_iterations,
            config.cg_damping,
        )
        finite = Finite()
        finite.note("meta-gradient", gradient)
        finite.note("trust-region step", step)
        finite.require()
        search = backtracking_line_search(
            lambda candidate: self.meta_loss_and_kl(candidate, support, query, before),
            policy,
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
        return state, metrics | self.policy_metrics(search.params, adaptation.adapted, query)

    def curvature(
        self, policy: Params, adaptation: Adaptation, support: tuple[Batch, ...], query: Batch
    ) -> Callable[[Params], Params]:
        """The product with the curvature of the mean KL divergence, from a share of the lanes."""
        support = tuple(self.shared_lanes(batch) for batch in support)
        return self.kl_curvature(self.adaptation(policy, support), self.shared_lanes(query))

    def shared_lanes(self, batch: Batch) -> Batch:
        """The lanes that the curvature is estimated from."""
        lanes = max(2, round(self.config.curvature_share * batch.mask.shape[1]))
        return Batch(*(field[:, :lanes] for field in batch))

    def kl_curvature(self, adaptation: Adaptation, query: Batch) -> Callable[[Params], Params]:
        """The product with the curvature of the mean KL divergence of the adapted policies on `query`."""
        return kl_curvature(adaptation, self.kl, (query, self.distribution_of_all(adaptation.adapted, query)))


class MAMLPPO(AdamBased):
    """MAML with several epochs of Adam on the clipped objective (Schulman et al. 2017, eq. 7)."""

    Config = MAMLPPOConfig
    config: MAMLPPOConfig

    def objective(self, params: Params, support: tuple[Batch, ...], query: Batch) -> torch.Tensor:
        """For one task: the clipped surrogate of the negative return after the inner loop, less the entropy bonus."""
        distribution = self.distribution(self.adapt_task(params, support), query)
        return clipped_loss(distribution, query, self.config.clip) - self.bonus(distribution, query)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """`epochs` Adam steps on the meta-parameters."""
        support, query = self.batches(normalised(trial, state))
        adapted = self.adapt_all(state["policy"], support)
        before = self.distribution_of_all(adapted, query)
        state, losses = self.descend(state, self.objective, (support, query), self.config.epochs)
        kl = mean_over_tasks(for_tasks(self.kl)(self.adapt_all(state["policy"], support), (query, before)))
        measured = read_back({"update/kl": kl})
        require_finite("KL divergence", measured)
        metrics = {"update/loss_before": losses[0], "update/loss": losses[-1], **measured}
        return state, metrics | self.policy_metrics(state["policy"], adapted, query)


class MAMLVPG(AdamBased):
    """MAML with one Adam step on the policy gradient (Finn et al. 2017, eq. 5)."""

    Config = MAMLVPGConfig
    config: MAMLVPGConfig

    def objective(self, params: Params, support: tuple[Batch, ...], query: Batch) -> torch.Tensor:
        """For one task: the log-likelihood surrogate of the negative return after adaptation, less the bonus."""
        distribution = self.distribution(self.adapt_task(params, support), query)
        return log_likelihood_loss(distribution, query) - self.bonus(distribution, query)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """One Adam step on the meta-parameters."""
        support, query = self.batches(normalised(trial, state))
        state, losses = self.descend(state, self.objective, (support, query))
        adapted = self.adapt_all(state["policy"], support)
        return state, {"update/loss": losses[0]} | self.policy_metrics(state["policy"], adapted, query)
