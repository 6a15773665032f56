"""The inner loop: what a task starts from, how steps on its data move that, and the derivative of the way.

*Meta-parameters* are what training across tasks learns: a model's initial parameters and, in some inner loops, more
beside them (`rates_and_contexts.py`, `proximal_steps.py`). *Task parameters* are what one task's model uses. An inner
loop is written for one task and for any loss: policies and models of labelled data adapt alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from metarl.core.adaptation import Adaptation, differentiable_adaptation
from metarl.core.inner_step import Loss, gradient_step
from metarl.core.meta_gradient import meta_gradient
from metarl.core.types import Params

Judge = Callable[[list[Params], Any], tuple[torch.Tensor, Any]]
"""For one task: parameters after 0 … K steps, and a query -> the loss after the last one, and what else was seen."""


@dataclass(frozen=True)
class GradientSteps:
    """Steps from learned parameters: MAML (Finn et al. 2017), first order FOMAML; in the head alone ANIL."""

    loss: Loss[Any]
    """`(task parameters, support) -> scalar`, for one task."""
    rate: float
    """Step size; where rates are learned, their first value."""
    first_order: bool = False
    """Ignore how a gradient depends on the meta-parameters."""
    only: tuple[str, ...] | None = None
    """The parameters to step in, by default all; the others are shared by all tasks, and no gradient is computed."""
    trained: bool = True
    """Whether meta-training takes steps too, or evaluation alone."""

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
        rate = scale * self.rate
        return gradient_step(self.loss, params, support, rate, first_order=self.first_order, only=self.only)

    def trail(self, meta: Params, supports: Sequence[Any]) -> list[Params]:
        """Task parameters before and after one step on each of `supports`."""
        trail = [self.start(meta)]
        for number, support in enumerate(supports):
            trail.append(self.step(meta, trail[-1], support, number))
        return trail

    def adaptation(self, meta: Params, supports: tuple[Any, ...], tasks: int) -> Adaptation:
        """All tasks' parameters after a step on each of `supports` `[N, ...]`, and the way back through the steps."""
        return differentiable_adaptation(lambda meta, supports: self.trail(meta, supports)[-1], meta, supports, tasks)

    def rougher(self, meta: Params, reached: Adaptation, supports: tuple[Any, ...], fewer: Any) -> Adaptation:
        """An adaptation that many products are cheap with.

        Args:
            reached: the adaptation on `supports`.
            fewer: a part of the data in them.
        """
        return self.adaptation(meta, fewer, len(next(iter(reached.adapted.values()))))

    def meta_gradient(
        self, judge: Judge, meta: Params, supports: tuple[Any, ...], query: Any
    ) -> tuple[Params, tuple[torch.Tensor, Any]]:
        """Gradient of the mean over tasks of what `judge` makes of the trail; its value, and what else was seen."""

        def objective(meta: Params, supports: tuple[Any, ...], query: Any) -> tuple[torch.Tensor, Any]:
            return judge(self.trail(meta, supports), query)

        return meta_gradient(objective, meta, supports, query, has_aux=True)
