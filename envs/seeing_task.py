"""A family whose observation ends with the task's parameters: what an oracle sees."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space

from envs.base import TaskEnv


def seeing_task(family: type[TaskEnv]) -> type[TaskEnv]:
    """The family, with all task parameters flattened behind each lane's observation, in the order of their names."""

    class SeeingTask(family):  # type: ignore[misc, valid-type]
        """Its observation ends with the task."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            self.observation_size += sum(values[0].size for values in self.tasks.values())
            self.single_observation_space = Box(-np.inf, np.inf, (self.observation_size,), np.float64)
            self.observation_space = batch_space(self.single_observation_space, self.num_envs)

        def observe(self) -> np.ndarray:
            """What the family sees, then the task, `[num_envs, O]`."""
            tasks = [self.lane_tasks[name].reshape(self.num_envs, -1) for name in sorted(self.lane_tasks)]
            return np.concatenate([super().observe(), *tasks], axis=1)

    SeeingTask.__name__ = SeeingTask.__qualname__ = family.__name__
    return SeeingTask
