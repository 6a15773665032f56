"""Writing down a round while it is played."""

from collections.abc import Sequence

import gymnasium
import numpy as np
import torch

from envs.contract.base import TaskEnv
from metarl.core.types import Action, Rollout, Transition
from metarl.runtime.errors import EnvironmentBroke, NonFiniteError


class Record:
    """Preallocated arrays that a round is written into, step by step: `[T, N, E, ...]`, so that a step is one block."""

    def __init__(self, env: TaskEnv) -> None:
        self.lanes = N, E = env.num_tasks, env.lanes_per_task
        seen, space = env.single_observation_space.shape or (), env.single_action_space
        number = torch.int64 if isinstance(space, gymnasium.spaces.Discrete) else torch.float32

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(env.horizon, N, E, *shape, dtype=dtype)

        self.fields = Rollout(
            observation=zeros(*seen),
            action=zeros(*(space.shape or ()), dtype=number),
            log_probability=zeros(),
            reward=zeros(),
            terminated=zeros(dtype=torch.bool),
            truncated=zeros(dtype=torch.bool),
            first=zeros(dtype=torch.bool),
            mask=zeros(),
            next_observation=zeros(*seen),
        )
        # Views of the same memory: numpy writes a step in a fraction of torch's time, and agents read tensors.
        self.arrays = [field.numpy() for field in self.fields]
        self.steps = [Transition(*step) for step in zip(*(field.unbind(0) for field in self.fields), strict=True)]

    def write(
        self,
        t: int,
        observation: torch.Tensor,
        action: Action,
        outcome: Sequence[np.ndarray],
        live: np.ndarray,
        next_observation: torch.Tensor,
    ) -> Transition:
        """Store step `t`; lanes that had ended before it are masked out. Returns a view of what was stored.

        Args:
            outcome: reward and whether lanes terminated and were truncated, `[N · E]` each.
        """
        lanes = live.reshape(self.lanes)
        reward, terminated, truncated = (values.reshape(self.lanes) for values in outcome)
        before = observation.numpy(), action.action.numpy(), action.log_probability.numpy()
        flags = terminated & lanes, truncated & lanes, lanes & (t == 0)
        values = (*before, reward * lanes, *flags, lanes, next_observation.numpy())
        with np.errstate(over="ignore"):  # what single precision cannot hold is named when the round is over
            for array, value in zip(self.arrays, values, strict=True):
                array[t] = value
        return self.steps[t]

    def rollout(self, diverged: np.ndarray) -> Rollout:
        """The finished round, without the lanes that diverged.

        Raises:
            EnvironmentBroke: no lane of a task is left.
            NonFiniteError: a finite number of the environment is beyond single precision.
        """
        lost = diverged.reshape(self.lanes).all(axis=1)
        if lost.any():
            task = int(np.argmax(lost))
            raise EnvironmentBroke(
                f"every lane of task {task} diverged (a shorter timestep or milder actions may help)"
            )
        for name, array in zip(Rollout._fields, self.arrays, strict=True):
            if name in ("reward", "next_observation") and not np.isfinite(array).all():  # ten times faster than torch's
                raise NonFiniteError(f"a {name} is too large for single precision — scale it down")
        fields = Rollout(*(field.movedim(0, 2).contiguous() for field in self.fields))  # [N, E, T, ...]
        kept = torch.from_numpy(~diverged.reshape(self.lanes))[:, :, None]
        return fields._replace(mask=fields.mask * kept)
