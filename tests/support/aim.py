"""A world of one number, which only rewards tell."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box

from envs.contract.base import Outcome, TaskEnv
from envs.contract.tasks import TaskDistribution, Uniform


class Aim(TaskEnv):
    """A number within ±0.8 that actions within ±2 should hit: five shots an episode, each paying minus its error."""

    def __init__(self, num_tasks: int, lanes_per_task: int) -> None:
        aims, actions = TaskDistribution(aim=Uniform(-0.8, 0.8)), Box(-2.0, 2.0, (1,), np.float64)
        sizes: dict[str, Any] = {"horizon": 5, "observation_size": 1}
        super().__init__(num_tasks, lanes_per_task, None, task_distribution=aims, action_space=actions, **sizes)

    def reset_lanes(self, mask: np.ndarray) -> None:
        pass

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        never = np.zeros(self.num_envs, bool)
        return Outcome(-np.abs(actions[:, 0] - self.lane_tasks["aim"]), never, never, {})

    def observe(self) -> np.ndarray:
        return np.zeros((self.num_envs, 1))
