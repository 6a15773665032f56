"""Values as classes: against numbers by hand."""

import math

import torch

from metarl.core.two_hot import TwoHot, two_hot

NUMBERS = TwoHot(torch.tensor([-2.0, 0.0, 1.0, 5.0]))


def test_a_value_is_the_two_numbers_around_it_weighted_so_that_it_is_their_mean() -> None:
    # 2 lies a quarter of the way from 1 to 5; −0.5 three quarters of that from −2 to 0; 9 and −7 lie beyond the ends.
    values = torch.tensor([2.0, -0.5, 1.0, 9.0, -7.0, 5.0])
    expected = [[0, 0, 0.75, 0.25], [0.25, 0.75, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]
    weights = NUMBERS.encoded(values)
    torch.testing.assert_close(weights, torch.tensor(expected))
    torch.testing.assert_close(weights @ NUMBERS.numbers, values.clamp(-2, 5))


def test_the_loss_is_the_cross_entropy_and_logits_mean_the_mean() -> None:
    # Softmax of (log 1, log 2, log 3, log 2) is (1, 2, 3, 2) / 8: the mean is (−2 + 0 + 3 + 10) / 8. Of the value 2 the
    # cross-entropy is −0.75 log(3/8) − 0.25 log(2/8).
    logits = torch.tensor([1.0, 2.0, 3.0, 2.0]).log()
    assert math.isclose(float(NUMBERS.decoded(logits)), 11 / 8, rel_tol=1e-6)
    loss = NUMBERS.loss(logits, torch.tensor(2.0))
    assert math.isclose(float(loss), -0.75 * math.log(3 / 8) - 0.25 * math.log(2 / 8), rel_tol=1e-6)


def test_numbers_stand_at_equal_distances_of_the_symmetric_logarithm() -> None:
    # e² − 1 at the end, so that log(1 + x) is 0, 1 and 2 from the middle on.
    numbers = two_hot(5, math.e**2 - 1, torch.device("cpu")).numbers
    expected = torch.tensor([1 - math.e**2, 1 - math.e, 0, math.e - 1, math.e**2 - 1])
    torch.testing.assert_close(numbers, expected)
