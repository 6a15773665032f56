"""The records, and that annotated shapes are checked at all while tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from metarl.core.advantages import discounted_returns
from metarl.core.types import Rollout, Trial


def rollout(reward: torch.Tensor, mask: torch.Tensor) -> Rollout:
    """Of rewards and masks `[N, E, T]`; everything else is zero."""
    flags, vectors = torch.zeros_like(mask, dtype=torch.bool), torch.zeros(*mask.shape, 1)
    return Rollout(vectors, vectors, torch.zeros_like(mask), reward, flags, flags, flags, mask, vectors)


def test_a_wrong_shape_is_refused_while_tests_run() -> None:
    with pytest.raises(TypeCheckError, match="mask"):
        discounted_returns(torch.ones(2, 3), torch.ones(2, 4), 0.9)


def test_returns_average_over_the_lanes_that_count() -> None:
    # Task 0: lanes sum to 1 + 2 + 3 = 6, and 4 (its later steps were not played): mean (6 + 4) / 2 = 5.
    # Task 1: lane 0 was masked out altogether, lane 1 sums to -1 - 1 - 1 = -3: mean -3.
    # Task 2: no lane counts: 0.
    reward = torch.tensor([[[1.0, 2, 3], [4, 9, 9]], [[7.0, 7, 7], [-1, -1, -1]], [[5.0, 5, 5], [5, 5, 5]]])
    mask = torch.tensor([[[1.0, 1, 1], [1, 0, 0]], [[0.0, 0, 0], [1, 1, 1]], [[0.0, 0, 0], [0, 0, 0]]])
    first = rollout(reward, mask)
    assert first.returns.tolist() == [5.0, -3.0, 0.0]
    # A second round with twice the rewards: one column a round.
    trial = Trial([first, rollout(2 * reward, mask)])
    assert trial.returns.tolist() == [[5.0, 10.0], [-3.0, -6.0], [0.0, 0.0]]
