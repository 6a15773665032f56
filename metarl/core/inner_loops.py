"""The inner loops of the family: what a task starts from, and how a step on its data changes that.

*Meta-parameters* are what training across tasks learns: a model's initial parameters and, in some methods, more beside
them. *Task parameters* are what one task's model uses. An inner loop is written for one task and for any loss, so that
policies and supervised models adapt through the same functions.

* `GradientSteps`: MAML (Finn et al. 2017) and, first order, FOMAML.
* `HeadSteps`: ANIL (Raghu et al. 2020), steps in the last layer alone.
* `LearnedRates`: Meta-SGD (Li et al. 2017), a learned rate for every single parameter.
* `LearnedStepRates`: LSLR (Antoniou et al. 2019), a learned rate for every tensor in every step.
* `ContextSteps`: CAVIA (Zintgraf et al. 2019), steps in a context that the model takes beside its input.
* `ProximalSteps`: iMAML (Rajeswaran et al. 2019), the solution of a problem that pulls back to where it started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import grad_and_value

from metarl.core.inner_step import Loss, gradient_step
from metarl.core.types import Params

RATE = "rate."  # what the names of learned rates begin with


@dataclass(frozen=True)
class GradientSteps:
    """Steps in all parameters, from learned ones."""

    loss: Loss[Any]
    """`(task parameters, support) -> scalar`, for one task."""
    rate: float
    """Step size; where rates are learned, their first value."""
    first_order: bool = False
    """Ignore how a gradient depends on the meta-parameters."""

    def initial(self, model: Params) -> Params:
        """Fresh meta-parameters, of a model with these initial parameters."""
        return model

    def start(self, meta: Params) -> Params:
        """Task parameters before adaptation."""
        return meta

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """Task parameters after one step, differentiable in `meta` and `params`.

        Args:
            number: how many steps were taken before.
            scale: factor on the step's length.
        """
        return gradient_step(self.loss, params, support, scale * self.rate, first_order=self.first_order)

    def adapt(self, meta: Params, supports: Sequence[Any]) -> Params:
        """Task parameters after one step on each of `supports`."""
        params = self.start(meta)
        for number, support in enumerate(supports):
            params = self.step(meta, params, support, number)
        return params


@dataclass(frozen=True)
class HeadSteps(GradientSteps):
    """Steps in the named parameters alone; the others are features that all tasks share."""

    head: tuple[str, ...] = ()

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """As in `GradientSteps`; no gradient is computed for the shared parameters."""
        rate = scale * self.rate
        return gradient_step(self.loss, params, support, rate, first_order=self.first_order, only=self.head)


@dataclass(frozen=True)
class LearnedRates(GradientSteps):
    """Steps whose size and direction are learned: `θ' = θ − α ∘ ∇L(θ)`, α of θ's shape."""

    def initial(self, model: Params) -> Params:
        """The model's parameters, and a rate beside each of them."""
        return {**model, **{RATE + name: torch.full_like(value, self.rate) for name, value in model.items()}}

    def start(self, meta: Params) -> Params:
        """The model's part of the meta-parameters."""
        return {name: value for name, value in meta.items() if not name.startswith(RATE)}

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """As in `GradientSteps`, with the learned rates."""
        rates = {name: scale * meta[RATE + name] for name in params}
        return gradient_step(self.loss, params, support, rates, first_order=self.first_order)


@dataclass(frozen=True)
class LearnedStepRates(LearnedRates):
    """Steps with one learned rate for every tensor of the model in every trained step."""

    steps: int = 1
    """How many steps have rates of their own; later ones take the last one's."""

    def initial(self, model: Params) -> Params:
        """The model's parameters, and rates [steps] beside each of them."""
        return {
            **model,
            **{RATE + name: torch.full((self.steps,), self.rate, dtype=value.dtype) for name, value in model.items()},
        }

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """As in `GradientSteps`, with the rates of this step."""
        rates = {name: scale * meta[RATE + name][min(number, self.steps - 1)] for name in params}
        return gradient_step(self.loss, params, support, rates, first_order=self.first_order)


@dataclass(frozen=True)
class ContextSteps(GradientSteps):
    """Steps in a context alone, from 0; the model, which takes it beside its input, is shared by all tasks."""

    context: str = "context"
    """The name of the context among the model's parameters."""
    size: int = 1
    """Numbers in it."""

    def initial(self, model: Params) -> Params:
        """The model without its context, which is not learned."""
        return {name: value for name, value in model.items() if name != self.context}

    def start(self, meta: Params) -> Params:
        """The model, with an empty context."""
        like = next(iter(meta.values()))
        return {**meta, self.context: like.new_zeros(self.size)}

    def step(self, meta: Params, params: Params, support: Any, number: int, scale: float = 1.0) -> Params:
        """As in `GradientSteps`, in the context."""
        rate = scale * self.rate
        return gradient_step(self.loss, params, support, rate, first_order=self.first_order, only=(self.context,))


@dataclass(frozen=True)
class ProximalSteps(GradientSteps):
    """Each step solves `argmin F(φ) = L(φ) + strength/2 ‖φ − params‖²`, from `params` on.

    By gradient steps down `L`, each followed by the exact proximal step of the other term, which is stable however
    strong that is. Where `L` is too steep for such a step, it is not taken, and this task's later ones are half as
    long. Nothing differentiates the way to the solution: its dependence on what it started from is implicit
    (`algorithms/imaml.py`).
    """

    strength: float = 1.0
    """λ: how strongly a solution is held where it started."""
    iterations: int = 1
    """Steps of the solver, of size `rate` as long as that is not too much."""

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
