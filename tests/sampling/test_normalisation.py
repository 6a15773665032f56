"""Running moments of observations, against numpy's over everything seen, and what agents are shown."""

import numpy as np
import torch

import envs
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.core.types import Rollout, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.normalisation import (
    MOMENTS,
    SMALLEST,
    Normaliser,
    initial_moments,
    outweighed,
    standard_deviation,
    updated_moments,
)

N, E, T, SIZE = 2, 3, 4, 5
CPU = torch.device("cpu")


def shown(raw: torch.Tensor, moments: dict, mask: torch.Tensor) -> Trial:
    """A trial of one round on `raw` observations `[N, E, T, O]`, recorded as `collect` does under `moments`."""
    nothing, never = torch.zeros(N, E, T), torch.zeros(N, E, T, dtype=torch.bool)
    seen = Normaliser({MOMENTS: moments})(raw)
    return Trial([Rollout(seen, nothing, nothing, nothing, never, never, never, mask, seen)])


def test_moments_are_those_of_all_that_was_seen() -> None:
    random = torch.Generator().manual_seed(0)
    offset, scale = torch.tensor([0.0, 100.0, -3.0, 0.0, 7.0]), torch.tensor([1.0, 0.1, 50.0, 2.0, 0.0])
    moments, everything = initial_moments(SIZE), []
    for _ in range(3):
        raw = offset + scale * torch.randn(N, E, T, SIZE, generator=random)
        mask = (torch.rand(N, E, T, generator=random) < 0.7).float()
        moments = updated_moments(moments, shown(raw, moments, mask))
        everything.append(raw[mask.bool()])
    seen = torch.cat(everything).double().numpy()
    assert moments["count"] == len(seen)
    # observations are recorded in single precision, in units of their deviation: seven digits of that
    np.testing.assert_allclose(moments["mean"], seen.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose((moments["squares"] / len(seen)).sqrt(), seen.std(axis=0), rtol=1e-3, atol=1e-4)


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
    after = updated_moments(light, shown(raw, moments, torch.ones(N, E, T)))
    mean = (2 + 24 * 4) / 25
    np.testing.assert_allclose(after["mean"], [mean], rtol=1e-6)
    np.testing.assert_allclose(standard_deviation(after) ** 2, [(13 + 24 * 32) / 25 - mean**2], rtol=1e-6)
    nothing = outweighed(initial_moments(SIZE))
    assert nothing["count"] == 0 and not nothing["squares"].any()


def test_a_constant_observation_becomes_zero_and_stays_finite() -> None:
    raw = torch.full((N, E, T, SIZE), 3.0)
    moments = updated_moments(initial_moments(SIZE), shown(raw, initial_moments(SIZE), torch.ones(N, E, T)))
    normalised = Normaliser({MOMENTS: moments})
    assert torch.equal(normalised(raw), torch.zeros_like(raw))
    np.testing.assert_allclose(normalised(raw + 1.0), 1.0 / SMALLEST, rtol=1e-4)


def test_agents_are_shown_and_rollouts_hold_normalised_observations() -> None:
    # With the same actions the robot does the same, whatever the agent is shown of it.
    env = envs.make("half-cheetah-dir", num_tasks=N, lanes_per_task=E, horizon=T)
    config = config_class("maml-trpo")(hidden=(4,), initial_std=1.0)
    algorithm = make_algorithm("maml-trpo", config, Spaces(env.single_observation_space, env.single_action_space), CPU)
    state = algorithm.initial_state(Address(0))
    for name in state["policy"]:
        if name != "log_std":
            state["policy"][name] = torch.zeros_like(state["policy"][name])  # actions are the noise
    plain = collect(env, algorithm, state, 1, Address(1)).rollouts[0]
    size = plain.observation.shape[-1]
    mean, std = torch.arange(size).double(), torch.linspace(0.5, 2.0, size).double()
    moments = {"count": torch.tensor(10.0).double(), "mean": mean, "squares": 10 * std**2}
    normalised = collect(env, algorithm, {**state, MOMENTS: moments}, 1, Address(1)).rollouts[0]
    assert torch.equal(plain.reward, normalised.reward)
    for name in ("observation", "next_observation"):
        expected = (getattr(plain, name).double() - mean) / std
        torch.testing.assert_close(getattr(normalised, name).double(), expected, rtol=1e-5, atol=1e-5)
