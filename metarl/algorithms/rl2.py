"""RL²: Duan et al. 2016; Wang et al. 2016. A recurrent policy learns to learn: its memory is its hidden state.

A trial is several episodes in one task. The hidden state is reset when a trial begins and lives through the borders of
its episodes; beside the observation the policy is given its last action, the reward for that, and whether an episode
starts. What is maximised is the return of the whole trial, a finite game: an episode's end within it cuts neither
returns nor memory, and after the trial's last step comes nothing, so nothing is bootstrapped there. The update is
proximal policy optimisation on whole sequences (Schulman et al. 2017).

The memory is any core (`core/recurrent.py`): a gated recurrent unit, as published, linear attention, or a transformer
over all that was met. Policy and value function read it as a head says (`core/conditioning.py`): as published, or RNN+S
and RNN+HN (Beck et al. 2023).

Letters beside the house's: B = N·E lanes, each one trial · L = K·T steps of a trial · X inputs of a step, P of them
about the step before · S numbers of the memory's state.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.cores import make_core
from metarl.algorithms.memory_configs import EpisodicConfig, RL2Config
from metarl.algorithms.proximal_update import ACTOR_GAIN, proximal_batch, proximal_state, proximal_update, stream_of
from metarl.core.conditioning import body_of
from metarl.core.distributions import Distribution
from metarl.core.networks import action_as_input, apply, make_policy, size_of_action, size_of_observation
from metarl.core.parts import Parts, fresh_parameters, part_of
from metarl.core.proximal import Loss, Targets, proximal_loss
from metarl.core.recurrent import beginning, of_previous_step, step
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import CPU
from metarl.runtime.randomness import Address


class RecurrentMemory(NamedTuple):
    """What an agent carries through a trial."""

    hidden: Any  # [B, S], or a cache
    previous: torch.Tensor  # [B, P]: last observation (if shown), action, reward; whether an episode starts


class RL2:
    """Memory in place of adaptation.

    Args:
        config: its options.
        spaces: of one lane.
        device: where updates are computed.
    """

    Config = RL2Config

    @classmethod
    def traits(cls, config: RL2Config | EpisodicConfig) -> Traits:
        """Each lane is a trial of its own."""
        return Traits(adapts_after_each_episode=True)

    def __init__(self, config: RL2Config | EpisodicConfig, spaces: Spaces, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.observation_size = inputs = size_of_observation(spaces.observation)
        seen = Box(-np.inf, np.inf, (config.memory_size + (inputs if config.head != "memory" else 0),))
        actor, critic = (body_of(config.head, config.memory_size, config.hidden, gain) for gain in (ACTOR_GAIN, 1.0))
        self.actor = make_policy(seen, spaces.action, actor, config.initial_std)
        self.critic = critic(seen.shape[0], 1)
        self.action_size = size_of_action(spaces.action)
        self.previous_size = self.action_size + 2 + (inputs if config.previous_observation else 0)
        self.step_size = inputs + self.previous_size
        self.core = make_core(config.memory, self.step_size, config.embedding_size, config.memory_size)

    @property
    def rounds(self) -> int:
        """Episodes of a meta-training trial."""
        return self.config.rounds

    def initial_state(self, address: Address) -> State:
        """Fresh parameters and optimiser, on the device."""
        modules = {"core": self.core, "actor": self.actor, "critic": self.critic}
        return proximal_state(self.config, fresh_parameters(modules, address.torch_generator(), self.device))

    def acting(self, state: State) -> Parts:
        """The parameters of `core` and `actor`."""
        return {part: part_of(state["policy"], part, CPU) for part in ("core", "actor")}

    def begin(self, acting: Parts, addresses: Sequence[Address], lanes_per_task: int) -> RecurrentMemory:
        """Nothing remembered, an episode about to start."""
        lanes = len(addresses) * lanes_per_task
        previous = torch.zeros(lanes, self.previous_size)
        previous[:, -1] = 1
        return RecurrentMemory(beginning(self.core, lanes), previous)

    def act(
        self, acting: Parts, memory: RecurrentMemory, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, RecurrentMemory]:
        """Sample from the policy of each lane's next recurrent state; observation `[N, E, O]`."""
        inputs = torch.cat([observation.flatten(0, 1), memory.previous], dim=1)  # [B, X]
        output, hidden = step(self.core, acting["core"], inputs, memory.hidden, live.flatten())
        seen = self.seen(observation, output.unflatten(0, observation.shape[:2]))
        distribution = apply(self.actor, acting["actor"], seen)
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory._replace(hidden=hidden)

    def observe(self, acting: Parts, memory: RecurrentMemory, transition: Transition) -> RecurrentMemory:
        """What the next step is told of this one, in the lanes that played it."""
        known = self.known(*(x.flatten(0, 1) for x in (transition.observation, transition.action, transition.reward)))
        previous = torch.cat([known, torch.zeros(len(known), 1)], dim=1)
        played = transition.mask.flatten()[:, None] > 0
        return memory._replace(previous=torch.where(played, previous, memory.previous))

    def adapt(self, state: State, memory: RecurrentMemory, rollout: Rollout) -> RecurrentMemory:
        """Only say that a new episode starts: everything was learned step by step."""
        previous = memory.previous.clone()
        previous[:, -1] = 1
        return memory._replace(previous=previous)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Epochs of minibatches of whole trials.

        Raises:
            NonFiniteError: the rewards, a gradient or a parameter are not finite.
        """
        batch, targets = self.batch(state, trial)
        return proximal_update(self.config, state, self.loss, batch, targets, address.torch_generator())

    @torch.no_grad()
    def batch(self, state: State, trial: Trial) -> tuple[Batch, Targets]:
        """What the loss sees of a trial, on the device, `[B, L, ...]`."""
        stream = stream_of(trial, state, self.device)
        inputs = self.inputs(stream)
        _, value = self.distribution_and_value(state["policy"], inputs, stream.mask)
        return proximal_batch(self.config, state, stream, inputs, value)

    def inputs(self, stream: Rollout) -> torch.Tensor:
        """What the recurrent state is fed at each step, `[B, L, X]`: as in acting."""
        previous = of_previous_step(self.known(stream.observation, stream.action, stream.reward), stream.mask)
        first = stream.first[..., None].to(previous.dtype)
        return torch.cat([stream.observation, previous, first], dim=-1)

    def known(self, observation: torch.Tensor, action: torch.Tensor, reward: torch.Tensor) -> torch.Tensor:
        """What the next step is told of this one, `[..., P - 1]`; of `[..., O]`, actions and `[...]`."""
        told = [action_as_input(action, self.action_size), reward.unsqueeze(-1)]
        return torch.cat([observation, *told] if self.config.previous_observation else told, dim=-1)

    def distribution_and_value(
        self, policy: Params, inputs: torch.Tensor, mask: torch.Tensor
    ) -> tuple[Distribution, torch.Tensor]:
        """The policy's distribution and the value `[B, L]` (in units of the returns' scale) after each input."""
        start = inputs.new_zeros(len(inputs), self.core.state_size)
        outputs, _ = apply(self.core, part_of(policy, "core"), inputs, start, mask)
        seen = self.seen(inputs[..., : self.observation_size], outputs)
        value = apply(self.critic, part_of(policy, "critic"), seen)
        return apply(self.actor, part_of(policy, "actor"), seen), value.squeeze(-1)

    def seen(self, observation: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """What policy and value function are given, of `[..., O]` and what the memory says, `[..., H]`."""
        return output if self.config.head == "memory" else torch.cat([observation, output], dim=-1)

    def loss(self, policy: Params, batch: Batch) -> Loss:
        """What an Adam step descends, of some of the lanes."""
        distribution, value = self.distribution_and_value(policy, batch.observation, batch.mask)
        config = self.config
        return proximal_loss(distribution, value, batch, config.clip, config.value_coefficient, config.entropy_bonus)
