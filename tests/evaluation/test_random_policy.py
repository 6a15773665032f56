"""The level of random actions: uniform, addressed, and what an independent simulation says."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from scipy import stats

from envs.families.point.navigation import PointNav
from metarl.evaluation import random_policy
from metarl.evaluation.random_policy import RandomPolicy, random_returns
from metarl.runtime.errors import EnvironmentBroke
from metarl.runtime.randomness import Address

EVERYWHERE = torch.ones(1, 1, dtype=torch.bool)


def test_actions_are_uniform_over_a_box_that_is_not_symmetric() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 500, 2), dtype=np.float32))
    space = Box(np.array([-3.0, 1.0]), np.array([1.0, 1.5]), dtype=np.float64)
    (action, _), _ = RandomPolicy(space).act(None, None, torch.zeros(4, 500, 3), EVERYWHERE, noise)
    for index, (low, high) in enumerate(((-3.0, 1.0), (1.0, 1.5))):
        values = action[..., index].numpy().ravel()
        assert low <= values.min() and values.max() <= high
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_discrete_actions_are_equally_likely_and_none_lies_outside() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).random((3, 1000), dtype=np.float32))
    (action, _), _ = RandomPolicy(Discrete(5)).act(None, None, torch.zeros(3, 1000, 1), EVERYWHERE, noise)
    assert stats.chisquare(np.bincount(action.numpy().ravel(), minlength=5)).pvalue > 0.01
    # single precision rounds (1 - 2^-24) · 2^24 apart, but a large count times the largest noise up to the count itself
    largest = torch.full((1, 1), float(np.nextafter(np.float32(1), np.float32(0))))
    (action, _), _ = RandomPolicy(Discrete(2**26)).act(None, None, torch.zeros(1, 1, 1), EVERYWHERE, largest)
    assert action.item() < 2**26


def test_the_level_of_point_nav_is_that_of_a_simulation_by_hand() -> None:
    """From the origin, each step moves by 0.1 · U(-1, 1) along each axis and costs the distance to the goal; within
    0.01 of the goal along both axes the episode is over. 40 tasks of 25 lanes against 200 episodes each."""
    env = PointNav(40, 25)
    level = random_returns(env, Address(5))
    assert level is not None and level.shape == (40,)
    goals, rng = env.tasks["goal"], np.random.default_rng(1)
    position, returns, live = np.zeros((40, 200, 2)), np.zeros((40, 200)), np.ones((40, 200), bool)
    for _ in range(100):
        position += 0.1 * rng.uniform(-1, 1, position.shape)
        offset = np.abs(position - goals[:, None])
        returns -= np.linalg.norm(offset, axis=2) * live
        live &= ~(offset < 0.01).all(axis=2)
    error = np.sqrt(returns.var(axis=1) / 25 + returns.var(axis=1) / 200)  # [40], of the difference of two means
    z = (level - returns.mean(axis=1)) / error
    assert abs(z.mean()) * np.sqrt(40) < 3
    assert stats.kstest(z, stats.norm.cdf).pvalue > 0.01


def test_the_level_is_its_address() -> None:
    env = PointNav(3, 4)
    first = random_returns(env, Address(1))
    assert np.array_equal(first, random_returns(env, Address(1)))  # type: ignore[arg-type]
    assert not np.array_equal(first, random_returns(env, Address(2)))  # type: ignore[arg-type]


def test_actions_without_bounds_have_no_level() -> None:
    env = PointNav(2, 2)
    env.single_action_space = Box(-np.inf, np.inf, (2,))
    assert random_returns(env, Address(0)) is None


def test_an_environment_that_random_actions_break_has_no_level_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> None:
        raise EnvironmentBroke("every lane of task 0 diverged")

    monkeypatch.setattr(random_policy, "collect", fail)
    assert random_returns(PointNav(2, 2), Address(0)) is None
    assert "every lane of task 0 diverged" in caplog.text
