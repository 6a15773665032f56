"""The gradient of what happens after adaptation with respect to what it started from, and Adam's way down it."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.func import grad_and_value

from metarl.core.inner_step import for_tasks
from metarl.core.optimiser import adam_step
from metarl.core.trust_region import Finite, dot
from metarl.core.types import Params, State
from metarl.runtime.interruption import interruption_point
from metarl.runtime.ranks import mean_over_tasks

Slope = Callable[[Params], tuple[Params, torch.Tensor]]
"""Meta-parameters -> a gradient there, and the value that it is of."""


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
    slope: Slope,
    params: Params,
    optimiser: State,
    learning_rate: float,
    epochs: int = 1,
    max_norm: float = math.inf,
) -> tuple[Params, State, torch.Tensor]:
    """`epochs` steps of Adam; a gradient longer than `max_norm` is shortened to it.

    Returns the parameters, the optimiser's memory, and the value before each step, `[epochs]`.

    Raises:
        NonFiniteError: a gradient or the parameters after the last step are not finite.
    """
    values, finite = [], Finite()
    for _ in range(epochs):
        interruption_point()
        gradient, value = slope(params)
        finite.note("meta-gradient", gradient)
        params, optimiser = adam_step(params, shortened(gradient, max_norm), optimiser, learning_rate)
        values.append(value)
    finite.note("updated policy", params)
    finite.require()
    return params, optimiser, torch.stack(values)


def shortened(gradient: Params, max_norm: float) -> Params:
    """The gradient, scaled down to a norm of `max_norm` if it is longer."""
    scale = torch.clamp(max_norm / dot(gradient, gradient).sqrt().clamp(min=1e-30), max=1.0)
    return {name: (scale * value).to(value.dtype) for name, value in gradient.items()}
