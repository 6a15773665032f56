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

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box

from metarl.algorithms.belief_model import BeliefModel
from metarl.algorithms.memory_configs import VariBADConfig
from metarl.core.networks import MLP, apply, initial_parameters, make_policy, size_of_observation
from metarl.core.optimiser import adam_state
from metarl.core.parts import joined, part_of
from metarl.core.proximal import Loss, proximal_descent, proximal_loss, trial_targets
from metarl.core.recurrent import streams
from metarl.core.replay import replay_bytes
from metarl.core.trust_region import require_finite
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import read_back, sent
from metarl.runtime.randomness import Address

ACTOR_GAIN = 0.01  # of the first policy's last layer, which makes all actions nearly as likely


class BeliefMemory(NamedTuple):
    """What an agent carries through a trial, on the CPU, where acting happens."""

    actor: Params
    encoder: Params
    head: Params
    hidden: torch.Tensor  # [N, E, H]
    first: torch.Tensor  # [N, E], one where an episode is about to start


class VariBAD:
    """Acting on a belief.

    Args:
        config: its options.
        observation_space: of one lane.
        action_space: of one lane.
        device: where updates are computed.
    """

    Config = VariBADConfig
    adapts_after_each_episode = True

    def __init__(
        self,
        config: VariBADConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        device: torch.device,
    ) -> None:
        self.config, self.device = config, device
        self.model = BeliefModel(config, observation_space, action_space)
        known = size_of_observation(observation_space) + config.episode_starts
        seen = Box(-np.inf, np.inf, (known + 2 * config.latent_size,))
        self.actor = make_policy(seen, action_space, config.hidden, "tanh", config.initial_std, ACTOR_GAIN)
        self.critic = MLP(seen.shape[0] + 1, config.hidden, 1)

    @property
    def rounds(self) -> int:
        """Episodes of a meta-training trial."""
        return self.config.rounds

    @property
    def memory_bytes(self) -> int:
        """What the replay takes."""
        return replay_bytes(self.config.replay_size, self.model.observation_size, self.model.action_size)

    def initial_state(self, address: Address) -> State:
        """Fresh networks and optimisers, an empty replay; the returns' scale is not known yet."""
        generator = address.torch_generator()
        parts = {name: initial_parameters(getattr(self, name), generator) for name in ("actor", "critic")}
        policy = {name: sent(value, self.device) for name, value in joined(parts).items()}
        scale = torch.zeros((), device=self.device)
        learned = self.model.initial_state(generator, self.device)
        return {"policy": policy, "optimiser": adam_state(policy), "return_scale": scale, **learned}

    def begin(self, state: State, addresses: Sequence[Address], lanes_per_task: int) -> BeliefMemory:
        """The prior: what the encoder says before it has seen anything. An episode is about to start."""
        params = {name: value.cpu() for name, value in {**state["policy"], **state["model"]}.items()}
        actor, encoder, head = (part_of(params, name) for name in ("actor", "encoder", "head"))
        hidden = torch.zeros(len(addresses), lanes_per_task, self.config.memory_size)
        return BeliefMemory(actor, encoder, head, hidden, torch.ones(hidden.shape[:2]))

    def act(
        self, state: State, memory: BeliefMemory, observation: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, BeliefMemory]:
        """Sample from the policy at observation `[N, E, O]` and each lane's belief."""
        belief = self.model.belief(memory.head, memory.hidden)
        distribution = apply(self.actor, memory.actor, torch.cat(self.seen(observation, memory.first, *belief), dim=-1))
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, state: State, memory: BeliefMemory, transition: Transition) -> BeliefMemory:
        """Move the belief in the lanes that played the step."""
        hidden = self.model.step(memory.encoder, memory.hidden, transition)
        return memory._replace(hidden=hidden, first=torch.where(transition.mask > 0, 0.0, memory.first))

    def adapt(self, state: State, memory: BeliefMemory, rollout: Rollout) -> BeliefMemory:
        """Only say that a new episode starts: everything was learned step by step."""
        return memory._replace(first=torch.ones_like(memory.first))

    def belief(self, memory: BeliefMemory) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of what each lane believes now, `[N, E, Z]` both."""
        belief = self.model.belief(memory.head, memory.hidden)
        return belief.mean, torch.exp(2 * belief.log_std)

    @torch.no_grad()
    def beliefs(self, state: State, trial: Trial) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance after every step of a trial, `[N, E, K, T, Z]` both.

        After a step that was not played they stand where the last one left them; in a lane that diverged, at the
        prior. That is what is believed before the first step, in all tasks: `belief` of what `begin` returns.
        """
        after = (x[:, 1:] for x in self.model.beliefs(state["model"], self.stream(trial)))
        N, E, T = trial.rollouts[0].mask.shape
        mean, log_std = (x.reshape(N, E, len(trial.rollouts), T, -1) for x in after)
        return mean, torch.exp(2 * log_std)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Epochs of the policy on the beliefs that it acted on; then gradient steps of the belief model.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: something in the trial, a gradient or a parameter is not finite.
        """
        config, generator = self.config, address.torch_generator()
        stream = self.stream(trial)
        batch, scale, explained = self.batch(state, stream)
        require_finite("trial", {"observation": stream.observation, "next_observation": stream.next_observation})
        policy, optimiser, losses = proximal_descent(
            self.loss,
            state["policy"],
            state["optimiser"],
            batch,
            generator,
            epochs=config.epochs,
            parts=config.minibatches,
            learning_rate=config.learning_rate,
            decay=config.learning_rate_decay,
            max_gradient_norm=config.max_gradient_norm,
        )
        learned, bound = self.model.learn(state, stream, trial.rollouts[0].mask.shape[1], generator)
        metrics = {
            "update/loss": losses["total"],
            "update/policy_loss": losses["policy"],
            "update/value_loss": losses["value"],
            "update/explained_variance": explained,
            "update/kl": losses["kl"],
            "update/clipped": losses["clipped"],
            **read_back(
                {"update/model_loss": bound.loss, "update/decoder_error": bound.error, "update/belief_kl": bound.kl}
            ),
            "policy/entropy": losses["entropy"],
        }
        if "actor.log_std" in policy:
            metrics["policy/std"] = float(policy["actor.log_std"].exp().mean())
        return {**state, "policy": policy, "optimiser": optimiser, "return_scale": scale, **learned}, metrics

    def stream(self, trial: Trial) -> Rollout:
        """A trial's rounds one after another, `[B, L, ...]`, on the device."""
        return Rollout(*(sent(field, self.device) for field in streams(trial)))

    @torch.no_grad()
    def batch(self, state: State, stream: Rollout) -> tuple[Batch, torch.Tensor, float]:
        """What the policy's loss sees of a trial, `[B, L, ...]`; the new scale of returns; explained variance.

        Raises:
            NonFiniteError: the rewards are not finite.
        """
        belief = self.model.beliefs(state["model"], stream)
        L = stream.mask.shape[1]
        over = torch.arange(L, device=self.device).div(L).expand_as(stream.mask)[..., None]
        seen = torch.cat([*self.seen(stream.observation, stream.first, *(x[:, :-1] for x in belief)), over], dim=-1)
        value = self.value(state["policy"], seen)
        targets = trial_targets(
            stream.reward, value, stream.mask, state["return_scale"], self.config.discount, self.config.gae_lambda
        )
        batch = Batch(
            observation=seen,
            action=stream.action,
            log_probability=stream.log_probability,
            advantage=targets.advantage,
            return_=targets.return_,
            mask=stream.mask,
        )
        return batch, targets.scale, targets.explained_variance

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
