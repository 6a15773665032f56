"""From facts to estimates: returns, the linear feature baseline, advantages, and the `Batch` of a loss.

* Linear feature baseline: Duan et al. 2016 (rllab), features of observation and time, one regularised
  least-squares fit a task, all tasks in one batched solve.
* Generalised advantage estimation: Schulman et al. 2016, eq. 16.

Value bootstraps through truncation, never through termination.
"""

import torch
from jaxtyping import Bool, Float

from metarl.core.types import Batch, Rollout


def discounted_returns(
    reward: Float[torch.Tensor, "*lanes T"], mask: Float[torch.Tensor, "*lanes T"], discount: float
) -> Float[torch.Tensor, "*lanes T"]:
    """Discounted reward to go within the recorded episode: `R_t = r_t + γ R_{t+1}`."""
    reward = reward * mask
    returns = torch.empty_like(reward)
    running = torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        running = reward[..., t] + discount * running
        returns[..., t] = running
    return returns * mask


def baseline_features(
    observation: Float[torch.Tensor, "N E T O"], step: Float[torch.Tensor, "*N_E T"] | None = None
) -> Float[torch.Tensor, "N E T F"]:
    """`[s, s², τ, τ², τ³, 1]` with s clipped to ±10 and τ = step / 100 (steps 0, 1, … by default), in doubles."""
    s = observation.double().clamp(-10, 10)
    tau = (torch.arange(s.shape[2], device=s.device) if step is None else step).double() / 100
    time = torch.stack([tau, tau**2, tau**3, torch.ones_like(tau)], dim=-1)  # [..., T, 4]
    return torch.cat([s, s**2, time.expand(*s.shape[:3], 4)], dim=-1)


def fit_linear_baseline(
    features: Float[torch.Tensor, "N E T F"],
    target: Float[torch.Tensor, "N E T"],
    mask: Float[torch.Tensor, "N E T"],
    regularisation: float = 1e-5,
) -> Float[torch.Tensor, "N F"]:
    """Weights of one least-squares fit a task, `argmin ‖mask (features w − target)‖²`, never raising.

    Columns are scaled to unit root mean square first, so that `regularisation` is relative and the normal
    equations stay positive definite whatever the observations' units.
    """
    weights = mask.flatten(1)[..., None]  # [N, E·T, 1]
    x = features.flatten(1, 2) * weights  # [N, E·T, F]
    y = target.double().flatten(1)[..., None] * weights
    count = weights.sum(dim=1, keepdim=True).clamp(min=1)  # [N, 1, 1]
    scale = (x.square().sum(dim=1, keepdim=True) / count).sqrt().clamp(min=1e-8)  # [N, 1, F]
    x = x / scale
    gram = x.mT @ x / count + regularisation * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    factor, _ = torch.linalg.cholesky_ex(gram)
    solution = torch.cholesky_solve(x.mT @ y / count, factor)
    return (solution / scale.mT).squeeze(-1)


def generalised_advantages(
    reward: Float[torch.Tensor, "*lanes T"],
    value: Float[torch.Tensor, "*lanes T"],
    next_value: Float[torch.Tensor, "*lanes T"],
    terminated: Bool[torch.Tensor, "*lanes T"],
    truncated: Bool[torch.Tensor, "*lanes T"],
    mask: Float[torch.Tensor, "*lanes T"],
    discount: float,
    gae_lambda: float,
) -> Float[torch.Tensor, "*lanes T"]:
    """`A_t = Σ_k (γλ)^k δ_{t+k}` with `δ_t = r_t + γ V(s_{t+1}) [not terminated] − V(s_t)`.

    The sum stops where an episode ends, by either flag; only termination cuts the bootstrap.
    """
    continues = (~terminated).to(reward.dtype)
    delta = (reward + discount * next_value * continues - value) * mask
    carries = (~(terminated | truncated)).to(reward.dtype) * discount * gae_lambda
    advantage = torch.empty_like(delta)
    running = torch.zeros_like(delta[..., 0])
    for t in reversed(range(delta.shape[-1])):
        running = delta[..., t] + carries[..., t] * running
        advantage[..., t] = running
    return advantage * mask


def normalise(advantage: Float[torch.Tensor, "N E T"], mask: Float[torch.Tensor, "N E T"]) -> torch.Tensor:
    """Zero mean and unit standard deviation over the valid steps of each task."""
    count = mask.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    mean = (advantage * mask).sum(dim=(1, 2), keepdim=True) / count
    centred = (advantage - mean) * mask
    std = (centred.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
    return centred / (std + 1e-8)


def baseline_values(
    rollout: Rollout, returns: Float[torch.Tensor, "N E T"]
) -> tuple[Float[torch.Tensor, "N E T"], Float[torch.Tensor, "N E T"]]:
    """Values of every observation and of its successor, by the baseline fitted to `returns` for each task.

    Within an episode a successor is the next observation; only the last step's own has to be looked at.
    """
    features = baseline_features(rollout.observation)
    weights = fit_linear_baseline(features, returns, rollout.mask)[:, None, :, None]  # [N, 1, F, 1]
    value = (features @ weights).squeeze(-1)
    last = (rollout.mask.sum(dim=-1, keepdim=True) - 1).clamp(min=0).long()  # [N, E, 1]
    index = last[..., None].expand(-1, -1, -1, rollout.observation.shape[-1])
    final_observation = rollout.next_observation.gather(2, index)  # [N, E, 1, O]
    final_value = (baseline_features(final_observation, last.to(returns.dtype) + 1) @ weights).squeeze(-1)
    next_value = torch.cat([value[..., 1:], value[..., :1]], dim=-1).scatter(2, last, final_value)
    return value.to(returns.dtype), next_value.to(returns.dtype)


def make_batch(rollout: Rollout, discount: float, gae_lambda: float) -> Batch:
    """What losses see of a rollout, with a leading task axis `[N, E, T, ...]`.

    Each task's baseline is fitted to this very rollout, and advantages are normalised within each task.
    """
    returns = discounted_returns(rollout.reward, rollout.mask, discount)
    value, next_value = baseline_values(rollout, returns)
    advantage = generalised_advantages(
        rollout.reward,
        value,
        next_value,
        rollout.terminated,
        rollout.truncated,
        rollout.mask,
        discount,
        gae_lambda,
    )
    return Batch(
        observation=rollout.observation,
        action=rollout.action,
        log_probability=rollout.log_probability,
        advantage=normalise(advantage, rollout.mask),
        return_=returns,
        mask=rollout.mask,
    )
