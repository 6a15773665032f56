"""Learning from whole trials by proximal policy optimisation: what RL² and VariBAD share.

Letters beside the house's: B = N·E lanes, each one trial · L = K·T steps of it · X numbers that a network is shown.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from metarl.algorithms.memory_configs import ProximalConfig
from metarl.core.networks import initial_parameters
from metarl.core.optimiser import adam_state
from metarl.core.parts import joined
from metarl.core.proximal import Loss, Targets, proximal_descent, trial_targets
from metarl.core.recurrent import streams
from metarl.core.types import Batch, Metrics, Params, Rollout, State, Trial
from metarl.runtime.devices import sent
from metarl.sampling.normalisation import normalised

ACTOR_GAIN = 0.01  # of the first policy's last layer, which makes all actions nearly as likely


def fresh_parameters(modules: Mapping[str, nn.Module], generator: torch.Generator, device: torch.device) -> Params:
    """Of several networks, by `PART.NAME`, on a device."""
    parts = {name: initial_parameters(module, generator) for name, module in modules.items()}
    return {name: sent(value, device) for name, value in joined(parts).items()}


def proximal_state(policy: Params) -> State:
    """What training starts from; the returns' scale is not known yet."""
    scale = torch.zeros((), device=next(iter(policy.values())).device)
    return {"policy": policy, "optimiser": adam_state(policy), "return_scale": scale}


def stream_of(trial: Trial, state: State, device: torch.device) -> Rollout:
    """A trial's rounds one after another, `[B, L, ...]`, as they were seen under `state`, on a device."""
    return Rollout(*(sent(field, device) for field in streams(normalised(trial, state))))


def proximal_batch(
    config: ProximalConfig, state: State, stream: Rollout, seen: torch.Tensor, value: torch.Tensor
) -> tuple[Batch, Targets]:
    """What the loss sees of trials, `[B, L, ...]`.

    Args:
        config: discounts.
        state: the returns' scale until now.
        stream: the trials.
        seen: what policy and value function are shown at each step, `[B, L, X]`.
        value: theirs, in units of the scale, `[B, L]`.

    Raises:
        NonFiniteError: the rewards are not finite.
    """
    scale = state["return_scale"]
    targets = trial_targets(stream.reward, value, stream.mask, scale, config.discount, config.gae_lambda)
    facts = {"action": stream.action, "log_probability": stream.log_probability, "mask": stream.mask}
    return Batch(observation=seen, advantage=targets.advantage, return_=targets.return_, **facts), targets


def proximal_update(
    config: ProximalConfig,
    state: State,
    loss: Callable[[Params, Batch], Loss],
    batch: Batch,
    targets: Targets,
    generator: torch.Generator,
) -> tuple[State, Metrics]:
    """The state after epochs of minibatches of whole trials, and what they measured.

    Raises:
        NonFiniteError: a gradient or a parameter is not finite.
    """
    policy, optimiser, losses = proximal_descent(
        loss,
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
    metrics: Metrics = {
        "update/loss": losses["total"],
        "update/policy_loss": losses["policy"],
        "update/value_loss": losses["value"],
        "update/explained_variance": targets.explained_variance,
        "update/kl": losses["kl"],
        "update/clipped": losses["clipped"],
        "policy/entropy": losses["entropy"],
    }
    if "actor.log_std" in policy:
        metrics["policy/std"] = float(policy["actor.log_std"].exp().mean())
    return {**state, "policy": policy, "optimiser": optimiser, "return_scale": targets.scale}, metrics
