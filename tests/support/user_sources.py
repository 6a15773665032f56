"""A task source and a learner as a user would write them, named by this file's path."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from metarl.algorithms.rnn import RNN
from metarl.fewshot.sources import Examples, Task


@dataclass(frozen=True)
class SidesConfig:
    shots: int = 4


class Sides:
    """On which side of a plane through the origin does a point lie?"""

    Config = SidesConfig
    input_shape = (3,)
    outputs = 2
    classification = True
    splits = ("train", "test")

    def __init__(self, config: Any) -> None:
        self.config = config

    def sample(self, generator: np.random.Generator, split: str) -> Task:
        normal = generator.normal(size=3)
        points = generator.normal(size=(2, self.config.shots, 3)).astype(np.float32)
        return Task(*(Examples(x, (x @ normal > 0).astype(np.int64)) for x in points))


class Mine(RNN):
    """A learner of the user's own."""
