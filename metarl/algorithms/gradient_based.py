"""Agents that adapt by gradient steps: their memory is one set of policy parameters a task.

What MAML, ProMP and their kin share: how they act, how they take an inner step on a round of experience, and
their losses for one task. A method's meta-parameters are `state["policy"]`: the policy's initial parameters and, where
it learns more than that (rates, …), these beside them. Methods differ in their inner loop (`core/inner_loops.py`) and
in the meta-update.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.configs import AdamConfig, InnerLoopConfig
from metarl.core.advantages import make_batch
from metarl.core.distributions import Distribution
from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import for_tasks, repeat_for_tasks
from metarl.core.losses import INNER_LOSSES, masked_mean
from metarl.core.meta_gradient import descend
from metarl.core.networks import apply, for_acting, initial_parameters, make_policy
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import read_back, sent
from metarl.runtime.randomness import Address
from metarl.runtime.ranks import mean_over_tasks


class TaskParameters(NamedTuple):
    """The memory of a gradient-based agent."""

    params: Params  # leading N, on the CPU, where acting happens
    steps: int  # inner steps taken


class GradientBased:
    """Acting and adapting; a method adds `update`, and what it needs to `initial_state`.

    Args:
        config: policy and inner loop.
        spaces: of one lane.
        device: where adaptation and updates are computed.
    """

    @classmethod
    def traits(cls, config: InnerLoopConfig) -> Traits:
        """Every mean over tasks is one over ranks too."""
        return Traits(divides_over_ranks=True)

    def __init__(self, config: InnerLoopConfig, spaces: Spaces, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.policy = make_policy(
            spaces.observation,
            spaces.action,
            config.hidden,
            config.activation,
            config.initial_std,
            config.output_gain,
            self.context_size,
            config.state_dependent_std,
        )
        self.policy_loss = INNER_LOSSES[config.inner_objective]
        self.inner = self.inner_loop()

    @property
    def context_size(self) -> int:
        """Numbers that the policy takes beside the observation."""
        return 0

    def inner_loop(self) -> GradientSteps:
        """How this method adapts."""
        return GradientSteps(self.inner_loss, self.config.inner_lr, self.config.first_order)

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial, `K + 1`."""
        return self.config.inner_steps + 1

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters, on the device."""
        meta = self.inner.initial(initial_parameters(self.policy, address.torch_generator()))
        return {"policy": {name: sent(value, self.device) for name, value in meta.items()}}

    def acting(self, state: State) -> Params:
        """What every task starts from."""
        return for_acting(self.inner.start(state["policy"]))

    def begin(self, acting: Params, addresses: Sequence[Address], lanes_per_task: int) -> TaskParameters:
        """Every task starts alike."""
        return TaskParameters(repeat_for_tasks(acting, len(addresses)), steps=0)

    def act(
        self,
        acting: Params,
        memory: TaskParameters,
        observation: torch.Tensor,
        live: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[Action, TaskParameters]:
        """Sample from each task's own policy; observation `[N, E, O]`."""
        distribution = apply(self.policy, memory.params, observation)
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, acting: Params, memory: TaskParameters, transition: Transition) -> TaskParameters:
        """Nothing is learned within a round."""
        return memory

    def adapt(self, state: State, memory: TaskParameters, rollout: Rollout) -> TaskParameters:
        """One inner step for each task, on its round of experience."""
        trained = memory.steps < self.config.inner_steps
        step = partial(self.inner.step, number=memory.steps, scale=1.0 if trained else self.config.later_inner_lr)
        params = {name: sent(value, self.device) for name, value in memory.params.items()}
        adapted = for_tasks(step, shared=[0])(state["policy"], params, self.batch(rollout))
        return TaskParameters(for_acting(adapted), memory.steps + 1)

    def batch(self, rollout: Rollout) -> Batch:
        """A rollout as losses see it, on the device, `[N, E, T, ...]`."""
        on_device = Rollout(*(sent(field, self.device) for field in rollout))
        return make_batch(on_device, self.config.discount, self.config.gae_lambda)

    def batches(self, trial: Trial) -> tuple[tuple[Batch, ...], Batch]:
        """The rounds that were adapted on, and the one after adaptation."""
        *support, query = (self.batch(rollout) for rollout in trial.rollouts)
        return tuple(support), query

    def adapt_all(self, meta: Params, support: tuple[Batch, ...]) -> Params:
        """Every task's parameters after the inner loop, `[N, ...]`."""
        return for_tasks(self.adapt_task, shared=[0])(meta, support)

    def distribution_of_all(self, adapted: Params, query: Batch) -> Distribution:
        """Every task's distribution under its own parameters, `[N, E, T, ...]`."""
        return for_tasks(self.distribution)(adapted, query)

    def policy_metrics(self, policy: Params, adapted: Params, query: Batch) -> Metrics:
        """Entropy of the adapted policies, and the standard deviation of the actions where there is one."""
        measured = {"policy/entropy": mean_over_tasks(for_tasks(self.entropy)(adapted, query))}
        if "log_std" in policy:
            measured["policy/std"] = policy["log_std"].exp().mean()
        return {**read_back(measured)}

    # What follows is for one task: no axis N.

    def distribution(self, params: Params, batch: Batch) -> Distribution:
        """The policy's distribution at every step of `batch`."""
        return apply(self.policy, params, batch.observation)

    def inner_loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """What an inner step descends."""
        return self.policy_loss(self.distribution(params, batch), batch)

    def adapt_task(self, meta: Params, support: tuple[Batch, ...]) -> Params:
        """The inner loop of meta-training: one step on each batch."""
        return self.inner.adapt(meta, support)

    def bonus(self, distribution: Distribution, batch: Batch) -> torch.Tensor | float:
        """What a meta-objective pays for entropy."""
        weight = self.config.entropy_bonus
        return weight * masked_mean(distribution.entropy(), batch.mask) if weight else 0.0

    def kl(self, params: Params, query: tuple[Batch, Distribution]) -> torch.Tensor:
        """Mean divergence of the policy from an older distribution at the same observations."""
        batch, older = query
        newer: Any = self.distribution(params, batch)  # of the same kind as the older
        return masked_mean(older.kl(newer), batch.mask)

    def entropy(self, params: Params, batch: Batch) -> torch.Tensor:
        """Mean entropy of the policy over the steps of `batch`."""
        return masked_mean(self.distribution(params, batch).entropy(), batch.mask)


class AdamBased(GradientBased):
    """Methods whose meta-update is Adam's (Kingma & Ba 2015) on an objective for one task, averaged over tasks."""

    config: AdamConfig

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters and optimiser."""
        state = super().initial_state(address)
        return {**state, "optimiser": adam_state(state["policy"])}

    def learning_rate(self, state: State, epochs: int = 1) -> float:
        """The step size of the next meta-update, of `epochs` steps."""
        return falling_rate(self.config.learning_rate, self.config.learning_rate_decay, state["optimiser"], epochs)

    def descend(
        self, state: State, objective: Callable[..., torch.Tensor], data: tuple[Any, ...], epochs: int = 1
    ) -> tuple[State, list[float]]:
        """The state after `epochs` steps, each on all of `data`, and the objective before each of them."""
        policy, optimiser, losses = descend(
            objective,
            state["policy"],
            state["optimiser"],
            data,
            self.learning_rate(state, epochs),
            epochs,
            self.config.max_gradient_norm,
        )
        return {**state, "policy": policy, "optimiser": optimiser}, losses
