"""What VariBAD believes of a task and how it learns to (Zintgraf et al. 2020): an autoencoder of whole trials.

An encoder turns the steps of a trial into beliefs about a latent, from which decoders predict all rewards of the trial
and, if asked, all transitions (`core/variational.py`). Both learn from replay, a meeting of which is a trial in all
lanes of a task (`core/replay.py`); no gradient of a policy reaches them.

Letters beside the house's: Z latent · X inputs of a step · L steps of a trial · M lanes of a gradient step, each one
trial · P prefixes at which the lower bound is taken.
"""

from collections.abc import Iterator
from typing import Any

import torch

from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.cores import make_core
from metarl.algorithms.memory_configs import VariBADConfig
from metarl.core.distributions import Gaussian
from metarl.core.networks import (
    MLP,
    Linear,
    action_as_input,
    apply,
    size_of_action,
    size_of_observation,
)
from metarl.core.optimiser import adam_state
from metarl.core.parts import fresh_parameters, part_of
from metarl.core.proximal import adam_descent
from metarl.core.recurrent import step, unbroken
from metarl.core.replay import drawn_lanes, empty_replay, write_trial
from metarl.core.types import Params, Rollout, State, Transition, Trial
from metarl.core.variational import Bound, belief_of, decoder_inputs, drawn_prefixes, negative_bound
from metarl.runtime.devices import sent
from metarl.sampling.normalisation import Normaliser


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
        model = fresh_parameters(self.modules, generator, device)
        replay = empty_replay(self.config.replay_size, self.observation_size, self.action_size, device)
        return {"model": model, "model_optimiser": adam_state(model), "replay": replay}

    def step(self, encoder: Params, hidden: Any, steps: Transition) -> tuple[Any, torch.Tensor]:
        """The encoder's state after a step, and what it then says, `[N, E, H]`, in the lanes that played it."""
        inputs, played = self.inputs(steps).flatten(0, 1), steps.mask.flatten() > 0  # [B, X], [B]
        said, following = step(self.modules["encoder"], encoder, inputs, hidden, played)
        return following, said.unflatten(0, steps.mask.shape)

    def belief(self, head: Params, said: torch.Tensor) -> Gaussian:
        """What is believed, `[..., Z]`, after what the encoder said, `[..., H]`."""
        return belief_of(apply(self.modules["head"], head, said))

    def beliefs(self, model: Params, stream: Rollout) -> Gaussian:
        """What is believed before the first step of trials `[B, L, ...]` and after each, `[B, 1 + L, Z]`."""
        inputs = self.inputs(stream)
        encoder, start = self.modules["encoder"], inputs.new_zeros(len(inputs), self.modules["encoder"].state_size)
        said, _ = apply(encoder, part_of(model, "encoder"), inputs, start, stream.mask)
        return self.belief(part_of(model, "head"), torch.cat([torch.zeros_like(said[:, :1]), said], dim=1))

    def learn(self, state: State, trial: Trial, generator: torch.Generator) -> tuple[State, dict[str, torch.Tensor]]:
        """Write a trial to the replay, then take gradient steps on what it holds.

        Returns the new parts of the state, and what was measured, averaged over the steps.

        Raises:
            InputError: the replay is too small for one trial.
            NonFiniteError: a gradient or the parameters after the last step are not finite.
        """
        config, device = self.config, state["replay"]["mask"].device
        replay, seen = write_trial(state["replay"], unbroken(trial)), Normaliser(state, device).seen

        def draws() -> Iterator[tuple[Rollout, torch.Tensor, torch.Tensor]]:
            for _ in range(config.model_updates):
                drawn = seen(drawn_lanes(replay, trial, config.model_batch, generator))
                prefix = drawn_prefixes(len(drawn.mask), drawn.mask.shape[1], config.bound_terms, generator)
                noise = torch.randn(*prefix.shape, config.latent_size, generator=generator)
                yield drawn, sent(prefix, device), sent(noise, device)

        model, optimiser, measured = adam_descent(
            lambda model, draw: self.bound(model, *draw),
            state["model"],
            state["model_optimiser"],
            draws(),
            config.model_learning_rate,
            config.max_gradient_norm,
            "model",
        )
        loss, error, kl = (torch.stack(values).mean() for values in zip(*measured, strict=True))
        parts = {"model": model, "model_optimiser": optimiser, "replay": replay}
        return parts, {"model_loss": loss, "decoder_error": error, "belief_kl": kl}

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
