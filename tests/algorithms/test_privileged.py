"""What a trial knows of its tasks reaches learning: a value function that is told the task, of a policy that is not."""

from typing import Any

import torch
from gymnasium.spaces import Box
from support.trials import CPU, OBSERVATIONS, E, N, uneven

from metarl.algorithms import config_class
from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.proximal_update import proximal_batch, proximal_update, stream_of
from metarl.algorithms.rl2 import RL2
from metarl.core.networks import MLP, apply
from metarl.core.parts import part_of
from metarl.core.types import State, Trial
from metarl.runtime.randomness import Address

TASKS = torch.tensor([[-1.0], [0.5], [2.0]]).double()


class Privileged(RL2):
    """RL² whose value function is shown the task's parameters behind what the memory says."""

    def __init__(self, config: Any, spaces: Spaces, device: torch.device) -> None:
        super().__init__(config, spaces, device)
        self.told_size = spaces.task.shape[0]
        self.critic = MLP(config.memory_size + self.told_size, config.hidden, 1)

    def update(self, state: State, trial: Trial, address: Address) -> Any:
        stream = stream_of(trial, state, self.device)
        lanes = trial.rollouts[0].mask.shape[1]
        tasks = trial.tasks.float().repeat_interleave(lanes, dim=0)[:, None].expand(*stream.mask.shape, -1)
        told = torch.cat([self.inputs(stream), tasks], dim=-1)
        with torch.no_grad():
            _, value = self.distribution_and_value(state["policy"], told, stream.mask)
        batch, targets = proximal_batch(self.config, state, stream, told, value)
        return proximal_update(self.config, state, self.loss, batch, targets, address.torch_generator())

    def distribution_and_value(self, policy: Any, told: torch.Tensor, mask: torch.Tensor) -> Any:
        inputs, tasks = told.split([told.shape[-1] - self.told_size, self.told_size], dim=-1)
        start = inputs.new_zeros(len(inputs), self.core.state_size)
        outputs, _ = apply(self.core, part_of(policy, "core"), inputs, start, mask)
        value = apply(self.critic, part_of(policy, "critic"), torch.cat([outputs, tasks], dim=-1))
        return apply(self.actor, part_of(policy, "actor"), outputs), value.squeeze(-1)


def test_a_critic_that_sees_the_task_explains_what_none_can_that_does_not() -> None:
    # Trials of a single step, paid the task's number: nothing that is seen before tells it.
    config = config_class("rl2")(memory_size=8, hidden=(16,), rounds=1, learning_rate=1e-2, epochs=4, minibatches=1)
    spaces = Spaces(OBSERVATIONS, Box(-1, 1, (2,)), Box(-torch.inf, torch.inf, (1,)))
    explained = []
    for method in (RL2, Privileged):
        algorithm = method(config, spaces, CPU)
        state = algorithm.initial_state(Address(0))
        (rollout,) = uneven(RL2(config, spaces, CPU), RL2(config, spaces, CPU).initial_state(Address(0)), 1, 1).rollouts
        paid = TASKS.float()[:, None].expand(N, E, 1)
        trial = Trial([rollout._replace(reward=paid, mask=torch.ones(N, E, 1))], tasks=TASKS)
        for iteration in range(40):
            noise = torch.randn(N, E, 1, 2, generator=torch.Generator().manual_seed(iteration))
            trial = trial._replace(rollouts=[trial.rollouts[0]._replace(observation=noise)])
            state, metrics = algorithm.update(state, trial, Address(1, iteration))
        explained.append(metrics["update/explained_variance"])
    assert explained[0] < 0.3 and explained[1] > 0.95
