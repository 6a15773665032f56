"""Many lanes as a `gymnasium.vector.VectorEnv` that resets them by itself: what `gymnasium.make_vec` gives.

    import envs, gymnasium
    env = gymnasium.make_vec("metarl/HalfCheetahVel-v0", num_envs=64)  # all on native threads
    env = gymnasium.make_vec("metarl/BanditTrial-v0", num_envs=64, episodes=10, arms=10)

Lane `i` reset with seed `s` is, bit for bit, the `SingleTask` that is reset with `s + i`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.adapters.episodes import METADATA, Episodes, Spec, Step
from envs.contract.base import TaskEnv
from envs.contract.errors import InputError, require_known
from envs.registry import make


class VectorTasks(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`num_envs` lanes, each with a task of its own; with no task given, with a new one in every episode."""

    metadata, spec = METADATA, Spec()

    def __init__(
        self,
        env: type[TaskEnv] | str,
        num_envs: int = 1,
        task: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        split: str = "train",
        episodes: int | None = None,
        threads: int = 0,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **fields: Any,
    ) -> None:
        """Make the lanes.

        Args:
            env: a family by class or name.
            task: parameters of the task that all lanes play; None: each draws its own.
            threads: of the physics, 0 for one per CPU; the results do not depend on it.
            autoreset_mode: Gymnasium's "NextStep", or "SameStep": then `info["final_obs"]` has the last observations,
                and the rest of the info is of the step that ended.
            render_mode, split, episodes, fields: as for `SingleTask`.

        Raises: as `SingleTask`, and on another mode; for lanes that are reset by their user, there is `envs.make`.
        """
        mode = str(getattr(autoreset_mode, "value", autoreset_mode))
        require_known("unknown autoreset_mode", [mode], ["NextStep", "SameStep"])
        self.env = make(env, num_envs, 1, threads=threads, **fields)
        self.lanes = Episodes(self.env, task, render_mode, split, episodes)
        self.num_envs, self.render_mode, self.mode = num_envs, render_mode, AutoresetMode(mode)
        self.metadata = self.lanes.metadata | {"autoreset_mode": self.mode}
        self.single_observation_space = self.lanes.observation_space
        self.single_action_space, self.action_space = self.env.single_action_space, self.env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.rngs: list[np.random.Generator] = []
        self._over = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every lane; `options={"task": …}` sets the task of all. The tasks stand in the info.

        Args:
            seed: lane `i` takes `seed + i`, or the one of a list that is its own; None: its generator runs on.

        Raises: InputError on an unknown option, an impossible task, and another number of seeds than of lanes.
        """
        require_known("unknown reset option", options or {}, ["task"])
        if options and "task" in options:
            self.lanes.set_task(options["task"])
        if isinstance(seed, Sequence | np.ndarray):
            seeds = list(seed)
        else:
            seeds = [None if seed is None else seed + lane for lane in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise InputError(f"there are {len(seeds)} seeds for {self.num_envs} lanes — give one seed, or one per lane")
        self.rngs = [
            np_random(own)[0] if own is not None or not self.rngs else self.rngs[lane] for lane, own in enumerate(seeds)
        ]
        self._over[:] = False
        return self.lanes.begin(~self._over, self.rngs)

    def step(self, actions: np.ndarray) -> Step:
        """One step of every lane. What is over begins anew: in the next step, whose action counts for nothing, or in
        this one."""
        if not self.rngs:
            raise ResetNeeded("step() before reset() — call reset() first")
        observation, reward, terminated, truncated, info = self.lanes.step(actions)
        over = terminated | truncated
        again = self._over if self.mode is AutoresetMode.NEXT_STEP else over
        if again.any():
            last = observation
            observation, begun = self.lanes.begin(again, self.rngs)
            if self.mode is AutoresetMode.NEXT_STEP:
                terminated, truncated, info = terminated & ~again, truncated & ~again, info | begun | {"_task": again}
            else:
                info |= {"final_obs": last, "_final_obs": again, "task": begun["task"], "_task": again}
        self._over = terminated | truncated
        return observation, reward, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each lane, uint8 `[height, width, 3]`; None without a render mode."""
        return None if self.render_mode is None else self.env.render()

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of what the lanes hold."""
        self.env.close(**kwargs)
