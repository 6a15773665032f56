"""Observations in units of their own spread: running moments over all that training has seen.

`collect` shows agents `(o − mean) / standard deviation` and records observations as they are; an update turns what it
learns from into the same units (`normalised`, or a `Normaliser` where it draws from a replay). The moments of an
iteration are those of all iterations before it, so that acting and the update on it use the same ones. They are part of
the run's state.

Before the first iteration the untrained policy plays for moments alone (`training/setup.py`), so that already the
first update is on what the policy will be shown.
"""

import torch
from jaxtyping import Float

from metarl.core.types import Rollout, State, Trial
from metarl.runtime.devices import CPU, sent
from metarl.runtime.ranks import sum_over_ranks

MOMENTS = "observations"  # where a state keeps them
SMALLEST = 1e-4  # a standard deviation below this is taken for this: a constant stays harmless


def initial_moments(size: int) -> State:
    """Of nothing seen yet, for observations of `size` numbers: they change nothing."""
    return {
        "count": torch.zeros((), dtype=torch.float64),
        "mean": torch.zeros(size, dtype=torch.float64),
        "squares": torch.zeros(size, dtype=torch.float64),  # summed squared deviations from the mean
    }


def standard_deviation(moments: State) -> Float[torch.Tensor, " O"]:
    """Of what was seen; one before that."""
    if not moments["count"]:
        return torch.ones_like(moments["mean"])
    return (moments["squares"] / moments["count"]).sqrt().clamp(min=SMALLEST)


def updated_moments(moments: State, trial: Trial) -> State:
    """The moments with a trial's observations, those of all ranks' tasks (Chan, Golub & LeVeque 1983)."""
    raw = torch.cat([rollout.observation.flatten(0, 2) for rollout in trial.rollouts]).double()  # [B, O]
    mask = torch.cat([rollout.mask.flatten() for rollout in trial.rollouts]).double()[:, None]  # [B, 1]
    moments = {name: value.to(raw.device) for name, value in moments.items()}
    count, summed = sum_over_ranks((mask.sum(), (raw * mask).sum(dim=0)))
    mean = summed / count
    squares = sum_over_ranks(((raw - mean).square() * mask).sum(dim=0))
    total = moments["count"] + count
    shift = mean - moments["mean"]
    return {
        "count": total,
        "mean": moments["mean"] + shift * count / total,
        "squares": moments["squares"] + squares + shift.square() * moments["count"] * count / total,
    }


def outweighed(moments: State) -> State:
    """The same mean and deviation, with the weight of a single observation; nothing seen stays nothing."""
    count = moments["count"]
    return {"count": count.clamp(max=1), "mean": moments["mean"], "squares": moments["squares"] / count.clamp(min=1)}


class Normaliser:
    """What observations pass through on their way to a network; nothing where a state holds no moments."""

    def __init__(self, state: State, device: torch.device = CPU) -> None:
        moments = state.get(MOMENTS)
        self.active = moments is not None
        if moments is not None:
            self.mean = sent(moments["mean"].float(), device)
            self.std = sent(standard_deviation(moments).float(), device)

    def __call__(self, observation: Float[torch.Tensor, "*lanes O"]) -> Float[torch.Tensor, "*lanes O"]:
        """In units of standard deviations from the mean; of fewer numbers where the task is not shown behind them."""
        size = observation.shape[-1]
        return (observation - self.mean[:size]) / self.std[:size] if self.active else observation

    def seen(self, steps: Rollout) -> Rollout:
        """Steps of any shape, as a network is to see them."""
        if not self.active:
            return steps
        return steps._replace(observation=self(steps.observation), next_observation=self(steps.next_observation))


def normalised(trial: Trial, state: State) -> Trial:
    """A trial as agents saw it while it was played under `state`: what batches are made of."""
    seen = Normaliser(state, trial.rollouts[0].observation.device).seen
    return trial._replace(rollouts=[seen(rollout) for rollout in trial.rollouts])
