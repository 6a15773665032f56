"""The inner step, written for one task, and the one function that adds the task axis.

MAML (Finn et al. 2017, eq. 1): `θ' = θ − α ∇L(θ)`. Second order keeps the gradient's own dependence on `θ`; first order
cuts it. `core/inner_loops.py` makes every method's inner loop of this step.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import torch
from torch.func import grad, vmap

from metarl.core.types import Params
from metarl.runtime.tasks_at_once import size_of_parts

Support = TypeVar("Support")
Loss = Callable[[Params, Support], torch.Tensor]
Rates = float | Params


def gradient_step(
    loss: Loss[Support],
    params: Params,
    support: Support,
    rates: Rates,
    *,
    first_order: bool = False,
    only: Collection[str] | None = None,
) -> Params:
    """One inner step on one task: `params − rates · ∇loss(params, support)`.

    Args:
        rates: one number, or one for each parameter that is stepped in (by name, of its shape or a scalar).
        first_order: treat the gradient as a constant.
        only: the parameters to step in; by default all. No gradient is computed for the others.
    """
    stepped = {name: params[name] for name in (params if only is None else only)}
    gradient = grad(lambda some: loss({**params, **some}, support))(stepped)
    if first_order:
        gradient = {name: value.detach() for name, value in gradient.items()}
    rate = rates if isinstance(rates, dict) else dict.fromkeys(stepped, rates)
    return {**params, **{name: value - rate[name] * gradient[name] for name, value in stepped.items()}}


def for_tasks(function: Callable[..., Any], shared: Sequence[int] = ()) -> Callable[..., Any]:
    """`function` for one task -> the same for all tasks: every argument and result gains a leading `N`.

    Arguments at the positions in `shared` are the same for every task and keep their shape.
    """

    def for_all(*arguments: Any) -> Any:
        in_dims = tuple(None if position in shared else 0 for position in range(len(arguments)))
        own = [argument for argument, dim in zip(arguments, in_dims, strict=True) if dim == 0]
        return vmap(function, in_dims=in_dims, chunk_size=size_of_parts(own))(*arguments)

    return for_all


def repeat_for_tasks(params: Params, num_tasks: int) -> Params:
    """Every task's own copy of shared parameters, with a leading `N` (a view, not to be written)."""
    return {name: value.expand(num_tasks, *value.shape) for name, value in params.items()}
