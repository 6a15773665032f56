"""Running moments of observations, against numpy's over everything seen; units of rewards; what agents are shown."""

from typing import Any

import numpy as np
import torch

import envs
from metarl.core.types import Rollout, Trial
from metarl.evaluation.random_policy import RandomPolicy
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.normalisation import (
    MOMENTS,
    REWARDS,
    SMALLEST,
    Normaliser,
    initial_moments,
    initial_unit,
    normalised,
    outweighed,
    running,
    standard_deviation,
    updated_moments,
    with_trial,
)

N, E, T, SIZE = 2, 3, 4, 5
CPU = torch.device("cpu")


def played(raw: torch.Tensor, mask: torch.Tensor) -> Trial:
    """A trial of one round on observations `[N, E, T, O]`."""
    nothing, never = torch.zeros(N, E, T), torch.zeros(N, E, T, dtype=torch.bool)
    return Trial([Rollout(raw, nothing, nothing, nothing, never, never, never, mask, raw)])


def test_moments_are_those_of_all_that_was_seen() -> None:
    random = torch.Generator().manual_seed(0)
    offset, scale = torch.tensor([0.0, 100.0, -3.0, 0.0, 7.0]), torch.tensor([1.0, 0.1, 50.0, 2.0, 0.0])
    moments, everything = initial_moments(SIZE), []
    for _ in range(3):
        raw = offset + scale * torch.randn(N, E, T, SIZE, generator=random)
        mask = (torch.rand(N, E, T, generator=random) < 0.7).float()
        moments = updated_moments(moments, played(raw, mask))
        everything.append(raw[mask.bool()])
    seen = torch.cat(everything).double().numpy()
    assert moments["count"] == len(seen)
    np.testing.assert_allclose(moments["mean"], seen.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose((moments["squares"] / len(seen)).sqrt(), seen.std(axis=0), rtol=1e-9, atol=1e-9)


def test_before_anything_was_seen_observations_stay_as_they_are() -> None:
    raw = torch.randn(3, SIZE, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Normaliser({MOMENTS: initial_moments(SIZE)})(raw), raw)
    assert Normaliser({})(raw) is raw


def test_outweighed_moments_say_the_same_and_give_way() -> None:
    # Mean 2 and variance 9 of 100 observations; then 0 and 8 in equal numbers, 12 each: mean 4, variance 16. With the
    # weight of one, the mean is (2 + 24 · 4)/25 and the second moment (9 + 2² + 24 (16 + 4²))/25.
    moments = {"count": torch.tensor(100.0), "mean": torch.tensor([2.0]), "squares": torch.tensor([900.0])}
    moments = {name: value.double() for name, value in moments.items()}
    light = outweighed(moments)
    assert standard_deviation(light) == standard_deviation(moments) == 3 and light["mean"] == 2 and light["count"] == 1
    raw = torch.tensor([0.0, 8.0] * (N * E * T // 2)).reshape(N, E, T, 1)
    after = updated_moments(light, played(raw, torch.ones(N, E, T)))
    mean = (2 + 24 * 4) / 25
    np.testing.assert_allclose(after["mean"], [mean], rtol=1e-6)
    np.testing.assert_allclose(standard_deviation(after) ** 2, [(13 + 24 * 32) / 25 - mean**2], rtol=1e-6)
    nothing = outweighed(initial_moments(SIZE))
    assert nothing["count"] == 0 and not nothing["squares"].any()


def test_a_constant_observation_becomes_zero_and_stays_finite() -> None:
    raw = torch.full((N, E, T, SIZE), 3.0)
    moments = updated_moments(initial_moments(SIZE), played(raw, torch.ones(N, E, T)))
    seen = Normaliser({MOMENTS: moments})
    assert torch.equal(seen(raw), torch.zeros_like(raw))
    np.testing.assert_allclose(seen(raw + 1.0), 1.0 / SMALLEST, rtol=1e-4)


def test_agents_are_shown_normalised_observations_and_rollouts_hold_them_as_they_were() -> None:
    # With the same actions the robot does the same, whatever the agent is shown of it.
    env = envs.make("half-cheetah-dir", num_tasks=N, lanes_per_task=E, horizon=T)
    agent = Listening(env.single_action_space)
    plain = collect(env, agent, {}, 2, Address(1))
    size = plain.rollouts[0].observation.shape[-1]
    mean, std = torch.arange(size).double(), torch.linspace(0.5, 2.0, size).double()
    state = {MOMENTS: {"count": torch.tensor(10.0).double(), "mean": mean, "squares": 10 * std**2}}
    agent.told.clear()
    trial = collect(env, agent, state, 2, Address(1))
    for rollout, other in zip(trial.rollouts, plain.rollouts, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(rollout, other, strict=True))
    first, second = ([(x.double() - mean) / std for x in (r.observation, r.next_observation)] for r in plain.rollouts)
    for t in range(T):
        for told, expected in zip(agent.told[2 * t : 2 * t + 2], ([first[0]], first), strict=True):
            for a, b in zip(told, expected, strict=True):
                torch.testing.assert_close(a.double(), b[:, :, t], rtol=1e-5, atol=1e-5)
    adapted = agent.told[2 * T]
    batch = normalised(trial, state).rollouts[0]
    for a, b, c in zip(adapted, first, (batch.observation, batch.next_observation), strict=True):
        assert torch.equal(a, c)
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)
    assert normalised(plain, {}).rollouts[0].observation is plain.rollouts[0].observation
    assert len(agent.told) == 4 * T + 1 and torch.equal(
        agent.told[-1][1], normalised(trial, state).rollouts[1][-1][:, :, -1]
    )


class Listening(RandomPolicy):
    """Remembers the observations that it is told of, by act, observe and adapt."""

    def __init__(self, actions: Any) -> None:
        super().__init__(actions)
        self.told: list[list[torch.Tensor]] = []

    def act(self, acting: None, memory: None, observation: torch.Tensor, *rest: torch.Tensor) -> Any:
        self.told.append([observation.clone()])
        return super().act(acting, memory, observation, *rest)

    def observe(self, acting: None, memory: None, transition: Rollout) -> None:
        self.told.append([transition.observation.clone(), transition.next_observation.clone()])

    def adapt(self, state: Any, memory: None, rollout: Rollout) -> None:
        self.told.append([rollout.observation.clone(), rollout.next_observation.clone()])


def rewarded(rewards: list[float], mask: list[float] | None = None) -> Trial:
    """A trial of one round in one lane."""
    reward = torch.tensor([[rewards]])
    played_ = played(torch.zeros(*reward.shape, 1), torch.tensor([[mask or [1.0] * len(rewards)]])).rollouts[0]
    return Trial([played_._replace(reward=reward)])


def test_rewards_are_told_in_a_fixed_unit_and_recorded_as_they_are() -> None:
    # In units of ten, 5, −20 and 0 are 0.5, −2 and 0.
    trial, state = rewarded([5.0, -20.0, 0.0]), {REWARDS: initial_unit(10.0)}
    assert not running(state) and with_trial(state, trial) == state
    seen = normalised(trial, state).rollouts[0]
    assert seen.reward.tolist() == [[[0.5, -2.0, 0.0]]] and trial.returns.tolist() == [[-15.0]]
    assert seen.observation is trial.rollouts[0].observation


def test_the_unit_of_rewards_is_the_spread_of_discounted_returns_so_far() -> None:
    # Discount 0.99: rewards 1, 2, 3 make returns 1, 2 + 0.99 = 2.99, 3 + 0.99 · 2.99 = 5.9601; another episode, of two
    # played steps with rewards 4 and 0, 4 and 3.96. Gymnasium's NormalizeReward divides by their standard deviation.
    state = {REWARDS: initial_unit(0.0)}
    assert running(state) == [REWARDS] and Normaliser(state).unit == 1  # of nothing seen yet
    after = with_trial(with_trial(state, rewarded([1.0, 2.0, 3.0])), rewarded([4.0, 0.0, 9.0], [1.0, 1.0, 0.0]))
    unit = np.std([1, 2.99, 5.9601, 4, 3.96])
    np.testing.assert_allclose(Normaliser(after).unit, unit, rtol=1e-6)
    seen = normalised(rewarded([2.0, -1.0]), after).rollouts[0]
    np.testing.assert_allclose(seen.reward, [[[2 / unit, -1 / unit]]], rtol=1e-6)
