"""Implicit MAML: Rajeswaran, Finn, Kakade & Levine 2019, with MAML-TRPO's meta-update.

* Inner loop: a proximal problem on the round of experience, `φ = argmin L(φ) + λ/2 ‖φ − θ‖²`, solved by gradient steps.
* Meta-update: at a solution `φ − θ + ∇L(φ)/λ = 0`, so that `dφ/dθ = (I + H/λ)⁻¹` with `H` the Hessian of `L` at `φ`
  (theorem 1). Products with it are solved by conjugate gradient: the way to `φ` is never differentiated.
"""

from collections.abc import Callable

from metarl.algorithms.configs import IMAMLConfig
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.implicit import implicit_adaptation, scaled_hessian
from metarl.core.inner_loops import GradientSteps, ProximalSteps
from metarl.core.meta_gradient import Adaptation
from metarl.core.trust_region import add
from metarl.core.types import Batch, Params


class IMAML(MAMLTRPO):
    """MAML whose inner loop solves a problem and is differentiated at its solution."""

    Config = IMAMLConfig
    config: IMAMLConfig

    def inner_loop(self) -> GradientSteps:
        """The proximal problem."""
        config = self.config
        return ProximalSteps(
            self.inner_loss, config.inner_lr, strength=config.proximal_strength, iterations=config.proximal_steps
        )

    def adaptation(self, meta: Params, support: tuple[Batch, ...]) -> Adaptation:
        """All tasks' solutions, and `dφ/dθ`, which is symmetric, as a product."""
        (batch,) = support
        solutions = {name: value.detach() for name, value in self.adapt_all(meta, support).items()}
        config = self.config
        return implicit_adaptation(
            self.inner_loss, solutions, batch, config.proximal_strength, config.implicit_iterations
        )

    def curvature(
        self, policy: Params, adaptation: Adaptation, support: tuple[Batch, ...], query: Batch
    ) -> Callable[[Params], Params]:
        """The same solutions, and of their derivative `I − H/λ`, the first terms of the inverse's series.

        An inverse that stops after a few conjugate-gradient steps is no linear function of its vector, and the
        conjugate gradient around it would lose its way. The line search holds the trust region itself.
        """
        (batch,) = support
        curved = scaled_hessian(self.inner_loss, adaptation.adapted, batch, self.config.proximal_strength)

        def first_terms(vector: Params) -> Params:
            return add(vector, curved(vector), -1.0)

        cheaper = Adaptation(adaptation.adapted, pullback=first_terms, pushforward=first_terms)
        return self.kl_curvature(cheaper, self.shared_lanes(query))
