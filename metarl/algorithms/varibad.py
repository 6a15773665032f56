"""VariBAD: Zintgraf et al. 2020. A policy acts on what it believes of its task: exploration that is Bayes-adaptive.

A recurrent encoder turns every step of a trial, through all its episodes, into a belief: a Gaussian over a latent from
which the whole trial can be predicted (`belief_model.py`). The policy sees the observation, whether an episode starts,
and the belief's mean and log standard deviation; it learns by proximal policy optimisation on whole trials; no gradient
of it reaches the encoder, which learns from replay.

The belief is there to be seen: `belief` at any moment of acting, `beliefs` at every step of a recorded trial.

What differs from the publication: returns are those of a finite game, with nothing bootstrapped at a trial's end, so
the value function (only that) also sees how much of the trial is over; rewards are decoded with a squared error for
discrete worlds too; replay holds meetings, as PEARL's does (`core/replay.py`), and is part of the state; the flag of an
episode's end is an input of the encoder, not a part of observations that decoders would predict as well.

Letters beside the house's: Z latent · B = N·E lanes, each one trial · L = K·T steps of a trial.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.belief_model import BeliefModel
from metarl.algorithms.memory_configs import VariBADConfig
from metarl.algorithms.proximal_update import ACTOR_GAIN, proximal_batch, proximal_state, proximal_update, stream_of
from metarl.core.conditioning import body_of
from metarl.core.networks import MLP, apply, make_policy, size_of_observation
from metarl.core.parts import Parts, fresh_parameters, part_of
from metarl.core.proximal import Loss, Targets, proximal_loss
from metarl.core.recurrent import beginning
from metarl.core.trust_region import require_finite
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import CPU, read_back
from metarl.runtime.randomness import Address


class BeliefMemory(NamedTuple):
    """What an agent carries through a trial."""

    hidden: Any  # of the encoder, [B, S], or a cache
    said: torch.Tensor  # [N, E, H], by the encoder after the last step: what the belief is read from
    first: torch.Tensor  # [N, E], one where an episode is about to start


class VariBAD:
    """Acting on a belief.

    Args:
        config: its options.
        spaces: of one lane.
        device: where updates are computed.
    """

    Config = VariBADConfig

    @classmethod
    def traits(cls, config: VariBADConfig) -> Traits:
        """Each lane is a trial of its own; transitions are kept."""
        return Traits(adapts_after_each_episode=True, replay=config.replay_size)

    def __init__(self, config: VariBADConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = BeliefModel(config, spaces)
        known = size_of_observation(spaces.observation) + config.episode_starts
        seen = Box(-np.inf, np.inf, (known + 2 * config.latent_size,))
        body = body_of(config.head, 2 * config.latent_size, config.hidden, ACTOR_GAIN)
        self.actor = make_policy(seen, spaces.action, body, config.initial_std)
        self.critic = MLP(seen.shape[0] + 1, config.hidden, 1)

    @property
    def rounds(self) -> int:
        """Episodes of a meta-training trial."""
        return self.config.rounds

    def initial_state(self, address: Address) -> State:
        """Fresh networks and optimisers, an empty replay."""
        generator = address.torch_generator()
        policy = fresh_parameters({"actor": self.actor, "critic": self.critic}, generator, self.device)
        return {**proximal_state(self.config, policy), **self.model.initial_state(generator, self.device)}

    def acting(self, state: State) -> Parts:
        """The parameters of `actor`, `encoder` and `head`."""
        params = {**state["policy"], **state["model"]}
        return {part: part_of(params, part, CPU) for part in ("actor", "encoder", "head")}

    def begin(self, acting: Parts, addresses: Sequence[Address], lanes_per_task: int) -> BeliefMemory:
        """The prior: what the encoder says before it has seen anything. An episode is about to start."""
        lanes = len(addresses), lanes_per_task
        hidden = beginning(self.model.modules["encoder"], len(addresses) * lanes_per_task)
        return BeliefMemory(hidden, torch.zeros(*lanes, self.config.memory_size), torch.ones(lanes))

    def act(
        self, acting: Parts, memory: BeliefMemory, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, BeliefMemory]:
        """Sample from the policy at observation `[N, E, O]` and each lane's belief."""
        belief = self.model.belief(acting["head"], memory.said)
        distribution = apply(
            self.actor, acting["actor"], torch.cat(self.seen(observation, memory.first, *belief), dim=-1)
        )
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, acting: Parts, memory: BeliefMemory, transition: Transition) -> BeliefMemory:
        """Move the belief in the lanes that played the step."""
        played = transition.mask > 0
        hidden, said = self.model.step(acting["encoder"], memory.hidden, transition)
        said = torch.where(played[..., None], said, memory.said)
        return BeliefMemory(hidden, said, torch.where(played, 0.0, memory.first))

    def adapt(self, state: State, memory: BeliefMemory, rollout: Rollout) -> BeliefMemory:
        """Only say that a new episode starts: everything was learned step by step."""
        return memory._replace(first=torch.ones_like(memory.first))

    def belief(self, acting: Parts, memory: BeliefMemory) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of what each lane believes now, `[N, E, Z]` both."""
        belief = self.model.belief(acting["head"], memory.said)
        return belief.mean, torch.exp(2 * belief.log_std)

    @torch.no_grad()
    def beliefs(self, state: State, trial: Trial) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance after every step of a trial, `[N, E, K, T, Z]` both.

        After a step that was not played they stand where the last one left them; in a lane that diverged, at the
        prior. That is what is believed before the first step, in all tasks: `belief` of what `begin` returns.
        """
        after = (x[:, 1:] for x in self.model.beliefs(state["model"], stream_of(trial, state, self.device)))
        N, E, T = trial.rollouts[0].mask.shape
        mean, log_std = (x.reshape(N, E, len(trial.rollouts), T, -1) for x in after)
        return mean, torch.exp(2 * log_std)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Epochs of the policy on the beliefs that it acted on; then gradient steps of the belief model.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: something in the trial, a gradient or a parameter is not finite.
        """
        generator, stream = address.torch_generator(), stream_of(trial, state, self.device)
        batch, targets = self.batch(state, stream)
        require_finite("trial", {"observation": stream.observation, "next_observation": stream.next_observation})
        learned, metrics = proximal_update(self.config, state, self.loss, batch, targets, generator)
        model, bound = self.model.learn(state, trial, generator)
        return {**learned, **model}, {**metrics, **read_back({f"update/{name}": x for name, x in bound.items()})}

    @torch.no_grad()
    def batch(self, state: State, stream: Rollout) -> tuple[Batch, Targets]:
        """What the policy's loss sees of trials `[B, L, ...]`."""
        belief = self.model.beliefs(state["model"], stream)
        L = stream.mask.shape[1]
        over = torch.arange(L, device=self.device).div(L).expand_as(stream.mask)[..., None]
        seen = torch.cat([*self.seen(stream.observation, stream.first, *(x[:, :-1] for x in belief)), over], dim=-1)
        return proximal_batch(self.config, state, stream, seen, self.value(state["policy"], seen))

    def seen(self, observation: torch.Tensor, first: torch.Tensor, *belief: torch.Tensor) -> list[torch.Tensor]:
        """What the policy is given: `[..., O]`, if asked whether an episode starts `[..., 1]`, and the belief."""
        start = [first[..., None].to(observation.dtype)] if self.config.episode_starts else []
        return [observation, *start, *belief]

    def value(self, policy: Params, seen: torch.Tensor) -> torch.Tensor:
        """In units of the returns' scale, `[B, L]`."""
        value: torch.Tensor = apply(self.critic, part_of(policy, "critic"), seen)
        return value.squeeze(-1)

    def loss(self, policy: Params, batch: Batch) -> Loss:
        """What an Adam step of the policy descends, of some of the lanes."""
        distribution = apply(self.actor, part_of(policy, "actor"), batch.observation[..., :-1])
        value, config = self.value(policy, batch.observation), self.config
        return proximal_loss(distribution, value, batch, config.clip, config.value_coefficient, config.entropy_bonus)
