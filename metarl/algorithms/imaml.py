"""Implicit MAML: Rajeswaran, Finn, Kakade & Levine 2019, with MAML-TRPO's meta-update.

* Inner loop: a proximal problem on the round of experience, `φ = argmin L(φ) + λ/2 ‖φ − θ‖²`, solved by gradient steps.
* Meta-update: at a solution `φ − θ + ∇L(φ)/λ = 0`, so that `dφ/dθ = (I + H/λ)⁻¹` with `H` the Hessian of `L` at `φ`
  (theorem 1). Products with it are solved by conjugate gradient: the way to `φ` is never differentiated.
"""

from torch.func import grad

from metarl.algorithms.configs import IMAMLConfig
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.adaptation import for_tasks
from metarl.core.inner_loops import GradientSteps, ProximalSteps
from metarl.core.meta_gradient import Adaptation, value_and_pullback
from metarl.core.trust_region import conjugate_gradient_of_tasks
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
        inner_gradient = for_tasks(grad(self.inner_loss))
        _, hessian = value_and_pullback(lambda params: inner_gradient(params, batch), solutions)

        def shifted(vector: Params) -> Params:  # (I + H/λ) v
            curved = hessian(vector)
            return {name: vector[name] + curved[name] / self.config.proximal_strength for name in vector}

        def inverse(vector: Params) -> Params:
            return conjugate_gradient_of_tasks(shifted, vector, self.config.implicit_iterations)

        tasks = batch.mask.shape[0]
        return Adaptation(
            solutions,
            pullback=lambda vector: {name: value.sum(dim=0) for name, value in inverse(vector).items()},
            pushforward=lambda vector: inverse(
                {name: value.expand(tasks, *value.shape) for name, value in vector.items()}
            ),
        )
