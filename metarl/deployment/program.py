"""A policy as a module that torch can trace: its agent's `act`, and what it remembers of single steps as a vector.

Letters: B observations at once, O observation, A action, M numbers of a memory.
"""

import math
from typing import Any

import torch
from gymnasium.spaces import Box, Discrete
from torch import nn
from torch.utils import _pytree as pytree

from metarl.core.types import Transition
from metarl.deployment.adapt import AdaptedPolicy
from metarl.sampling.collect import Acting, Memory


class Program(nn.Module):
    """The deterministic policy as a module: its agent's `act`; what that acts with, and its memory, in buffers."""

    mean: torch.Tensor  # [O], of observations, where they are normalised
    std: torch.Tensor  # [O]
    low: torch.Tensor  # [A], of a box of actions
    high: torch.Tensor  # [A]

    def __init__(self, adapted: AdaptedPolicy) -> None:
        super().__init__()
        self.adapted, self.agent = adapted, adapted.policy.setup.algorithm
        leaves, self.structure = pytree.tree_flatten_with_path((adapted.policy.acting, adapted.start))
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for _, leaf in leaves]
        self.names = {f"tensor_{index}": _name(path) for index, (path, _) in enumerate(leaves)}
        for index, (_, leaf) in enumerate(leaves):
            if isinstance(leaf, torch.Tensor):
                self.register_buffer(f"tensor_{index}", leaf.detach().clone().contiguous())
        if adapted.normalise.active:
            self.names |= {"mean": "normalisation/mean", "std": "normalisation/std"}
            self.register_buffer("mean", adapted.normalise.mean)
            self.register_buffer("std", adapted.normalise.std)
        self.space = adapted.spaces.action
        if isinstance(self.space, Box):
            self.register_buffer("low", torch.from_numpy(self.space.low).float())
            self.register_buffer("high", torch.from_numpy(self.space.high).float())
            self.names |= {"low": "action/low", "high": "action/high"}

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """`[B, O]` -> `[B, A]` or `[B]`."""
        acting, memory = pytree.tree_unflatten(self.leaves(), self.structure)
        action, _ = self.act(acting, memory, self.seen(observation))
        return self.legal(action)

    def leaves(self) -> list[Any]:
        """Of what is acted with, and of the memory as adaptation left it."""
        return [getattr(self, f"tensor_{i}", constant) for i, constant in enumerate(self.constants)]

    def seen(self, observation: torch.Tensor) -> torch.Tensor:
        """What the agent sees, `[1, B, O]`."""
        seen = observation.unsqueeze(0)
        return (seen - self.mean) / self.std if self.adapted.normalise.active else seen

    def act(self, acting: Acting, memory: Memory, seen: torch.Tensor) -> tuple[torch.Tensor, Memory]:
        """The agent's likeliest action `[1, B, A]` or `[1, B]`, and its memory."""
        lanes = seen.shape[:2]
        noise = seen.new_ones(lanes) if isinstance(self.space, Discrete) else seen.new_zeros(*lanes, len(self.low))
        live = torch.ones(lanes, dtype=torch.bool)
        action, memory = self.agent.act(acting, memory, seen, live, noise)
        return action.action, memory

    def legal(self, action: torch.Tensor) -> torch.Tensor:
        """The action of the space, `[B, A]` or `[B]`, that an agent's stands for."""
        if isinstance(self.space, Discrete):
            return action.squeeze(0) + int(self.space.start)
        return torch.clamp(action.squeeze(0), self.low, self.high)


class RememberingProgram(Program):
    """The same for a memory that changes with each step: what changes of it goes in and comes out, as one vector.

    The vector holds the number of steps played, the last observation and action, and the changing tensors.
    """

    def __init__(self, adapted: AdaptedPolicy, changing: list[int]) -> None:
        super().__init__(adapted)
        self.changing = changing
        self.shapes = [getattr(self, f"tensor_{index}").shape for index in changing]
        action = () if isinstance(self.space, Discrete) else (len(self.low),)
        self.kept = [(1, 1), (1, 1, adapted.spaces.observation_size), (1, 1, *action)]
        self.sizes = [math.prod(shape) for shape in [*self.kept, *self.shapes]]

    def start(self) -> torch.Tensor:
        """The vector before an episode, `[M]`: no step was played yet."""
        nothing = [torch.zeros(shape) for shape in self.kept]
        return self.packed(nothing, [getattr(self, f"tensor_{index}") for index in self.changing])

    def packed(self, kept: list[torch.Tensor], changing: list[torch.Tensor]) -> torch.Tensor:
        """All in one vector, `[M]`."""
        return torch.cat([tensor.to(torch.float32).flatten() for tensor in [*kept, *changing]])

    def forward(  # type: ignore[override]
        self, observation: torch.Tensor, reward: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Observation `[1, O]`, the last action's reward `[1]`, memory `[M]` -> action `[1, A]` or `[1]`, memory."""
        parts = memory.split(self.sizes)
        played, before, did = (part.view(shape) for part, shape in zip(parts, self.kept, strict=False))
        leaves, seen = self.leaves(), self.seen(observation)
        for index, part, shape in zip(self.changing, parts[len(self.kept) :], self.shapes, strict=True):
            leaves[index] = part.view(shape)
        none = torch.zeros(1, 1, dtype=torch.bool)
        transition = Transition(
            observation=before,
            action=did.long() if isinstance(self.space, Discrete) else did,
            log_probability=torch.zeros(1, 1),
            reward=reward.view(1, 1),
            terminated=none,
            truncated=none,
            first=played == 1,
            mask=(played > 0).float(),  # before the first step there is nothing to observe
            next_observation=seen,
        )
        acting, remembered = pytree.tree_unflatten(leaves, self.structure)
        action, remembered = self.act(acting, self.agent.observe(acting, remembered, transition), seen)
        after = pytree.tree_leaves((acting, remembered))
        return self.legal(action), self.packed([played + 1, seen, action], [after[index] for index in self.changing])


def _name(path: tuple[Any, ...]) -> str:
    """`params/body.layers.0.weight`, for a leaf of a memory or of what is acted with."""
    parts = [next(getattr(key, kind) for kind in ("name", "key", "idx") if hasattr(key, kind)) for key in path[1:]]
    return "/".join(map(str, parts))
