"""Observations in units of their own spread, running moments over all that training has seen; and rewards in a unit.

`collect` shows agents `(o − mean) / standard deviation` and records observations as they are; an update turns what it
learns from into the same units (`normalised`, or a `Normaliser` where it draws from a replay). The moments of an
iteration are those of all iterations before it, so that acting and the update on it use the same ones. They are part of
the run's state.

Rewards likewise: agents are told of them, and learn from them, divided by `train.reward_unit`, or by the standard
deviation of discounted returns so far, as Gymnasium's `NormalizeReward` does for each lane; what is recorded, measured
and evaluated stays as the environment gave it.

Before the first iteration the untrained policy plays for moments alone (`training/setup.py`), so that already the
first update is on what the policy will be shown.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float

from metarl.core.advantages import discounted_returns
from metarl.core.types import Rollout, State, Trial
from metarl.runtime.devices import CPU, sent
from metarl.runtime.ranks import sum_over_ranks

MOMENTS = "observations"  # where a state keeps them
REWARDS = "rewards"  # and the unit of rewards, or the moments of discounted returns
DISCOUNT = 0.99  # of these returns: that of Gymnasium's `NormalizeReward`
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


def initial_unit(unit: float) -> State:
    """A fixed unit of rewards; 0: the moments of no returns yet."""
    return {"unit": torch.tensor(unit, dtype=torch.float64)} if unit else initial_moments(1)


def running(state: State) -> list[str]:
    """The moments that a state keeps, by where."""
    return [name for name in (MOMENTS, REWARDS) if "count" in state.get(name, {})]


def with_trial(state: State, trial: Trial) -> State:
    """The state with a trial in the moments that it keeps."""
    seen = {MOMENTS: of_observations, REWARDS: returns_so_far}
    return {**state, **{name: updated_moments(state[name], trial, seen[name]) for name in running(state)}}


def returns_so_far(rollout: Rollout) -> Float[torch.Tensor, "N E T 1"]:
    """`G_t = r_t + γ G_{t−1}` of each episode."""
    reward, mask = rollout.reward.double().flip(-1), rollout.mask.flip(-1)
    return discounted_returns(reward, mask, DISCOUNT).flip(-1)[..., None]


def of_observations(rollout: Rollout) -> Float[torch.Tensor, "N E T O"]:
    """What moments are of, if nothing else is said."""
    return rollout.observation


def updated_moments(moments: State, trial: Trial, what: Callable[[Rollout], torch.Tensor] = of_observations) -> State:
    """The moments with those of a trial, of all ranks' tasks (Chan, Golub & LeVeque 1983)."""
    raw = torch.cat([what(rollout).flatten(0, 2) for rollout in trial.rollouts]).double()  # [B, O]
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
    """What observations and rewards pass through on their way to an agent; nothing where a state holds no units."""

    def __init__(self, state: State, device: torch.device = CPU) -> None:
        moments, rewards = state.get(MOMENTS), state.get(REWARDS)
        self.mean: torch.Tensor | None = None
        self.std: torch.Tensor | None = None
        self.unit: torch.Tensor | None = None
        if moments is not None:
            self.mean = sent(moments["mean"].float(), device)
            self.std = sent(standard_deviation(moments).float(), device)
        if rewards is not None:
            unit = rewards["unit"] if "unit" in rewards else standard_deviation(rewards)[0]
            self.unit = sent(unit.float(), device)

    def __call__(self, observation: Float[torch.Tensor, "*lanes O"]) -> Float[torch.Tensor, "*lanes O"]:
        """In units of standard deviations from the mean; of fewer numbers where the task is not shown behind them."""
        size = observation.shape[-1]
        if self.mean is None or self.std is None:
            return observation
        return (observation - self.mean[:size]) / self.std[:size]

    @property
    def active(self) -> bool:
        """Whether observations change on their way."""
        return self.mean is not None

    def reward(self, reward: Float[torch.Tensor, "*lanes"]) -> Float[torch.Tensor, "*lanes"]:
        """In the unit that agents count in."""
        return reward if self.unit is None else reward / self.unit

    def seen(self, steps: Rollout) -> Rollout:
        """Steps of any shape, as an agent is to see them."""
        if self.unit is not None:
            steps = steps._replace(reward=self.reward(steps.reward))
        if not self.active:
            return steps
        return steps._replace(observation=self(steps.observation), next_observation=self(steps.next_observation))


def normalised(trial: Trial, state: State) -> Trial:
    """A trial as agents saw it while it was played under `state`: what batches are made of."""
    seen = Normaliser(state, trial.rollouts[0].observation.device).seen
    return trial._replace(rollouts=[seen(rollout) for rollout in trial.rollouts])
