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
from metarl.sampling.collect import Memory
from metarl.sampling.noise import likeliest_noise


class Buffer(str):
    """The name of a module's buffer, in the place of its tensor."""


class Program(nn.Module):
    """The deterministic policy; what its agent acts with, and the memory as adaptation left it, are in buffers.

    What of the memory moves with each step goes in and comes out as a vector: the number of steps played, the last
    observation and action, and the leaves `moving`.
    """

    def __init__(self, adapted: AdaptedPolicy, moving: list[int]) -> None:
        super().__init__()
        self.moving = moving
        self.agent, self.space = adapted.agent, adapted.spaces.action
        self.names: dict[str, str] = {}
        """What each buffer is called where weights are stored."""
        shown = {name: getattr(adapted.normalise, name) for name in ("mean", "std", "unit")}
        units = {name: value for name, value in shown.items() if value is not None}
        sides = ("low", "high") if isinstance(self.space, Box) else ()
        bounds = {side: torch.from_numpy(getattr(self.space, side)).float() for side in sides}
        parts = adapted.policy.acting, adapted.start, {"normalisation": units}, {"action": bounds}
        self.parts = pytree.tree_map_with_path(self._kept, parts)
        vector = [(), (adapted.spaces.observation_size,), self.space.shape or ()]
        self.shapes = [(1, 1, *shape) for shape in vector] + [tuple(leaf.shape) for leaf in self._moving(adapted.start)]

    def _kept(self, path: tuple[Any, ...], leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        buffer = Buffer(f"tensor_{len(self.names)}")
        self.register_buffer(buffer, leaf.detach().clone().contiguous())
        keys = [next(getattr(key, kind) for kind in ("name", "key", "idx") if hasattr(key, kind)) for key in path[1:]]
        self.names[buffer] = "/".join(map(str, keys))  # e.g. params/body.layers.0.weight
        return buffer

    def _read(self) -> Any:
        """What the agent acts with, the memory as adaptation left it, units of what it is shown, bounds of actions."""
        return pytree.tree_map(lambda leaf: getattr(self, leaf) if isinstance(leaf, Buffer) else leaf, self.parts)

    def start(self) -> torch.Tensor:
        """The vector before an episode, `[M]`: no step was played yet."""
        return packed(*(torch.zeros(shape) for shape in self.shapes[:3]), *self._moving(self._read()[1]))

    def _moving(self, memory: Memory) -> list[torch.Tensor]:
        leaves = pytree.tree_leaves(memory)
        return [leaves[index] for index in self.moving]

    def forward(
        self, observation: torch.Tensor, reward: torch.Tensor | None = None, memory: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """`[B, O]` -> `[B, A]` or `[B]`.

        With the last action's reward `[1]` and a memory `[M]`: `[1, O]` -> `[1, A]` or `[1]`, and the memory.
        """
        seen, discrete = observation.unsqueeze(0), isinstance(self.space, Discrete)
        acting, known, units, bounds = self._read()
        units = units["normalisation"]
        if "mean" in units:
            seen = (seen - units["mean"]) / units["std"]
        played = torch.zeros(1, 1)
        if reward is not None and memory is not None:
            parts = memory.split([math.prod(shape) for shape in self.shapes])
            played, before, did, *leaves = (part.view(shape) for part, shape in zip(parts, self.shapes, strict=True))
            kept, structure = pytree.tree_flatten(known)
            for index, leaf in zip(self.moving, leaves, strict=True):
                kept[index] = leaf
            none = torch.zeros(1, 1, dtype=torch.bool)
            last = Transition(
                observation=before,
                action=did.long() if discrete else did,
                log_probability=torch.zeros(1, 1),
                reward=reward.view(1, 1) / units.get("unit", 1.0),
                terminated=none,
                truncated=none,
                first=played == 1,
                mask=(played > 0).float(),  # before the first step there is nothing to observe
                next_observation=seen,
            )
            known = self.agent.observe(acting, pytree.tree_unflatten(kept, structure), last)
        noise = seen.new_full((*seen.shape[:2], *(self.space.shape or ())), likeliest_noise(self.space))
        live = torch.ones(seen.shape[:2], dtype=torch.bool)
        (action, _), known = self.agent.act(acting, known, seen, live, noise)
        legal = action.squeeze(0)
        if isinstance(self.space, Discrete):
            legal = legal + int(self.space.start)
        else:
            legal = legal.clamp(bounds["action"]["low"], bounds["action"]["high"])
        return legal if memory is None else (legal, packed(played + 1, seen, action, *self._moving(known)))


def packed(*parts: torch.Tensor) -> torch.Tensor:
    """All in one vector, `[M]`."""
    return torch.cat([part.to(torch.float32).flatten() for part in parts])
