"""Proximal meta-policy search: Rothfuss, Lee, Clavera, Asfour & Abbeel 2019 (algorithm 1).

* Inner step: the likelihood-ratio objective, whose second derivative is ProMP's low-variance curvature
  surrogate (eq. 13).
* Meta-update: epochs of Adam on the clipped objective after adaptation, plus `η` times the KL divergence of the
  policies that the adaptation rounds were sampled with (eq. 15), so that the sampled inner steps stay valid.
"""

import torch

from metarl.algorithms.configs import ProMPConfig
from metarl.algorithms.gradient_based import AdamBased
from metarl.core.distributions import Distribution
from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss
from metarl.core.trust_region import require_finite
from metarl.core.types import Batch, Metrics, Params, State, Trial
from metarl.runtime.devices import read_back, sent
from metarl.runtime.randomness import Address
from metarl.runtime.ranks import mean_over_tasks
from metarl.sampling.normalisation import normalised

Support = tuple[tuple[Batch, Distribution], ...]
"""Each adaptation round of one task, with the distribution that it was sampled from."""


class ProMP(AdamBased):
    """MAML with credit to how the inner step is sampled, and trust in it by penalty."""

    Config = ProMPConfig
    config: ProMPConfig

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters, optimiser and penalty coefficient."""
        coefficient = sent(torch.tensor(self.config.kl_coefficient), self.device)
        return {**super().initial_state(address), "kl_coefficient": coefficient}

    def sampled_from(self, params: Params, support: tuple[Batch, ...]) -> Support:
        """For one task: each round with the policy that is in force when it starts."""
        rounds, meta = [], params
        for step, batch in enumerate(support):
            rounds.append((batch, self.distribution(params, batch)))
            params = self.inner.step(meta, params, batch, step)
        return tuple(rounds)

    def adapt_with_kl(self, params: Params, support: Support) -> tuple[Params, torch.Tensor]:
        """For one task: the inner loop, and the mean over its rounds of the KL from the policies that sampled them."""
        divergences, meta = [], params
        for step, (batch, sampled_from) in enumerate(support):
            divergences.append(self.kl(params, (batch, sampled_from)))
            params = self.inner.step(meta, params, batch, step)
        return params, torch.stack(divergences).mean()

    def objective(self, params: Params, support: Support, query: Batch, coefficient: torch.Tensor) -> torch.Tensor:
        """For one task: clipped surrogate after the inner loop, plus the penalty on the way there."""
        adapted, penalty = self.adapt_with_kl(params, support)
        distribution = self.distribution(adapted, query)
        clipped = clipped_loss(distribution, query, self.config.clip)
        return clipped + coefficient * penalty - self.bonus(distribution, query)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """`epochs` Adam steps on the meta-parameters, and perhaps a new penalty coefficient."""
        policy, coefficient = state["policy"], state["kl_coefficient"]
        batches, query = self.batches(normalised(trial, state))
        adapted = self.adapt_all(policy, batches)
        before = self.distribution_of_all(adapted, query)
        support = for_tasks(self.sampled_from, shared=[0])(policy, batches)
        coefficients = coefficient.expand(query.mask.shape[0])
        state, losses = self.descend(state, self.objective, (support, query, coefficients), self.config.epochs)
        policy = state["policy"]
        adapted_now, inner_kls = for_tasks(self.adapt_with_kl, shared=[0])(policy, support)
        kl, inner_kl = mean_over_tasks((for_tasks(self.kl)(adapted_now, (query, before)), inner_kls))
        measured = read_back({"update/kl": kl, "update/inner_kl": inner_kl, "update/kl_coefficient": coefficient})
        require_finite("KL divergence", measured)
        metrics = {"update/loss_before": losses[0], "update/loss": losses[-1], **measured}
        if self.config.adaptive_kl:
            coefficient = adapted_coefficient(coefficient, measured["update/inner_kl"], self.config.target_kl)
        return {**state, "kl_coefficient": coefficient}, metrics | self.policy_metrics(policy, adapted, query)


def adapted_coefficient(coefficient: torch.Tensor, kl: float, target: float) -> torch.Tensor:
    """Twice the penalty where the divergence is 1.5 times too large, half where it is as much too small."""
    if kl > 1.5 * target:
        return coefficient * 2
    if kl < target / 1.5:
        return coefficient / 2
    return coefficient
