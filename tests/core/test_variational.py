"""The lower bound of a trial against a plain loop and torch's own divergences."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from metarl.core.distributions import Gaussian
from metarl.core.variational import (
    LARGEST_LOG_STD,
    belief_of,
    decoder_inputs,
    drawn_prefixes,
    kl_to_previous,
    negative_bound,
)

B, L, Z, P = 4, 5, 3, 4


def beliefs() -> Gaussian:
    random = torch.Generator().manual_seed(0)
    return Gaussian(*(torch.randn(B, 1 + L, Z, generator=random).double() for _ in range(2)))


def as_torch(belief: Gaussian, b: int, t: int) -> Independent:
    return Independent(Normal(belief.mean[b, t], belief.log_std[b, t].exp()), 1)


def test_each_belief_is_compared_with_the_one_a_step_before_and_the_first_with_the_unit_normal() -> None:
    belief = beliefs()
    found = kl_to_previous(belief)
    for b in range(B):
        before = Independent(Normal(torch.zeros(Z).double(), 1.0), 1)
        for t in range(1 + L):
            now = as_torch(belief, b, t)
            torch.testing.assert_close(found[b, t], kl_divergence(now, before))
            before = now


def test_the_bound_is_a_loop_over_prefixes_and_steps() -> None:
    belief, random = beliefs(), torch.Generator().manual_seed(1)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).double()
    prefix = drawn_prefixes(B, L, P, random)
    noise = torch.randn(B, P, Z, generator=random).double()
    target = torch.randn(B, L, Z, generator=random).double()
    bound = negative_bound(
        belief, mask, prefix, noise, lambda z: (z[:, :, None] - target[:, None]).square().sum(-1), 0.3
    )
    kl, errors, divergences, predicted = kl_to_previous(belief), 0.0, 0.0, 0.0
    for b in range(3):  # nothing of the last lane was played
        for p in range(P):
            t = int(prefix[b, p])
            if t > 0 and not mask[b, t - 1]:
                continue
            z = belief.mean[b, t] + belief.log_std[b, t].exp() * noise[b, p]
            divergences += float(kl[b, t])
            for i in range(L):
                if mask[b, i]:
                    errors += float(((z - target[b, i]) ** 2).sum())
                    predicted += 1
    assert float(bound.error) == pytest.approx(errors / predicted, rel=1e-12)
    assert float(bound.kl) == pytest.approx(divergences / predicted, rel=1e-12)
    assert float(bound.loss) == pytest.approx((errors + 0.3 * divergences) / predicted, rel=1e-12)


def test_prefixes_of_a_lane_differ_and_are_equally_likely() -> None:
    random = torch.Generator().manual_seed(2)
    drawn = drawn_prefixes(4000, L, 2, random)
    assert drawn.shape == (4000, 2) and (drawn[:, 0] != drawn[:, 1]).all()
    # 8000 draws of six numbers: 1333 each, standard deviation below 34.
    assert (drawn.flatten().bincount(minlength=1 + L) - 8000 / 6).abs().max() < 140
    everything = drawn_prefixes(3, L, 100, random)
    assert everything.sort(dim=1).values.tolist() == [list(range(1 + L))] * 3


def test_every_latent_meets_every_step_of_its_own_trial() -> None:
    random = torch.Generator().manual_seed(3)
    latent, known = torch.randn(B, P, Z, generator=random), torch.randn(B, L, 2, generator=random)
    inputs = decoder_inputs(latent, known)
    assert inputs.shape == (B, P, L, Z + 2)
    for b in range(B):
        for p in range(P):
            for i in range(L):
                assert torch.equal(inputs[b, p, i], torch.cat([latent[b, p], known[b, i]]))


def test_a_beliefs_spread_is_bounded_and_hardly_changed_within() -> None:
    outputs = torch.tensor([1.0, 2.0, 3.0, -1e4, 0.5, 1e4])
    belief = belief_of(outputs)
    assert belief.mean.tolist() == [1, 2, 3]
    assert belief.log_std.tolist() == pytest.approx([-LARGEST_LOG_STD, 0.5, LARGEST_LOG_STD], abs=2e-3)
