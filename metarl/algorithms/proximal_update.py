"""Learning by proximal policy optimisation: what the methods with a value function share.

Letters beside the house's: B = N·E lanes, each one trial · L = K·T steps of it · X numbers that a network is shown.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import torch
from torch import nn

from metarl.algorithms.ppo_configs import PPOOptions
from metarl.core.networks import MLP, make_policy, size_of_observation
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.proximal import Loss, Targets, adam_descent, minibatches, trial_targets
from metarl.core.recurrent import along, streams
from metarl.core.types import Batch, Metrics, Params, Rollout, State, Trial
from metarl.runtime.devices import read_back, sent
from metarl.sampling.normalisation import normalised

ACTOR_GAIN = 0.01  # of the first policy's last layer, which makes all actions nearly as likely


FITTED = 1.5  # factor by which a step size that is fitted to the divergence moves
SMALLEST_RATE, LARGEST_RATE = 1e-5, 1e-2


def proximal_state(config: PPOOptions, policy: Params) -> State:
    """What training starts from; the returns' scale is not known yet."""
    scale = torch.zeros((), device=next(iter(policy.values())).device)
    fitted = {"learning_rate": torch.tensor(config.learning_rate)} if config.desired_kl else {}
    return {"policy": policy, "optimiser": adam_state(policy), "return_scale": scale, **fitted}


def fitted_rate(config: PPOOptions, rate: torch.Tensor, kl: float) -> torch.Tensor:
    """The step size of the next update after one of size `rate` that moved the policy by `kl`."""
    factor = 1 / FITTED if kl > 2 * config.desired_kl else FITTED if kl < config.desired_kl / 2 else 1.0
    return (rate * factor).clamp(SMALLEST_RATE, LARGEST_RATE)


def stream_of(trial: Trial, state: State, device: torch.device) -> Rollout:
    """A trial's rounds one after another, `[B, L, ...]`, as they were seen under `state`, on a device."""
    return Rollout(*(sent(field, device) for field in streams(normalised(trial, state))))


def actor_and_critic(
    config: Any, seen: gymnasium.Space[Any], action: gymnasium.Space[Any]
) -> tuple[nn.Module, nn.Module]:
    """A policy and a value function of what is seen at a step, alike but for their last layers."""

    def body(gain: float) -> Callable[[int, int], nn.Module]:
        return lambda inputs, outputs: MLP(inputs, config.hidden, outputs, config.activation, gain)

    return make_policy(seen, action, body(ACTOR_GAIN), config.initial_std), body(1.0)(size_of_observation(seen), 1)


@torch.no_grad()
def through_truncation(
    stream: Rollout, state: State, value: Callable[[Params, torch.Tensor], torch.Tensor], discount: float
) -> Rollout:
    """Single episodes that are worth what follows them, too, where they are truncated: by the `value` of where they
    led, added to their last reward (Pardo et al. 2018, eq. 6)."""
    last = (stream.mask.sum(dim=1, keepdim=True).long() - 1).clamp(min=0)  # [B, 1]
    led = stream.next_observation.gather(1, along(last, stream.next_observation)).squeeze(1)  # [B, O]
    following = value(state["policy"], led) * state["return_scale"]
    counts = (stream.truncated & (stream.mask > 0)).gather(1, last)
    return stream._replace(reward=stream.reward.scatter_add(1, last, discount * following[:, None] * counts))


def by_step(batch: Batch) -> Batch:
    """The played steps of `[B, L, ...]`, each as a lane of its own: `[S, 1, ...]`."""
    played = batch.mask.flatten().nonzero().squeeze(1)  # [S]
    return Batch(*(field.flatten(0, 1)[played].unsqueeze(1) for field in batch))


def update_by_step(
    config: PPOOptions,
    state: State,
    episodes: Rollout,
    value: Callable[[Params, torch.Tensor], torch.Tensor],
    loss: Callable[[Params, Batch], Loss],
    generator: torch.Generator,
) -> tuple[State, Metrics]:
    """As `proximal_update`, on single episodes `[B, L, ...]` whose steps are one batch.

    Args:
        value: of what is seen `[..., O]` under parameters, `[...]` in units of the returns' scale.
        loss: of some of the steps.
    """
    whole = through_truncation(episodes, state, value, config.discount)
    with torch.no_grad():
        known = value(state["policy"], episodes.observation)
    batch, targets = proximal_batch(config, state, whole, episodes.observation, known)
    return proximal_update(config, state, loss, by_step(batch), targets, generator)


def proximal_batch(
    config: PPOOptions, state: State, stream: Rollout, seen: torch.Tensor, value: torch.Tensor
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
    config: PPOOptions,
    state: State,
    loss: Callable[[Params, Batch], Loss],
    batch: Batch,
    targets: Targets,
    generator: torch.Generator,
) -> tuple[State, Metrics]:
    """The state after epochs of minibatches, and what the last epoch measured.

    A minibatch holds some of the lanes of `batch`. The step size is `learning_rate`, times its decay for every update
    before; or what was fitted to their divergences. The weight of the entropy, in a `loss` that begins with
    `entropy_bonus`, falls likewise.

    Raises:
        NonFiniteError: a gradient or a parameter is not finite.
    """
    lanes, per_epoch = len(batch.mask), min(config.minibatches, len(batch.mask))
    optimiser, limit = state["optimiser"], config.max_gradient_norm
    first = float(state.get("learning_rate", config.learning_rate))
    rate = falling_rate(first, config.learning_rate_decay, optimiser, config.epochs * per_epoch)
    bonus = falling_rate(config.entropy_bonus, config.entropy_bonus_decay, optimiser, config.epochs * per_epoch)
    lost = config.entropy_bonus - bonus  # of the bonus, by now

    def with_falling_bonus(policy: Params, batch: Batch) -> Loss:
        found = loss(policy, batch)
        return found._replace(total=found.total + lost * found.entropy) if lost else found

    parts = minibatches(config.epochs, lanes, per_epoch, generator, batch.mask.device)
    batches = (Batch(*(field[chosen] for field in batch)) for epoch in parts for chosen in epoch)
    policy, optimiser, found = adam_descent(
        with_falling_bonus, state["policy"], optimiser, batches, rate, limit, "policy"
    )
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
    state = {**state, "policy": policy, "optimiser": optimiser, "return_scale": targets.scale}
    if config.desired_kl:
        state["learning_rate"] = fitted_rate(config, state["learning_rate"], losses["kl"])
        metrics["update/learning_rate"] = rate
    return state, metrics
