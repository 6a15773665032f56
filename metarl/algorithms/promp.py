"""Proximal meta-policy search: Rothfuss, Lee, Clavera, Asfour & Abbeel 2019 (algorithm 1).

Epochs of Adam on the clipped objective after adaptation, plus `η` times the KL divergence of the policies that the
adaptation rounds were sampled with (eq. 15), so that the sampled inner steps stay valid. With the likelihood-ratio
objective in the inner step, whose second derivative is ProMP's low-variance curvature surrogate (eq. 13).
"""

from functools import partial

import torch

from metarl.algorithms.adam_updates import ByAdam, told
from metarl.core.distributions import Distribution
from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss
from metarl.core.meta_gradient import meta_gradient
from metarl.core.types import Batch, Metrics, Params, State
from metarl.runtime.devices import sent
from metarl.runtime.ranks import mean_over_tasks

Sampled = tuple[tuple[Batch, Distribution], ...]
"""Each adaptation round of one task, with the distribution that it was sampled from."""


class ProMP(ByAdam):
    """The clipped meta-update with trust in the inner steps by penalty."""

    def initial_state(self, meta: Params) -> State:
        """A fresh optimiser, and the penalty coefficient."""
        coefficient = sent(torch.tensor(self.config.kl_coefficient), self.method.device)
        return {**super().initial_state(meta), "kl_coefficient": coefficient}

    def sampled_from(self, meta: Params, support: tuple[Batch, ...]) -> Sampled:
        """For one task: each round with the policy that is in force when it starts."""
        trail = self.method.inner.trail(meta, support)
        return tuple(
            (batch, self.learned.distribution(params, batch)) for batch, params in zip(support, trail, strict=False)
        )

    def adapt_with_kl(self, meta: Params, sampled: Sampled) -> tuple[Params, torch.Tensor]:
        """For one task: the inner loop, and the mean over its rounds of the KL from the policies that sampled them."""
        params, divergences = self.method.inner.start(meta), []
        for number, round_ in enumerate(sampled):
            divergences.append(self.learned.kl(params, round_))
            params = self.method.inner.step(meta, params, round_[0], number)
        return params, torch.stack(divergences).mean()

    def penalised(self, meta: Params, sampled: Sampled, query: Batch, coefficient: torch.Tensor) -> torch.Tensor:
        """For one task: clipped surrogate after the inner loop, plus the penalty on the way there."""
        adapted, penalty = self.adapt_with_kl(meta, sampled)
        clipped = self.learned.outer_loss(partial(clipped_loss, clip=self.config.clip), adapted, query)
        return clipped + coefficient * penalty

    def update(self, state: State, support: tuple[Batch, ...], query: Batch) -> tuple[State, Metrics]:
        """`epochs` Adam steps on the meta-parameters, and perhaps a new penalty coefficient."""
        coefficient = state["kl_coefficient"]
        adapted = self.method.adapted(state["policy"], support, query)
        before = for_tasks(self.learned.distribution)(adapted, query)
        sampled = for_tasks(self.sampled_from, shared=[0])(state["policy"], support)
        data = sampled, query, coefficient.expand(len(query.mask))
        state, losses = self.descend(state, lambda meta: meta_gradient(self.penalised, meta, *data), self.config.epochs)
        now, inner_kls = for_tasks(self.adapt_with_kl, shared=[0])(state["policy"], sampled)
        kl, inner_kl = mean_over_tasks((for_tasks(self.learned.kl)(now, (query, before)), inner_kls))
        metrics = told(losses, {"update/kl": kl, "update/inner_kl": inner_kl, "update/kl_coefficient": coefficient})
        if self.config.adaptive_kl:
            coefficient = adapted_coefficient(coefficient, metrics["update/inner_kl"], self.config.target_kl)
        state = {**state, "kl_coefficient": coefficient}
        return state, metrics | self.method.measured(state, support, query, {}, adapted)


def adapted_coefficient(coefficient: torch.Tensor, kl: float, target: float) -> torch.Tensor:
    """Twice the penalty where the divergence is 1.5 times too large, half where it is as much too small."""
    if kl > 1.5 * target:
        return coefficient * 2
    if kl < target / 1.5:
        return coefficient / 2
    return coefficient
