"""One lane as a plain `gymnasium.Env`, for everything else that speaks Gymnasium.

    import envs, gymnasium
    env = gymnasium.make("metarl/HalfCheetahVel-v0", task={"velocity": 1.5})
    env = gymnasium.make("metarl/HalfCheetahVelTrial-v0", episodes=3)  # three episodes of a task that nobody tells
    env = envs.SingleTask(MyRobot, render_mode="rgb_array")  # a class of your own, or "my_robot.py:MyRobot"

`import envs` registers every family so; `gymnasium.make("envs:metarl/HalfCheetahVel-v0")` does both at once. Keywords
are those below, and the family's options.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.adapters.episodes import METADATA, Episodes, Spec
from envs.contract.base import TaskEnv
from envs.contract.errors import InputError, require_known
from envs.registry import make


class SingleTask(gymnasium.Env[np.ndarray, Any]):
    """A task of a family or, with no task given, a new one in every episode."""

    metadata, spec = METADATA, Spec()

    def __init__(
        self,
        env: TaskEnv | type[TaskEnv] | str,
        task: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        split: str = "train",
        episodes: int | None = None,
        **fields: Any,
    ) -> None:
        """Take over the only lane of `env`, or make a family's.

        Args:
            env: a family by class or name, or what `envs.make` has made of one, with one lane.
            task: its parameters; None: drawn at every reset.
            render_mode: "rgb_array" for `render()` to return pictures.
            split: what tasks are drawn from.
            episodes: of a trial, if episodes are to be trials of so many (`envs/adapters/episodes.py`).
            fields: options of the family, as for `envs.make`.

        Raises: InputError on an unknown name, field, split or render mode, on an impossible value or task, and on an
        environment with more lanes, or with fields.
        """
        if isinstance(env, TaskEnv) and (env.num_envs != 1 or fields):
            raise InputError("SingleTask takes an environment of one lane as it is — or give its class, and options")
        self.env = env if isinstance(env, TaskEnv) else make(env, 1, 1, threads=1, **fields)
        self.lanes = Episodes(self.env, task, render_mode, split, episodes)
        self.render_mode, self.metadata = render_mode, self.lanes.metadata
        self.observation_space, self.action_space = self.lanes.observation_space, self.env.single_action_space

    @property
    def task(self) -> dict[str, np.ndarray]:
        """The parameters of the task that is played."""
        return {name: values[0] for name, values in self.env.tasks.items()}

    def set_task(self, task: Mapping[str, Any]) -> None:
        """Play this task from the next reset on.

        Raises: InputError on an unknown, missing or impossible parameter.
        """
        self.lanes.set_task(task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; `options={"task": …}` sets the task. The task stands in the info."""
        super().reset(seed=seed)
        require_known("unknown reset option", options or {}, ["task"])
        if options and "task" in options:
            self.set_task(options["task"])
        observation, info = self.lanes.begin(np.ones(1, bool), [self.np_random])
        del info["task"]
        return observation[0], {"task": self.task} | {name: values[0] for name, values in info.items()}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of the lane."""
        observation, reward, terminated, truncated, info = self.lanes.step(np.asarray(action)[None])
        infos = {name: values[0] for name, values in info.items() if not np.isnan(values[0]).any()}  # NaN says nothing
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), infos

    def render(self) -> Any:
        """A picture, uint8 `[height, width, 3]`; None without a render mode."""
        return None if self.render_mode is None else self.env.render_lane(0)

    def close(self) -> None:
        """Let go of what the lane holds."""
        self.env.close()
