"""Recurrent soft actor-critic: Ni, Eysenbach & Salakhutdinov 2022, a strong baseline for tasks that are not shown.

Actor and critics each have a memory of their own of the whole trial, which is fed what was observed, done, paid for it,
and whether an episode starts (`core/recurrent.py`); both see the observation beside it. They learn off-policy from a
replay of whole trials (`core/replay.py`), each from its beginning, where memories are zeros: trials of a few episodes
are short enough for that, so no state is ever stale, no steps are burnt in, and what training computes is what acted.

A trial is one game, as in RL²: an episode's end within it cuts no value, for the next episode goes on in the same task.
At the trial's last step its end counts: after one that terminated nothing comes; one that was truncated goes on from
the true successor, since critics know no clock.

With `memory transformer`, `critic two-hot`, several `critics` and `other_discounts` it is the recipe of AMAGO (Grigsby
et al. 2024) at small scale, less its filtered imitation, its one actor for each discount (here the actor climbs the
first one) and its relabelling of goals.

Letters beside the house's: B lanes, each one trial · L = K·T steps of a trial · X inputs of a memory · C critics · D
discounts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.cores import make_core
from metarl.algorithms.memory_configs import RecurrentSACConfig
from metarl.algorithms.recurrent_memory import RecurrentMemory, nothing_met
from metarl.algorithms.soft_updates import soft_descent, soft_state
from metarl.core.action_box import action_box
from metarl.core.losses import masked_mean
from metarl.core.networks import MLP, apply, size_of_observation
from metarl.core.parts import Parts, fresh_parameters, gradients, part_of
from metarl.core.recurrent import step, unbroken
from metarl.core.replay import drawn_lanes, write_trial
from metarl.core.soft_actor_critic import TanhGaussian, critic_target, tanh_gaussian
from metarl.core.trust_region import require_finite
from metarl.core.two_hot import two_hot
from metarl.core.types import Action, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import CPU, sent
from metarl.runtime.randomness import Address
from metarl.sampling.normalisation import Normaliser

OUTPUT_GAIN = 0.01  # of every untrained last layer: actions and values start near 0, alike for all tasks


class Sequences(NamedTuple):
    """Whole trials, and what comes after each: the step `1 + n` of a trial of n steps is its last successor."""

    observation: torch.Tensor  # [B, 1 + L, O]
    inputs: torch.Tensor  # of the memories, [B, 1 + L, X]
    mask: torch.Tensor  # [B, 1 + L]: steps that were played, and the successor of the last
    action: torch.Tensor  # [B, L, A], in the unit box
    reward: torch.Tensor  # [B, L]
    ended: torch.Tensor  # [B, L], bool: nothing comes after
    played: torch.Tensor  # [B, L]: whether a step was


class Draw(NamedTuple):
    """What a gradient step learns from."""

    trials: Sequences
    noise: torch.Tensor  # [B, 1 + L, A]


class RecurrentSAC:
    """Memory in place of adaptation, off-policy.

    Args:
        config: its options.
        spaces: of one lane; observations in a flat box, actions in one with finite borders.
        device: where updates are computed.

    Raises:
        InputError: spaces of another kind.
    """

    Config = RecurrentSACConfig

    @classmethod
    def traits(cls, config: RecurrentSACConfig) -> Traits:
        """Each lane is a trial of its own; transitions are kept."""
        return Traits(learns_from_whole_batch=True, adapts_after_each_episode=True, replay=config.replay_size)

    def __init__(self, config: RecurrentSACConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.box = action_box(spaces.action)  # on the CPU, where acting happens
        self.learning_box = self.box.on(device)
        self.observation_size = seen = size_of_observation(spaces.observation)
        self.action_size = A = len(self.box.radius)
        self.previous_size = A + 2
        sizes = seen + self.previous_size, config.embedding_size, config.memory_size
        self.actor_core, self.critic_core = (make_core(config.memory, *sizes) for _ in range(2))
        self.discounts = sent(torch.tensor([config.discount, *config.other_discounts]), device)  # [D]
        classes = config.value_classes if config.critic == "two-hot" else 1
        said, seen = len(self.discounts) * classes, seen + config.memory_size
        self.actor = MLP(seen, config.hidden, 2 * A, "relu", OUTPUT_GAIN)
        self.critic = MLP(seen + A, config.hidden, said, "relu", OUTPUT_GAIN)
        self.two_hot = two_hot(config.value_classes, config.largest_value, device)

    @property
    def rounds(self) -> int:
        """Episodes of a meta-training trial."""
        return self.config.rounds

    def initial_state(self, address: Address) -> State:
        """Fresh networks, targets that equal their critics, an empty replay."""
        C = self.config.critics
        modules = {"core": self.actor_core, "actor": self.actor, "memory": self.critic_core}
        modules |= {f"critic-{number}": self.critic for number in range(C)}
        fresh = fresh_parameters(modules, address.torch_generator(), self.device)
        critics = [part_of(fresh, f"critic-{number}") for number in range(C)]
        critic = {f"values.{name}": torch.stack([each[name] for each in critics]) for name in critics[0]}
        critic |= {f"core.{name}": value for name, value in part_of(fresh, "memory").items()}
        policy = {part: part_of(fresh, part) for part in ("core", "actor")}
        return soft_state(self.config, policy, critic, (self.observation_size, self.action_size), self.device)

    def acting(self, state: State) -> Parts:
        """The parameters of `core` and `actor`."""
        return {
            part: {name: value.to(CPU) for name, value in params.items()} for part, params in state["policy"].items()
        }

    def begin(self, acting: Parts, addresses: Sequence[Address], lanes_per_task: int) -> RecurrentMemory:
        """Nothing remembered, an episode about to start."""
        return nothing_met(self.actor_core, len(addresses) * lanes_per_task, self.previous_size)

    def act(
        self, acting: Parts, memory: RecurrentMemory, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, RecurrentMemory]:
        """Sample from the policy at observation `[N, E, O]` and each lane's next recurrent state."""
        inputs = torch.cat([observation.flatten(0, 1), memory.previous], dim=1)  # [B, X]
        said, hidden = step(self.actor_core, acting["core"], inputs, memory.hidden, live.flatten())
        seen = torch.cat([observation, said.unflatten(0, observation.shape[:2])], dim=-1)
        unit, log_probability = self.distribution(acting["actor"], seen).sample_with_log_probability(noise)
        action = Action(self.box.action(unit), self.box.log_density(log_probability))
        return action, memory._replace(hidden=hidden)

    def observe(self, acting: Parts, memory: RecurrentMemory, transition: Transition) -> RecurrentMemory:
        """What the next step is told of this one, in the lanes that played it."""
        known = torch.cat([self.box.unit(transition.action), transition.reward[..., None]], dim=-1)
        return memory.after(known.flatten(0, 1), transition.mask.flatten())

    def adapt(self, state: State, memory: RecurrentMemory, rollout: Rollout) -> RecurrentMemory:
        """Only say that a new episode starts: everything was learned step by step."""
        return memory.before_an_episode()

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Write the trial to the replay, then take gradient steps on what it holds.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: something in the trial, or a parameter after the steps, is not finite.
        """
        for number, rollout in enumerate(trial.rollouts):
            require_finite(f"experience of round {number}", rollout._asdict())
        config, generator = self.config, address.torch_generator()
        replay, seen = write_trial(state["replay"], unbroken(trial)), Normaliser(state, self.device).seen
        state = {**state, "replay": replay}
        if int(replay["meetings"]) <= config.warmup_iterations * len(trial.rollouts[0].mask):
            return state, {"update/gradient_steps": 0.0}
        env_steps = sum(float(rollout.mask.sum()) for rollout in trial.rollouts)

        def draw() -> Draw:
            trials = self.sequences(seen(drawn_lanes(replay, trial, config.batch_size, generator)))
            shape = *trials.mask.shape, self.action_size
            return Draw(trials, sent(torch.randn(*shape, generator=generator), self.device))

        return soft_descent(config, state, max(1, round(config.update_ratio * env_steps)), draw, self.gradient)

    def sequences(self, lanes: Rollout) -> Sequences:
        """Trials `[B, L, ...]`, their played steps first, as memories are fed them: as in acting."""
        L, length = lanes.mask.shape[1], lanes.mask.sum(dim=1).long()[:, None]  # [B, 1]
        place = torch.arange(1 + L, device=length.device)
        after, last = place == length, place[:-1] == length - 1  # [B, 1 + L], [B, L]
        successor = (lanes.next_observation * last[..., None]).sum(dim=1, keepdim=True)  # [B, 1, O]

        def moved_on(values: torch.Tensor) -> torch.Tensor:
            """What the step before was, `[B, 1 + L, ...]`: of the first, zeros."""
            return torch.cat([torch.zeros_like(values[:, :1]), values], dim=1)

        observation = torch.cat([lanes.observation, torch.zeros_like(successor)], dim=1)
        observation = torch.where(after[..., None], successor, observation)
        action = self.learning_box.unit(lanes.action)
        first = torch.cat([lanes.first, torch.zeros_like(last[:, :1])], dim=1) & ~after
        told = [moved_on(action), moved_on(lanes.reward[..., None]), first[..., None].to(action.dtype)]
        return Sequences(
            observation=observation,
            inputs=torch.cat([observation, *told], dim=-1),
            mask=((place <= length) & (length > 0)).to(lanes.mask.dtype),
            action=action,
            reward=lanes.reward,
            ended=lanes.terminated & last,
            played=lanes.mask,
        )

    def remembered(self, core: Params, trials: Sequences, *, of_critic: bool = False) -> torch.Tensor:
        """What a memory says at every step beside the observation, `[B, 1 + L, O + H]`."""
        module = self.critic_core if of_critic else self.actor_core
        start = trials.inputs.new_zeros(len(trials.inputs), module.state_size)
        said, _ = apply(module, core, trials.inputs, start, trials.mask)
        return torch.cat([trials.observation, said], dim=-1)

    def distribution(self, actor: Params, seen: torch.Tensor) -> TanhGaussian:
        """Of unit actions, at what is seen and remembered `[..., O + H]`."""
        return tanh_gaussian(apply(self.actor, actor, seen))

    def said(self, values: Params, seen: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """By all critics of unit actions `[..., A]`, for every discount, `[C, ..., D, classes]`."""
        inputs = torch.cat([seen, action], dim=-1)
        outputs: torch.Tensor = apply(self.critic, values, inputs.expand(self.config.critics, *inputs.shape))
        return outputs.unflatten(-1, (len(self.discounts), -1))

    def values(self, said: torch.Tensor) -> torch.Tensor:
        """What critics mean `[C, ..., D]` by what they said."""
        return self.two_hot.decoded(said) if self.config.critic == "two-hot" else said.squeeze(-1)

    def gradient(
        self, parts: Parts, log_temperature: torch.Tensor, target: Params, draw: Draw
    ) -> tuple[Params, dict[str, torch.Tensor]]:
        """Of each network in its own loss, by `PART.NAME`; and what the losses were."""
        trials, temperature = draw.trials, log_temperature.detach().exp()
        seen = self.remembered(parts["core"], trials)
        unit, log_probability = self.distribution(parts["actor"], seen).sample_with_log_probability(draw.noise)
        known = self.remembered(part_of(parts["critic"], "core"), trials, of_critic=True)[:, :-1]
        wanted = self.wanted(target, trials, unit.detach(), log_probability.detach(), temperature)
        said = self.said(part_of(parts["critic"], "values"), known, trials.action)
        values = self.values(said)
        error = self.two_hot.loss(said, wanted.expand_as(values)) if said.shape[-1] > 1 else (values - wanted).square()
        critic = masked_mean(error.sum(dim=0).mean(dim=-1), trials.played)
        gradient = gradients(critic, {"critic": parts["critic"]})
        frozen = {name: value.detach() for name, value in part_of(parts["critic"], "values").items()}
        of_own = self.values(self.said(frozen, known.detach(), unit[:, :-1]))[..., 0].amin(dim=0)
        log_probability = log_probability[:, :-1]
        actor = masked_mean(temperature * log_probability - of_own, trials.played)
        gradient |= gradients(actor, {part: parts[part] for part in ("core", "actor")})
        entropy = -masked_mean(log_probability.detach(), trials.played)
        # the loss of the temperature is linear in its logarithm, so that this is its slope
        surplus = entropy + float(self.action_size) if self.config.learned_temperature else torch.zeros_like(entropy)
        gradient["log_temperature"] = surplus
        return gradient, {
            "critic_loss": critic.detach(),
            "actor_loss": actor.detach(),
            "value": masked_mean(values.detach()[..., 0].mean(dim=0), trials.played),
            "temperature": temperature,
            "entropy": entropy,
        }

    @torch.no_grad()
    def wanted(
        self,
        target: Params,
        trials: Sequences,
        unit: torch.Tensor,
        log_probability: torch.Tensor,
        temperature: torch.Tensor,
    ) -> torch.Tensor:
        """What critics should say, `[B, L, D]`, where the policy does `unit` `[B, 1 + L, A]`."""
        known = self.remembered(part_of(target, "core"), trials, of_critic=True)
        after = self.values(self.said(part_of(target, "values"), known[:, 1:], unit[:, 1:]))
        reward = self.config.reward_scale * trials.reward[..., None]
        return critic_target(
            reward, trials.ended[..., None], after, log_probability[:, 1:, None], temperature, self.discounts
        )
