"""Agents that adapt by gradient steps: their memory is one set of policy parameters a task.

What MAML, ProMP and their kin share: how they act, how they take an inner step on a round of experience, and
their losses for one task. The methods differ in the meta-update alone.
"""

from typing import Any, NamedTuple

import gymnasium
import torch

from metarl.algorithms.configs import InnerLoopConfig
from metarl.core.adaptation import adapt, for_tasks, gradient_step, repeat_for_tasks
from metarl.core.advantages import make_batch
from metarl.core.distributions import Distribution
from metarl.core.losses import INNER_LOSSES, masked_mean
from metarl.core.networks import apply, initial_parameters, make_policy
from metarl.core.randomness import Address
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial


class TaskParameters(NamedTuple):
    """The memory of a gradient-based agent."""

    params: Params  # leading N, on the CPU, where acting happens
    steps: int  # inner steps taken


class GradientBased:
    """Acting and adapting; a method adds `update`, and what it needs to `initial_state`.

    Args:
        config: policy and inner loop.
        observation_space: of one lane.
        action_space: of one lane.
        device: where adaptation and updates are computed.
    """

    def __init__(
        self,
        config: InnerLoopConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        self.policy = make_policy(
            observation_space,
            action_space,
            config.hidden,
            config.activation,
            config.initial_std,
            config.output_gain,
        )
        self.policy_loss = INNER_LOSSES[config.inner_objective]

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial, `K + 1`."""
        return self.config.inner_steps + 1

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters, on the device."""
        params = initial_parameters(self.policy, address.torch_generator())
        return {"policy": {name: value.to(self.device) for name, value in params.items()}}

    def begin(self, state: State, num_tasks: int, lanes_per_task: int) -> TaskParameters:
        """Every task starts from the meta-parameters."""
        params = {name: value.cpu() for name, value in state["policy"].items()}
        return TaskParameters(repeat_for_tasks(params, num_tasks), steps=0)

    def act(
        self, state: State, memory: TaskParameters, observation: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, TaskParameters]:
        """Sample from each task's own policy; observation `[N, E, O]`."""
        distribution = apply(self.policy, memory.params, observation)
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, state: State, memory: TaskParameters, transition: Transition) -> TaskParameters:
        """Nothing is learned within a round."""
        return memory

    def adapt(self, state: State, memory: TaskParameters, rollout: Rollout) -> TaskParameters:
        """One inner step for each task, on its round of experience."""
        rate = self.config.inner_lr
        if memory.steps >= self.config.inner_steps:
            rate *= self.config.later_inner_lr
        batch = self.batch(rollout)
        params = {name: value.to(self.device) for name, value in memory.params.items()}

        def step(params: Params, batch: Batch) -> Params:
            return gradient_step(self.inner_loss, params, batch, rate)

        adapted = for_tasks(step)(params, batch)
        return TaskParameters({name: value.cpu() for name, value in adapted.items()}, memory.steps + 1)

    def batch(self, rollout: Rollout) -> Batch:
        """A rollout as losses see it, on the device, `[N, E, T, ...]`."""
        on_device = Rollout(*(field.to(self.device) for field in rollout))
        return make_batch(on_device, self.config.discount, self.config.gae_lambda)

    def batches(self, trial: Trial) -> tuple[tuple[Batch, ...], Batch]:
        """The rounds that were adapted on, and the one after adaptation."""
        *support, query = (self.batch(rollout) for rollout in trial.rollouts)
        return tuple(support), query

    def adapt_all(self, policy: Params, support: tuple[Batch, ...]) -> Params:
        """Every task's parameters after the inner loop, `[N, ...]`."""
        return for_tasks(self.adapt_task, shared=[0])(policy, support)

    def distribution_of_all(self, adapted: Params, query: Batch) -> Distribution:
        """Every task's distribution under its own parameters, `[N, E, T, ...]`."""
        return for_tasks(self.distribution)(adapted, query)

    def policy_metrics(self, policy: Params, adapted: Params, query: Batch) -> Metrics:
        """Entropy of the adapted policies, and the standard deviation of the actions where there is one."""
        metrics = {"policy/entropy": float(for_tasks(self.entropy)(adapted, query).mean())}
        if "log_std" in policy:
            metrics["policy/std"] = float(policy["log_std"].exp().mean())
        return metrics

    # What follows is for one task: no axis N.

    def distribution(self, params: Params, batch: Batch) -> Distribution:
        """The policy's distribution at every step of `batch`."""
        return apply(self.policy, params, batch.observation)

    def inner_loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """What an inner step descends."""
        return self.policy_loss(self.distribution(params, batch), batch)

    def inner_step(self, params: Params, batch: Batch) -> Params:
        """One inner step of meta-training, differentiable in `params`."""
        return gradient_step(self.inner_loss, params, batch, self.config.inner_lr, first_order=self.config.first_order)

    def adapt_task(self, params: Params, support: tuple[Batch, ...]) -> Params:
        """The inner loop of meta-training: one step on each batch."""
        config = self.config
        return adapt(self.inner_loss, params, support, config.inner_lr, first_order=config.first_order)

    def kl(self, params: Params, query: tuple[Batch, Distribution]) -> torch.Tensor:
        """Mean divergence of the policy from an older distribution at the same observations."""
        batch, older = query
        newer: Any = self.distribution(params, batch)  # of the same kind as the older
        return masked_mean(older.kl(newer), batch.mask)

    def entropy(self, params: Params, batch: Batch) -> torch.Tensor:
        """Mean entropy of the policy over the steps of `batch`."""
        return masked_mean(self.distribution(params, batch).entropy(), batch.mask)
