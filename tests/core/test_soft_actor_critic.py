"""Soft actor-critic against numbers worked out by hand, torch's own distributions and numeric integration."""

import math

import torch
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from metarl.core.soft_actor_critic import (
    TanhGaussian,
    actor_loss,
    critic_target,
    polyak_,
    tanh_gaussian,
    temperature_loss,
)


def test_the_density_is_that_of_torchs_transformed_normal() -> None:
    random = torch.Generator().manual_seed(0)
    mean, log_std = (torch.randn(5, 4, 3, generator=random, dtype=torch.float64) for _ in range(2))
    action, log_probability = TanhGaussian(mean, log_std).sample_with_log_probability(
        torch.randn(5, 4, 3, generator=random, dtype=torch.float64)
    )
    reference = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), TanhTransform())
    torch.testing.assert_close(log_probability, reference.log_prob(action), rtol=1e-6, atol=1e-6)


def test_the_density_integrates_to_one_over_the_actions() -> None:
    # noise -> action is increasing, so a fine grid of noise is a grid of (−1, 1), on which the trapezium rule sums
    noise = torch.linspace(-9, 9, 20001, dtype=torch.float64)[:, None]
    policy = TanhGaussian(torch.tensor([0.4], dtype=torch.float64), torch.tensor([-0.3], dtype=torch.float64))
    action, log_probability = policy.sample_with_log_probability(noise)
    assert abs(torch.trapezoid(log_probability.exp(), action[:, 0]) - 1) < 1e-6


def test_an_action_at_the_border_has_a_finite_density_and_gradient() -> None:
    # In single precision tanh(20) is 1. log N(20; 20, 1) = −½ log 2π, and log(1 − tanh²(20)) = 2 log 2 − 40 + O(e^-40).
    mean = torch.tensor([20.0], requires_grad=True)
    action, log_probability = TanhGaussian(mean, torch.zeros(1)).sample_with_log_probability(torch.zeros(1))
    assert action.item() == 1
    torch.testing.assert_close(
        log_probability.item(), -0.5 * math.log(2 * math.pi) - 2 * math.log(2) + 40, rtol=1e-6, atol=0
    )
    log_probability.backward()
    assert torch.isfinite(mean.grad).all()


def test_outputs_are_the_mean_and_a_bounded_log_deviation() -> None:
    policy = tanh_gaussian(torch.tensor([[0.5, -3.0, 9.0, -99.0]]))
    assert policy.mean.tolist() == [[0.5, -3.0]] and policy.log_std.tolist() == [[2.0, -20.0]]


def test_the_critics_target_bootstraps_unless_the_episode_terminated() -> None:
    # α = 0.5, γ = 0.9. Step 0: 1 + 0.9 (min(4, 3) − 0.5 · (−2)) = 1 + 0.9 · 4 = 4.6; step 1 terminated: its reward, 2;
    # step 2: −1 + 0.9 (min(−5, 0) − 0.5 · 4) = −1 + 0.9 · (−7) = −7.3.
    target = critic_target(
        torch.tensor([1.0, 2.0, -1.0]),
        torch.tensor([False, True, False]),
        torch.tensor([[4.0, 100.0, -5.0], [3.0, 100.0, 0.0]], requires_grad=True),
        torch.tensor([-2.0, 7.0, 4.0]),
        torch.tensor(0.5),
        0.9,
    )
    torch.testing.assert_close(target, torch.tensor([4.6, 2.0, -7.3]))
    assert not target.requires_grad


def test_the_actors_loss_is_tempered_entropy_less_the_lower_value() -> None:
    # ½ [(0.5 · 2 − 1) + (0.5 · (−4) − (−3))] = ½ [0 + 1]
    values = torch.tensor([[1.0, -3.0], [5.0, 8.0]])
    loss = actor_loss(values, torch.tensor([2.0, -4.0]), torch.tensor(0.5))
    torch.testing.assert_close(loss, torch.tensor(0.5))


def test_the_temperature_rises_where_entropy_is_short_of_its_target() -> None:
    # log π = 1 and 2 on average 1.5: entropy −1.5. The loss −log α (1.5 + target) has the gradient −(1.5 + target).
    for target, gradient in ((-1.0, -0.5), (-2.0, 0.5)):
        log_temperature = torch.tensor(0.3, requires_grad=True)
        loss = temperature_loss(log_temperature, torch.tensor([1.0, 2.0]), target)
        torch.testing.assert_close(loss, torch.tensor(0.3 * gradient))
        loss.backward()
        torch.testing.assert_close(log_temperature.grad, torch.tensor(gradient))


def test_targets_follow_by_a_share_of_the_way() -> None:
    targets, params = {"a": torch.tensor([0.0, 8.0])}, {"a": torch.tensor([4.0, 0.0])}
    polyak_(targets, params, 0.25)
    torch.testing.assert_close(targets["a"], torch.tensor([1.0, 6.0]))
    polyak_(targets, params, 0.25)
    torch.testing.assert_close(targets["a"], torch.tensor([1.75, 4.5]))
