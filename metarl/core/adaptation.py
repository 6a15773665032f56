"""All tasks adapted, and the derivative of that as products; it is never formed.

With `θ'_n(θ)` the parameters of task `n` after the inner loop, and `J_n = dθ'_n/dθ`:

* the meta-gradient is `mean_n J_nᵀ ∇L_n(θ'_n)` (Finn et al. 2017);
* at the parameters that collected the data, the Hessian of the mean KL divergence of the adapted policies is
  `mean_n J_nᵀ F_n J_n`, with `F_n` the Fisher matrix at `θ'_n`: first derivatives of the KL vanish there,
  so no derivative of `J` enters.

Products go through a graph that is built once and used for every vector, where memory holds it
(`runtime/tasks_at_once.py`). Means over tasks are taken at the very end (`runtime/ranks.py` says why).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.func import grad, vjp
from torch.utils._pytree import tree_leaves

from metarl.core.inner_step import for_tasks, repeat_for_tasks
from metarl.core.types import Params
from metarl.runtime.ranks import mean_over_tasks
from metarl.runtime.tasks_at_once import in_parts, size_of_parts

Product = Callable[[Params], Params]


class Adaptation(NamedTuple):
    """All tasks' adapted parameters, and the way there and back; everything leads with N."""

    adapted: Params
    pullback: Product  # u_n -> J_nᵀ u_n
    pushforward: Product  # v_n -> J_n v_n


def differentiable_adaptation(
    adapt: Callable[[Params, Any], Params], params: Params, support: Any, tasks: int
) -> Adaptation:
    """Adapt all N `tasks` from shared `params` by the inner loop of one, `(params, support) -> adapted`."""
    return linearised(for_tasks(adapt), repeat_for_tasks(params, tasks), support)


def linearised(function: Callable[..., Params], point: Params, *data: Any) -> Adaptation:
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

        return Adaptation(value, pullback, lambda vector: transposed()(vector)[0])

    def pull(point: Params, vector: Params, *data: Any) -> Params:
        return linearised(function, point, *data).pullback(vector)

    def push(point: Params, vector: Params, *data: Any) -> Params:
        return linearised(function, point, *data).pushforward(vector)

    return Adaptation(
        in_parts(function, size)(point, *data),
        lambda vector: in_parts(pull, size)(point, vector, *data),
        lambda vector: in_parts(push, size)(point, vector, *data),
    )


def kl_curvature(adaptation: Adaptation, kl: Callable[[Params, Any], torch.Tensor], query: Any) -> Product:
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
