"""PEARL: Rakelly, Zhou, Quillen, Finn & Levine 2019. A belief about a latent from all transitions seen, soft
actor-critic on replay, and a policy that acts on samples of the belief.

* Acting (section 4.1, algorithm 2): the posterior is the product of one Gaussian for each transition seen. A lane acts
  on a sample of it for a whole round, so that early rounds explore (posterior sampling). Every lane believes what it
  has seen itself: a round is one episode however many lanes there are, and lanes of a task explore apart.
* Learning (algorithm 1): actor and twin critics see the observation and the latent `z` (`core/soft_actor_critic.py`).
  The critics' gradient also trains the encoder, beside an information bottleneck: the posterior's KL divergence from
  the prior. The actor takes `z` as it is.
* Context and learning batches are drawn apart (`core/replay.py`): actor and critics learn from all meetings with a
  task, while context is what one lane has seen in the last of them, as PEARL clears its encoder's buffer whenever a
  task is met again. Where every task is new there is one meeting of each; with a single lane both would then be the
  same few episodes, which a latent can tell apart by heart instead of telling the task: take several (`--lanes`).
* Critics bootstrap from the policy's next action itself, as later soft actor-critics do, without a value network.

Letters: beside the house's, Z latent · M tasks of a gradient step · B transitions of each.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import softplus

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.memory_configs import PEARLConfig
from metarl.algorithms.soft_updates import soft_descent, soft_state
from metarl.core.action_box import action_box
from metarl.core.inner_step import repeat_for_tasks
from metarl.core.networks import MLP, apply, for_acting, size_of_observation
from metarl.core.parts import Parts, fresh_parameters, gradients, part_of
from metarl.core.product_of_gaussians import Belief, prior
from metarl.core.replay import Slots, slots_of, write_trial
from metarl.core.soft_actor_critic import actor_loss, critic_target, tanh_gaussian, temperature_loss
from metarl.core.trust_region import require_finite
from metarl.core.types import Action, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import sent
from metarl.runtime.randomness import Address
from metarl.sampling.normalisation import Normaliser

SMALLEST_VARIANCE = 1e-7  # of one transition's Gaussian
OUTPUT_GAIN = 0.01  # of every untrained last layer: latents, actions and values start near 0, alike for all tasks


class TaskBelief(NamedTuple):
    """The memory: what each lane believes of its task, and the sample that it acts on."""

    belief: Belief  # [N, E, Z]
    latent: torch.Tensor  # [N, E, Z]
    addresses: tuple[Address, ...]  # of each task's draws
    round_: int


class Draw(NamedTuple):
    """What a gradient step learns from: transitions, and noise."""

    context: Rollout  # [M, context_size, ...]
    batch: Rollout  # [M, B, ...]
    latent_noise: torch.Tensor  # [M, Z]
    noise: torch.Tensor  # [M, B, A]
    next_noise: torch.Tensor  # [M, B, A]


class PEARL:
    """An agent that infers its task.

    Args:
        config: networks, replay and soft actor-critic.
        spaces: of one lane; observations in a flat box, actions in one with finite borders.
        device: where adaptation and updates are computed.

    Raises:
        InputError: spaces of another kind.
    """

    Config = PEARLConfig

    @classmethod
    def traits(cls, config: PEARLConfig) -> Traits:
        """Every lane believes what it has seen itself; transitions are kept."""
        return Traits(learns_from_whole_batch=True, adapts_after_each_episode=True, replay=config.replay_size)

    def __init__(self, config: PEARLConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.box = action_box(spaces.action)  # on the CPU, where acting happens
        self.learning_box = self.box.on(device)
        seen, A, Z = size_of_observation(spaces.observation), len(self.box.radius), config.latent_size
        self.observation_size, self.action_size = seen, A
        step = seen + A + 1 + (seen if config.context_with_next_observation else 0)
        self.actor = MLP(seen + Z, config.hidden, 2 * A, "relu", OUTPUT_GAIN)
        self.encoder = MLP(step, config.encoder_hidden, 2 * Z, "relu", OUTPUT_GAIN)
        self.critic = MLP(seen + Z + A, config.hidden, 1, "relu", OUTPUT_GAIN)

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial."""
        return self.config.rounds

    def initial_state(self, address: Address) -> State:
        """Fresh networks, targets that equal their critics, an empty replay."""
        modules = {"actor": self.actor, "encoder": self.encoder, "first": self.critic, "second": self.critic}
        fresh = fresh_parameters(modules, address.torch_generator(), self.device)
        policy = {part: part_of(fresh, part) for part in ("actor", "encoder")}
        first, second = part_of(fresh, "first"), part_of(fresh, "second")
        critic = {name: torch.stack([value, second[name]]) for name, value in first.items()}
        return soft_state(self.config, policy, critic, (self.observation_size, self.action_size), self.device)

    def acting(self, state: State) -> Params:
        """The policy."""
        return for_acting(state["policy"]["actor"])

    def begin(self, acting: Params, addresses: Sequence[Address], lanes_per_task: int) -> TaskBelief:
        """The prior, and a sample of it in every lane."""
        N, E, Z = len(addresses), lanes_per_task, self.config.latent_size
        return sampled(TaskBelief(prior(N, E, Z), torch.zeros(N, E, Z), tuple(addresses), round_=0))

    def act(
        self, acting: Params, memory: TaskBelief, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, TaskBelief]:
        """Sample from the policy at observation `[N, E, O]` and each lane's latent."""
        seen = torch.cat([observation, memory.latent], dim=-1)
        unit, log_probability = self.unit_action(repeat_for_tasks(acting, len(seen)), seen, noise)
        return Action(self.box.action(unit), self.box.log_density(log_probability)), memory

    def unit_action(self, actor: Params, seen: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions in (−1, 1) at observation and latent `[..., O + Z]`, and their log-probabilities `[...]`."""
        return tanh_gaussian(apply(self.actor, actor, seen)).sample_with_log_probability(noise)

    def observe(self, acting: Params, memory: TaskBelief, transition: Transition) -> TaskBelief:
        """Nothing is learned within a round."""
        return memory

    def adapt(self, state: State, memory: TaskBelief, rollout: Rollout) -> TaskBelief:
        """The posterior after a round's valid steps, and new samples of it."""
        steps = Rollout(*(sent(field, self.device) for field in rollout))
        encoder = repeat_for_tasks(state["policy"]["encoder"], len(memory.addresses))
        with torch.no_grad():
            mean, variance = torch.stack(self.evidence(encoder, steps)).cpu()
        belief = memory.belief.after(mean, variance, rollout.mask)
        require_finite("posterior", {"mean": belief.mean, "variance": belief.variance})
        return sampled(memory._replace(belief=belief, round_=memory.round_ + 1))

    def belief(self, acting: Params, memory: TaskBelief) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of what each lane believes now, `[N, E, Z]` both."""
        return memory.belief.mean, memory.belief.variance

    def evidence(self, encoder: Params, steps: Rollout) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of every transition's Gaussian, `[..., Z]` both."""
        parts = [steps.observation, self.learning_box.unit(steps.action), steps.reward.unsqueeze(-1)]
        if self.config.context_with_next_observation:
            parts.append(steps.next_observation)
        mean, spread = apply(self.encoder, encoder, torch.cat(parts, dim=-1)).chunk(2, dim=-1)
        return mean, softplus(spread).clamp(min=SMALLEST_VARIANCE)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Write the trial to the replay, then take gradient steps on what it holds.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: something in the trial, or a parameter after the steps, is not finite.
        """
        for number, rollout in enumerate(trial.rollouts):
            require_finite(f"experience of round {number}", rollout._asdict())
        replay = write_trial(state["replay"], trial)
        state = {**state, "replay": replay}
        if int(replay["meetings"]) <= self.config.warmup_iterations * len(trial.rollouts[0].mask):
            return state, {"update/gradient_steps": 0.0}
        env_steps = sum(float(rollout.mask.sum()) for rollout in trial.rollouts)
        slots, steps = slots_of(replay, trial, self.config.pool_meetings), round(self.config.update_ratio * env_steps)
        return self.descend(state, slots, max(1, steps), address.torch_generator())

    def descend(self, state: State, slots: Slots, steps: int, generator: torch.Generator) -> tuple[State, Metrics]:
        """The state after `steps` gradient steps on copies of its parameters."""
        seen = Normaliser(state, self.device).seen
        return soft_descent(self.config, state, steps, lambda: self.draw(slots, seen, generator), self.gradient)

    def draw(self, slots: Slots, seen: Callable[[Rollout], Rollout], generator: torch.Generator) -> Draw:
        """Tasks, transitions as they are `seen` now, and noise of a gradient step."""
        config, A = self.config, self.action_size
        tasks = slots.draw_tasks(config.meta_batch, generator)
        M, B = len(tasks), config.batch_size

        def noise(*shape: int) -> torch.Tensor:
            return sent(torch.randn(*shape, generator=generator), self.device)

        return Draw(
            context=seen(slots.draw_context(tasks, config.context_size, generator)),
            batch=seen(slots.draw(tasks, B, generator)),
            latent_noise=noise(M, config.latent_size),
            noise=noise(M, B, A),
            next_noise=noise(M, B, A),
        )

    def gradient(
        self, parts: Parts, log_temperature: torch.Tensor, target: Params, draw: Draw
    ) -> tuple[Params, dict[str, torch.Tensor]]:
        """Of each network in its own loss, by `PART.NAME`; and what the losses were."""
        temperature = log_temperature.detach().exp()
        belief = self.posterior(parts["encoder"], draw.context)
        kl = belief.kl_from_prior().mean()
        latent = belief.sample(draw.latent_noise).unsqueeze(-2).expand(-1, self.config.batch_size, -1)  # [M, B, Z]
        critic, values = self.critic_loss(parts, temperature, target, draw, latent)
        inference = {name: parts[name] for name in ("encoder", "critic")}
        gradient = gradients(critic + self.config.kl_weight * kl, inference)
        actor, log_probability = self.actor_loss(parts, temperature, draw, latent.detach())
        gradient |= gradients(actor, {"actor": parts["actor"]})
        gradient["log_temperature"] = torch.zeros_like(log_temperature)
        if self.config.learned_temperature:
            loss = temperature_loss(log_temperature, log_probability, -float(self.action_size))
            (gradient["log_temperature"],) = torch.autograd.grad(loss, log_temperature)
        return gradient, {
            "critic_loss": critic.detach(),
            "actor_loss": actor.detach(),
            "kl": kl.detach(),
            "value": values.detach().mean(),
            "temperature": temperature,
            "entropy": -log_probability.detach().mean(),
        }

    def posterior(self, encoder: Params, context: Rollout) -> Belief:
        """What is believed after `context` `[M, context_size, ...]`, `[M, Z]`."""
        mean, variance = self.evidence(encoder, context)
        start = prior(mean.shape[0], mean.shape[-1], device=mean.device)
        return start.after(mean, variance, torch.ones_like(mean[..., 0]))

    def critic_loss(
        self, parts: Parts, temperature: torch.Tensor, target: Params, draw: Draw, latent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared error of both critics, and their values `[2, M, B]`."""
        batch = draw.batch
        with torch.no_grad():
            following = torch.cat([batch.next_observation, latent], dim=-1)
            action, log_probability = self.unit_action(parts["actor"], following, draw.next_noise)
            reward, after = self.config.reward_scale * batch.reward, self.values(target, following, action)
            discount = self.config.discount
            wanted = critic_target(reward, batch.terminated, after, log_probability, temperature, discount)
        seen = torch.cat([batch.observation, latent], dim=-1)
        values = self.values(parts["critic"], seen, self.learning_box.unit(batch.action))
        return (values - wanted).square().sum(dim=0).mean(), values

    def actor_loss(
        self, parts: Parts, temperature: torch.Tensor, draw: Draw, latent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy's loss at latents that take no gradient, and its log-probabilities `[M, B]`."""
        seen = torch.cat([draw.batch.observation, latent], dim=-1)
        action, log_probability = self.unit_action(parts["actor"], seen, draw.noise)
        frozen = {name: value.detach() for name, value in parts["critic"].items()}
        return actor_loss(self.values(frozen, seen, action), log_probability, temperature), log_probability

    def values(self, critic: Params, seen: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Of both critics, `[2, M, B]`, at observation and latent `[M, B, O + Z]` and unit actions `[M, B, A]`."""
        inputs = torch.cat([seen, action], dim=-1)
        return apply(self.critic, critic, inputs.expand(2, *inputs.shape)).squeeze(-1)


def sampled(memory: TaskBelief) -> TaskBelief:
    """The memory with new samples of its belief, those of a task drawn from its own address."""
    _, E, Z = memory.latent.shape
    noise = [address.at(memory.round_).generator().standard_normal((E, Z)) for address in memory.addresses]
    drawn = torch.from_numpy(np.stack(noise)).float()  # [N, E, Z]
    return memory._replace(latent=memory.belief.sample(drawn))
