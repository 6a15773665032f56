"""An off-policy method of one's own, for discrete actions: Q-learning from replay (Watkins & Dayan 1992)."""

from dataclasses import dataclass
from typing import Any

import torch

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.core.networks import MLP, apply, for_acting, initial_parameters, size_of_action, size_of_observation
from metarl.core.optimiser import adam_state
from metarl.core.proximal import adam_descent
from metarl.core.replay import empty_replay, slots_of, write_trial
from metarl.core.types import Action


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (32,)
    replay_size: int = 20_000
    discount: float = 0.9


class GreedyQ:
    """The dearest action, but for one of ten steps; nothing is remembered of a task."""

    Config, rounds = Config, 1
    traits = classmethod(lambda cls, config: Traits(adapts_after_each_episode=True, replay=config.replay_size))
    begin = observe = adapt = lambda self, *known: None

    def __init__(self, config: Config, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.sizes = size_of_observation(spaces.observation), size_of_action(spaces.action)
        self.net = MLP(self.sizes[0], config.hidden, self.sizes[1], "relu")

    def initial_state(self, address: Any) -> Any:
        params = initial_parameters(self.net, address.torch_generator())
        replay = empty_replay(self.config.replay_size, *self.sizes, self.device)
        return {"policy": params, "optimiser": adam_state(params), "replay": replay}

    def acting(self, state: Any) -> Any:
        return for_acting(state["policy"])

    def act(self, acting: Any, memory: Any, observation: torch.Tensor, live: Any, noise: torch.Tensor) -> Any:
        dearest, any_ = apply(self.net, acting, observation).argmax(dim=-1), (noise * 10 * self.sizes[1]).long()
        return Action(torch.where(noise < 0.1, any_, dearest), torch.zeros(noise.shape)), memory

    def update(self, state: Any, trial: Any, address: Any) -> Any:
        replay, generator = write_trial(state["replay"], trial), address.torch_generator()
        slots, old = slots_of(replay, trial), state["policy"]

        def loss(params: Any, drawn: Any) -> list[torch.Tensor]:
            after = apply(self.net, old, drawn.next_observation).amax(dim=-1) * ~drawn.terminated
            value = (apply(self.net, params, drawn.observation) * drawn.action).sum(dim=-1)
            return [(value - drawn.reward - self.config.discount * after).square().mean()]

        draws = (slots.draw(slots.draw_tasks(8, generator), 32, generator) for _ in range(20))
        params, optimiser, losses = adam_descent(loss, old, state["optimiser"], draws, 1e-2, 10.0, "value function")
        return {"policy": params, "optimiser": optimiser, "replay": replay}, {"update/loss": float(losses[-1][0])}
