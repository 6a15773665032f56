"""MAML's updates: against autograd task by task, against one another, and where they must refuse."""

import logging
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from support.trials import ADDRESSES, E, N, copies, descended, doubled, make, navigate, same, tensors, with_rewards
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import functional_call

from metarl.core.distributions import Gaussian
from metarl.core.meta_gradient import meta_gradient
from metarl.core.types import Batch, Params
from metarl.runtime.errors import NonFiniteError
from metarl.runtime.randomness import Address

START, UPDATE = Address(0), Address(2)


def task_of(batch: Batch, number: int) -> Batch:
    return Batch(*(field[number] for field in batch))


def descend_by_autograd(algorithm, params: Params, batch: Batch, rate: float) -> Params:
    """One step on one task down REINFORCE's loss, with torch's own distributions and `torch.autograd`."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    mean, log_std = functional_call(algorithm.learned.model, leaves, (batch.observation,))
    log_probability = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1).log_prob(batch.action)
    loss = -(log_probability * batch.advantage * batch.mask).sum() / batch.mask.sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {name: params[name] - rate * gradient for name, gradient in zip(params, gradients, strict=True)}


@pytest.mark.parametrize("steps, factor", [(0, 1.0), (1, 1.0), (2, 0.5), (5, 0.5)])
def test_each_task_adapts_by_its_own_gradient_and_later_rounds_by_smaller_steps(steps: int, factor: float) -> None:
    # Two inner steps were trained; from the third on, the rate is halved.
    algorithm = make("maml-vpg", inner_steps=2, inner_lr=0.3, later_inner_lr=0.5)
    state = algorithm.initial_state(START)
    rollout = navigate(algorithm, state).rollouts[0]
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)._replace(steps=steps)
    adapted = algorithm.adapt(state, memory, rollout)
    assert adapted.steps == steps + 1
    batch = algorithm.learned.batch(rollout)
    for number in range(N):
        expected = descend_by_autograd(algorithm, state["policy"], task_of(batch, number), 0.3 * factor)
        for name in expected:
            torch.testing.assert_close(adapted.params[name][number], expected[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(adapted.params[name][number], state["policy"][name])


def test_the_rounds_of_a_trial_are_played_with_the_parameters_that_training_adapts_to() -> None:
    # So that probability ratios are one at the old parameters, in every round.
    algorithm = make("maml-trpo", inner_steps=2, inner_lr=0.3)
    state = algorithm.initial_state(START)
    support, query = algorithm.learned.batches(navigate(algorithm, state), state, algorithm.steps)
    assert len(support) == 2
    for steps, batch in enumerate((*support, query)):
        adapted = algorithm.adapted(state["policy"], support[:steps], None) if steps else None
        for number in range(N):
            params = {k: v[number] for k, v in adapted.items()} if adapted else state["policy"]
            own = task_of(batch, number)
            log_probability = algorithm.learned.distribution(params, own).log_probability(own.action)
            torch.testing.assert_close(log_probability * own.mask, own.log_probability * own.mask, rtol=0, atol=1e-5)


def test_first_order_is_the_gradient_after_adaptation() -> None:
    algorithms = [make("maml-vpg", inner_lr=0.3, first_order=first_order) for first_order in (True, False)]
    state = algorithms[0].initial_state(START)
    support, query = doubled(algorithms[0].learned.batches(navigate(algorithms[0], state), state, 1))
    policy = doubled(state["policy"])
    first, second = (descended(a, policy, support, query) for a in algorithms)
    adapted = algorithms[0].adapted(policy, support, query)
    for name in policy:
        direct = torch.zeros_like(policy[name])
        for number in range(N):
            own = {key: value[number] for key, value in adapted.items()}
            step = descend_by_autograd(algorithms[0], own, task_of(query, number), 1.0)
            direct += (own[name] - step[name]) / N
        torch.testing.assert_close(first[name], direct, rtol=1e-9, atol=1e-12)
        assert (first[name] - second[name]).abs().max() > 1e-6


def test_the_clipped_objective_starts_with_the_policy_gradient() -> None:
    # Ratios are one at the old parameters, so nothing is clipped and both gradients are mean ∇log π A.
    inner = {"inner_lr": 0.3, "inner_objective": "log_likelihood"}
    vpg, ppo = make("maml-vpg", **inner), make("maml-ppo", epochs=1, clip=1e6, **inner)
    state = ppo.initial_state(START)
    support, query = ppo.learned.batches(navigate(ppo, state), state, ppo.steps)
    gradients = [descended(a, state["policy"], support, query) for a in (vpg, ppo)]
    for name in state["policy"]:
        torch.testing.assert_close(gradients[0][name], gradients[1][name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name, options", [("maml-vpg", {}), ("maml-ppo", {"epochs": 1})])
def test_the_update_steps_against_the_meta_gradient(name: str, options: dict[str, int]) -> None:
    # The first step of Adam is −lr · sign(gradient), wherever the gradient is well above its 1e-8.
    algorithm = make(name, learning_rate=0.01, **options)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    updated, _ = algorithm.update(state, trial, UPDATE)
    gradient = descended(algorithm, state["policy"], *algorithm.learned.batches(trial, state, algorithm.steps))
    for key, value in gradient.items():
        clear = value.abs() > 1e-3
        step = (updated["policy"][key] - state["policy"][key])[clear]
        assert clear.any()
        torch.testing.assert_close(step, -0.01 * value[clear].sign(), rtol=1e-2, atol=0)


def test_the_divergence_is_from_the_older_policy_to_the_newer() -> None:
    algorithm = make("maml-trpo")
    state = algorithm.initial_state(START)
    batch = task_of(algorithm.learned.batch(navigate(algorithm, state).rollouts[0]), 0)
    older = Gaussian(torch.zeros_like(batch.action), torch.tensor([1.0, 0.5]))
    newer = algorithm.learned.distribution(state["policy"], batch)
    reference = [Independent(Normal(d.mean, d.log_std.exp().expand_as(d.mean)), 1) for d in (older, newer)]
    expected = kl_divergence(*reference)[batch.mask == 1].mean()
    torch.testing.assert_close(algorithm.learned.kl(state["policy"], (batch, older)), expected, rtol=1e-5, atol=0)
    backwards = kl_divergence(*reversed(reference))[batch.mask == 1].mean()
    assert abs(expected - backwards) > 0.1
    assert not batch.mask.all()


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_a_trust_region_update_improves_within_its_region_and_reports_it(inner_steps: int) -> None:
    algorithm = make("maml-trpo", inner_lr=0.3, inner_steps=inner_steps, max_kl=0.02)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    updated, metrics = algorithm.update(state, trial, UPDATE)
    support, query = algorithm.learned.batches(trial, state, algorithm.steps)
    old, new = (algorithm.adapted(s["policy"], support, None) for s in (state, updated))

    losses, divergences = [[], []], []
    for number in range(N):
        own = task_of(query, number)
        policies = []
        for side, adapted in enumerate((old, new)):
            mean, log_std = algorithm.learned.distribution({k: v[number] for k, v in adapted.items()}, own)
            policies.append(Independent(Normal(mean, log_std.exp().expand_as(mean)), 1))
            ratio = (policies[-1].log_prob(own.action) - own.log_probability).exp()
            losses[side].append(-(ratio * own.advantage * own.mask).sum() / own.mask.sum())
        divergences.append(kl_divergence(*policies)[own.mask == 1].mean())
    means = [float(torch.stack(values).mean()) for values in (*losses, divergences)]
    assert metrics["update/loss_before"] == pytest.approx(means[0], abs=1e-5)
    assert metrics["update/loss"] == pytest.approx(means[1], abs=1e-5)
    assert metrics["update/kl"] == pytest.approx(means[2], rel=1e-3)
    assert metrics["update/accepted"] == 1
    assert means[1] < means[0] - 1e-3 and 1e-3 < means[2] <= 0.02

    gradient, _ = meta_gradient(
        lambda params, support, query: algorithm.outer.outer_loss(algorithm.inner.trail(params, support)[-1], query),
        state["policy"],
        support,
        query,
    )
    norm = torch.cat([value.flatten() for value in gradient.values()]).norm()
    assert metrics["update/gradient_norm"] == pytest.approx(float(norm), rel=1e-3)


@pytest.mark.parametrize("share, lanes", [(0.5, E // 2), (1e-6, 2), (1.0, E)])
def test_curvature_comes_from_a_share_of_the_lanes_but_from_two_at_the_least(share: float, lanes: int) -> None:
    some, whole = make("maml-trpo", curvature_share=share), make("maml-trpo", curvature_share=1.0)
    state = some.initial_state(START)
    support, query = some.learned.batches(navigate(some, state), state, 1)
    first_lanes = [Batch(*(field[:, :lanes] for field in batch)) for batch in (*support, query)]
    vector = {name: torch.ones_like(value) for name, value in state["policy"].items()}
    adaptation = some.inner.adaptation(state["policy"], support, N)
    product = some.outer.curvature(state["policy"], adaptation, support, query)(vector)
    expected = whole.outer.curvature(state["policy"], adaptation, (first_lanes[0],), first_lanes[1])(vector)
    everything = whole.outer.curvature(state["policy"], adaptation, support, query)(vector)
    assert same(tensors(product), tensors(expected))
    assert same(tensors(product), tensors(everything)) == (lanes == E)


def test_a_trial_that_teaches_nothing_leaves_the_parameters_bit_for_bit(caplog: pytest.LogCaptureFixture) -> None:
    # No rewards: no advantages, no gradient, no step, no improvement.
    algorithm = make("maml-trpo")
    state = algorithm.initial_state(START)
    trial = with_rewards(navigate(algorithm, state), lambda rollout: torch.zeros_like(rollout.reward))
    with caplog.at_level(logging.WARNING, "metarl"):
        updated, metrics = algorithm.update(state, trial, UPDATE)
    assert all(updated["policy"][name] is value for name, value in state["policy"].items())
    assert metrics["update/accepted"] == 0 and metrics["update/kl"] == 0
    assert metrics["update/loss"] == metrics["update/loss_before"]
    assert "line search failed, parameters kept: loss" in caplog.text


def with_steps_too_long(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it believe in a curvature a thousand times too small."""
    honest = algorithm.outer.curvature

    def too_small(*arguments):
        product = honest(*arguments)
        return lambda vector: {name: value / 1000 for name, value in product(vector).items()}

    monkeypatch.setattr(algorithm.outer, "curvature", too_small)


def test_a_step_out_of_the_region_leaves_the_parameters_bit_for_bit(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One try is all there is.
    algorithm = make("maml-trpo", max_backtracks=1)
    state = algorithm.initial_state(START)
    trial, before = navigate(algorithm, state), copies(state)
    with_steps_too_long(algorithm, monkeypatch)
    with caplog.at_level(logging.WARNING, "metarl"):
        updated, metrics = algorithm.update(state, trial, UPDATE)
    assert same(before, copies(updated)) and metrics["update/accepted"] == 0
    assert "line search failed, parameters kept: KL" in caplog.text


def test_a_try_of_the_line_search_is_one_forward_pass_after_the_inner_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # The passes of five tries less those of one, where none is accepted: each has one for each of the two inner steps'
    # losses, and one for what comes after them.
    passes = []
    for tries in (1, 5):
        algorithm = make("maml-trpo", inner_steps=2, max_backtracks=tries, backtrack_ratio=0.99)
        state = algorithm.initial_state(START)
        trial = navigate(algorithm, state)
        with_steps_too_long(algorithm, monkeypatch)
        forward = Mock(side_effect=algorithm.learned.distribution)
        monkeypatch.setattr(algorithm.learned, "distribution", forward)
        _, metrics = algorithm.update(state, trial, UPDATE)
        assert metrics["update/accepted"] == 0 and metrics["update/line_search"] == tries
        passes.append(forward.call_count)
    assert passes[1] - passes[0] == (5 - 1) * (2 + 1)


def test_a_broken_trust_region_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm = make("maml-trpo")
    state = algorithm.initial_state(START)
    trial, before = navigate(algorithm, state), copies(state)
    broken = algorithm.learned.kl
    monkeypatch.setattr(algorithm.learned, "kl", lambda params, query: broken(params, query) * torch.nan)
    with pytest.raises(NonFiniteError, match="^the trust-region step is not finite in "):
        algorithm.update(state, trial, UPDATE)
    assert same(before, copies(state))


def test_a_trust_region_step_beyond_all_numbers_is_named() -> None:
    # Means of about 1e25 have squared distances that float32 cannot hold.
    algorithm = make("maml-trpo", max_kl=1e37, max_backtracks=2, backtrack_ratio=0.99)
    state = algorithm.initial_state(START)
    trial, before = navigate(algorithm, state), copies(state)
    with pytest.raises(NonFiniteError, match="every step of the line search"):
        algorithm.update(state, trial, UPDATE)
    assert same(before, copies(state))


@pytest.mark.parametrize("name", ["maml-ppo", "promp"])
def test_a_broken_divergence_is_named(name: str) -> None:
    # A learning rate that throws the parameters out of all proportion: the gradient was fine, the divergence is not.
    algorithm = make(name, learning_rate=1e30, epochs=1)
    state = algorithm.initial_state(START)
    trial, before = navigate(algorithm, state), copies(state)
    with pytest.raises(NonFiniteError, match="^the KL divergence is not finite in update/kl"):
        algorithm.update(state, trial, UPDATE)
    assert same(before, copies(state))


def test_metrics_of_the_policy_are_of_the_adapted_policies() -> None:
    algorithm = make("maml-vpg", inner_lr=0.3)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    updated, metrics = algorithm.update(state, trial, UPDATE)
    support, _ = algorithm.learned.batches(trial, state, algorithm.steps)
    adapted = algorithm.adapted(updated["policy"], support, None)
    # of a Gaussian: Σ_a (log std_a + ½ log 2πe), the same at every observation
    entropy = (adapted["log_std"] + 1.4189385).sum(dim=-1).mean()
    assert metrics["policy/entropy"] == pytest.approx(float(entropy), rel=1e-5)
    assert metrics["policy/std"] == pytest.approx(float(updated["policy"]["log_std"].exp().mean()))
