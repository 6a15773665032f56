"""A family whose observation ends with the task's parameters: what an oracle sees."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space

from envs.contract.base import TaskEnv


def seeing_task(family: type[TaskEnv]) -> type[TaskEnv]:
    """The family, with all task parameters flattened behind each lane's observation, in the order of their names."""

    class SeeingTask(family):  # type: ignore[misc, valid-type]
        """Its observation ends with the task; `observe` and `observation_size` stay the family's own."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            size = self.observation_size + sum(values[0].size for values in self.tasks.values())
            self.single_observation_space = Box(-np.inf, np.inf, (size,), np.float64)
            self.observation_space = batch_space(self.single_observation_space, self.num_envs)

        def reset(self, **keywords: Any) -> tuple[np.ndarray, dict[str, Any]]:
            """As the family's, with the task behind the observation."""
            observation, info = super().reset(**keywords)
            return self.with_task(observation), info

        def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
            """As the family's, with the task behind the observation."""
            observation, *rest = super().step(actions)
            return self.with_task(observation), *rest

        def with_task(self, observation: np.ndarray) -> np.ndarray:
            """The family's observation, then the task that each lane plays, `[num_envs, O]`."""
            tasks = [self.lane_tasks[name].reshape(self.num_envs, -1) for name in sorted(self.lane_tasks)]
            return np.concatenate([observation, *tasks], axis=1)

    SeeingTask.__name__ = SeeingTask.__qualname__ = family.__name__
    return SeeingTask
