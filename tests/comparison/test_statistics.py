"""Statistics of runs × tasks matrices against numbers worked out by hand, enumeration, and scipy's one-sample tools."""

import itertools

import numpy as np
import pytest
from scipy import stats

from metarl.comparison.statistics import (
    interquartile_mean,
    moving_average,
    performance_profile,
    probability_of_improvement,
    steps_to_reach,
)


def test_the_interquartile_mean_is_of_the_middle_half_of_all_scores() -> None:
    # 0 1 2 3 | 10 20 30 100 over two tasks; a quarter of 8 at either end are 0 1 and 30 100: (2 + 3 + 10 + 20) / 4
    scores = np.array([[0.0, 10], [100, 1], [2, 20], [30, 3]])
    assert interquartile_mean(scores).value == (2 + 3 + 10 + 20) / 4


def test_a_run_that_is_missing_does_not_count() -> None:
    # 1 2 3 | 4 5: a quarter of 5 rounds down to 1 at either end, so (2 + 3 + 4) / 3
    assert interquartile_mean(np.array([[1.0, 4], [2, 5], [3, np.nan]])).value == 3
    with pytest.raises(ValueError, match="without any run"):
        interquartile_mean(np.array([[1.0, np.nan]]))


def test_bootstrap_draws_within_each_task() -> None:
    # Within a task all runs are alike, so that drawing them anew changes nothing; drawing from both tasks would.
    estimate = interquartile_mean(np.array([[0.0, 10], [0, 10], [0, 10]]))
    assert estimate == (5, 5, 5)


def test_the_interval_is_the_percentiles_of_all_possible_redraws() -> None:
    # Three runs of one task can be redrawn in 27 ways; of three scores a quarter at either end is none: plain means.
    # The figures are the percentiles of these 27 means, of which the bootstrap draws 2000.
    scores = (1.0, 5.0, 9.0)
    means = np.sort([np.mean(drawn) for drawn in itertools.product(scores, repeat=3)])
    low, high = np.percentile(np.repeat(means, 1000), [2.5, 97.5])
    estimate = interquartile_mean(np.array(scores)[:, None])
    assert (estimate.value, estimate.low, estimate.high) == (5, pytest.approx(low), pytest.approx(high))


def test_one_run_has_no_interval() -> None:
    estimate = interquartile_mean(np.array([[3.0, 5.0]]))
    assert estimate.value == 4 and np.isnan([estimate.low, estimate.high]).all()


def test_the_probability_of_improvement_counts_pairs_and_ties_half_within_tasks() -> None:
    # Task 1: of the pairs of {1, 3} with {2, 3}: 1<2, 1<3, 3>2, 3=3: (1 + 0.5) / 4. Task 2: 9 > all: 1. Mean: 0.6875.
    x, y = np.array([[1.0, 9], [3, 9]]), np.array([[2.0, 0], [3, 1]])
    estimate = probability_of_improvement(x, y)
    assert estimate.value == (1.5 / 4 + 1) / 2
    assert probability_of_improvement(y, x).value == 1 - estimate.value
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_the_probability_of_improvement_is_mann_and_whitneys_statistic() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 1)), rng.normal(0.5, size=(4, 1))
    expected = stats.mannwhitneyu(x[:, 0], y[:, 0], method="exact").statistic / 24
    brute = np.mean([a > b for a in x[:, 0] for b in y[:, 0]])
    assert probability_of_improvement(x, y).value == pytest.approx(expected) == pytest.approx(brute)


def test_a_performance_profile_is_the_share_at_or_above_each_threshold() -> None:
    scores = np.array([[1.0, 4], [3, np.nan]])
    # 2: half of task 1, all of task 2. 3: the same, since 3 reaches 3. 4: none and all.
    assert performance_profile(scores, np.array([2.0, 3, 4, 5]))[0].tolist() == [0.75, 0.75, 0.5, 0]


def test_a_performance_profiles_interval_redraws_the_runs_of_each_task() -> None:
    # Of three runs 0, 0 and 1 none reaches 1/2 with probability (2/3)^3 = 0.30, all with (1/3)^3 = 0.04, so that 95 %
    # of all draws are within 0 and 1; of three alike nothing changes.
    interval = performance_profile(np.array([[0.0], [0], [1]]), np.array([0.5]))
    assert interval.ravel().tolist() == pytest.approx([1 / 3, 0, 1])
    alike = performance_profile(np.array([[0.0, 2], [0, 2], [0, 2]]), np.array([1.0]))
    assert alike.ravel().tolist() == pytest.approx([0.5, 0.5, 0.5])
    # Two tasks with a run of three each: shares add up, the deviation of their mean is sqrt(2/9/3)/sqrt(2) = 0.19, and
    # it takes values k/6; P(0) = 0.30^2 = 0.088, P(k >= 5) = 2 * 0.037 * 0.22 + 0.0014 = 0.018.
    both = performance_profile(np.array([[0.0, 0], [0, 0], [1, 1]]), np.array([0.5]))
    assert both.ravel().tolist() == pytest.approx([1 / 3, 0, 4 / 6])


def test_a_performance_profile_of_single_runs_has_no_interval() -> None:
    assert np.isnan(performance_profile(np.array([[1.0, 2]]), np.array([1.5]))[1:]).all()


def test_sample_efficiency_is_where_the_smoothed_curve_first_reaches_the_level() -> None:
    returns = moving_average(np.array([0.0, 4, 2, 6, 6]), 2)
    assert returns.tolist() == [0, 2, 3, 4, 6]  # means of two neighbours, the first one alone
    steps = np.array([10.0, 20, 30, 40, 50])
    assert steps_to_reach(3.0, steps, returns) == 30
    assert steps_to_reach(7.0, steps, returns) == float("inf")
