"""What an environment says of its steps beside the reward: how far from the command, whether it fell.

Of an episode a diagnostic is its mean over the steps that were played; one of the environment's `events`, whether it
ever happened, 1 or 0. Of a task it is the mean over its episodes. Letters: N tasks · E lanes of each.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from envs.contract.base import TaskEnv


class Diagnostics:
    """Those of one round, summed up while it is played."""

    def __init__(self, env: TaskEnv) -> None:
        self.events, self.lanes = env.events, (env.num_tasks, env.lanes_per_task)
        self.steps = np.zeros(env.num_envs)
        self.summed: dict[str, np.ndarray] = {}  # [N · E]; of an event its greatest value

    def note(self, info: Mapping[str, Any], live: np.ndarray) -> None:
        """Take in what a step said, in the lanes that played it: `live` `[N · E]`, bool."""
        self.steps += live
        for name, values in info.items():
            if name == "diverged":
                continue
            said, before = np.where(live, values, 0.0), self.summed.get(name, np.zeros(len(live)))
            self.summed[name] = np.maximum(before, said != 0) if name in self.events else before + said

    def of_tasks(self, diverged: np.ndarray) -> dict[str, Float[torch.Tensor, " N"]]:
        """By name, without the lanes that diverged (`[N · E]`, bool)."""
        kept = (~diverged & (self.steps > 0)).reshape(self.lanes)
        found = {}
        for name, values in self.summed.items():
            of_lanes = (values if name in self.events else values / np.maximum(self.steps, 1)).reshape(self.lanes)
            found[name] = torch.from_numpy((of_lanes * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1))
        return found
