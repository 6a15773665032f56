"""The inner loop: what one step does, and that adding the axis N changes nothing."""

import pytest
import torch
from support.problems import A, E, N, O, Problem, T, adapt, flatten, relative_difference

from metarl.core.inner_step import for_tasks, gradient_step, repeat_for_tasks
from metarl.core.types import Batch, Params
from metarl.runtime.tasks_at_once import tasks_at_once


def to(dtype: torch.dtype, value):
    """A pytree with its floating-point tensors in `dtype`."""
    return torch.utils._pytree.tree_map(lambda x: x.to(dtype) if x.is_floating_point() else x, value)


def quadratic(params: Params, target: Params) -> torch.Tensor:
    """`½ ‖a − target‖² + 2 ‖b − target‖²`."""
    return 0.5 * (params["a"] - target["a"]).square().sum() + 2 * (params["b"] - target["b"]).square().sum()


PARAMS = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
TARGET = {"a": torch.tensor([0.0, 4.0]), "b": torch.tensor([2.0])}


def test_a_step_descends_the_gradient() -> None:
    # gradients (1, -2) and 4 · (3 − 2) = 4, at rate ½: (1, 2) − (½, -1) = (½, 3) and 3 − 2 = 1
    stepped = gradient_step(quadratic, PARAMS, TARGET, 0.5)
    assert stepped["a"].tolist() == [0.5, 3.0]
    assert stepped["b"].tolist() == [1.0]


def test_several_steps_follow_one_another() -> None:
    # Each step at rate ½ multiplies the distance in a by ½, and that in b by 1 − 2 = −1: after three, 1/8 and −1.
    adapted = adapt(quadratic, PARAMS, [TARGET] * 3, 0.5)
    assert adapted["a"].tolist() == [0 + 1 / 8, 4 - 2 / 8]
    assert adapted["b"].tolist() == [2.0 - 1.0]


def test_rates_may_differ_between_parameters_and_within_them() -> None:
    # (1, 2) − (½, ¼) · (1, −2) = (½, 2½);  3 − 0.1 · 4 = 2.6
    rates = {"a": torch.tensor([0.5, 0.25]), "b": torch.tensor(0.1)}
    stepped = gradient_step(quadratic, PARAMS, TARGET, rates)
    assert stepped["a"].tolist() == [0.5, 2.5]
    torch.testing.assert_close(stepped["b"], torch.tensor([2.6]))


def test_equal_rates_are_one_rate() -> None:
    rates = {name: torch.full_like(value, 0.25) for name, value in PARAMS.items()}
    one, many = (adapt(quadratic, PARAMS, [TARGET] * 2, rate) for rate in (0.25, rates))
    assert all(torch.equal(one[name], many[name]) for name in PARAMS)


def test_a_rate_of_zero_leaves_its_parameter_alone() -> None:
    rates = {"a": torch.tensor(0.0), "b": torch.tensor(0.1)}
    adapted = adapt(quadratic, PARAMS, [TARGET] * 3, rates)
    assert torch.equal(adapted["a"], PARAMS["a"])
    assert not torch.equal(adapted["b"], PARAMS["b"])


def test_first_order_steps_to_the_same_place() -> None:
    problem = Problem("gaussian", "log_likelihood", 2)
    support, _ = problem.task(0)
    second, first = (problem.adapt(problem.params, support, first_order) for first_order in (False, True))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("inner_steps", [1, 2, 3])
@pytest.mark.parametrize("inner_loss", ["log_likelihood", "likelihood_ratio", "dice"])
@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_all_tasks_at_once_are_a_loop_over_tasks(
    kind: str, inner_loss: str, inner_steps: int, dtype: torch.dtype, tolerance: float
) -> None:
    problem = Problem(kind, inner_loss, inner_steps)
    params, data = to(dtype, problem.params), to(dtype, problem.support)
    together = for_tasks(problem.adapt, shared=[0])(params, data)
    own = for_tasks(problem.adapt)(repeat_for_tasks(params, N), data)
    for number in range(N):
        support = tuple(Batch(*(field[number] for field in batch)) for batch in data)
        alone = problem.adapt(params, support)
        for name in params:
            torch.testing.assert_close(together[name][number], alone[name], rtol=tolerance, atol=tolerance)
            torch.testing.assert_close(own[name][number], alone[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_how_many_tasks_are_worked_on_at_once_changes_nothing(size: int) -> None:
    problem = Problem("gaussian", "likelihood_ratio", 2)
    whole = for_tasks(problem.adapt, shared=[0])(problem.params, problem.support)
    with tasks_at_once(size):
        parts = for_tasks(problem.adapt, shared=[0])(problem.params, problem.support)
    assert relative_difference(flatten(parts), flatten(whole)) < 1e-14


def test_steps_that_were_not_played_do_not_move_the_policy() -> None:
    problem = Problem("gaussian", "likelihood_ratio", 1)
    support, _ = problem.task(0)
    unplayed = support[0].mask == 0
    wild = support[0]._replace(
        observation=torch.where(unplayed[..., None], 50.0, support[0].observation),
        action=torch.where(unplayed[..., None], -50.0, support[0].action),
        advantage=torch.where(unplayed, 1e6, support[0].advantage),
    )
    expected, adapted = (problem.adapt(problem.params, (batch,)) for batch in (support[0], wild))
    assert unplayed.any()
    assert relative_difference(flatten(adapted), flatten(expected)) < 1e-14


def test_repeated_parameters_are_every_tasks_own() -> None:
    repeated = repeat_for_tasks(PARAMS, 4)
    assert {name: tuple(value.shape) for name, value in repeated.items()} == {"a": (4, 2), "b": (4, 1)}
    assert all(torch.equal(repeated[name][task], PARAMS[name]) for name in PARAMS for task in range(4))


def test_the_problem_of_these_tests_has_the_shapes_it_claims() -> None:
    problem = Problem("gaussian", "dice", 2)
    assert problem.query.observation.shape == (N, E, T, O) and problem.query.action.shape == (N, E, T, A)
    assert len(problem.support) == 2
