"""The policies that gradient methods adapt: feed-forward, or with a recurrent core before that."""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import nn
from torch.func import grad, vmap

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.cores import make_core
from metarl.algorithms.options import FEED_FORWARD
from metarl.core.networks import MLP, apply, initial_parameters, make_policy, size_of_observation
from metarl.core.recurrent_policy import RecurrentPolicy
from metarl.core.types import Params
from metarl.runtime.errors import InputError


def make_adaptable_policy(config: Any, spaces: Spaces, device: torch.device) -> nn.Module:
    """The policy that options (`PolicyOptions`) name, of the sizes of one lane.

    Raises:
        InputError: no such core, one that cannot be adapted on this device, or spaces that `make_policy` refuses.
    """
    core, seen = None, spaces.observation
    if config.policy != FEED_FORWARD:
        inputs = size_of_observation(spaces.observation)
        core = make_core(config.policy, inputs, 0, config.memory_size, option="policy")
        if hasattr(core, "begin"):
            raise InputError(f"algo.policy is '{config.policy}', whose state no task can adapt — give attention")
        require_adaptable(core, config.policy, inputs, device)
        seen = Box(-np.inf, np.inf, (config.memory_size,))

    def body(inputs: int, outputs: int) -> nn.Module:
        return MLP(inputs, config.hidden, outputs, config.activation, config.output_gain, config.context_size)

    policy = make_policy(seen, spaces.action, body, config.initial_std, config.state_dependent_std)
    return RecurrentPolicy(core, policy) if core else policy


def require_adaptable(core: Any, name: str, inputs: int, device: torch.device) -> None:
    """Try a core, and its second derivatives, where each of two tasks has parameters of its own.

    Raises:
        InputError: torch has no way to do that; `torch.gru` by example is one program for one set of parameters.
    """
    params = {key: value.to(device) for key, value in initial_parameters(core, torch.Generator()).items()}

    def loss(params: Params, x: torch.Tensor) -> torch.Tensor:
        said, _ = apply(core, params, x, x.new_zeros(2, core.state_size), x.new_ones(2, 3))
        total: torch.Tensor = said.square().sum()
        return total

    def after_a_step(params: Params, x: torch.Tensor) -> torch.Tensor:
        slope = grad(loss)(params, x)
        return loss({key: value - slope[key] for key, value in params.items()}, x)

    try:
        for function in (loss, grad(after_a_step)):
            vmap(function, in_dims=(None, 0))(params, torch.ones(2, 2, 3, inputs, device=device))
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"algo.policy is '{name}', which torch cannot adapt task by task on {device.type} ({reason})"
            " — give attention"
        ) from error
