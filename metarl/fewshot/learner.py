"""What a few-shot learner is, and what all learners share.

Letters: `N` tasks · `B` examples · `K` steps of adaptation.

A learner's constructor takes `(config, problem, device)`, and its class attribute `Config` names the frozen dataclass
of its options. Like the methods of reinforcement learning it keeps nothing about a task in itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch.nn import functional

from metarl.core.types import FewShot, Labelled, State
from metarl.fewshot.sources import Source, Task
from metarl.runtime.devices import sent
from metarl.runtime.randomness import Address

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


@runtime_checkable
class Learner(Protocol):
    """The contract between few-shot learners and everything that trains, evaluates or stores them."""

    Config: ClassVar[type]
    device: torch.device

    @property
    def steps(self) -> int:
        """Steps of adaptation K in meta-training."""

    def initial_state(self, address: Address) -> State:
        """What training starts from: nested dicts of tensors, all that a checkpoint holds."""

    def update(self, state: State, tasks: FewShot) -> tuple[State, Scores]:
        """Learn across tasks; and each task's scores on its query after 0 … K steps, `[N, K + 1]`.

        Raises:
            NonFiniteError: the numbers broke; `state` is as good as before.
        """

    def evaluate(self, state: State, tasks: FewShot, steps: int) -> Scores:
        """Each task's scores on its query after 0 … `steps` steps, `[N, steps + 1]`."""


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
