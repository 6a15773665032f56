"""Differentiating the solution of a proximal problem without the way to it: Rajeswaran, Finn, Kakade & Levine 2019.

At a solution `φ = argmin L(φ) + λ/2 ‖φ − θ‖²` it holds that `φ − θ + ∇L(φ)/λ = 0`, so that `dφ/dθ = (I + H/λ)⁻¹` with
`H` the Hessian of `L` at `φ` (theorem 1). Products with it are solved by conjugate gradient.
"""

from typing import Any

from torch.func import grad

from metarl.core.inner_step import Loss, for_tasks
from metarl.core.meta_gradient import Adaptation, Product, linearised
from metarl.core.trust_region import add, conjugate_gradient_of_tasks
from metarl.core.types import Params


def implicit_adaptation(
    loss: Loss[Any], solutions: Params, support: Any, strength: float, iterations: int
) -> Adaptation:
    """All tasks' solutions, and `dφ/dθ`, which is symmetric, as a product.

    Args:
        loss: `L`, for one task.
        solutions: `[N, ...]`, of every task's problem.
        support: what the problems are about, a pytree of tensors with a leading `N`.
        strength: λ.
        iterations: of the conjugate gradient.
    """
    curved = scaled_hessian(loss, solutions, support, strength)

    def inverse(vector: Params) -> Params:
        return conjugate_gradient_of_tasks(lambda vector: add(vector, curved(vector)), vector, iterations)

    return Adaptation(solutions, pullback=inverse, pushforward=inverse)


def scaled_hessian(loss: Loss[Any], solutions: Params, support: Any, strength: float) -> Product:
    """The product `v -> H v / λ` at all tasks' solutions, `[N, ...]` both."""
    hessian = linearised(for_tasks(grad(loss)), solutions, support).pullback

    def product(vector: Params) -> Params:
        return {name: value / strength for name, value in hessian(vector).items()}

    return product
