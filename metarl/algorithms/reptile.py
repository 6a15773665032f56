"""Reptile: Nichol, Achiam & Schulman 2018, with every inner step on a round of experience of its own.

* Inner loop: gradient steps, the last one on the round after adaptation: K + 1 steps in all.
* Meta-update: Adam along the mean over tasks of (initial parameters - adapted parameters); nothing is differentiated
  twice.
"""

from metarl.algorithms.configs import ReptileConfig
from metarl.algorithms.gradient_based import AdamBased
from metarl.core.inner_loops import GradientSteps
from metarl.core.meta_gradient import shortened
from metarl.core.optimiser import adam_step
from metarl.core.trust_region import Finite, dot
from metarl.core.types import Batch, Metrics, Params, State, Trial
from metarl.runtime.randomness import Address
from metarl.runtime.ranks import mean_over_tasks
from metarl.sampling.normalisation import normalised


class Reptile(AdamBased):
    """Move towards where the inner loop leads."""

    Config = ReptileConfig
    config: ReptileConfig

    def inner_loop(self) -> GradientSteps:
        """Plain steps, which are never differentiated."""
        return GradientSteps(self.inner_loss, self.config.inner_lr, first_order=True)

    def direction(self, meta: Params, batches: tuple[Batch, ...]) -> Params:
        """Mean over tasks of the way back from the adapted to the initial parameters."""
        adapted = self.adapt_all(meta, batches)
        return mean_over_tasks({name: (meta[name] - adapted[name]).detach() for name in meta})

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """One Adam step along the direction."""
        support, query = self.batches(normalised(trial, state))
        direction = self.direction(state["policy"], (*support, query))
        finite = Finite()
        finite.note("meta-gradient", direction)
        policy, optimiser = adam_step(
            state["policy"],
            shortened(direction, self.config.max_gradient_norm),
            state["optimiser"],
            self.learning_rate(state),
        )
        finite.note("updated policy", policy)
        finite.require()
        metrics = {"update/gradient_norm": float(dot(direction, direction).sqrt())}
        metrics |= self.policy_metrics(policy, self.adapt_all(policy, support), query)
        return {**state, "policy": policy, "optimiser": optimiser}, metrics
