"""A family's lanes for libraries that know no tasks: `SingleTask` and `VectorTasks` show episodes, or whole trials.

Every lane has a task of its own, drawn anew at each of its resets unless one is given. Without `episodes`, an episode
is the family's. With it, an episode is a *trial*: so many episodes of one task one after the other, in which a policy
with a memory can adapt (Duan et al. 2016, RL²):

* the task is drawn when the trial starts, and stays until its end;
* where one of its episodes is over, terminated, truncated or with broken physics, the next begins within the same step:
  the reward is that of the step, the observation the first of the next episode;
* with its last episode the trial has `terminated`, whatever ended that one, and it is never truncated: it is a game of
  finitely many steps, and nothing is to be bootstrapped beyond it;
* behind the observation stand the last action (one-hot where actions are discrete), the last reward, and 1 where an
  episode begins, else 0. Action and reward are 0 when the trial starts, and pass from an episode to the next;
* `info["returns"]` is what each of its episodes has earned so far, `[..., episodes]`.

Letters: L lanes, O observation, A action.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete

from envs.contract.base import TaskEnv
from envs.contract.errors import require_known
from envs.contract.seeding import require_counts

FRAMES_PER_SECOND = 10  # of what has no seconds
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}

Step = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]
"""Observations, rewards, terminated, truncated and info of L lanes, as `gymnasium.vector` has them."""


class Spec:
    """An environment's `spec`, with the steps of its longest episode.

    What is registered sets no limit, since an option may change it (`horizon=400`) and Gymnasium would cut it there.
    """

    def __get__(self, env: Any, owner: Any = None) -> EnvSpec | None:
        return None if env is None else vars(env).get("_spec")

    def __set__(self, env: Any, spec: EnvSpec | None) -> None:
        steps = env.lanes.longest
        vars(env)["_spec"] = None if spec is None else dataclasses.replace(spec, max_episode_steps=steps)


class Episodes:
    """The lanes of `env`, one a task. A lane whose episode, or trial, is over stands still until it begins again."""

    def __init__(
        self, env: TaskEnv, task: Mapping[str, Any] | None, render_mode: str | None, split: str, episodes: int | None
    ) -> None:
        """`episodes` None: those of the family; else trials of so many. `task` None: a new one at every beginning.

        Raises: InputError on an unknown split or render mode, on an impossible task, and on less than one episode.
        """
        require_known("unknown render_mode", [] if render_mode is None else [render_mode], METADATA["render_modes"])
        env.sample_tasks(0, split=split)  # refuses an unknown split now rather than at a reset
        require_counts(episodes=1 if episodes is None else episodes)
        self.env, self.split, self.episodes, self.given = env, split, episodes, False
        space, size = env.single_action_space, env.single_observation_space.shape or (0,)
        self.action_size = int(space.n) if isinstance(space, Discrete) else int(np.prod(space.shape or ()))
        told = 0 if episodes is None else self.action_size + 2
        self.observation_space = Box(-np.inf, np.inf, (size[0] + told,), np.float64)
        self.told = np.zeros((env.num_envs, told))
        self.returns = np.zeros((env.num_envs, episodes or 1))
        self.played = np.zeros(env.num_envs, np.int64)  # episodes of the trial that are over
        self.longest = env.horizon * (episodes or 1)
        self.metadata = METADATA | {"render_fps": max(1, round(1 / getattr(env, "dt", 1 / FRAMES_PER_SECOND)))}
        if task is not None:
            self.set_task(task)

    def set_task(self, task: Mapping[str, Any]) -> None:
        """Let every lane play this task from its next beginning on.

        Raises: InputError on an unknown, missing or impossible parameter.
        """
        self.env.set_tasks(
            {name: np.repeat(np.asarray(value)[None], self.env.num_envs, 0) for name, value in task.items()}
        )
        self.given = True

    def begin(self, lanes: np.ndarray, rngs: Sequence[np.random.Generator]) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin in `lanes` (bool `[L]`), each with a task and a seed that its own of the generators `rngs` draws."""
        seeds = np.zeros((len(lanes), 2), np.int64)
        seeds[lanes] = [rngs[lane].integers(2**32, size=2) for lane in np.flatnonzero(lanes).tolist()]
        if not self.given:
            tasks, drawn = self.env.tasks, self.env.sample_tasks(seeds[lanes, 0], split=self.split)
            for name, values in drawn.items():
                tasks[name][lanes] = values
            self.env.set_tasks(tasks)
        observation, info = self.env.reset(seed=seeds[:, 1], options={"reset_mask": lanes})
        self.returns[lanes], self.played[lanes], self.told[lanes] = 0.0, 0, 0.0
        self.told[lanes, -1:] = 1.0
        observation, info = self._seen(observation, info)
        return observation, {"task": self.env.tasks, **info}

    def step(self, actions: np.ndarray) -> Step:
        """One step of every lane that is not over."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if self.episodes is None:
            return observation, reward, terminated, truncated, info
        live = self.played < self.episodes
        self.returns[live, self.played[live]] += reward[live]
        self.played += live & (terminated | truncated)
        over = self.played == self.episodes
        again = live & (terminated | truncated) & ~over
        if again.any():
            observation, _ = self.env.reset(options={"reset_mask": again})
        self.told[live] = np.column_stack([self._action(actions), reward, again])[live]
        observation, info = self._seen(observation, info)
        return observation, reward, over, np.zeros_like(over), info

    def _action(self, actions: np.ndarray) -> np.ndarray:
        """[L, A]"""
        space = self.env.single_action_space
        return np.eye(self.action_size)[actions - space.start] if isinstance(space, Discrete) else np.asarray(actions)

    def _seen(self, observation: np.ndarray, info: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        """With what a trial adds to them."""
        if self.episodes is None:
            return observation, info
        return np.concatenate([observation, self.told], axis=1), info | {"returns": self.returns.copy()}
