"""Proximal policy optimisation (Schulman et al. 2017) on whole trials, with a learned value function.

A trial is one finite game, whatever number of episodes it is made of: what an action is worth includes the episodes
after it (Duan et al. 2016), so returns and advantages (Schulman et al. 2016, eq. 16) run across the
borders of episodes, and nothing is bootstrapped at the trial's end.

Letters: B lanes, each one trial · L steps of a trial, of which `mask` says which were played.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float

from metarl.core.advantages import discounted_returns, generalised_advantages
from metarl.core.distributions import Distribution
from metarl.core.losses import clipped_loss, log_ratio, masked_mean
from metarl.core.meta_gradient import shortened
from metarl.core.optimiser import AdamSteps
from metarl.core.trust_region import Finite, require_finite
from metarl.core.types import Batch, Params, State
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point

SCALE_MEMORY = 0.9  # of the returns' scale, from update to update


class Loss(NamedTuple):
    """What a proximal step descends, and what it is made of: scalars."""

    total: torch.Tensor
    policy: torch.Tensor  # the clipped objective, negated
    value: torch.Tensor  # half the mean squared error of the value function
    entropy: torch.Tensor
    kl: torch.Tensor  # estimated divergence from the policy that acted
    clipped: torch.Tensor  # share of the steps whose probability ratio is beyond the bound


def normalised(advantage: Float[torch.Tensor, "B L"], mask: Float[torch.Tensor, "B L"]) -> torch.Tensor:
    """Zero mean and unit standard deviation over all played steps."""
    centred = (advantage - masked_mean(advantage, mask)) * mask
    return centred / (masked_mean(centred.square(), mask).sqrt() + 1e-8)


class Targets(NamedTuple):
    """What policy and value function learn from a trial."""

    advantage: torch.Tensor  # [B, L], normalised
    return_: torch.Tensor  # [B, L], in units of `scale`
    scale: torch.Tensor  # of the returns, []
    explained_variance: float  # of the returns, by the value function


def trial_targets(
    reward: Float[torch.Tensor, "B L"],
    value: Float[torch.Tensor, "B L"],
    mask: Float[torch.Tensor, "B L"],
    known_scale: torch.Tensor,
    discount: float,
    gae_lambda: float,
) -> Targets:
    """Advantages and returns, for a value function in units of a moving root mean square of the returns.

    Whatever the rewards' unit, its targets are then near one. It is fitted to the returns themselves, which a finite
    game has; λ shapes the advantages alone. Values are in units of the known scale, which the value function was fitted
    in; before the first update that is zero, and they are in units of the new one.

    Raises:
        NonFiniteError: the rewards are not finite.
    """
    returns = discounted_returns(reward, mask, discount)
    size = masked_mean(returns.square(), mask).sqrt()
    scale = torch.where(known_scale > 0, torch.lerp(size, known_scale, SCALE_MEMORY), size).clamp(min=1e-8)
    value = value * torch.where(known_scale > 0, known_scale, scale)
    advantage = generalised_advantages(reward, value, mask, discount, gae_lambda)
    require_finite("trial", {"return": returns, "advantage": advantage})
    centred = returns - masked_mean(returns, mask)
    variance = masked_mean(centred.square(), mask).clamp(min=1e-30)
    explained = float(1 - masked_mean((returns - value).square(), mask) / variance)
    return Targets(normalised(advantage, mask), returns / scale, scale, explained)


def proximal_loss(
    distribution: Distribution,
    value: Float[torch.Tensor, "B L"],
    batch: Batch,
    clip: float,
    value_coefficient: float,
    entropy_bonus: float,
) -> Loss:
    """The clipped objective, plus the value function's error, minus a bonus for entropy (eq. 9), of a policy's
    distribution and a value, in the unit of `batch.return_`, at every step of `batch` `[B, L, ...]`."""
    policy_loss = clipped_loss(distribution, batch, clip)
    value_loss = 0.5 * masked_mean((value - batch.return_).square(), batch.mask)
    entropy = masked_mean(distribution.entropy(), batch.mask)
    total = policy_loss + value_coefficient * value_loss - entropy_bonus * entropy
    with torch.no_grad():
        log = log_ratio(distribution, batch)
        kl = masked_mean(log.exp() - 1 - log, batch.mask)  # ≥ 0, of mean KL(acted, new)
        clipped = masked_mean(((log.exp() - 1).abs() > clip).to(log.dtype), batch.mask)
    return Loss(total, policy_loss, value_loss, entropy, kl, clipped)


def minibatches(
    epochs: int, lanes: int, count: int, generator: torch.Generator, device: torch.device
) -> list[tuple[torch.Tensor, ...]]:
    """For each epoch numbers of lanes in a random order, in `count` parts that differ by a lane at most (fewer where
    lanes are). All are drawn, and sent to the device, at once."""
    orders = torch.stack([torch.randperm(lanes, generator=generator) for _ in range(epochs)])
    return [torch.tensor_split(order, min(count, lanes)) for order in sent(orders, device)]


def adam_descent(
    loss: Callable[[Params, Any], Sequence[torch.Tensor]],
    params: Params,
    optimiser: State,
    batches: Iterable[Any],
    learning_rate: float,
    max_gradient_norm: float,
    what: str,
) -> tuple[Params, State, list[list[torch.Tensor]]]:
    """A step of Adam down `loss` for each of `batches`: the parameters after them, the optimiser's memory, and what the
    loss was at each, in its parts, of which the first is descended.

    Raises:
        NonFiniteError: a gradient or the parameters (of `what`) after the last step are not finite.
    """
    steps, losses, finite = AdamSteps(params, optimiser, learning_rate), list[list[torch.Tensor]](), Finite()
    for batch in batches:
        interruption_point()
        found = loss(steps.params, batch)
        gradients = torch.autograd.grad(found[0], list(steps.params.values()))
        gradient = dict(zip(steps.params, gradients, strict=True))
        finite.note(f"gradient of the {what}", gradient)
        steps.step(shortened(gradient, max_gradient_norm))
        losses.append([value.detach() for value in found])
    params, optimiser = steps.result()
    finite.note(f"updated {what}", params)
    finite.require()
    return params, optimiser, losses
