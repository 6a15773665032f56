"""One lane of one task as a plain `gymnasium.Env`, for everything else that speaks Gymnasium.

    import envs, gymnasium
    env = gymnasium.make("metarl/HalfCheetahVel-v0", task={"velocity": 1.5})

`import envs` registers every family so; `gymnasium.make("envs:metarl/HalfCheetahVel-v0")` does both at once. Keywords
are those below, and the family's options.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.contract.base import TaskEnv
from envs.contract.errors import require_known

FRAMES_PER_SECOND = 10  # of what has no seconds


class SingleTask(gymnasium.Env[np.ndarray, Any]):
    """A task of a family, or with no task given, a new one in every episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}

    def __init__(
        self, env: TaskEnv, task: Mapping[str, Any] | None = None, render_mode: str | None = None, split: str = "train"
    ) -> None:
        """Take over the only lane of `env`.

        Args:
            task: its parameters; None: drawn at every reset.
            render_mode: "rgb_array" for `render()` to return pictures.
            split: what tasks are drawn from.

        Raises: InputError on an unknown split or render mode, and on an impossible task.
        """
        require_known("unknown render_mode", [] if render_mode is None else [render_mode], ["rgb_array"])
        self.env = env
        env.sample_tasks(0, split=split)  # refuses an unknown split now rather than at a reset
        self.split, self.render_mode = split, render_mode
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
        seconds = getattr(self.env, "dt", 1 / FRAMES_PER_SECOND)
        self.metadata = {**self.metadata, "render_fps": max(1, round(1 / seconds))}
        self._given = task is not None
        if task is not None:
            self.set_task(task)

    @property
    def task(self) -> dict[str, np.ndarray]:
        """The parameters of the task that is played."""
        return {name: values[0] for name, values in self.env.tasks.items()}

    def set_task(self, task: Mapping[str, Any]) -> None:
        """Play this task from the next reset on.

        Raises: InputError on an unknown, missing or impossible parameter.
        """
        self.env.set_tasks({name: np.asarray(value)[None] for name, value in task.items()})
        self._given = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; `options={"task": …}` sets the task. The task stands in the info."""
        super().reset(seed=seed)
        require_known("unknown reset option", options or {}, ["task"])
        task_seed, lane_seed = (int(number) for number in self.np_random.integers(2**32, size=2))
        if options and "task" in options:
            self.set_task(options["task"])
        elif not self._given:
            self.env.set_tasks(self.env.sample_tasks(task_seed, split=self.split))
        observation, info = self.env.reset(seed=lane_seed)
        return observation[0], {"task": self.task} | {name: values[0] for name, values in info.items()}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of the lane."""
        observation, reward, terminated, truncated, info = self.env.step(np.asarray(action)[None])
        infos = {name: values[0] for name, values in info.items()}
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), infos

    def render(self) -> Any:
        """A picture, uint8 `[height, width, 3]`; None without a render mode."""
        return None if self.render_mode is None else self.env.render_lane(0)

    def close(self) -> None:
        """Let go of what the lane holds."""
        self.env.close()
