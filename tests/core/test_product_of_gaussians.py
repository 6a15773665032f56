"""The product of Gaussians against Bayes' rule by brute force."""

import torch
from torch.distributions import Normal, kl_divergence

from metarl.core.product_of_gaussians import Belief, prior

RANDOM = torch.Generator().manual_seed(0)
B = 6
VARIANCE = torch.rand(B, 1, generator=RANDOM, dtype=torch.float64) + 0.3
SEEN = torch.randn(B, 1, generator=RANDOM, dtype=torch.float64) + 1.0


def unit() -> Belief:
    return Belief(*(part.double() for part in prior(1)))


def test_it_is_bayes_rule_for_noisy_looks_at_a_normal_latent() -> None:
    # z ~ N(0, 1) and x_n ~ N(z, v_n): as a function of z each likelihood is N(z; x_n, v_n). The posterior's moments by
    # summing prior times likelihoods over a fine grid of z.
    grid = torch.linspace(-8, 8, 40001, dtype=torch.float64)
    log_posterior = Normal(0.0, 1.0).log_prob(grid) + Normal(grid, VARIANCE.sqrt()).log_prob(SEEN).sum(dim=0)
    weight = torch.softmax(log_posterior, dim=0)
    mean = (weight * grid).sum()
    variance = (weight * (grid - mean) ** 2).sum()
    belief = unit().after(SEEN, VARIANCE, torch.ones(B))
    torch.testing.assert_close(belief.mean.squeeze(), mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(belief.variance.squeeze(), variance, rtol=1e-8, atol=1e-9)


def test_neither_order_nor_batches_matter_and_masked_evidence_does_not_count() -> None:
    whole = unit().after(SEEN, VARIANCE, torch.ones(B))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = unit().after(SEEN[order], VARIANCE[order], torch.ones(B))
    in_two = unit().after(SEEN[:2], VARIANCE[:2], torch.ones(2)).after(SEEN[2:], VARIANCE[2:], torch.ones(B - 2))
    padded = unit().after(
        torch.cat([SEEN, SEEN + 50]), torch.cat([VARIANCE, VARIANCE]), torch.cat([torch.ones(B), torch.zeros(B)])
    )
    for other in (shuffled, in_two, padded):
        torch.testing.assert_close(other.mean, whole.mean)
        torch.testing.assert_close(other.variance, whole.variance)
    nothing = unit().after(SEEN, VARIANCE, torch.zeros(B))
    assert nothing.mean.item() == 0 and nothing.variance.item() == 1


def test_the_divergence_from_the_prior_is_torchs() -> None:
    belief = Belief(torch.tensor([[2.0, 0.5], [1.0, 9.0]]), torch.tensor([[1.0, -0.3], [0.0, 4.0]]))
    posterior = Normal(belief.mean, belief.variance.sqrt())
    reference = kl_divergence(posterior, Normal(torch.zeros(2, 2), torch.ones(2, 2))).sum(dim=-1)
    torch.testing.assert_close(belief.kl_from_prior(), reference)


def test_samples_have_the_beliefs_moments() -> None:
    belief = Belief(torch.tensor([4.0]), torch.tensor([6.0]))  # mean 1.5, standard deviation 0.5
    samples = belief.sample(torch.tensor([[-1.0], [0.0], [2.0]]))
    assert samples.flatten().tolist() == [1.0, 1.5, 2.5]
