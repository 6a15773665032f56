"""The gradient of what happens after adaptation, with respect to what it started from.

With `θ'_n(θ)` the parameters of task `n` after the inner loop, and `J_n = dθ'_n/dθ`:

* the meta-gradient is `mean_n J_nᵀ ∇L_n(θ'_n)` (Finn et al. 2017);
* at the parameters that collected the data, the Hessian of the mean KL divergence of the adapted policies is
  `mean_n J_nᵀ F_n J_n`, with `F_n` the Fisher matrix at `θ'_n`: first derivatives of the KL vanish there,
  so no derivative of `J` enters.

`J` and `Jᵀ` are never formed. Both are products through a graph that is built once and used for every vector, where
memory holds it (`runtime/tasks_at_once.py`). All is computed task by task, and the mean taken at the very end
(`runtime/ranks.py` says why).
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.func import grad, grad_and_value, vjp
from torch.utils._pytree import tree_leaves

from metarl.core.inner_step import for_tasks, repeat_for_tasks
from metarl.core.optimiser import adam_step
from metarl.core.trust_region import Finite, dot
from metarl.core.types import Params, State
from metarl.runtime.interruption import interruption_point
from metarl.runtime.ranks import mean_over_tasks
from metarl.runtime.tasks_at_once import in_parts, size_of_parts

Product = Callable[[Params], Params]


class Linearised(NamedTuple):
    """A function of every task's parameters at some point, and products with its derivative `J` there."""

    value: Params
    pullback: Product  # u_n -> J_nᵀ u_n
    pushforward: Product  # v_n -> J_n v_n


def linearised(function: Callable[..., Params], point: Params, *data: Any) -> Linearised:
    """`function(point, *data)` and its derivative in `point`; everything leads with N.

    The graph is built once and kept for every vector; where tasks are worked on in parts, each part's anew for each.
    """
    size = size_of_parts(point)
    if size is None:
        result: Any = vjp(lambda point: function(point, *data), point)
        value, backward = result

        def pullback(vector: Params) -> Params:
            own: Params = backward(vector)[0]
            return own

        @cache
        def transposed() -> Any:  # Jᵀ is linear, so its own pullback, at any vector, is J itself
            result: Any = vjp(pullback, {name: torch.zeros_like(tensor) for name, tensor in value.items()})
            return result[1]

        return Linearised(value, pullback, lambda vector: transposed()(vector)[0])

    def pull(point: Params, vector: Params, *data: Any) -> Params:
        return linearised(function, point, *data).pullback(vector)

    def push(point: Params, vector: Params, *data: Any) -> Params:
        return linearised(function, point, *data).pushforward(vector)

    return Linearised(
        in_parts(function, size)(point, *data),
        lambda vector: in_parts(pull, size)(point, vector, *data),
        lambda vector: in_parts(push, size)(point, vector, *data),
    )


class Adaptation(NamedTuple):
    """All tasks' adapted parameters, and the way there and back; everything leads with N."""

    adapted: Params
    pullback: Product  # u_n -> J_nᵀ u_n
    pushforward: Product  # v_n -> J_n v_n


def differentiable_adaptation(
    adapt: Callable[[Params, Any], Params], params: Params, support: Any, tasks: int
) -> Adaptation:
    """Adapt every task from shared `params`, keeping the graph.

    Args:
        adapt: the inner loop of one task, `(params, support) -> adapted`.
        params: meta-parameters, shared by all tasks.
        support: any pytree of tensors with a leading `N`.
        tasks: N.
    """
    start = repeat_for_tasks(params, tasks)
    return Adaptation(*linearised(for_tasks(adapt), start, support))


def meta_gradient(
    objective: Callable[..., Any], params: Params, *data: Any, has_aux: bool = False
) -> tuple[Params, Any]:
    """Gradient and value of the mean over tasks of `objective(params, *data)`, inner loop and all.

    Args:
        objective: for one task; whatever it adapts on the way is differentiated through.
        params: meta-parameters, shared by all tasks.
        data: pytrees of tensors with a leading `N`.
        has_aux: the objective returns a pair, whose second part is only looked at. The value is then a pair too:
            the mean, and the second parts of this rank's tasks, with a leading `N`.
    """
    for_each = for_tasks(grad_and_value(objective, has_aux=has_aux), shared=[0])
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
        NonFiniteError: a meta-gradient or the parameters after the last step are not finite.
    """
    values, finite = [], Finite()
    for _ in range(epochs):
        interruption_point()
        gradient, value = meta_gradient(objective, params, *data)
        finite.note("meta-gradient", gradient)
        params, optimiser = adam_step(params, shortened(gradient, max_norm), optimiser, learning_rate)
        values.append(value)
    finite.note("updated policy", params)
    finite.require()
    return params, optimiser, torch.stack(values).tolist()


def meta_step(
    params: Params, gradient: Params, optimiser: State, learning_rate: float, max_norm: float = math.inf
) -> tuple[Params, State]:
    """The parameters and the optimiser's memory after one Adam step down a meta-gradient, checked on both sides.

    Raises:
        NonFiniteError: the meta-gradient or the parameters after the step are not finite.
    """
    finite = Finite()
    finite.note("meta-gradient", gradient)
    params, optimiser = adam_step(params, shortened(gradient, max_norm), optimiser, learning_rate)
    finite.note("updated policy", params)
    finite.require()
    return params, optimiser


def shortened(gradient: Params, max_norm: float) -> Params:
    """The gradient, scaled down to a norm of `max_norm` if it is longer."""
    scale = torch.clamp(max_norm / dot(gradient, gradient).sqrt().clamp(min=1e-30), max=1.0)
    return {name: (scale * value).to(value.dtype) for name, value in gradient.items()}


def kl_curvature(
    adaptation: Adaptation, kl: Callable[[Params, Any], torch.Tensor], query: Any
) -> Callable[[Params], Params]:
    """The product `v -> mean_n J_nᵀ F_n J_n v`.

    Args:
        adaptation: of the meta-parameters that collected the data.
        kl: for one task, the mean KL divergence from the adapted policy (a constant within `query`) to the
            policy of its first argument.
        query: any pytree of tensors with a leading `N`.
    """
    adapted = {name: value.detach() for name, value in adaptation.adapted.items()}
    fisher = linearised(for_tasks(grad(kl)), adapted, query).pullback
    tasks = len(tree_leaves(query)[0])

    def product(vector: Params) -> Params:
        pushed = adaptation.pushforward(repeat_for_tasks(vector, tasks))
        return mean_over_tasks(adaptation.pullback(fisher(pushed)))

    return product
