"""The gradient of what happens after adaptation, with respect to what it started from.

With `θ'_n(θ)` the parameters of task `n` after the inner loop, and `J_n = dθ'_n/dθ`:

* the meta-gradient is `mean_n J_nᵀ ∇L_n(θ'_n)` (Finn et al. 2017);
* at the parameters that collected the data, the Hessian of the mean KL divergence of the adapted policies is
  `mean_n J_nᵀ F_n J_n`, with `F_n` the Fisher matrix at `θ'_n`: first derivatives of the KL vanish there,
  so no derivative of `J` enters.

`J` and `Jᵀ` are never formed. Both are products through a graph that is built once and used for every vector. All is
computed task by task, and the mean taken at the very end (`core/ranks.py` says why).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.func import grad, grad_and_value, vjp
from torch.utils._pytree import tree_leaves

from metarl.core.adaptation import for_tasks, repeat_for_tasks
from metarl.core.interruption import interruption_point
from metarl.core.optimiser import adam_step
from metarl.core.ranks import mean_over_tasks
from metarl.core.trust_region import dot, require_finite
from metarl.core.types import Params, State

Pullback = Callable[[Params], Params]


def value_and_pullback(function: Callable[[Params], Params], point: Params) -> tuple[Params, Pullback]:
    """`function(point)`, and `u -> Jᵀu` there, through a graph that is kept for every later `u`."""
    result: Any = vjp(function, point)
    value, backward = result
    return value, lambda vector: backward(vector)[0]


class Adaptation(NamedTuple):
    """All tasks' adapted parameters, and the way back; everything leads with N."""

    adapted: Params
    pullback: Pullback  # u_n -> J_nᵀ u_n
    pushforward: Pullback | None = None  # v_n -> J_n v_n; None: derived from the pullback


def differentiable_adaptation(
    adapt: Callable[[Params, Any], Params], params: Params, support: Any, chunk_size: int | None = None
) -> Adaptation:
    """Adapt every task from shared `params`, keeping the graph.

    Args:
        adapt: the inner loop of one task, `(params, support) -> adapted`.
        params: meta-parameters, shared by all tasks.
        support: any pytree of tensors with a leading `N`.
        chunk_size: how many tasks are worked on at once.
    """
    adapt_all = for_tasks(adapt, chunk_size=chunk_size)
    start = repeat_for_tasks(params, len(tree_leaves(support)[0]))
    return Adaptation(*value_and_pullback(lambda start: adapt_all(start, support), start))


def meta_gradient(
    objective: Callable[..., Any], params: Params, *data: Any, chunk_size: int | None = None, has_aux: bool = False
) -> tuple[Params, Any]:
    """Gradient and value of the mean over tasks of `objective(params, *data)`, inner loop and all.

    Args:
        objective: for one task; whatever it adapts on the way is differentiated through.
        params: meta-parameters, shared by all tasks.
        data: pytrees of tensors with a leading `N`.
        chunk_size: how many tasks are worked on at once.
        has_aux: the objective returns a pair, whose second part is only looked at. The value is then a pair too:
            the mean, and the second parts of this rank's tasks, with a leading `N`.
    """
    for_each = for_tasks(grad_and_value(objective, has_aux=has_aux), shared=[0], chunk_size=chunk_size)
    gradients, values = for_each(params, *data)
    if has_aux:
        values, looked_at = values
        gradient, value = mean_over_tasks((gradients, values))
        return gradient, (value, looked_at)
    return mean_over_tasks((gradients, values))


def descend(
    objective: Callable[..., torch.Tensor],
    params: Params,
    optimiser: State,
    data: tuple[Any, ...],
    learning_rate: float,
    epochs: int,
    max_norm: float = math.inf,
) -> tuple[Params, State, list[float]]:
    """`epochs` Adam steps down the meta-gradient of `objective`, each on all of `data`.

    A gradient longer than `max_norm` is shortened to it.

    Returns the parameters, the optimiser's memory, and the objective before each step.

    Raises:
        NonFiniteError: the meta-gradient or the parameters after a step are not finite.
    """
    values = []
    for _ in range(epochs):
        interruption_point()
        gradient, value = meta_gradient(objective, params, *data)
        params, optimiser = meta_step(params, gradient, optimiser, learning_rate, max_norm)
        values.append(float(value))
    return params, optimiser, values


def meta_step(
    params: Params, gradient: Params, optimiser: State, learning_rate: float, max_norm: float = math.inf
) -> tuple[Params, State]:
    """The parameters and the optimiser's memory after one Adam step down a meta-gradient, checked on both sides.

    Raises:
        NonFiniteError: the meta-gradient or the parameters after the step are not finite.
    """
    require_finite("meta-gradient", gradient)
    params, optimiser = adam_step(params, shortened(gradient, max_norm), optimiser, learning_rate)
    require_finite("updated policy", params)
    return params, optimiser


def shortened(gradient: Params, max_norm: float) -> Params:
    """The gradient, scaled down to a norm of `max_norm` if it is longer."""
    scale = torch.clamp(max_norm / dot(gradient, gradient).sqrt().clamp(min=1e-30), max=1.0)
    return {name: (scale * value).to(value.dtype) for name, value in gradient.items()}


def kl_curvature(
    adaptation: Adaptation,
    kl: Callable[[Params, Any], torch.Tensor],
    query: Any,
    chunk_size: int | None = None,
) -> Callable[[Params], Params]:
    """The product `v -> mean_n J_nᵀ F_n J_n v`.

    Args:
        adaptation: of the meta-parameters that collected the data.
        kl: for one task, the mean KL divergence from the adapted policy (a constant within `query`) to the
            policy of its first argument.
        query: any pytree of tensors with a leading `N`.
        chunk_size: how many tasks are worked on at once.
    """
    kl_gradient = for_tasks(grad(kl), chunk_size=chunk_size)
    adapted = {name: value.detach() for name, value in adaptation.adapted.items()}
    _, fisher = value_and_pullback(lambda params: kl_gradient(params, query), adapted)
    pushforward = adaptation.pushforward
    if pushforward is None:  # Jᵀ is linear, so the pullback of the pullback is J itself
        zeros = {name: torch.zeros_like(value) for name, value in adapted.items()}
        _, pushforward = value_and_pullback(adaptation.pullback, zeros)
    tasks = len(tree_leaves(query)[0])

    def product(vector: Params) -> Params:
        return mean_over_tasks(adaptation.pullback(fisher(pushforward(repeat_for_tasks(vector, tasks)))))

    return product
