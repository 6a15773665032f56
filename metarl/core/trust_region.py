"""Natural-gradient steps within a trust region: TRPO (Schulman et al. 2015, appendix C).

Vectors are `Params`: the mathematics is written on named tensors and flattened nowhere.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from metarl.core.types import Params
from metarl.runtime.errors import NonFiniteError
from metarl.runtime.interruption import interruption_point


def dot(a: Params, b: Params) -> torch.Tensor:
    """Inner product over all named tensors, accumulated in double precision."""
    return torch.stack([(a[name].double() * b[name].double()).sum() for name in a]).sum()


def add(a: Params, b: Params, scale: float | torch.Tensor = 1.0) -> Params:
    """`a + scale · b`."""
    return {name: a[name] + (scale * b[name]).to(a[name].dtype) for name in a}


def conjugate_gradient(
    product: Callable[[Params], Params], target: Params, iterations: int, tolerance: float = 1e-10
) -> Params:
    """Approximate `x` with `product(x) = target`, for a symmetric positive definite `product`.

    Stays where it is once the squared residual is below `tolerance` times the squared target.
    """
    solution = {name: torch.zeros_like(value) for name, value in target.items()}
    residual = direction = target
    target_norm = residual_norm = dot(target, target)
    for _ in range(iterations):
        interruption_point()
        image = product(direction)
        solved = residual_norm <= tolerance * target_norm
        step = torch.where(solved, 0.0, residual_norm / dot(direction, image))
        solution = add(solution, direction, step)
        residual = add(residual, image, -step)
        previous_norm, residual_norm = residual_norm, dot(residual, residual)
        direction = add(residual, direction, torch.where(solved, 0.0, residual_norm / previous_norm))
    return solution


def trust_region_step(
    gradient: Params, product: Callable[[Params], Params], max_kl: float, iterations: int, damping: float
) -> Params:
    """The step to take from the current parameters, of quadratic KL `max_kl`, down the `gradient`.

    Returns zeros or non-finite values only where the gradient is zero or non-finite.
    """

    def damped(vector: Params) -> Params:
        return add(product(vector), vector, damping)

    direction = conjugate_gradient(damped, gradient, iterations)
    quadratic = 0.5 * dot(direction, damped(direction))
    scale = torch.sqrt(max_kl / quadratic.clamp(min=1e-30))
    return {name: -(scale * value).to(value.dtype) for name, value in direction.items()}


def require_finite(what: str, vector: Mapping[str, torch.Tensor | float]) -> None:
    """Refuse to go on with a broken vector. One value is read back.

    Raises:
        NonFiniteError: names `what` and the tensors that hold a NaN or an infinity.
    """
    finite = Finite()
    finite.note(what, vector)
    finite.require()


class Finite:
    """Whether all that an update meets is finite: noted on the way, read back once."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, dict[str, torch.Tensor]]] = []

    def note(self, what: str, vector: Mapping[str, torch.Tensor | float]) -> None:
        """Look at a vector; nothing is read back."""
        flags = {name: torch.isfinite(torch.as_tensor(value)).all() for name, value in vector.items()}
        self._noted.append((what, flags))

    def require(self) -> None:
        """Refuse to go on where something that was noted is broken. One value is read back.

        Raises:
            NonFiniteError: names what broke first, and its tensors that hold a NaN or an infinity.
        """
        if torch.stack([flag for _, flags in self._noted for flag in flags.values()]).all():
            return
        what, flags = next((what, flags) for what, flags in self._noted if not all(flags.values()))
        broken = ", ".join(name for name, finite in flags.items() if not finite)
        raise NonFiniteError(f"the {what} is not finite in {broken} — parameters were left unchanged")


class LineSearch(NamedTuple):
    """What a line search found. When nothing was accepted, `params` are the very tensors it started from."""

    params: Params
    accepted: bool
    loss: float
    kl: float
    evaluations: int
    reason: str  # why it failed; empty when a step was accepted


def backtracking_line_search(
    evaluate: Callable[[Params], tuple[torch.Tensor, torch.Tensor]],
    params: Params,
    step: Params,
    initial_loss: float,
    max_kl: float,
    shrink: float,
    max_backtracks: int,
) -> LineSearch:
    """The first of `params + shrink^i · step` that lowers the loss within `max_kl`, or `params` themselves.

    Args:
        evaluate: `params -> (loss, kl)`, scalars.
        params: where to start.
        step: the full step.
        initial_loss: the loss at `params`.
        max_kl: the trust region.
        shrink: ratio between successive tries, in (0, 1).
        max_backtracks: how many steps to try.

    Raises:
        NonFiniteError: loss or KL was not finite at every candidate.
    """
    reason, broken = "no step was tried", True
    for attempt in range(max_backtracks):
        interruption_point()
        candidate = add(params, step, shrink**attempt)
        loss, kl = torch.stack([value.double() for value in evaluate(candidate)]).tolist()  # read back together
        if not (math.isfinite(loss) and math.isfinite(kl)):
            reason = f"loss {loss}, KL {kl}"
            continue
        broken = False
        if kl > max_kl:
            reason = f"KL {kl:.3g} above {max_kl:.3g}"
        elif loss >= initial_loss:
            reason = f"loss {loss:.3g} not below {initial_loss:.3g}"
        else:
            return LineSearch(candidate, True, loss, kl, attempt + 1, "")
    if broken:
        raise NonFiniteError(
            f"every step of the line search broke the numbers ({reason}) — lower max_kl or the inner rate"
        )
    return LineSearch(params, False, initial_loss, 0.0, max_backtracks, reason)
