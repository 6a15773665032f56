"""Learning from whole trials by proximal policy optimisation: what RL² and VariBAD share.

Letters beside the house's: B = N·E lanes, each one trial · L = K·T steps of it · X numbers that a network is shown.
"""

from collections.abc import Callable

import torch

from metarl.algorithms.memory_configs import ProximalConfig
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.proximal import Loss, Targets, adam_descent, minibatches, trial_targets
from metarl.core.recurrent import streams
from metarl.core.types import Batch, Metrics, Params, Rollout, State, Trial
from metarl.runtime.devices import read_back, sent
from metarl.sampling.normalisation import normalised

ACTOR_GAIN = 0.01  # of the first policy's last layer, which makes all actions nearly as likely


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
    """What the loss sees of trials, where networks are shown `seen` `[B, L, X]` at each step, and the `value` `[B, L]`
    was in units of the returns' scale.

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
    """The state after epochs of minibatches of whole trials, and what the last epoch measured.

    The step size is `learning_rate`, times its decay for every update before.

    Raises:
        NonFiniteError: a gradient or a parameter is not finite.
    """
    lanes, per_epoch = len(batch.mask), min(config.minibatches, len(batch.mask))
    optimiser, limit = state["optimiser"], config.max_gradient_norm
    rate = falling_rate(config.learning_rate, config.learning_rate_decay, optimiser, config.epochs * per_epoch)
    parts = minibatches(config.epochs, lanes, per_epoch, generator, batch.mask.device)
    batches = (Batch(*(field[chosen] for field in batch)) for epoch in parts for chosen in epoch)
    policy, optimiser, found = adam_descent(loss, state["policy"], optimiser, batches, rate, limit, "policy")
    means = Loss(*(torch.stack(values).mean() for values in zip(*found[-per_epoch:], strict=True)))
    losses = read_back(means._asdict())
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
