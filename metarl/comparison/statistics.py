"""Comparing methods from few runs: functions of matrices of scores, runs × tasks.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice": interquartile means,
stratified bootstrap intervals, probabilities of improvement, performance profiles.

Letters: R runs (seeds), M tasks (environments). A run that is missing is NaN and does not count.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A figure and its 95 % interval; the interval is NaN where a task has fewer than two runs."""

    value: float
    low: float
    high: float


def matrix(scores: dict[tuple[str, str], list[float]], environments: Sequence[str], algorithm: str) -> np.ndarray:
    """A method's scores, runs × tasks `[R, M]`; where an environment has fewer runs than another, NaN."""
    columns = [scores[environment, algorithm] for environment in environments]
    return np.array(list(itertools.zip_longest(*columns, fillvalue=np.nan)))


def interquartile_mean(scores: np.ndarray) -> Estimate:
    """Mean of the middle half of all scores, `[R, M]`: a quarter is cut off at either end."""
    columns = _columns(scores)
    return _estimate(columns, lambda *drawn: stats.trim_mean(np.concatenate(drawn, axis=-1), 0.25, axis=-1))


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> Estimate:
    """How probably a run of X beats a run of Y in the same task, ties counting half, mean over tasks.

    Args:
        x: scores `[R, M]`.
        y: scores `[R', M]` of the same tasks.
    """
    first, second = _columns(x), _columns(y)
    tasks = len(first)

    def mean_over_tasks(*drawn: np.ndarray) -> Any:
        pairs = zip(drawn[:tasks], drawn[tasks:], strict=True)
        return np.mean([_share_won(a, b) for a, b in pairs], axis=0)

    return _estimate(first + second, mean_over_tasks)


def _share_won(x: np.ndarray, y: np.ndarray) -> Any:
    """Mann and Whitney's U as a share of all pairs: `[..., R]` against `[..., R']` to `[...]`."""
    wins = stats.mannwhitneyu(x, y, axis=-1, method="asymptotic").statistic
    return wins / (x.shape[-1] * y.shape[-1])


def interval_over(seeds: int) -> str:
    """What a 95 % interval is over, and what it holds fixed, where there are so many training seeds."""
    if seeds > 1:
        return f"95 %, over {seeds} training seeds; tasks fixed"
    return "95 %, over tasks; training seed fixed"


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of scores `[R, M]` that reach each threshold `[P]`, mean over tasks; and its 95 % interval: `[3, P]`.

    Runs are redrawn task by task; where a task has fewer than two the interval is NaN.
    """
    reached = [column[:, None] >= thresholds for column in _columns(scores)]  # [R, P] each
    value = np.mean([runs.mean(axis=0) for runs in reached], axis=0)
    if min(map(len, reached)) < 2:
        return np.stack([value, *np.full((2, len(thresholds)), np.nan)])
    rng = np.random.default_rng(0)
    redrawn = np.zeros((RESAMPLES, len(thresholds)))
    for runs in reached:
        times = rng.multinomial(len(runs), np.full(len(runs), 1 / len(runs)), size=RESAMPLES)  # how often each is drawn
        redrawn += times @ runs / len(runs) / len(reached)
    return np.stack([value, *np.percentile(redrawn, [2.5, 97.5], axis=0)])


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Means of each value and up to `window` - 1 before it, `[I]` to `[I]`."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def steps_to_reach(level: float, env_steps: np.ndarray, returns: np.ndarray) -> float:
    """Environment steps after which returns first are at a level or above it; infinity where they never are.

    Args:
        env_steps: `[I]`, steps taken by the end of each iteration.
        returns: `[I]`, smoothed as the caller sees fit.
    """
    reached = np.flatnonzero(returns >= level)
    return float(env_steps[reached[0]]) if len(reached) else float("inf")


def _columns(scores: np.ndarray) -> list[np.ndarray]:
    """The scores of each task, without those that are missing: M arrays."""
    columns = [column[~np.isnan(column)] for column in np.asarray(scores, dtype=float).T]
    if not columns or not all(map(len, columns)):
        raise ValueError("a task without any run")
    return columns


def _estimate(samples: list[np.ndarray], statistic: Callable[..., Any]) -> Estimate:
    """A statistic of samples and its percentile interval: each sample is redrawn on its own, so none weighs more."""
    value = float(statistic(*samples))
    if min(map(len, samples)) < 2:
        return Estimate(value, float("nan"), float("nan"))
    interval = stats.bootstrap(
        samples,
        lambda *drawn, axis: statistic(*drawn),
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=200,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))
