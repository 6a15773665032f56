"""ProMP: its relation to MAML-PPO, its penalty by central differences, and its coefficient."""

import pytest
import torch
from support.trials import doubled, make, navigate, same, tensors

from metarl.algorithms.promp import adapted_coefficient
from metarl.core.inner_step import for_tasks
from metarl.core.meta_gradient import meta_gradient
from metarl.core.types import Params
from metarl.runtime.randomness import Address

START, UPDATE = Address(0), Address(2)


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_without_its_penalty_it_is_maml_ppo(inner_steps: int) -> None:
    options = {"inner_steps": inner_steps, "epochs": 3}
    ppo, promp = make("maml-ppo", **options), make("promp", kl_coefficient=0.0, **options)
    state = promp.initial_state(START)
    trial = navigate(promp, state)
    ours, _ = promp.update(state, trial, UPDATE)
    theirs, _ = ppo.update({name: state[name] for name in ("policy", "optimiser")}, trial, UPDATE)
    assert same(tensors(ours["policy"]), tensors(theirs["policy"]))
    assert same(tensors(ours["optimiser"]), tensors(theirs["optimiser"]))


def problem(inner_steps: int):
    """In double: a method, old and new parameters, each round with what it was sampled from, and the last round."""
    algorithm = make("promp", inner_steps=inner_steps, inner_lr=0.3)
    state = algorithm.initial_state(START)
    batches, query = doubled(algorithm.learned.batches(navigate(algorithm, state), state, algorithm.steps))
    old = doubled(state["policy"])
    random = torch.Generator().manual_seed(0)
    new = {
        name: value + 0.1 * torch.randn(value.shape, generator=random, dtype=torch.float64)
        for name, value in old.items()
    }
    return algorithm, old, new, for_tasks(algorithm.outer.sampled_from, shared=[0])(old, batches), query


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_penalty_is_the_divergence_of_the_sampling_policies(inner_steps: int) -> None:
    # What the coefficient adds to the objective and to its gradient: along 5 random directions, by central differences.
    algorithm, _, new, support, query = problem(inner_steps)
    N = query.mask.shape[0]

    def objective(params: Params, coefficient: float):
        coefficients = torch.full((N,), coefficient, dtype=torch.float64)
        return meta_gradient(algorithm.outer.penalised, params, support, query, coefficients)

    def mean_penalty(params: Params) -> torch.Tensor:
        _, divergences = for_tasks(algorithm.outer.adapt_with_kl, shared=[0])(params, support)
        return divergences.mean()

    (with_it, value_with), (without, value_without) = objective(new, 0.7), objective(new, 0.0)
    assert mean_penalty(new) > 1e-3
    torch.testing.assert_close(value_with - value_without, 0.7 * mean_penalty(new), rtol=1e-9, atol=0)
    random, step = torch.Generator().manual_seed(1), 1e-5
    for _ in range(5):
        direction = {
            name: torch.randn(value.shape, generator=random, dtype=torch.float64) for name, value in new.items()
        }
        up, down = (mean_penalty({name: new[name] + sign * step * direction[name] for name in new}) for sign in (1, -1))
        slope = sum(((with_it[name] - without[name]) * direction[name]).sum() for name in new)
        torch.testing.assert_close(slope, 0.7 * (up - down) / (2 * step), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_penalty_and_its_gradient_vanish_at_the_parameters_that_sampled(inner_steps: int) -> None:
    algorithm, old, _, support, query = problem(inner_steps)
    gradient, value = meta_gradient(lambda *problem: algorithm.outer.adapt_with_kl(*problem)[1], old, support)
    assert abs(value) < 1e-12
    assert all(part.abs().max() < 1e-12 for part in gradient.values())


def test_the_penalty_averages_over_the_rounds() -> None:
    # By hand for one task: KL(old policy || new policy) in the first round, and of their adaptations in the second.
    algorithm, old, new, support, _ = problem(2)
    first, second = ((type(batch)(*(x[0] for x in batch)), None) for batch, _ in support)
    divergences = []
    old_params, new_params = old, new
    for batch, _ in (first, second):
        older, newer = (algorithm.learned.distribution(params, batch) for params in (old_params, new_params))
        divergences.append(older.kl(newer)[batch.mask == 1].mean())
        old_params, new_params = (algorithm.inner.step(params, params, batch, 0) for params in (old_params, new_params))
    _, penalties = for_tasks(algorithm.outer.adapt_with_kl, shared=[0])(new, support)
    torch.testing.assert_close(penalties[0], torch.stack(divergences).mean(), rtol=1e-9, atol=0)
    assert (divergences[0] - divergences[1]).abs() > 1e-4


def test_a_large_coefficient_holds_the_sampling_policies_together() -> None:
    divergences = []
    for coefficient in (0.0, 1000.0):
        algorithm = make("promp", kl_coefficient=coefficient, learning_rate=0.01, epochs=20)
        state = algorithm.initial_state(START)
        _, metrics = algorithm.update(state, navigate(algorithm, state), UPDATE)
        divergences.append(metrics["update/inner_kl"])
    assert divergences[1] < divergences[0] / 2


@pytest.mark.parametrize(
    "kl, factor",
    [
        # target 0.03: within 0.02 … 0.045 nothing happens
        (0.0, 0.5),
        (0.0199, 0.5),
        (0.0201, 1.0),
        (0.03, 1.0),
        (0.0449, 1.0),
        (0.0451, 2.0),
        (10.0, 2.0),
    ],
)
def test_the_coefficient_doubles_and_halves_at_its_thresholds(kl: float, factor: float) -> None:
    assert adapted_coefficient(torch.tensor(0.25), kl, 0.03) == 0.25 * factor


@pytest.mark.parametrize(
    "adaptive, target, factor", [(True, 1e9, 0.5), (True, 1e-9, 2.0), (False, 1e9, 1.0), (False, 1e-9, 1.0)]
)
def test_an_update_changes_the_coefficient_only_if_it_is_adaptive(adaptive: bool, target: float, factor: float) -> None:
    algorithm = make("promp", kl_coefficient=0.5, adaptive_kl=adaptive, target_kl=target)
    state = algorithm.initial_state(START)
    updated, metrics = algorithm.update(state, navigate(algorithm, state), UPDATE)
    assert updated["kl_coefficient"] == 0.5 * factor
    assert metrics["update/kl_coefficient"] == 0.5  # the one that was used
