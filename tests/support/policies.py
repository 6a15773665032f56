"""Policies away from where they were trained: environments and agents that keep count, and networks by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import safetensors.numpy
import torch
from gymnasium.spaces import Box

from metarl.algorithms.algorithm import Traits
from metarl.core.types import Action
from metarl.deployment.adapt import AdaptivePolicy, load
from metarl.runtime.randomness import Address

GOAL = {"goal": [0.3, -0.2]}
EPISODES, HORIZON = 3, 5  # of the tiny run


def plane(**options: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("metarl/PointNav-v0", task=GOAL, horizon=HORIZON, **options)


def by_hand(params: dict[str, np.ndarray], observation: np.ndarray) -> np.ndarray:
    """The output of a network with one hidden layer of tanh, in double precision."""
    weights = {name.removeprefix("body.layers."): value.astype(np.float64) for name, value in params.items()}
    hidden = np.tanh(observation @ weights["0.weight"].T + weights["0.bias"])
    return hidden @ weights["1.weight"].T + weights["1.bias"]


def weights_on_disk(run: Path) -> dict[str, np.ndarray]:
    """The policy's parameters in the newest checkpoint, read without metarl."""
    path = max((run / "checkpoints").glob("*.safetensors"))
    stored = safetensors.numpy.load_file(path)
    return {name.removeprefix("policy/"): value for name, value in stored.items() if name.startswith("policy/")}


class Counting(gymnasium.Env[Any, Any]):
    """One observation, one action; episodes end by themselves after three steps. Counts, and may raise."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-1, 1, (2,), np.float32)
    resets = steps = 0
    seeds: list[int | None]
    raises = closed = False

    def __init__(self) -> None:
        self.seeds = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.resets, self.t = self.resets + 1, 0
        self.seeds.append(seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        assert action.dtype == np.float32 and self.action_space.contains(action)
        if self.raises:
            raise RuntimeError("the gripper is stuck")
        self.steps, self.t = self.steps + 1, self.t + 1
        return np.full(2, self.t / 5, np.float32), float(action[0]), self.t == 3, False, {}

    def close(self) -> None:
        self.closed = True


class Memoriser:
    """An agent whose action is the number of steps it has observed; it learns from single episodes."""

    rounds, device = 2, torch.device("cpu")

    def __init__(self) -> None:
        self.adapted_on: list[tuple[int, ...]] = []

    @classmethod
    def traits(cls, config: Any) -> Traits:
        return Traits(adapts_after_each_episode=True)

    def acting(self, state: Any) -> Any:
        return {}

    def begin(self, acting: Any, addresses: Any, lanes_per_task: int) -> Any:
        assert len(addresses) == lanes_per_task == 1
        return torch.zeros(1, 1, 2)

    def act(self, acting: Any, memory: Any, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor) -> Any:
        return Action(memory / 100, torch.zeros(1, 1)), memory

    def observe(self, acting: Any, memory: Any, transition: Any) -> Any:
        return memory + transition.mask[..., None]

    def adapt(self, state: Any, memory: Any, rollout: Any) -> Any:
        self.adapted_on.append(tuple(rollout.mask.shape))
        return memory

    def initial_state(self, address: Address) -> Any:
        return {}

    def update(self, state: Any, trial: Any, address: Address) -> Any:
        return state, {}


def remembering(run: Path) -> tuple[AdaptivePolicy, Memoriser]:
    policy, agent = load(run), Memoriser()
    return replace(policy, setup=replace(policy.setup, algorithm=agent)), agent  # type: ignore[arg-type]
