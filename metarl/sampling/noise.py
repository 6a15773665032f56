"""What actions are sampled with, drawn before a round: an action is a function of it."""

from typing import Any

import gymnasium
import numpy as np

from envs.contract.base import TaskEnv
from metarl.core.distributions import LIKELIEST_CATEGORICAL, LIKELIEST_GAUSSIAN
from metarl.runtime.randomness import Address


def draw_noise(env: TaskEnv, addresses: list[Address]) -> np.ndarray:
    """Everything that actions of one round are sampled with: `[N, E, T, A]` normal, or `[N, E, T]` uniform."""
    lanes, space = (env.lanes_per_task, env.horizon), env.single_action_space
    generators = [address.generator() for address in addresses]
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.stack([generator.random(lanes, np.float32) for generator in generators])
    shape = (*lanes, *(space.shape or ()))
    return np.stack([generator.standard_normal(shape, np.float32) for generator in generators])


def likeliest_noise(space: gymnasium.Space[Any]) -> float:
    """The noise that takes the likeliest action of a space."""
    return LIKELIEST_CATEGORICAL if isinstance(space, gymnasium.spaces.Discrete) else LIKELIEST_GAUSSIAN
