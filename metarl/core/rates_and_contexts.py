"""Inner loops that start from more than a model's parameters, or from less: learned rates, and a context."""

from dataclasses import dataclass
from typing import Any

import torch

from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import gradient_step
from metarl.core.types import Params

RATE = "rate."  # what the names of learned rates begin with


@dataclass(frozen=True)
class LearnedRates(GradientSteps):
    """Steps whose size and direction are learned: `θ' = θ − α ∘ ∇L(θ)`.

    A rate is of its parameter's shape (Meta-SGD, Li et al. 2017), or one for every tensor in every trained step (LSLR,
    Antoniou et al. 2019).
    """

    steps: int = 0
    """How many steps have rates of their own, later ones taking the last one's; 0: α has θ's shape."""

    def initial(self, model: Params) -> Params:
        """The model's parameters, and beside each of them a rate of its shape, or [steps]."""
        shapes = {name: (self.steps,) if self.steps else value.shape for name, value in model.items()}
        rates = {name: torch.full(shapes[name], self.rate, dtype=value.dtype) for name, value in model.items()}
        return {**model, **{RATE + name: rate for name, rate in rates.items()}}

    def start(self, meta: Params) -> Params:
        """The model's part of the meta-parameters."""
        return {name: value for name, value in meta.items() if not name.startswith(RATE)}

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """As in `GradientSteps`, with the learned rates."""
        learned = {name: meta[RATE + name] for name in params}
        if self.steps:
            learned = {name: rate[min(number, self.steps - 1)] for name, rate in learned.items()}
        rates = {name: scale * rate for name, rate in learned.items()}
        return gradient_step(self.loss, params, support, rates, first_order=self.first_order)


@dataclass(frozen=True)
class ContextSteps(GradientSteps):
    """Steps in a context, from 0 (CAVIA, Zintgraf et al. 2019); the model takes it beside its input and is shared.

    `only` holds the name of the context among the model's parameters.
    """

    size: int = 1
    """Numbers in it."""

    def initial(self, model: Params) -> Params:
        """The model without its context, which is not learned."""
        return {name: value for name, value in model.items() if name not in (self.only or ())}

    def start(self, meta: Params) -> Params:
        """The model, with an empty context."""
        like = next(iter(meta.values()))
        return {**meta, **{name: like.new_zeros(self.size) for name in self.only or ()}}
