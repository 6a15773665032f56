"""A policy with a memory of its episode, whose parameters adapt by gradient steps as any policy's do.

Its state is an episode's: zero at the start, whatever was adapted to before. What tasks taught is in the parameters.
"""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import nn
from torch.func import vmap

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.cores import make_core
from metarl.core.distributions import Gaussian
from metarl.core.networks import apply, make_policy, size_of_observation
from metarl.runtime.errors import InputError


class RecurrentPolicy(nn.Module):
    """`(observations, state) -> (distribution, state)`: a recurrent core, and a policy on what it says.

    Args:
        config: of a pair, with `PolicyOptions`.
        spaces: of one lane.

    Raises:
        InputError: no such core, or one that torch cannot step for all tasks at once.
    """

    def __init__(self, config: Any, spaces: Spaces) -> None:
        super().__init__()
        inputs = size_of_observation(spaces.observation)
        self.core = make_core(config.policy, inputs, 0, config.memory_size)
        self.state_size: int = self.core.state_size
        said = Box(-np.inf, np.inf, (config.memory_size,))
        self.head = make_policy(
            said,
            spaces.action,
            config.hidden,
            config.activation,
            config.initial_std,
            config.output_gain,
            config.context_size,
            config.state_dependent_std,
        )
        params = {name: value.detach()[None] for name, value in self.named_parameters()}
        observation, start = torch.zeros(1, 1, 1, inputs), torch.zeros(1, 1, self.state_size)
        try:
            vmap(lambda *given: apply(self, *given)[1])(params, observation, start, torch.ones(1, 1, 1))
        except RuntimeError as error:
            raise InputError(
                f"algo.policy is {config.policy}, whose steps torch cannot take for all tasks at once — give attention"
            ) from error

    def forward(
        self, observation: torch.Tensor, state: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[Any, torch.Tensor]:
        """One step `[E, O]`, or sequences `[E, T, O]` with their mask, from states `[E, S]`."""
        outputs, state = self.core(observation, state, mask)
        distribution = self.head(outputs)
        if isinstance(distribution, Gaussian):  # of one spread at every step, so that tasks' distributions stack
            distribution = Gaussian(distribution.mean, distribution.log_std.expand_as(distribution.mean))
        return distribution, state
