"""What a gradient method learns from experience: a policy, and its losses for one task."""

from collections.abc import Callable
from typing import Any

import torch

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.policies import make_adaptable_policy
from metarl.core.advantages import make_batch
from metarl.core.distributions import Distribution
from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import for_tasks
from metarl.core.losses import INNER_LOSSES, PolicyLoss, log_likelihood_loss, masked_mean
from metarl.core.networks import apply
from metarl.core.rates_and_contexts import RATE
from metarl.core.recurrent_policy import RecurrentPolicy
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Trial
from metarl.runtime.devices import read_back, sent
from metarl.runtime.ranks import mean_over_tasks
from metarl.sampling.normalisation import normalised

Seen = dict[str, torch.Tensor]
"""What an update looked at, of each task `[N]`."""


class Experience:
    """A policy that learns from batches of its own actions.

    Args:
        config: the options of the pair, with `PolicyOptions`.
        spaces: of one lane.
        device: where losses are computed.
    """

    key = "policy"
    """Where a state keeps the meta-parameters."""

    def __init__(self, config: Any, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = make_adaptable_policy(config, spaces, device)
        self.state_size: int = self.model.core.state_size if isinstance(self.model, RecurrentPolicy) else 0
        """S, of a policy that remembers its episode."""
        self.policy_loss = INNER_LOSSES[config.inner_objective]

    def batches(self, trial: Trial, state: State, steps: int) -> tuple[tuple[Batch, ...], Batch]:
        """The `steps` rounds that were adapted on, and the one after adaptation, on the device `[N, E, T, ...]`."""
        *support, query = (self.batch(rollout) for rollout in normalised(trial, state).rollouts)
        return tuple(support), query

    def batch(self, rollout: Rollout) -> Batch:
        """A rollout as losses see it, on the device, `[N, E, T, ...]`."""
        on_device = Rollout(*(sent(field, self.device) for field in rollout))
        return make_batch(on_device, self.config.discount, self.config.gae_lambda)

    def pooled(self, support: tuple[Batch, ...], query: Batch) -> tuple[Batch, ...]:
        """What steps are taken on where no query is asked: every round."""
        return (*support, query)

    def look(self, inner: GradientSteps, meta: Params, support: tuple[Batch, ...], query: Batch) -> Seen:
        """Nothing but what `metrics` says."""
        return {}

    def metrics(self, meta: Params, adapted: Callable[[], Params], query: Batch, seen: Seen) -> Metrics:
        """Entropy of the adapted policies; the actions' standard deviation and learned rates, where there are such."""
        measured = {name: mean_over_tasks(value) for name, value in seen.items()}
        measured["policy/entropy"] = mean_over_tasks(for_tasks(self.entropy)(adapted(), query))
        for name in meta.keys() & {"log_std", "head.log_std"}:
            measured["policy/std"] = meta[name].exp().mean()
        rates = [value.flatten() for name, value in meta.items() if name.startswith(RATE)]
        if rates:
            measured["policy/inner_rate"] = torch.cat(rates).mean()
        return {**read_back(measured)}

    # What follows is for one task: no axis N.

    def distribution(self, params: Params, batch: Batch) -> Distribution:
        """The policy's distribution at every step of `batch`."""
        if not self.state_size:
            return apply(self.model, params, batch.observation)
        nothing = batch.observation.new_zeros(len(batch.observation), self.state_size)
        distribution, _ = apply(self.model, params, batch.observation, nothing, batch.mask)
        return distribution

    def play(
        self, params: Params, observation: torch.Tensor, state: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, torch.Tensor]:
        """One step of a policy that remembers its episode: actions at `[E, O]`, and the next state `[E, S]`."""
        distribution, state = apply(self.model, params, observation, state)
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), state

    def inner_loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """What an inner step descends."""
        return self.policy_loss(self.distribution(params, batch), batch)

    def judge(self, trail: list[Params], query: Batch) -> tuple[torch.Tensor, Seen]:
        """The negative return after adaptation, by the policy gradient's surrogate, less the entropy bonus."""
        loss = self.outer_loss(log_likelihood_loss, trail[-1], query)
        return loss, {"update/loss": loss}

    def outer_loss(self, loss: PolicyLoss, params: Params, query: Batch) -> torch.Tensor:
        """A loss of the adapted policy, less the entropy bonus."""
        return self.regularised(loss, self.distribution(params, query), query)

    def regularised(self, loss: PolicyLoss, distribution: Distribution, query: Batch) -> torch.Tensor:
        """The same, of the adapted policy's distribution at every step."""
        weight = self.config.entropy_bonus
        bonus = weight * masked_mean(distribution.entropy(), query.mask) if weight else 0.0
        return loss(distribution, query) - bonus

    def kl(self, params: Params, query: tuple[Batch, Distribution]) -> torch.Tensor:
        """Mean divergence of the policy from an older distribution at the same observations."""
        batch, older = query
        newer: Any = self.distribution(params, batch)  # of the same kind as the older
        return masked_mean(older.kl(newer), batch.mask)

    def entropy(self, params: Params, batch: Batch) -> torch.Tensor:
        """Mean entropy of the policy over the steps of `batch`."""
        return masked_mean(self.distribution(params, batch).entropy(), batch.mask)
