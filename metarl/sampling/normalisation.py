"""Observations in units of their own spread: running moments over all that training has seen.

`collect` shows agents, and records, `(o − mean) / standard deviation`; the moments of an iteration are those of all
iterations before it, so that a rollout and the update on it use the same ones. They are part of the run's state.

Before the first iteration the untrained policy plays for moments alone (`training/trainer.py`), so that already the
first update is on what the policy will be shown.
"""

import torch
from jaxtyping import Float

from metarl.core.types import State, Trial
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
    """The moments with a trial's observations, which were recorded under `moments` (Chan, Golub & LeVeque 1983).

    The trial is that of all ranks' tasks.
    """
    recorded = torch.cat([rollout.observation.flatten(0, 2) for rollout in trial.rollouts]).double()  # [B, O]
    mask = torch.cat([rollout.mask.flatten() for rollout in trial.rollouts]).double()[:, None]  # [B, 1]
    moments = {name: value.to(recorded.device) for name, value in moments.items()}
    raw = recorded * standard_deviation(moments) + moments["mean"]
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
    """What observations pass through on their way to an agent; nothing where a state holds no moments."""

    def __init__(self, state: State) -> None:
        moments = state.get(MOMENTS)
        self.active = moments is not None
        if moments is not None:
            self.mean = moments["mean"].cpu().float()
            self.std = standard_deviation(moments).cpu().float()

    def __call__(self, observation: Float[torch.Tensor, "*lanes O"]) -> Float[torch.Tensor, "*lanes O"]:
        """In units of standard deviations from the mean."""
        return (observation - self.mean) / self.std if self.active else observation
