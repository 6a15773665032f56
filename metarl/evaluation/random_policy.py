"""What acting without a policy is worth: uniformly random actions, the floor beside every adaptation curve."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space

from envs.contract.base import TaskEnv
from metarl.core.types import Action, Rollout, State, Transition
from metarl.runtime.errors import EnvironmentBroke, NonFiniteError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect

logger = logging.getLogger("metarl")


class RandomPolicy:
    """An agent without memory: uniform over the box of actions, or over discrete ones."""

    def __init__(self, action_space: Space[np.ndarray] | Discrete) -> None:
        self.action_space = action_space

    def acting(self, state: State) -> None:
        """There are no meta-parameters."""

    def begin(self, acting: None, addresses: Sequence[Address], lanes_per_task: int) -> None:
        """There is nothing to remember."""

    def act(
        self, acting: None, memory: None, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, None]:
        """Actions `[N, E, A]` or `[N, E]`, whatever the observation; their probability is never asked for."""
        space = self.action_space
        if isinstance(space, Discrete):
            count = int(space.n)
            action = (noise * count).long().clamp(max=count - 1) + int(space.start)
        else:
            assert isinstance(space, Box)
            low, high = torch.from_numpy(space.low), torch.from_numpy(space.high)
            uniform = torch.special.ndtr(noise)  # the normal noise of `collect` through its own distribution function
            action = low + (high - low) * uniform
        return Action(action, torch.zeros(observation.shape[:2])), None

    def observe(self, acting: None, memory: None, transition: Transition) -> None:
        """Nothing is learned from a step."""

    def adapt(self, state: State, memory: None, rollout: Rollout) -> None:
        """Nor from a round."""


def random_returns(env: TaskEnv, address: Address) -> np.ndarray | None:
    """Mean undiscounted return of random actions on the tasks that `env` is set to, `[N]`: one episode in every lane.

    None where the actions have no bounds to draw between, or where random actions break the environment.
    """
    space = env.single_action_space
    if isinstance(space, Box) and not space.is_bounded():
        return None
    try:
        trial = collect(env, RandomPolicy(space), {}, 1, address)
    except (EnvironmentBroke, NonFiniteError) as error:
        logger.warning("no level of random actions: they broke the environment (%s)", error)
        return None
    returns: np.ndarray = trial.returns[:, 0].double().numpy()
    return returns
