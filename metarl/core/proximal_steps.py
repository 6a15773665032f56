"""An inner loop that solves a proximal problem and is differentiated at its solution (Rajeswaran et al. 2019).

At a solution `φ = argmin L(φ) + λ/2 ‖φ − θ‖²` it holds that `φ − θ + ∇L(φ)/λ = 0`, so that `dφ/dθ = (I + H/λ)⁻¹` with
`H` the Hessian of `L` at `φ` (theorem 1). Products with it are solved by conjugate gradient: the way to `φ` is never
differentiated.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.func import grad, grad_and_value

from metarl.core.adaptation import Adaptation, Product, linearised
from metarl.core.inner_loops import GradientSteps, Judge
from metarl.core.inner_step import for_tasks
from metarl.core.trust_region import add
from metarl.core.types import Params
from metarl.runtime.interruption import interruption_point
from metarl.runtime.ranks import mean_over_tasks


@dataclass(frozen=True)
class ProximalSteps(GradientSteps):
    """Each step solves `argmin F(φ) = L(φ) + strength/2 ‖φ − params‖²`, from `params` on.

    By gradient steps down `L`, each followed by the exact proximal step of the other term, which is stable however
    strong that is. Where `L` is too steep for such a step, it is not taken, and this task's later ones are half as
    long.
    """

    strength: float = 1.0
    """λ: how strongly a solution is held where it started."""
    iterations: int = 1
    """Steps of the solver, of size `rate` as long as that is not too much."""
    implicit_iterations: int = 5
    """Conjugate-gradient steps of a product with the solution's derivative."""

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """The solution; `scale` shortens the way to it by a stronger pull."""
        anchor, strength = params, self.strength / max(scale, 1e-8)

        def slope(params: Params) -> tuple[Params, Params, torch.Tensor]:
            gradient, loss = grad_and_value(self.loss)(params, support)
            away = {name: params[name] - anchor[name] for name in anchor}
            objective = loss + strength / 2 * torch.stack([x.square().sum() for x in away.values()]).sum()
            gradient = {name: value.detach() for name, value in gradient.items()}
            return gradient, {name: gradient[name] + strength * away[name] for name in anchor}, objective.detach()

        gradient, steepness, objective = slope(params)  # of L, of F, and F
        rate = torch.full_like(objective, self.rate)
        for _ in range(self.iterations):
            pull = rate * strength
            tried = {name: (params[name] - rate * gradient[name] + pull * anchor[name]) / (1 + pull) for name in anchor}
            its_gradient, its_steepness, its_objective = slope(tried)
            # Near the solution the change of F is lost in rounding; the mean of F's slopes along the step at both ends,
            # which is the change of a quadratic, is not (Hager & Zhang 2005, section 2).
            change = sum(
                (tried[name] - params[name]).mul(steepness[name] + its_steepness[name]).sum() for name in anchor
            )
            rounding = torch.finfo(objective.dtype).eps ** 0.5 * objective.abs()
            good = (change <= 0) & (its_objective <= objective + rounding)  # false where one is not a number
            params, gradient, steepness = (
                {name: torch.where(good, new[name], old[name]) for name in anchor}
                for new, old in ((tried, params), (its_gradient, gradient), (its_steepness, steepness))
            )
            objective, rate = torch.where(good, its_objective, objective), torch.where(good, rate, rate / 2)
        return params

    def adaptation(self, meta: Params, supports: tuple[Any, ...], tasks: int) -> Adaptation:
        """All tasks' solutions, and `dφ/dθ`, which is symmetric, as a product."""
        (support,) = supports
        solve = for_tasks(lambda meta, supports: self.trail(meta, supports)[-1], shared=[0])
        solutions = {name: value.detach() for name, value in solve(meta, supports).items()}
        curved = self.scaled_hessian(solutions, support)

        def inverse(vector: Params) -> Params:
            return conjugate_gradient_of_tasks(lambda v: add(v, curved(v)), vector, self.implicit_iterations)

        return Adaptation(solutions, pullback=inverse, pushforward=inverse)

    def rougher(self, meta: Params, reached: Adaptation, supports: tuple[Any, ...], fewer: Any) -> Adaptation:
        """The same solutions, and of their derivative `I − H/λ`, the first terms of the inverse's series.

        An inverse that stops after a few conjugate-gradient steps is no linear function of its vector, and the
        conjugate gradient around it would lose its way. A line search holds the trust region itself.
        """
        (support,) = supports
        curved = self.scaled_hessian(reached.adapted, support)

        def first_terms(vector: Params) -> Params:
            return add(vector, curved(vector), -1.0)

        return Adaptation(reached.adapted, pullback=first_terms, pushforward=first_terms)

    def scaled_hessian(self, solutions: Params, support: Any) -> Product:
        """The product `v -> H v / λ` at all tasks' solutions, `[N, ...]` both."""
        hessian = linearised(for_tasks(grad(self.loss)), solutions, support).pullback
        return lambda vector: {name: value / self.strength for name, value in hessian(vector).items()}

    def meta_gradient(
        self, judge: Judge, meta: Params, supports: tuple[Any, ...], query: Any
    ) -> tuple[Params, tuple[torch.Tensor, Any]]:
        """As in `GradientSteps`, by the solution's derivative."""
        tasks = len(next(iter(query)))
        reached = self.adaptation(meta, supports, tasks)

        def judged(solution: Params, query: Any) -> tuple[torch.Tensor, Any]:
            return judge([self.start(meta), solution], query)

        gradients, (losses, seen) = for_tasks(grad_and_value(judged, has_aux=True))(reached.adapted, query)
        gradient, loss = mean_over_tasks((reached.pullback(gradients), losses))
        return gradient, (loss, seen)


def conjugate_gradient_of_tasks(product: Product, target: Params, iterations: int) -> Params:
    """As `trust_region.conjugate_gradient`, for each task on its own: all tensors lead with `N`."""

    def dots(a: Params, b: Params) -> torch.Tensor:
        return torch.stack([(a[name].double() * b[name].double()).flatten(1).sum(1) for name in a]).sum(0)  # [N]

    def moved(a: Params, b: Params, scale: torch.Tensor) -> Params:
        return {
            name: a[name] + (scale.reshape(-1, *[1] * (b[name].dim() - 1)) * b[name]).to(b[name].dtype) for name in a
        }

    solution = {name: torch.zeros_like(value) for name, value in target.items()}
    residual = direction = target
    norm = dots(target, target)
    for _ in range(iterations):
        interruption_point()
        image = product(direction)
        curvature = dots(direction, image)
        step = torch.where(curvature > 0, norm / curvature.clamp(min=1e-30), 0.0)  # elsewhere the task stays put
        solution, residual = moved(solution, direction, step), moved(residual, image, -step)
        previous, norm = norm, dots(residual, residual)
        direction = moved(residual, direction, norm / previous.clamp(min=1e-30))
    return solution
