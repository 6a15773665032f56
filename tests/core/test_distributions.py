"""Action distributions against `torch.distributions`."""

import pytest
import torch
from torch import distributions as reference

from metarl.core.distributions import Categorical, Gaussian

DOUBLE = torch.float64


def gaussians(seed: int) -> tuple[Gaussian, reference.Independent]:
    """Ours and torch's: means [4, 3, 2], one log standard deviation [2] for all."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(4, 3, 2, generator=generator, dtype=DOUBLE)
    log_std = 0.5 * torch.randn(2, generator=generator, dtype=DOUBLE)
    return Gaussian(mean, log_std), reference.Independent(reference.Normal(mean, log_std.exp()), 1)


def categoricals(seed: int) -> tuple[Categorical, reference.Categorical]:
    """Ours and torch's: logits [4, 3, 5], unnormalised."""
    logits = 2 * torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return Categorical(logits), reference.Categorical(logits=logits)


@pytest.mark.parametrize("make", [gaussians, categoricals])
def test_log_probability_entropy_and_divergence_are_torchs(make) -> None:
    (ours, theirs), (other, their_other) = make(0), make(1)
    torch.manual_seed(0)
    action = theirs.sample()
    torch.testing.assert_close(ours.log_probability(action), theirs.log_prob(action), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), rtol=1e-12, atol=1e-12)
    expected = reference.kl_divergence(theirs, their_other)
    torch.testing.assert_close(ours.kl(other), expected, rtol=1e-12, atol=1e-12)
    # the direction matters, or this test could not see it
    assert (ours.kl(other) - other.kl(ours)).abs().max() > 0.1
    torch.testing.assert_close(ours.kl(ours), torch.zeros_like(expected), rtol=0, atol=1e-14)


def test_a_gaussian_action_is_mean_plus_standard_deviation_times_noise() -> None:
    # (1, -2) + (2, 0.5) * (0.5, -4) = (2, -4)
    log_std = torch.tensor([2.0, 0.5]).log()
    action = Gaussian(torch.tensor([1.0, -2.0]), log_std).sample(torch.tensor([0.5, -4.0]))
    torch.testing.assert_close(action, torch.tensor([2.0, -4.0]))


def test_categorical_actions_have_exactly_their_frequencies() -> None:
    # Noise at the midpoints of 1000 equal cells of [0, 1): an action of probability p takes exactly 1000 p of them.
    probabilities = torch.tensor([0.2, 0.05, 0.45, 0.3], dtype=DOUBLE)
    noise = (torch.arange(1000, dtype=DOUBLE) + 0.5) / 1000
    logits = (probabilities.log() + 3).expand(1000, 4)
    action = Categorical(logits).sample(noise)
    assert action.dtype == torch.int64
    assert action.bincount(minlength=4).tolist() == [200, 50, 450, 300]


def test_a_categorical_action_is_valid_at_both_ends_of_the_noise() -> None:
    # float32 probabilities may sum to less than the largest noise below 1
    logits = torch.randn(1000, 7, generator=torch.Generator().manual_seed(0))
    largest = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).expand(1000)
    assert Categorical(logits).sample(torch.zeros(1000)).tolist() == [0] * 1000
    assert Categorical(logits).sample(largest).max() == 6


def test_an_action_of_probability_zero_is_never_drawn() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0])
    noise = torch.tensor([0.0, 0.49, 0.51, 0.999])
    assert Categorical(logits.expand(4, 4)).sample(noise).tolist() == [1, 1, 3, 3]
