"""From facts to estimates: returns, the linear feature baseline, advantages, and the `Batch` of a loss.

* Linear feature baseline: Duan et al. 2016 (rllab), features of observation and time, one regularised
  least-squares fit a task, all tasks in one batched solve.
* Generalised advantage estimation: Schulman et al. 2016, eq. 16.

What is estimated is the return of a finite game: of the recorded episode, which has `horizon` steps at most. Nothing
comes after its last step, whatever ended it, so nothing is bootstrapped there. The baseline knows the time, as the
return to go does. With λ = 1 and γ = 1 the policy gradient is then, in expectation, that of the episode's return,
whatever the baseline; λ < 1 trusts the baseline to lower the variance, and γ < 1 credits an action with less of what
comes later, though with no less for coming late itself.
"""

import torch
from jaxtyping import Float

from metarl.core.types import Batch, Rollout


def reversed_scan(
    values: Float[torch.Tensor, "*lanes T"], carries: Float[torch.Tensor, "*lanes T"]
) -> Float[torch.Tensor, "*lanes T"]:
    """`x_t = values_t + carries_t x_{t+1}`, with nothing after the last step.

    By doubling (Hillis & Steele 1986): a step's sum over its next 2^i steps takes in that of the step 2^i later. So
    log₂ T rounds on whole tensors do what a loop does in T, and the bits of a lane depend on nothing but that lane.
    """
    sums, reach = values.clone(), 1
    carries = carries[..., :-1]  # over the next `reach` steps
    while reach < sums.shape[-1]:
        sums[..., :-reach] += carries * sums[..., reach:]
        carries = carries[..., :-reach] * carries[..., reach:]
        reach *= 2
    return sums


def discounted_returns(
    reward: Float[torch.Tensor, "*lanes T"], mask: Float[torch.Tensor, "*lanes T"], discount: float
) -> Float[torch.Tensor, "*lanes T"]:
    """Discounted reward to go over the played steps of a lane: `R_t = r_t + γ R_{t+1}`."""
    played = mask > 0
    carries = torch.where(played, discount, torch.ones_like(reward))
    return reversed_scan(torch.where(played, reward, 0.0), carries) * mask


def baseline_features(observation: Float[torch.Tensor, "N E T O"]) -> Float[torch.Tensor, "N E T F"]:
    """`[s, s², τ, τ², τ³, 1]` with s clipped to ±10 and τ = step / 100, in doubles."""
    s = observation.double().clamp(-10, 10)
    tau = torch.arange(s.shape[2], device=s.device).double() / 100
    time = torch.stack([tau, tau**2, tau**3, torch.ones_like(tau)], dim=-1)  # [T, 4]
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
    mask: Float[torch.Tensor, "*lanes T"],
    discount: float,
    gae_lambda: float,
) -> Float[torch.Tensor, "*lanes T"]:
    """`A_t = Σ_k (γλ)^k δ_{t+k}` with `δ_t = r_t + γ V_{t+1} − V_t`, over the played steps of a lane.

    After a played step comes the next played one, be it of the next episode; after the last one comes nothing.
    """
    played = mask > 0
    value = torch.where(played, value, 0.0)
    following = reversed_scan(value, 1.0 - mask)  # the value of this step if it was played, else of the next that was
    following = torch.cat([following[..., 1:], torch.zeros_like(following[..., :1])], dim=-1)
    delta = torch.where(played, reward + discount * following - value, 0.0)
    carries = torch.where(played, discount * gae_lambda, torch.ones_like(delta))
    return reversed_scan(delta, carries) * mask


def normalise(advantage: Float[torch.Tensor, "N E T"], mask: Float[torch.Tensor, "N E T"]) -> torch.Tensor:
    """Zero mean and unit standard deviation over the valid steps of each task."""
    count = mask.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    mean = (advantage * mask).sum(dim=(1, 2), keepdim=True) / count
    centred = (advantage - mean) * mask
    std = (centred.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
    return centred / (std + 1e-8)


def baseline_values(rollout: Rollout, returns: Float[torch.Tensor, "N E T"]) -> Float[torch.Tensor, "N E T"]:
    """Values of every observation, by the baseline fitted to `returns` for each task."""
    features = baseline_features(rollout.observation)
    weights = fit_linear_baseline(features, returns, rollout.mask)[:, None, :, None]  # [N, 1, F, 1]
    return (features @ weights).squeeze(-1).to(returns.dtype)


def make_batch(rollout: Rollout, discount: float, gae_lambda: float) -> Batch:
    """What losses see of a rollout, with a leading task axis `[N, E, T, ...]`.

    Each task's baseline is fitted to this very rollout, and advantages are normalised within each task.
    """
    returns = discounted_returns(rollout.reward, rollout.mask, discount)
    value = baseline_values(rollout, returns)
    advantage = generalised_advantages(rollout.reward, value, rollout.mask, discount, gae_lambda)
    return Batch(
        observation=rollout.observation,
        action=rollout.action,
        log_probability=rollout.log_probability,
        advantage=normalise(advantage, rollout.mask),
        return_=returns,
        mask=rollout.mask,
    )
