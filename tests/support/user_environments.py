"""Environments as a user would write them, sound and broken, named by this file's path."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from envs import TaskDistribution, TaskEnv, Uniform
from envs.contract.base import NoConfig, Outcome
from envs.engine.mujoco_tasks import MujocoTasks, load_model


class Line(TaskEnv):
    """A point on a line looks for a goal that it does not see."""

    def __init__(self, num_tasks: int, lanes_per_task: int, config: NoConfig, *, threads: int = 0) -> None:
        super().__init__(
            num_tasks,
            lanes_per_task,
            config,
            horizon=5,
            task_distribution=TaskDistribution(goal=Uniform(-1.0, 1.0)),
            observation_size=1,
            action_space=Box(-1.0, 1.0, (1,)),
        )
        self.position = np.zeros(self.num_envs)
        self.steps_made = 0

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.position[mask] = 0.0

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        self.steps_made += 1
        self.position += np.clip(actions[:, 0], -0.1, 0.1)
        nowhere = np.zeros(self.num_envs, bool)
        return Outcome(self.reward(), nowhere, nowhere, {})

    def observe(self) -> np.ndarray:
        return self.position[:, None]

    def reward(self) -> np.ndarray:
        return -np.abs(self.position - self.lane_tasks["goal"])

    def is_broken(self) -> bool:
        """From the third iteration on (an iteration has 2 rounds of 5 steps), while a file says so."""
        return self.steps_made > 2 * 2 * 5 and Path("broken").exists()


class TurnsNaN(Line):
    def reward(self) -> np.ndarray:
        return super().reward() * (np.nan if self.is_broken() else 1.0)


class Raises(Line):
    def reward(self) -> np.ndarray:
        if self.is_broken():
            raise ZeroDivisionError("the robot fell off the table")
        return super().reward()


class CannotBeMade(Line):
    def __init__(self, num_tasks: int, lanes_per_task: int, config: NoConfig, *, threads: int = 0) -> None:
        raise KeyError("calibration.json")


class CannotSampleTasks(Line):
    def set_tasks(self, tasks: Mapping[str, Any]) -> None:
        if hasattr(self, "steps_made"):  # not at its making
            raise OSError("the sensor does not answer\nat all")
        super().set_tasks(tasks)


class Robot(MujocoTasks):
    """Its model is whatever lies at `robot.xml`."""

    def __init__(self, num_tasks: int, lanes_per_task: int, config: NoConfig, *, threads: int = 0) -> None:
        super().__init__(
            num_tasks,
            lanes_per_task,
            config,
            model=load_model("robot.xml"),
            frame_skip=1,
            horizon=5,
            task_distribution=TaskDistribution(goal=Uniform(-1.0, 1.0)),
            observation_size=2,
            threads=threads,
        )

    def observe(self) -> np.ndarray:
        return np.concatenate([self.qpos, self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return -np.abs(self.qpos[:, 0] - self.lane_tasks["goal"]), {}
