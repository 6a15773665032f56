"""Returns, baselines and advantages: hand-derived numbers, and numpy's least squares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils._python_dispatch import TorchDispatchMode

from metarl.core.advantages import (
    baseline_features,
    discounted_returns,
    fit_linear_baseline,
    generalised_advantages,
    make_batch,
    normalise,
    reversed_scan,
)
from metarl.core.types import Rollout

DOUBLE = torch.float64


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def test_discounted_returns_count_played_steps_alone() -> None:
    # Discount ½; the last step was not played:
    # R2 = 3,  R1 = 2 + 3/2 = 3.5,  R0 = 1 + 3.5/2 = 2.75
    reward, mask = tensor(1, 2, 3, 9), tensor(1, 1, 1, 0)
    assert discounted_returns(reward, mask, 0.5).tolist() == [2.75, 3.5, 3.0, 0.0]
    assert discounted_returns(reward, mask, 1.0).tolist() == [6.0, 5.0, 3.0, 0.0]
    assert discounted_returns(reward, mask, 0.0).tolist() == [1.0, 2.0, 3.0, 0.0]


@pytest.mark.parametrize(
    "gae_lambda, expected",
    [
        # r = (1, 2, 3), V = (½, 1, 3/2), γ = ½, and nothing after the last step:
        #   δ0 = 1 + ½·1 − ½ = 1,  δ1 = 2 + ½·3/2 − 1 = 1.75,  δ2 = 3 − 3/2 = 1.5
        # λ = 0: A = δ
        (0.0, [1.0, 1.75, 1.5]),
        # λ = ½, γλ = ¼: A1 = 1.75 + 1.5/4 = 2.125,  A0 = 1 + 2.125/4 = 1.53125
        (0.5, [1.53125, 2.125, 1.5]),
        # λ = 1: A = return − V: returns (2.75, 3.5, 3), A = (2.25, 2.5, 1.5)
        (1.0, [2.25, 2.5, 1.5]),
    ],
)
def test_generalised_advantages_by_hand(gae_lambda: float, expected: list[float]) -> None:
    advantage = generalised_advantages(
        tensor(1, 2, 3), tensor(0.5, 1, 1.5), torch.ones(3, dtype=DOUBLE), 0.5, gae_lambda
    )
    assert advantage.tolist() == expected


def test_advantages_run_across_the_borders_of_episodes_and_over_what_was_not_played() -> None:
    # γ = λ = 1/2. Episode one: steps 0 and 1, then nothing at step 2; episode two: step 3, the last played one.
    # δ3 = 4 + γ·0 − 2 = 2           A3 = 2
    # δ1 = 2 + γ·V3 − 1 = 2          A1 = 2 + ¼·A3 = 2.5    (the next played step is of the next episode)
    # δ0 = 1 + γ·V1 − ½ = 1          A0 = 1 + ¼·A1 = 1.625
    reward, value, mask = tensor(1, 2, 1e6, 4, -1e6), tensor(0.5, 1, 9, 2, 1e6), tensor(1, 1, 0, 1, 0)
    assert generalised_advantages(reward, value, mask, 0.5, 0.5).tolist() == [1.625, 2.5, 0.0, 2.0, 0.0]
    # Returns: 4, 2 + ½·4 = 4, 1 + ½·4 = 3.
    assert discounted_returns(reward, mask, 0.5).tolist() == [3.0, 4.0, 0.0, 4.0, 0.0]
    assert generalised_advantages(reward, value, torch.zeros_like(mask), 0.5, 0.5).tolist() == [0.0] * 5


@pytest.mark.parametrize("steps", [1, 2, 3, 64, 65, 800])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (DOUBLE, 1e-12)])
def test_the_scan_is_the_loop(steps: int, dtype: torch.dtype, tolerance: float) -> None:
    # Carries of 0, 1 and between, and small ones, whose products vanish. In units of what the sums are made of.
    values, carries = random(0, 2, 3, steps), random(1, 2, 3, steps).abs().clamp(max=1)
    carries[0, 0], carries[0, 1, ::3], carries[1, 0] = 1.0, 0.0, 1e-30
    expected, size = torch.zeros(2, 2, 3, steps + 1, dtype=DOUBLE)
    for t in reversed(range(steps)):
        expected[..., t] = values[..., t] + carries[..., t] * expected[..., t + 1]
        size[..., t] = values[..., t].abs() + carries[..., t] * size[..., t + 1]
    before = values.clone()
    sums = reversed_scan(values.to(dtype), carries.to(dtype))
    assert sums.dtype == dtype and torch.equal(values, before)
    assert ((sums - expected[..., :-1]).abs() / size[..., :-1]).max() < tolerance
    assert torch.equal(sums[1:, 2:], reversed_scan(values[1:, 2:].to(dtype), carries[1:, 2:].to(dtype)))


class Calls(TorchDispatchMode):
    """Counts torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += 1
        return function(*arguments, **(options or {}))


def test_estimates_take_few_operations_and_read_no_value() -> None:
    # A tensor of the meta device has no values that could be read. A loop would take a multiple of 800 operations.
    reward = torch.zeros(4, 800, device="meta")
    with Calls() as calls:
        generalised_advantages(reward, reward, reward, 0.99, 0.95)
        discounted_returns(reward, reward, 0.99)
    assert 0 < calls.count < 400


def test_baseline_features_are_observation_square_and_time() -> None:
    # Clipped to ±10; τ = t / 100 at t = 0, 1.
    observation = torch.tensor([[[[2.0, -20.0], [0.5, 3.0]]]])
    expected = [[2, -10, 4, 100, 0, 0, 0, 1], [0.5, 3, 0.25, 9, 0.01, 1e-4, 1e-6, 1]]
    torch.testing.assert_close(baseline_features(observation), torch.tensor([[expected]], dtype=DOUBLE))


def regularised_least_squares(
    features: np.ndarray, target: np.ndarray, mask: np.ndarray, regularisation: float
) -> np.ndarray:
    """One task by numpy: `argmin mean (xw − y)² + regularisation Σ (rms_f w_f)²`, as a taller least-squares problem."""
    played = mask.astype(bool).reshape(-1)
    x, y = features.reshape(len(played), -1)[played], target.reshape(-1)[played]
    penalty = np.sqrt(regularisation) * np.diag(np.sqrt((x**2).mean(axis=0)))
    root = np.sqrt(len(x))
    return np.linalg.lstsq(
        np.vstack([x / root, penalty]), np.concatenate([y / root, np.zeros(len(penalty))]), rcond=None
    )[0]


@pytest.mark.parametrize("regularisation", [0.0, 1e-5, 0.1])
def test_the_baseline_is_numpys_least_squares_fit_of_each_task(regularisation: float) -> None:
    N, E, T, F = 3, 5, 8, 4
    features = random(0, N, E, T, F) * tensor(1e-3, 1, 1e3, 10)
    target, mask = random(1, N, E, T), (random(2, N, E, T) > -0.5).double()
    weights = fit_linear_baseline(features, target, mask, regularisation)
    for task in range(N):
        expected = regularised_least_squares(
            features[task].numpy(), target[task].numpy(), mask[task].numpy(), regularisation
        )
        np.testing.assert_allclose(weights[task].numpy(), expected, rtol=1e-8)


def test_the_default_regularisation_hardly_moves_a_well_conditioned_fit() -> None:
    features, target = random(0, 1, 5, 8, 4), random(1, 1, 5, 8)
    weights = fit_linear_baseline(features, target, torch.ones(1, 5, 8, dtype=DOUBLE))
    expected = np.linalg.lstsq(features.reshape(40, 4).numpy(), target.reshape(40).numpy(), rcond=None)[0]
    np.testing.assert_allclose(weights[0].numpy(), expected, atol=1e-4)


HARD_OBSERVATIONS = {
    "zero": torch.zeros(1, 4, 10, 3),
    "constant": torch.full((1, 4, 10, 3), 7.0),
    "huge": 1e30 * random(0, 1, 4, 10, 3).float(),
    "tiny": torch.full((1, 4, 10, 3), 1e-30),
    "duplicate columns": random(0, 1, 4, 10, 1).float().expand(1, 4, 10, 3),
    "as a linear function of time": torch.arange(10.0)[None, None, :, None].expand(1, 4, 10, 3),
    "more features than steps": random(0, 1, 4, 10, 30).float(),
}


@pytest.mark.parametrize("steps", [40, 1], ids=["all steps", "one step"])
@pytest.mark.parametrize("name", HARD_OBSERVATIONS)
def test_the_baseline_of_hopeless_observations_still_fits_a_constant(name: str, steps: int) -> None:
    mask = (torch.arange(40) < steps).float().reshape(1, 4, 10)
    features = baseline_features(HARD_OBSERVATIONS[name])
    weights = fit_linear_baseline(features, torch.full((1, 4, 10), 3.0), mask)
    fitted = (features @ weights[0])[mask.bool()]
    torch.testing.assert_close(fitted, torch.full_like(fitted, 3.0), rtol=0, atol=1e-2)


def test_the_baseline_of_a_task_without_any_step_is_zero() -> None:
    features = baseline_features(random(0, 2, 3, 4, 5).float())
    mask = torch.ones(2, 3, 4)
    mask[0] = 0
    weights = fit_linear_baseline(features, torch.ones(2, 3, 4), mask)
    assert not weights[0].any()
    assert torch.isfinite(weights).all() and weights[1].any()


finite_floats = st.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(np.float32, (1, 2, 5, 2), elements=finite_floats),
    arrays(np.float32, (1, 2, 5), elements=st.floats(-1e6, 1e6, width=32)),
    arrays(np.float32, (1, 2, 5), elements=st.sampled_from([0.0, 1.0])),
)
def test_no_finite_rollout_breaks_the_baseline(observation: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
    features = baseline_features(torch.from_numpy(observation))
    weights = fit_linear_baseline(features, torch.from_numpy(target), torch.from_numpy(mask))
    assert torch.isfinite(features @ weights[0]).all()


def test_advantages_are_normalised_within_each_task() -> None:
    # Task 0: played (1, 2, 3), mean 2, variance (1 + 0 + 1) / 3: ±1 / sqrt(2/3) = ±1.224745
    # Task 1: constant: all zero.   Task 2: nothing played: all zero.
    advantage = torch.tensor([[[1.0, 2], [3, 99]], [[5.0, 5], [5, 5]], [[1.0, 2], [3, 4]]])
    mask = torch.tensor([[[1.0, 1], [1, 0]], [[1.0, 1], [1, 1]], [[0.0, 0], [0, 0]]])
    expected = torch.zeros(3, 2, 2)
    expected[0] = torch.tensor([[-1.224745, 0], [1.224745, 0]])
    torch.testing.assert_close(normalise(advantage, mask), expected, rtol=0, atol=1e-6)


def rollout(**fields: torch.Tensor) -> Rollout:
    """Zeros `[N, E, T]` with one observation and one action, but for `fields`."""
    N, E, T = fields["reward"].shape
    never, vectors = torch.zeros(N, E, T, dtype=torch.bool), torch.zeros(N, E, T, 1)
    scalars = torch.zeros(N, E, T)
    blank = Rollout(vectors, vectors, scalars, scalars, never, never, never, torch.ones(N, E, T), vectors)
    return blank._replace(**fields)


def test_a_batch_by_hand() -> None:
    # One step, four lanes, nothing to see: the baseline is the mean return. The last lane diverged, so that is the
    # mean of (1, 3, 5), 3 (but for a relative 1e-5). Lane 2 was truncated, which is an end like any other.
    #   A = (1 − 3, 3 − 3, 5 − 3) = (−2, 0, 2), mean 0, variance (2² + 2²) / 3 = 8 / 3:
    #   normalised ±2 / √(8/3) = ±1.224745
    facts = rollout(
        reward=torch.tensor([1.0, 3, 5, 100]).reshape(1, 4, 1),
        terminated=flags(1, 1, 0, 1).reshape(1, 4, 1),
        truncated=flags(0, 0, 1, 0).reshape(1, 4, 1),
        mask=torch.tensor([1.0, 1, 1, 0]).reshape(1, 4, 1),
        log_probability=torch.tensor([-1.0, -2, -3, -4]).reshape(1, 4, 1),
    )
    batch = make_batch(facts, discount=0.5, gae_lambda=0.95)
    expected = torch.tensor([-1.224745, 0, 1.224745, 0]).reshape(1, 4, 1)
    torch.testing.assert_close(batch.advantage, expected, rtol=0, atol=1e-4)
    assert batch.return_.flatten().tolist() == [1, 3, 5, 0]
    for name in ("observation", "action", "log_probability", "mask"):
        assert getattr(batch, name) is getattr(facts, name)


def features_by_hand(state: np.ndarray, t: int) -> np.ndarray:
    s, tau = np.clip(state, -10, 10), t / 100
    return np.concatenate([s, s**2, [tau, tau**2, tau**3, 1]])


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
def test_a_batch_is_the_same_as_by_loops_over_tasks_lanes_and_steps(gae_lambda: float) -> None:
    # Episodes of 2 to 6 steps; every second one is truncated where it ends, the others terminate. Beyond the end of an
    # episode there is only noise. numpy fits the baseline.
    N, E, T, discount = 2, 8, 6, 0.9
    states, reward = 3 * random(0, N, E, T + 1, 2), random(1, N, E, T)
    length = torch.arange(E) % 5 + 2  # [E]
    step = torch.arange(T)
    mask = (step < length[:, None]).double().expand(N, E, T)
    last = (step == length[:, None] - 1).expand(N, E, T)
    odd = (torch.arange(E) % 2 == 1)[:, None]
    facts = rollout(
        observation=torch.where(mask[..., None] == 1, states[:, :, :-1], random(2, N, E, T, 2)),
        next_observation=torch.where(mask[..., None] == 1, states[:, :, 1:], random(3, N, E, T, 2)),
        reward=reward,
        terminated=last & ~odd,
        truncated=last & odd,
        mask=mask,
    )
    batch = make_batch(facts, discount, gae_lambda)
    for task in range(N):
        returns, expected = np.zeros((E, T)), np.zeros((E, T))
        for lane in range(E):
            for t in range(int(length[lane])):
                rewards = reward[task, lane, t : int(length[lane])].numpy()
                returns[lane, t] = (rewards * discount ** np.arange(len(rewards))).sum()
        x = np.array([[features_by_hand(s, t) for t, s in enumerate(lane)] for lane in states[task].numpy()])
        weights = regularised_least_squares(x[:, :T], returns, mask[task].numpy(), 1e-5)
        for lane in range(E):
            advantage = 0.0
            for t in reversed(range(int(length[lane]))):
                next_value = 0.0 if t == length[lane] - 1 else x[lane, t + 1] @ weights
                delta = float(reward[task, lane, t]) + discount * next_value - x[lane, t] @ weights
                advantage = delta + discount * gae_lambda * advantage
                expected[lane, t] = advantage
        played = mask[task].numpy() == 1
        expected[played] = (expected[played] - expected[played].mean()) / expected[played].std()
        np.testing.assert_allclose(batch.return_[task].numpy(), returns, rtol=1e-12)
        np.testing.assert_allclose(batch.advantage[task].numpy(), expected, atol=1e-7)
