"""What labelled data ask of a model, and tasks as tensors.

Letters: `N` tasks · `B` examples · `K` inner steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from metarl.core.types import FewShot, Labelled, Metrics
from metarl.fewshot.sources import Source, Task
from metarl.runtime.devices import read_back, sent

Scores = dict[str, torch.Tensor]
"""How good predictions are: `loss`, and for classes `accuracy`."""


@dataclass(frozen=True)
class Problem:
    """What a model's inputs and outputs are."""

    input_shape: tuple[int, ...]
    outputs: int
    classification: bool

    @classmethod
    def of(cls, source: Source) -> "Problem":
        """The problem that a source poses."""
        return cls(source.input_shape, source.outputs, source.classification)

    def loss(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of `[B, classes]`, or mean squared error of `[B, Y]`."""
        if self.classification:
            return functional.cross_entropy(predictions, targets)
        return (predictions - targets).square().mean()

    def scores(self, predictions: torch.Tensor, targets: torch.Tensor) -> Scores:
        """The loss, and the share of right answers where there are such; scalars."""
        scores = {"loss": self.loss(predictions, targets)}
        if self.classification:
            scores["accuracy"] = (predictions.argmax(dim=-1) == targets).to(predictions.dtype).mean()
        return scores


def stacked(tasks: Sequence[Task], device: torch.device) -> FewShot:
    """Tasks as tensors with a leading `N`."""

    def stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
        return sent(torch.from_numpy(np.stack(arrays)), device)

    sides: list[Any] = [[task.support for task in tasks], [task.query for task in tasks]]
    return FewShot(
        *(
            Labelled(stack([side.inputs for side in examples]), stack([side.targets for side in examples]))
            for examples in sides
        )
    )


def curve(points: Sequence[Scores], dim: int = 0) -> Scores:
    """Scores after every step, as one axis."""
    return {name: torch.stack([point[name] for point in points], dim=dim) for name in points[0]}


def metrics_of(scores: Scores) -> Metrics:
    """Means over tasks of scores `[N, K + 1]`, by the name of each step."""
    means = {f"{name}/step_{k}": value for name, values in scores.items() for k, value in enumerate(values.mean(dim=0))}
    return {**read_back(means)}
