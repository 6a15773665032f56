"""Meta-gradients and curvature: central differences, a closed form, and double differentiation, all in double."""

import numpy as np
import pytest
import torch
from support.problems import (
    INNER_LR,
    N,
    Problem,
    adapt,
    central_differences,
    flatten,
    relative_difference,
    unflatten,
)
from torch.func import grad, jacrev

from metarl.core.adaptation import differentiable_adaptation, kl_curvature
from metarl.core.inner_step import for_tasks
from metarl.core.losses import masked_mean
from metarl.core.meta_gradient import descend, meta_gradient
from metarl.core.networks import apply
from metarl.core.optimiser import adam_state, adam_step
from metarl.core.types import Params
from metarl.runtime.ranks import mean_over_tasks
from metarl.runtime.tasks_at_once import tasks_at_once

POLICIES = pytest.mark.parametrize("kind", ["gaussian", "categorical"])
LOSSES = pytest.mark.parametrize("inner_loss", ["log_likelihood", "likelihood_ratio", "dice"])
STEPS = pytest.mark.parametrize("inner_steps", [1, 2, 3])


@STEPS
@LOSSES
@POLICIES
def test_the_meta_gradient_is_the_slope_of_the_objective(kind: str, inner_loss: str, inner_steps: int) -> None:
    problem = Problem(kind, inner_loss, inner_steps)

    def mean_objective(params: Params) -> torch.Tensor:
        return torch.stack([problem.objective(params, *problem.task(number)) for number in range(N)]).mean()

    slope = central_differences(mean_objective, problem.params)
    gradient, value = meta_gradient(problem.objective, problem.params, problem.support, problem.query)
    assert relative_difference(flatten(gradient), slope) < 1e-7
    torch.testing.assert_close(value, mean_objective(problem.params), rtol=1e-12, atol=1e-12)

    # the same by way of the gradients at the adapted parameters
    adaptation = differentiable_adaptation(problem.adapt, problem.params, problem.support, N)
    at_adapted = for_tasks(grad(problem.inner_loss))(adaptation.adapted, problem.query)
    pulled_back = flatten(mean_over_tasks(adaptation.pullback(at_adapted)))
    assert relative_difference(pulled_back, slope) < 1e-7
    # second-order terms are no small part of it: without them this would be far off
    first_order = flatten({name: value.mean(dim=0) for name, value in at_adapted.items()})
    assert relative_difference(first_order, slope) > 0.01


@POLICIES
def test_the_pullback_is_linear_and_may_be_used_again(kind: str) -> None:
    problem = Problem(kind, "log_likelihood", 2)
    adaptation = differentiable_adaptation(problem.adapt, problem.params, problem.support, N)
    vector = {name: torch.ones_like(value) for name, value in adaptation.adapted.items()}
    once = flatten(adaptation.pullback(vector))
    thrice = flatten(adaptation.pullback({name: 3 * value for name, value in vector.items()}))
    assert relative_difference(thrice, 3 * once) < 1e-12


@pytest.mark.parametrize("inner_steps", [1, 2, 3])
def test_quadratic_tasks_have_the_closed_form_meta_gradient(inner_steps: int) -> None:
    # Inner loss ½ (θ − c_n)ᵀ A_n (θ − c_n): a step multiplies θ − c_n by J_n = I − α A_n, and k steps by J_n^k.
    # Outer loss ½ ‖θ' − d_n‖²: the meta-gradient is the mean of (J_n^k)ᵀ (θ' − d_n).
    random = np.random.default_rng(0)
    matrices = random.normal(size=(N, 4, 4))
    A = matrices @ matrices.transpose(0, 2, 1) / 4
    c, d, theta = random.normal(size=(N, 4)), random.normal(size=(N, 4)), random.normal(size=4)

    def inner(params: Params, task: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        matrix, centre = task
        return 0.5 * (params["x"] - centre) @ matrix @ (params["x"] - centre)

    def outer(params: Params, task: tuple[torch.Tensor, torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        adapted = adapt(inner, params, [task] * inner_steps, INNER_LR)
        return 0.5 * (adapted["x"] - target).square().sum()

    params = {"x": torch.from_numpy(theta)}
    tasks = torch.from_numpy(A), torch.from_numpy(c)
    gradient, value = meta_gradient(outer, params, tasks, torch.from_numpy(d))

    shrink = [np.linalg.matrix_power(np.eye(4) - INNER_LR * A[n], inner_steps) for n in range(N)]
    adapted = [c[n] + shrink[n] @ (theta - c[n]) for n in range(N)]
    expected = np.mean([shrink[n].T @ (adapted[n] - d[n]) for n in range(N)], axis=0)
    np.testing.assert_allclose(gradient["x"].numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(value, np.mean([0.5 * ((adapted[n] - d[n]) ** 2).sum() for n in range(N)]))


@STEPS
def test_first_order_is_the_gradient_at_the_adapted_parameters(inner_steps: int) -> None:
    problem = Problem("gaussian", "log_likelihood", inner_steps)

    def objective(params: Params, support, query) -> torch.Tensor:
        return problem.inner_loss(problem.adapt(params, support, first_order=True), query)

    gradient, _ = meta_gradient(objective, problem.params, problem.support, problem.query)
    at_adapted = []
    for number in range(N):
        support, query = problem.task(number)
        at_adapted.append(flatten(grad(problem.inner_loss)(problem.adapt(problem.params, support), query)))
    assert relative_difference(flatten(gradient), torch.stack(at_adapted).mean(dim=0)) < 1e-12


def test_learned_rates_have_a_meta_gradient_too() -> None:
    # Meta-SGD: the objective's slope in the rates themselves
    problem = Problem("gaussian", "log_likelihood", 2)
    rates = {name: torch.full_like(value, INNER_LR) for name, value in problem.params.items()}

    def objective(rates: Params, support, query) -> torch.Tensor:
        return problem.inner_loss(adapt(problem.inner_loss, problem.params, support, rates), query)

    def mean_objective(rates: Params) -> torch.Tensor:
        return torch.stack([objective(rates, *problem.task(number)) for number in range(N)]).mean()

    gradient, _ = meta_gradient(objective, rates, problem.support, problem.query)
    assert relative_difference(flatten(gradient), central_differences(mean_objective, rates)) < 1e-7


@pytest.mark.parametrize("size", [1, 2, 100])
def test_how_many_tasks_are_worked_on_at_once_changes_no_gradient(size: int) -> None:
    problem = Problem("gaussian", "log_likelihood", 2)
    data = problem.params, problem.support, problem.query
    vector = {name: torch.ones_like(value) for name, value in problem.params.items()}
    whole, of_all = meta_gradient(problem.objective, *data)[0], curvature_of(problem)(vector)
    with tasks_at_once(size):
        parts, of_parts = meta_gradient(problem.objective, *data)[0], curvature_of(problem)(vector)
    assert relative_difference(flatten(parts), flatten(whole)) < 1e-12
    assert relative_difference(flatten(of_parts), flatten(of_all)) < 1e-12


def kl(problem: Problem):
    """For one task: mean divergence from an older distribution to that of some parameters."""

    def mean_kl(params: Params, query) -> torch.Tensor:
        batch, older = query
        return masked_mean(older.kl(apply(problem.policy, params, batch.observation)), batch.mask)

    return mean_kl


def curvature_of(problem: Problem):
    """The product under test, with the adapted policies of `problem.params` as the older ones."""
    adaptation = differentiable_adaptation(problem.adapt, problem.params, problem.support, N)
    older = apply(problem.policy, adaptation.adapted, problem.query.observation)
    return kl_curvature(adaptation, kl(problem), (problem.query, older))


def hessian_of_mean_kl(problem: Problem) -> torch.Tensor:
    """By differentiating twice through the inner loop, task by task, all entries."""

    def mean_kl(vector: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=vector.dtype)
        for number in range(N):
            support, query = problem.task(number)
            older = apply(problem.policy, problem.adapt(problem.params, support), query.observation)
            adapted = problem.adapt(unflatten(vector, problem.params), support)
            total = total + kl(problem)(adapted, (query, older)) / N
        return total

    return jacrev(jacrev(mean_kl))(flatten(problem.params))


@STEPS
@POLICIES
@pytest.mark.parametrize("inner_loss", ["log_likelihood", "likelihood_ratio"])
def test_the_curvature_is_the_hessian_of_the_mean_divergence(kind: str, inner_loss: str, inner_steps: int) -> None:
    problem = Problem(kind, inner_loss, inner_steps)
    product = curvature_of(problem)
    basis = torch.eye(len(flatten(problem.params)), dtype=torch.float64)
    matrix = torch.stack([flatten(product(unflatten(column, problem.params))) for column in basis])
    assert relative_difference(matrix, hessian_of_mean_kl(problem)) < 1e-10
    assert relative_difference(matrix, matrix.T) < 1e-12
    eigenvalues = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()
    assert eigenvalues.max() > 1e-3


def test_descent_is_adam_on_the_meta_gradient() -> None:
    problem = Problem("gaussian", "likelihood_ratio", 1)
    data = problem.support, problem.query
    params, memory = problem.params, adam_state(problem.params)
    descended, end_memory, values = descend(
        lambda params: meta_gradient(problem.objective, params, *data), params, memory, 0.01, 3
    )
    expected_values = []
    for _ in range(3):
        gradient, value = meta_gradient(problem.objective, params, *data)
        params, memory = adam_step(params, gradient, memory, 0.01)
        expected_values.append(float(value))
    assert values.tolist() == expected_values and values[2] < values[0]
    assert all(torch.equal(descended[name], params[name]) for name in params)
    assert all(torch.equal(end_memory["exp_avg"][name], memory["exp_avg"][name]) for name in params)
