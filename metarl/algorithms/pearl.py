"""PEARL: Rakelly, Zhou, Quillen, Finn & Levine 2019 (algorithm 1), on the agent of `latent_agent.py`.

* Actor and twin critics see the observation and the task's latent `z`, and learn by soft actor-critic from replay
  (`core/soft_actor_critic.py`). The critics' gradient also trains the encoder, beside an information bottleneck: the
  posterior's KL divergence from the prior. The actor takes `z` as it is.
* Context and learning batches are drawn apart (`core/replay.py`): actor and critics learn from all meetings with a
  task, while context is what one lane has seen in the last of them, as PEARL clears its encoder's buffer whenever a
  task is met again. Where every task is new there is one meeting of each; with a single lane both would then be the
  same few episodes, which a latent can tell apart by heart instead of telling the task: take several
  (`--lanes`).
* Critics bootstrap from the policy's next action itself, as later soft actor-critics do, without a value network.

Letters: beside the house's, Z latent · M tasks of a gradient step · B transitions of each.
"""

from typing import NamedTuple

import torch
from torch import nn

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.latent_agent import OUTPUT_GAIN, LatentAgent
from metarl.algorithms.memory_configs import PEARLConfig
from metarl.core.networks import MLP, apply, initial_parameters
from metarl.core.optimiser import AdamSteps, adam_state
from metarl.core.parts import gradients, joined, part_of
from metarl.core.product_of_gaussians import Belief, prior
from metarl.core.replay import Slots, empty_replay, slots_of, write_trial
from metarl.core.soft_actor_critic import actor_loss, critic_target, polyak_, tanh_gaussian, temperature_loss
from metarl.core.trust_region import require_finite
from metarl.core.types import Metrics, Params, State, Trial
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address
from metarl.sampling.normalisation import Normaliser


class Draw(NamedTuple):
    """What a gradient step learns from: transitions by name, and noise."""

    context: dict[str, torch.Tensor]  # [M, context_size, ...]
    batch: dict[str, torch.Tensor]  # [M, B, ...]
    latent_noise: torch.Tensor  # [M, Z]
    noise: torch.Tensor  # [M, B, A]
    next_noise: torch.Tensor  # [M, B, A]


class PEARL(LatentAgent):
    """Soft actor-critic on replay, for an agent that infers its task.

    Args:
        config: networks, replay and soft actor-critic.
        spaces: of one lane; observations in a flat box, actions in one with finite borders.
        device: where adaptation and updates are computed.

    Raises:
        InputError: spaces of another kind.
    """

    Config = PEARLConfig

    def __init__(self, config: PEARLConfig, spaces: Spaces, device: torch.device) -> None:
        super().__init__(config, spaces, device)
        seen = self.observation_size + config.latent_size + self.action_size
        self.critic = MLP(seen, config.hidden, 1, "relu", OUTPUT_GAIN)

    def initial_state(self, address: Address) -> State:
        """Fresh networks, targets that equal their critics, an empty replay."""
        generator = address.torch_generator()

        def fresh(module: nn.Module) -> Params:
            return {name: sent(x, self.device) for name, x in initial_parameters(module, generator).items()}

        policy = {"actor": fresh(self.actor), "encoder": fresh(self.encoder)}
        first, second = fresh(self.critic), fresh(self.critic)
        critic = {name: torch.stack([value, second[name]]) for name, value in first.items()}
        log_temperature = sent(torch.tensor(self.config.temperature).log(), self.device)
        state = {"policy": policy, "critic": critic, "log_temperature": log_temperature}
        sizes = self.config.replay_size, self.observation_size, self.action_size
        return {
            **state,
            "target": {name: value.clone() for name, value in critic.items()},
            "optimiser": adam_state(learned(state)),
            "replay": empty_replay(*sizes, self.device),
        }

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Write the trial to the replay, then take gradient steps on what it holds.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: something in the trial, or a parameter after the steps, is not finite.
        """
        for number, rollout in enumerate(trial.rollouts):
            taken = {name: getattr(rollout, name) for name in ("observation", "action", "reward", "next_observation")}
            require_finite(f"experience of round {number}", taken)
        replay = write_trial(state["replay"], trial)
        state = {**state, "replay": replay}
        env_steps = sum(float(rollout.mask.sum()) for rollout in trial.rollouts)
        steps = max(1, round(self.config.update_ratio * env_steps))
        tasks = trial.rollouts[0].mask.shape[0]
        if int(replay["meetings"]) <= self.config.warmup_iterations * tasks:
            return state, {"update/gradient_steps": 0.0}
        slots = slots_of(replay, trial, self.config.pool_meetings)
        return self.descend(state, slots, steps, address.torch_generator())

    def descend(self, state: State, slots: Slots, steps: int, generator: torch.Generator) -> tuple[State, Metrics]:
        """The state after `steps` gradient steps on copies of its parameters."""
        adam = AdamSteps(learned(state), state["optimiser"], self.config.learning_rate, fused=True)
        target = {name: value.clone() for name, value in state["target"].items()}
        parts = {part: part_of(adam.params, part) for part in ("actor", "encoder", "critic")}
        measured, seen = [], Normaliser(state, self.device)
        for _ in range(steps):
            interruption_point()
            draw = self.draw(slots, seen, generator)
            gradient, metrics = self.gradient(parts, adam.params["log_temperature"], target, draw)
            adam.step(gradient)
            polyak_(target, parts["critic"], self.config.target_rate)
            measured.append(torch.stack(list(metrics.values())))
        params, optimiser = adam.result()
        require_finite("updated policy", params)
        means = torch.stack(measured).mean(dim=0)
        updated = {
            **state,
            "policy": {part: part_of(params, part) for part in ("actor", "encoder")},
            "critic": part_of(params, "critic"),
            "log_temperature": params["log_temperature"],
            "target": target,
            "optimiser": optimiser,
        }
        averages = {f"update/{name}": mean for name, mean in zip(metrics, means.tolist(), strict=True)}
        return updated, {**averages, "update/gradient_steps": float(steps)}

    def draw(self, slots: Slots, seen: Normaliser, generator: torch.Generator) -> Draw:
        """Tasks, transitions as they are `seen` now, and noise of a gradient step."""
        config, A = self.config, self.action_size
        tasks = slots.draw_tasks(config.meta_batch, generator)
        M, B = len(tasks), config.batch_size

        def noise(*shape: int) -> torch.Tensor:
            return sent(torch.randn(*shape, generator=generator), self.device)

        return Draw(
            context=seen.all_of(slots.draw_context(tasks, config.context_size, generator)),
            batch=seen.all_of(slots.draw(tasks, B, generator)),
            latent_noise=noise(M, config.latent_size),
            noise=noise(M, B, A),
            next_noise=noise(M, B, A),
        )

    def gradient(
        self, parts: dict[str, Params], log_temperature: torch.Tensor, target: Params, draw: Draw
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

    def posterior(self, encoder: Params, context: dict[str, torch.Tensor]) -> Belief:
        """What is believed after `context` `[M, context_size, ...]`, `[M, Z]`."""
        mean, variance = self.evidence(encoder, context)
        start = prior(mean.shape[0], mean.shape[-1], device=mean.device)
        return start.after(mean, variance, torch.ones_like(mean[..., 0]))

    def critic_loss(
        self, parts: dict[str, Params], temperature: torch.Tensor, target: Params, draw: Draw, latent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared error of both critics, and their values `[2, M, B]`."""
        batch = draw.batch
        with torch.no_grad():
            following = torch.cat([batch["next_observation"], latent], dim=-1)
            policy = tanh_gaussian(apply(self.actor, parts["actor"], following))
            next_action, next_log_probability = policy.sample_with_log_probability(draw.next_noise)
            next_values = self.values(target, following, next_action)
            wanted = critic_target(
                self.config.reward_scale * batch["reward"],
                batch["terminated"],
                next_values,
                next_log_probability,
                temperature,
                self.config.discount,
            )
        seen = torch.cat([batch["observation"], latent], dim=-1)
        values = self.values(parts["critic"], seen, self.learning_box.unit(batch["action"]))
        return (values - wanted).square().sum(dim=0).mean(), values

    def actor_loss(
        self, parts: dict[str, Params], temperature: torch.Tensor, draw: Draw, latent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy's loss at latents that take no gradient, and its log-probabilities `[M, B]`."""
        seen = torch.cat([draw.batch["observation"], latent], dim=-1)
        policy = tanh_gaussian(apply(self.actor, parts["actor"], seen))
        action, log_probability = policy.sample_with_log_probability(draw.noise)
        frozen = {name: value.detach() for name, value in parts["critic"].items()}
        return actor_loss(self.values(frozen, seen, action), log_probability, temperature), log_probability

    def values(self, critic: Params, seen: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Of both critics, `[2, M, B]`, at observation and latent `[M, B, O + Z]` and unit actions `[M, B, A]`."""
        inputs = torch.cat([seen, action], dim=-1)
        return apply(self.critic, critic, inputs.expand(2, *inputs.shape)).squeeze(-1)


def learned(state: State) -> Params:
    """All that gradient steps change, in one dict."""
    return {
        **joined({**state["policy"], "critic": state["critic"]}),
        "log_temperature": state["log_temperature"],
    }
