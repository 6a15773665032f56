"""What VariBAD believes of a task and how it learns to (Zintgraf et al. 2020): an autoencoder of whole trials.

An encoder turns the steps of a trial into beliefs about a latent, from which decoders predict all rewards of the trial
and, if asked, all transitions (`core/variational.py`). Both learn from replay, a meeting of which is a trial in all
lanes of a task (`core/replay.py`); no gradient of a policy reaches them.

Letters beside the house's: Z latent · X inputs of a step · L steps of a trial · M lanes of a gradient step, each one
trial · P prefixes at which the lower bound is taken.
"""

from typing import Any

import torch

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.cores import make_core
from metarl.algorithms.memory_configs import VariBADConfig
from metarl.core.distributions import Gaussian
from metarl.core.meta_gradient import shortened
from metarl.core.networks import (
    MLP,
    Linear,
    action_as_input,
    apply,
    initial_parameters,
    size_of_action,
    size_of_observation,
)
from metarl.core.optimiser import AdamSteps, adam_state
from metarl.core.parts import joined, part_of
from metarl.core.replay import by_slot, empty_replay, remembered, write_trial
from metarl.core.trust_region import Finite
from metarl.core.types import Params, Rollout, State, Transition, Trial
from metarl.core.variational import Bound, belief_of, decoder_inputs, drawn_prefixes, negative_bound
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point


class BeliefModel:
    """Encoder and decoders; their parameters and replay are values, under the names `model`, `model_optimiser` and
    `replay` of a state.

    Args:
        config: sizes and rates.
        spaces: of one lane.
    """

    def __init__(self, config: VariBADConfig, spaces: Spaces) -> None:
        self.config = config
        self.action_size = size_of_action(spaces.action)
        self.observation_size, Z = size_of_observation(spaces.observation), config.latent_size
        before = self.observation_size + self.action_size
        known = self.observation_size + (before if config.reward_from_action else 0)
        modules: dict[str, Any] = {
            "encoder": make_core(
                config.memory, before + 1 + config.episode_starts, config.embedding_size, config.memory_size
            ),
            "head": Linear(config.memory_size, 2 * Z),
            "reward_decoder": MLP(Z + known, config.decoder_hidden, 1, "relu"),
        }
        if config.transition_weight:
            modules["transition_decoder"] = MLP(Z + before, config.decoder_hidden, self.observation_size, "relu")
        self.modules = modules

    def initial_state(self, generator: torch.Generator, device: torch.device) -> State:
        """Fresh networks and optimiser, an empty replay."""
        parts = {name: initial_parameters(module, generator) for name, module in self.modules.items()}
        model = {name: sent(value, device) for name, value in joined(parts).items()}
        replay = empty_replay(self.config.replay_size, self.observation_size, self.action_size, device)
        return {"model": model, "model_optimiser": adam_state(model), "replay": replay}

    def step(self, encoder: Params, hidden: torch.Tensor, steps: Transition) -> tuple[torch.Tensor, torch.Tensor]:
        """The encoder's state `[N, E, S]` after a step, and what it then says, `[N, E, H]`."""
        inputs = self.inputs(steps).flatten(0, 1)  # [B, X]
        said, following = apply(self.modules["encoder"], encoder, inputs, hidden.flatten(0, 1))
        return following.unflatten(0, hidden.shape[:2]), said.unflatten(0, hidden.shape[:2])

    def belief(self, head: Params, said: torch.Tensor) -> Gaussian:
        """What is believed, `[..., Z]`, after what the encoder said, `[..., H]`."""
        return belief_of(apply(self.modules["head"], head, said))

    def beliefs(self, model: Params, stream: Rollout) -> Gaussian:
        """What is believed before the first step of trials `[B, L, ...]` and after each, `[B, 1 + L, Z]`."""
        inputs = self.inputs(stream)
        encoder, start = self.modules["encoder"], inputs.new_zeros(len(inputs), self.modules["encoder"].state_size)
        said, _ = apply(encoder, part_of(model, "encoder"), inputs, start, stream.mask)
        return self.belief(part_of(model, "head"), torch.cat([torch.zeros_like(said[:, :1]), said], dim=1))

    def learn(self, state: State, stream: Rollout, lanes: int, generator: torch.Generator) -> tuple[State, Bound]:
        """Write trials `[B, L, ...]` of so many lanes a task to the replay, then take gradient steps on what it holds.

        Returns the new parts of the state, and the bound averaged over the steps.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: a gradient or the parameters after the last step are not finite.
        """
        ended = stream.terminated | stream.truncated  # of the two flags a replay holds one
        told = stream._replace(action=action_as_input(stream.action, self.action_size), terminated=ended)
        replay = write_trial(state["replay"], Trial([Rollout(*(field.unflatten(0, (-1, lanes)) for field in told))]))
        config, measured, device, finite = self.config, list[Bound](), stream.mask.device, Finite()
        met = stream.mask.unflatten(0, (-1, lanes)).shape  # N, E, L
        steps = AdamSteps(state["model"], state["model_optimiser"], config.model_learning_rate)
        for _ in range(config.model_updates):
            interruption_point()
            drawn = drawn_lanes(replay, met, config.model_batch, generator)
            prefix = drawn_prefixes(len(drawn.mask), drawn.mask.shape[1], config.bound_terms, generator)
            noise = torch.randn(*prefix.shape, config.latent_size, generator=generator)
            bound = self.bound(steps.params, drawn, sent(prefix, device), sent(noise, device))
            gradients = torch.autograd.grad(bound.loss, list(steps.params.values()))
            gradient = dict(zip(steps.params, gradients, strict=True))
            finite.note("gradient of the model", gradient)
            steps.step(shortened(gradient, config.max_gradient_norm))
            measured.append(Bound(*(value.detach() for value in bound)))
        model, optimiser = steps.result()
        finite.note("updated model", model)
        finite.require()
        means = Bound(*(torch.stack(values).mean() for values in zip(*measured, strict=True)))
        return {"model": model, "model_optimiser": optimiser, "replay": replay}, means

    def bound(self, model: Params, trials: Rollout, prefix: torch.Tensor, noise: torch.Tensor) -> Bound:
        """The negative lower bound of trials `[M, L, ...]`, at prefixes `[M, P]` with noise `[M, P, Z]`."""
        before = trials.observation, action_as_input(trials.action, self.action_size)

        def decoded(name: str, latent: torch.Tensor, *known: torch.Tensor) -> torch.Tensor:
            inputs = decoder_inputs(latent, torch.cat(known, dim=-1))
            predicted: torch.Tensor = apply(self.modules[name], part_of(model, name), inputs)
            return predicted  # [M, P, L, Y]

        def error(latent: torch.Tensor) -> torch.Tensor:
            known = (trials.next_observation, *(before if self.config.reward_from_action else ()))
            reward = decoded("reward_decoder", latent, *known).squeeze(-1)
            errors = (reward - trials.reward[:, None]).square()
            if self.config.transition_weight:
                missed = decoded("transition_decoder", latent, *before) - trials.next_observation[:, None]
                errors = errors + self.config.transition_weight * missed.square().sum(dim=-1)
            return errors

        return negative_bound(self.beliefs(model, trials), trials.mask, prefix, noise, error, self.config.kl_weight)

    def inputs(self, steps: Rollout) -> torch.Tensor:
        """What the encoder is told of steps, `[..., X]`: where they led, what was done, the reward, and if asked,
        whether the episode ended."""
        told = [steps.next_observation, action_as_input(steps.action, self.action_size), steps.reward[..., None]]
        if self.config.episode_starts:
            told.append((steps.terminated | steps.truncated)[..., None].to(steps.reward.dtype))
        return torch.cat(told, dim=-1)


def drawn_lanes(replay: State, met: torch.Size, count: int, generator: torch.Generator) -> Rollout:
    """`count` different lanes `[M, L, ...]` of the meetings remembered, or all there are, where a trial is of
    `met = (N, E, L)` tasks, lanes and steps.

    Their played steps come first; what a replay does not keep is zero.
    """
    tasks, lanes, steps = met
    slots = remembered(replay, tasks, lanes * steps)
    number = sent(torch.randperm(len(slots) * lanes, generator=generator)[:count], slots.device)
    slot, lane = slots[number // lanes], number % lanes
    drawn = {
        name: by_slot(room, lanes * steps).unflatten(1, (lanes, steps))[slot, lane]
        for name, room in replay.items()
        if name != "meetings"
    }
    mask = drawn.pop("mask").to(torch.float32)
    none = torch.zeros_like(drawn["terminated"])
    return Rollout(**drawn, mask=mask, log_probability=torch.zeros_like(mask), truncated=none, first=none)
