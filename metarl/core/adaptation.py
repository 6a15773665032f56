"""The inner loop, written for one task, and the one function that adds the task axis.

MAML (Finn et al. 2017, eq. 1): `θ' = θ − α ∇L(θ)`, repeated for any number of steps. Second order keeps the
gradient's own dependence on `θ`; first order cuts it (FOMAML). `α` may be one number or a rate for each
parameter (Meta-SGD, Li et al. 2017); a rate of zero leaves a parameter alone (ANIL, Raghu et al. 2020).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch.func import grad, vmap

from metarl.core.types import Params

Support = TypeVar("Support")
Loss = Callable[[Params, Support], torch.Tensor]
Rates = float | Params


def gradient_step(
    loss: Loss[Support], params: Params, support: Support, rates: Rates, *, first_order: bool = False
) -> Params:
    """One inner step on one task: `params − rates · ∇loss(params, support)`."""
    gradient = grad(loss)(params, support)
    if first_order:
        gradient = {name: value.detach() for name, value in gradient.items()}
    if isinstance(rates, dict):
        return {name: params[name] - rates[name] * gradient[name] for name in params}
    return {name: params[name] - rates * gradient[name] for name in params}


def adapt(
    loss: Loss[Support],
    params: Params,
    supports: Sequence[Support],
    rates: Rates,
    *,
    first_order: bool = False,
) -> Params:
    """Inner steps on one task, one for each element of `supports` (repeat one to step on it again)."""
    for support in supports:
        params = gradient_step(loss, params, support, rates, first_order=first_order)
    return params


def for_tasks(
    function: Callable[..., Any], shared: Sequence[int] = (), chunk_size: int | None = None
) -> Callable[..., Any]:
    """`function` for one task -> the same for all tasks: every argument and result gains a leading `N`.

    Arguments at the positions in `shared` are the same for every task and keep their shape. `chunk_size`
    bounds how many tasks are worked on at once, and so the memory.
    """

    def for_all(*arguments: Any) -> Any:
        in_dims = tuple(None if position in shared else 0 for position in range(len(arguments)))
        return vmap(function, in_dims=in_dims, chunk_size=chunk_size)(*arguments)

    return for_all


def repeat_for_tasks(params: Params, num_tasks: int) -> Params:
    """Every task's own copy of shared parameters, with a leading `N` (a view, not to be written)."""
    return {name: value.expand(num_tasks, *value.shape) for name, value in params.items()}
