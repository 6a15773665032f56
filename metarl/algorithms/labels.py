"""What a gradient method learns from labels: a model, and its loss for one task."""

from collections.abc import Callable
from typing import Any

import torch

from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import for_tasks
from metarl.core.networks import apply
from metarl.core.types import FewShot, Labelled, Metrics, Params, State
from metarl.fewshot.models import make_model
from metarl.fewshot.problem import Problem, Scores, curve, metrics_of


class Labels:
    """A model that learns from inputs and what belongs to them.

    Args:
        config: the options of the pair, with `ModelOptions`.
        problem: what inputs and outputs are.
    """

    key = "model"
    """Where a state keeps the meta-parameters."""

    def __init__(self, config: Any, problem: Problem) -> None:
        self.problem = problem
        self.model = make_model(problem.input_shape, problem.outputs, config, config.context_size)

    def batches(self, tasks: FewShot, state: State, steps: int) -> tuple[tuple[Labelled, ...], Labelled | FewShot]:
        """The support, as often as there are steps, and the query; with all data beside it where no step is taken."""
        return ((tasks.support,) * steps, tasks.query) if steps else ((), tasks)

    def pooled(self, support: tuple[Labelled, ...], query: Labelled) -> tuple[Labelled, ...]:
        """What steps are taken on where no query is asked: all data."""
        return (union(support[0], query),) * len(support)

    def look(self, inner: GradientSteps, meta: Params, support: tuple[Labelled, ...], query: Any) -> Scores:
        """Each task's scores after 0 … K inner steps, `[N, K + 1]`."""
        scores: Scores = for_tasks(lambda *task: self.judge(inner.trail(*task[:2]), task[2])[1], shared=[0])(
            meta, support, query
        )
        return scores

    def metrics(self, meta: Params, adapted: Callable[[], Params], query: Any, seen: Scores) -> Metrics:
        """Mean scores after every inner step."""
        return metrics_of(seen)

    # What follows is for one task: no axis N.

    def inner_loss(self, params: Params, data: Labelled) -> torch.Tensor:
        """What an inner step descends."""
        return self.problem.loss(apply(self.model, params, data.inputs), data.targets)

    def judge(self, trail: list[Params], query: Labelled | FewShot) -> tuple[torch.Tensor, Scores]:
        """The loss on the query after the inner loop, or on all data; and all scores of the query on the way."""
        asked = query.query if isinstance(query, FewShot) else query
        points = [self.problem.scores(apply(self.model, params, asked.inputs), asked.targets) for params in trail]
        loss = self.inner_loss(trail[-1], union(*query)) if isinstance(query, FewShot) else points[-1]["loss"]
        return loss, curve(points)


def union(support: Labelled, query: Labelled) -> Labelled:
    """Support and query of each task together; the examples' axis is the one before those of an example."""
    axis = support.targets.dim() - 1 if not support.targets.is_floating_point() else support.targets.dim() - 2
    return Labelled(*(torch.cat(pair, dim=axis) for pair in zip(support, query, strict=True)))
