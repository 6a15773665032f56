"""Lanes on native threads for Stable-Baselines3 and sb3-contrib, which have a vector interface of their own.

    from sb3_contrib import RecurrentPPO
    from envs.adapters.stable_baselines import vec_env

    env = vec_env("half-cheetah-vel", num_envs=64, episodes=2)  # trials of two episodes, on all cores
    RecurrentPPO("MlpLstmPolicy", env).learn(1_000_000)

`stable_baselines3.common.env_util.make_vec_env("metarl/HalfCheetahVelTrial-v0", 64)` is the same environment, one lane
after the other. Needs the extra `sb3` (`pip install 'metarl[sb3]'`), and is imported by nothing else.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from envs.adapters.vector import VectorTasks
from envs.contract.base import TaskEnv


def vec_env(env: type[TaskEnv] | str, num_envs: int, **keywords: Any) -> VecMonitor:
    """The lanes, and SB3's count of their returns. `keywords` are those of `VectorTasks`."""
    return VecMonitor(NativeVecEnv(VectorTasks(env, num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)))


class NativeVecEnv(VecEnv):
    """`VectorTasks` with SB3's names for what they say."""

    def __init__(self, lanes: VectorTasks) -> None:
        self.lanes, self.render_mode = lanes, lanes.render_mode
        super().__init__(lanes.num_envs, lanes.single_observation_space, lanes.single_action_space)

    def reset(self) -> np.ndarray:
        """The first observations `[L, O]`, by the seeds of `seed`, if these were given."""
        observation, _ = self.lanes.reset(seed=self._seeds)
        self._reset_seeds()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions."""
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, ends; of a lane that ended, its last observation and whether the clock stopped it."""
        observation, reward, terminated, truncated, info = self.lanes.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(terminated | truncated):
            cut = bool(truncated[lane])
            infos[lane] = {"terminal_observation": info["final_obs"][lane], "TimeLimit.truncated": cut}
            if "returns" in info:
                infos[lane]["returns"] = info["returns"][lane]
        return observation, reward.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        """Let go of what the lanes hold."""
        self.lanes.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each lane."""
        return self.lanes.render() or [None] * self.num_envs

    # Attributes of the lanes, which they share

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.lanes, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.lanes, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [getattr(self.lanes, method_name)(*args, **kwargs)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))
