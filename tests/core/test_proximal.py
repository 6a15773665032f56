"""Proximal policy optimisation against numbers by hand, and its descent against torch's own optimiser."""

import math

import pytest
import torch

from metarl.core.distributions import Categorical
from metarl.core.proximal import (
    Loss,
    minibatches,
    normalised,
    proximal_loss,
    trial_targets,
)
from metarl.core.types import Batch


def test_normalised_advantages_look_at_played_steps_only() -> None:
    # Played: 1 and 5, mean 3, deviation 2.
    advantage, mask = torch.tensor([[1.0, 100.0], [5.0, -7.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(normalised(advantage, mask), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("episodes", [1, 2])
def test_a_critic_that_is_right_in_the_unit_it_was_fitted_in_is_right_whatever_the_returns_are_now(
    episodes: int,
) -> None:
    # γ = 1/2, rewards 8, 16, 64 (an episode's end is none): returns 8 + 16/2 + 64/4 = 32, 16 + 64/2 = 48, 64. A critic
    # that was fitted in the unit 2 says half of them. All are exact in binary: no error is 0, not nearly.
    # Their root mean square is sqrt((32² + 48² + 64²)/3) = 16 sqrt(29/3), so the new unit is 0.9 · 2 + 0.1 · 49.7.
    reward = torch.tensor([[8.0, 16.0, 64.0]])
    mask = torch.ones(1, 3)
    value = torch.tensor([[16.0, 24.0, 32.0]])
    if episodes == 2:  # a step that was not played between them
        reward, mask, value = (torch.cat([x[:, :2], torch.zeros(1, 1), x[:, 2:]], dim=1) for x in (reward, mask, value))
    targets = trial_targets(reward, value, mask, torch.tensor(2.0), 0.5, 0.9)
    unit = 0.9 * 2 + 0.1 * 16 * math.sqrt(29 / 3)
    assert float(targets.scale) == pytest.approx(unit, rel=1e-6)
    assert targets.explained_variance == 1.0 and not targets.advantage.any()
    # What it is fitted to next is in the new unit.
    torch.testing.assert_close(targets.return_[mask > 0] * unit, torch.tensor([32.0, 48.0, 64.0]))


def test_before_the_first_update_values_are_in_the_first_unit() -> None:
    # One return, 4: so is its root mean square. A critic that says 1 of it is right.
    one = torch.ones(1, 1)
    targets = trial_targets(4 * one, one, one, torch.tensor(0.0), 0.5, 0.9)
    assert targets.scale == 4 and targets.return_ == 1 and not targets.advantage.any()


def two_steps() -> tuple[Categorical, Batch]:
    """Probabilities 0.8 and 0.2 of two actions, where both had 0.5: ratios 1.6 and 0.4; a third step is masked."""
    logits = torch.tensor([[[0.8, 0.2], [0.8, 0.2], [0.1, 0.9]]], dtype=torch.double).log()
    batch = Batch(
        observation=torch.zeros(1, 3, 1).double(),
        action=torch.tensor([[0, 1, 0]]),
        log_probability=torch.full((1, 3), math.log(0.5)).double(),
        advantage=torch.tensor([[2.0, -1.0, 50.0]]).double(),
        return_=torch.tensor([[1.0, 3.0, 50.0]]).double(),
        mask=torch.tensor([[1.0, 1.0, 0.0]]).double(),
    )
    return Categorical(logits), batch


def test_the_loss_is_its_parts_by_hand() -> None:
    # clip 0.2: min(1.6·2, 1.2·2) = 2.4 and min(0.4·−1, 0.8·−1) = −0.8: policy −(2.4 − 0.8)/2 = −0.8
    # values 0 and 1: half of (1² + 2²)/2 = 1.25. Entropy of (0.8, 0.2) at both steps.
    # kl estimate: mean of ρ − 1 − ln ρ = (0.6 − ln 1.6 − 0.6 − ln 0.4)/2 = −ln(0.64)/2. Both ratios are beyond 1 ± 0.2.
    distribution, batch = two_steps()
    loss = proximal_loss(distribution, torch.tensor([[0.0, 1.0, -9.0]]).double(), batch, 0.2, 0.5, 0.1)
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    expected = Loss(-0.8 + 0.5 * 1.25 - 0.1 * entropy, -0.8, 1.25, entropy, -math.log(0.64) / 2, 1.0)  # type: ignore[arg-type]
    assert [float(value) for value in loss] == pytest.approx(list(expected), rel=1e-12)


def test_ratios_within_the_bound_are_not_counted_as_clipped() -> None:
    distribution, batch = two_steps()
    loss = proximal_loss(distribution, torch.zeros(1, 3).double(), batch, 0.601, 1.0, 0.0)
    assert loss.clipped == 0 and loss.kl > 0


@pytest.mark.parametrize(("lanes", "count", "sizes"), [(10, 3, [4, 3, 3]), (8, 4, [2] * 4), (2, 5, [1, 1])])
def test_minibatches_share_the_lanes_out(lanes: int, count: int, sizes: list[int]) -> None:
    (parts,), (again,), (others,) = (
        minibatches(1, lanes, count, torch.Generator().manual_seed(seed), torch.device("cpu")) for seed in (0, 0, 3)
    )
    assert [len(part) for part in parts] == sizes
    assert sorted(torch.cat(parts).tolist()) == list(range(lanes))
    assert torch.equal(torch.cat(parts), torch.cat(again))
    assert not torch.equal(torch.cat(parts), torch.cat(others)) or lanes == 2
