"""Functions of one number are drawn as their definitions say."""

import numpy as np
import pytest

from metarl.fewshot.sources import Polynomial, PolynomialConfig, Sinusoid, SinusoidConfig, Source
from metarl.runtime.errors import InputError


def waves(count: int) -> np.ndarray:
    """Amplitude and phase of drawn tasks, `[count, 2]`, from their examples alone.

    A sin(x − φ) = a sin x + b cos x with a = A cos φ, b = −A sin φ: a linear fit, and A² = a² + b², φ = atan2(−b, a).
    """
    found = []
    for seed in range(count):
        x, y = Sinusoid(SinusoidConfig()).sample(np.random.default_rng(seed), "test").query
        (a, b), residual, _, _ = np.linalg.lstsq(np.concatenate([np.sin(x), np.cos(x)], axis=1), y[:, 0], rcond=None)
        assert residual < 1e-8
        found.append((np.hypot(a, b), np.arctan2(-b, a)))
    return np.array(found)


def test_sine_waves_have_the_published_amplitudes_and_phases() -> None:
    amplitude, phase = waves(400).T
    assert 0.1 <= amplitude.min() < 0.2 and 4.9 < amplitude.max() <= 5.0001
    assert -1e-4 <= phase.min() < 0.05 and np.pi - 0.05 < phase.max() <= np.pi + 1e-4
    # uniform: the mean of n draws lies within 4 standard deviations, (high − low) / √(12 n)
    assert abs(amplitude.mean() - 2.55) < 4 * 4.9 / np.sqrt(12 * 400)
    assert abs(phase.mean() - np.pi / 2) < 4 * np.pi / np.sqrt(12 * 400)


def test_a_task_shows_shots_and_asks_queries_within_the_range() -> None:
    source = Sinusoid(SinusoidConfig(shots=3, queries=7))
    task = source.sample(np.random.default_rng(0), "train")
    assert task.support.inputs.shape == task.support.targets.shape == (3, 1)
    assert task.query.inputs.shape == (7, 1)
    xs = np.concatenate([source.sample(np.random.default_rng(s), "train").support.inputs for s in range(300)])
    assert -5 <= xs.min() < -4.9 and 4.9 < xs.max() <= 5
    grid = source.sample(np.random.default_rng(0), "test").query.inputs[:, 0]
    assert np.allclose(np.diff(grid), 10 / 99, atol=1e-5) and (grid[0], grid[-1]) == (-5, 5)


def test_polynomials_are_multiples_of_one_power() -> None:
    powers = set()
    for seed in range(40):
        x, y = (
            side.astype(float)
            for side in Polynomial(PolynomialConfig()).sample(np.random.default_rng(seed), "test").query
        )
        # log |y| = log |a| + d log |x| is a straight line of slope d
        slope, intercept = np.polyfit(np.log(np.abs(x[:, 0])), np.log(np.abs(y[:, 0])), 1)
        assert abs(slope - round(slope)) < 1e-3 and np.exp(intercept) <= 1.001
        powers.add(round(slope))
    assert powers == {1, 2, 3, 4}


def test_the_same_stream_gives_the_same_task() -> None:
    source = Sinusoid(SinusoidConfig())
    first, again, other = (source.sample(np.random.default_rng(seed), "train") for seed in (1, 1, 2))
    assert np.array_equal(first.query.targets, again.query.targets)
    assert not np.array_equal(first.query.targets, other.query.targets)
    assert isinstance(source, Source)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(InputError, match="env.lowest"):
        SinusoidConfig(lowest=5.0, highest=5.0)
