"""Conjugate gradient, the trust-region step and the line search."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from metarl.core.trust_region import (
    Finite,
    add,
    backtracking_line_search,
    conjugate_gradient,
    dot,
    require_finite,
    trust_region_step,
)
from metarl.core.types import Params
from metarl.runtime.errors import NonFiniteError


def vector(seed: int, scale: float = 1.0) -> Params:
    """Six numbers in two named tensors, in double."""
    values = scale * torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {"a": values[:4].reshape(2, 2), "b": values[4:]}


def flat(params: Params) -> np.ndarray:
    return np.concatenate([params["a"].numpy().ravel(), params["b"].numpy()])


def positive_definite() -> np.ndarray:
    matrix = np.random.default_rng(0).normal(size=(6, 6))
    return matrix @ matrix.T + np.eye(6)


def product_with(matrix: np.ndarray) -> Callable[[Params], Params]:
    def product(params: Params) -> Params:
        image = torch.from_numpy(matrix @ flat(params))
        return {"a": image[:4].reshape(2, 2), "b": image[4:]}

    return product


def test_products_and_sums_of_named_tensors() -> None:
    # 1·3 + 2·4 + 5·6 = 41;  (1, 2) + 2 (3, 4) = (7, 10),  5 + 2·6 = 17
    a = {"x": torch.tensor([1.0, 2.0]), "y": torch.tensor(5.0)}
    b = {"x": torch.tensor([3.0, 4.0]), "y": torch.tensor(6.0)}
    assert dot(a, b) == 41 and dot(a, b).dtype == torch.float64
    total = add(a, b, 2.0)
    assert total["x"].tolist() == [7, 10] and total["y"] == 17 and total["x"].dtype == torch.float32


def test_conjugate_gradient_solves_linear_systems() -> None:
    matrix, target = positive_definite(), vector(1)
    solution = conjugate_gradient(product_with(matrix), target, iterations=6)
    np.testing.assert_allclose(flat(solution), np.linalg.solve(matrix, flat(target)), rtol=1e-6)


def test_conjugate_gradient_of_one_iteration_is_steepest_descent() -> None:
    # x = (b·b / b·Ab) b
    matrix, target = positive_definite(), vector(1)
    b = flat(target)
    solution = conjugate_gradient(product_with(matrix), target, iterations=1)
    np.testing.assert_allclose(flat(solution), b @ b / (b @ matrix @ b) * b, rtol=1e-12)


def test_conjugate_gradient_of_zero_is_zero() -> None:
    solution = conjugate_gradient(product_with(positive_definite()), vector(1, scale=0.0), iterations=6)
    assert not flat(solution).any()


def test_conjugate_gradient_stays_at_a_solution_that_it_has_reached() -> None:
    # Of a multiple of the identity the first step is the solution: its residual is exactly 0, and 0 / 0 comes next.
    target = {"a": torch.tensor([[1.0, 2.0], [-4.0, 0.5]]).double(), "b": torch.tensor([8.0, -1.0]).double()}
    once, often = (conjugate_gradient(product_with(4 * np.eye(6)), target, iterations) for iterations in (1, 9))
    np.testing.assert_array_equal(flat(once), flat(target) / 4)
    np.testing.assert_array_equal(flat(often), flat(target) / 4)


@pytest.mark.parametrize("max_kl", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4], ids=["tiny", "ordinary", "large"])
def test_the_step_has_the_quadratic_divergence_of_the_region(max_kl: float, scale: float) -> None:
    # However long the gradient is: the step is −sqrt(2 max_kl / gᵀA⁻¹g) A⁻¹g.
    matrix, gradient = positive_definite(), vector(1, scale)
    step = flat(trust_region_step(gradient, product_with(matrix), max_kl, iterations=6, damping=0.0))
    np.testing.assert_allclose(0.5 * step @ matrix @ step, max_kl, rtol=1e-6)
    g = flat(gradient)
    natural = np.linalg.solve(matrix, g)
    np.testing.assert_allclose(step, -np.sqrt(2 * max_kl / (g @ natural)) * natural, rtol=1e-3)


def test_damping_is_a_multiple_of_the_identity() -> None:
    matrix, gradient = positive_definite(), vector(1)
    damped = trust_region_step(gradient, product_with(matrix), 0.01, iterations=6, damping=3.0)
    plain = trust_region_step(gradient, product_with(matrix + 3 * np.eye(6)), 0.01, iterations=6, damping=0.0)
    np.testing.assert_allclose(flat(damped), flat(plain), rtol=1e-6)


def test_the_step_down_a_gradient_of_zero_is_zero() -> None:
    step = trust_region_step(vector(1, scale=0.0), product_with(positive_definite()), 0.01, 6, 1e-5)
    assert not flat(step).any()


def test_a_broken_vector_is_refused_by_name() -> None:
    require_finite("gradient", vector(0))
    broken = vector(0) | {"b": torch.tensor([1.0, torch.nan]), "c": torch.tensor(torch.inf)}
    with pytest.raises(NonFiniteError, match="^the gradient is not finite in b, c — "):
        require_finite("gradient", broken)


def test_what_broke_first_is_named_when_all_is_asked_for_at_once() -> None:
    finite = Finite()
    finite.note("loss", {"value": 1.5})
    finite.require()
    finite.note("gradient", vector(0) | {"b": torch.tensor([1.0, torch.nan])})
    finite.note("policy", {"a": torch.tensor(torch.inf), "b": torch.tensor(0.0)})
    with pytest.raises(NonFiniteError, match="^the gradient is not finite in b — "):
        finite.require()


# The line search: from x = 0 by steps of 8, 4, 2, 1, …, with the loss and divergence that each case gives.
START, STEP = {"x": torch.tensor([0.0])}, {"x": torch.tensor([8.0])}


def search(loss: dict[float, float], kl: dict[float, float], max_backtracks: int = 4):
    """`loss` and `kl` by position; the loss at the start is 0, the region 0.5."""

    def evaluate(params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        x = float(params["x"])
        return torch.tensor(loss[x]), torch.tensor(kl[x])

    return backtracking_line_search(evaluate, START, STEP, 0.0, 0.5, 0.5, max_backtracks)


def test_the_line_search_takes_the_first_step_that_improves_within_the_region() -> None:
    # 8 leaves the region, 4 does not improve, 2 does both; 1 would be better still, but comes later.
    found = search(loss={8: -9, 4: 1, 2: -1, 1: -5}, kl={8: 0.6, 4: 0.3, 2: 0.2, 1: 0.1})
    assert found.accepted and found.params["x"].tolist() == [2.0]
    assert found.loss == -1 and found.kl == pytest.approx(0.2) and found.evaluations == 3 and found.reason == ""
    assert START["x"].tolist() == [0.0]


def test_the_line_search_takes_the_whole_step_if_it_may() -> None:
    found = search(loss={8: -1}, kl={8: 0.5})
    assert found.accepted and found.params["x"].tolist() == [8.0] and found.evaluations == 1


@pytest.mark.parametrize(
    "loss, kl, reason",
    [
        ({8: -1, 4: -1, 2: -1, 1: -1}, {8: 2, 4: 2, 2: 2, 1: 0.75}, "KL 0.75 above 0.5"),
        ({8: 1, 4: 1, 2: 1, 1: 0}, {8: 0.1, 4: 0.1, 2: 0.1, 1: 0.1}, "loss 0 not below 0"),
        (
            {8: 1, 4: torch.nan, 2: 1, 1: torch.nan},
            {8: 0.1, 4: 0.1, 2: 0.1, 1: 0.1},
            "loss nan, KL 0.1",
        ),
    ],
    ids=["region", "no improvement", "some broken"],
)
def test_a_failed_line_search_gives_back_the_very_parameters_and_says_why(loss, kl, reason: str) -> None:
    found = search(loss, kl)
    assert not found.accepted and found.evaluations == 4
    assert found.params is START and found.params["x"].tolist() == [0.0]
    assert found.reason.startswith(reason)
    assert found.loss == 0.0 and found.kl == 0.0


def test_a_broken_candidate_is_never_accepted() -> None:
    found = search(loss={8: -torch.inf, 4: torch.nan, 2: -1}, kl={8: 0.1, 4: 0.1, 2: 0.1})
    assert found.accepted and found.params["x"].tolist() == [2.0]
    found = search(loss={8: -1, 4: -1}, kl={8: torch.nan, 4: 0.1})
    assert found.accepted and found.params["x"].tolist() == [4.0]


@pytest.mark.parametrize("broken", [{"loss": torch.nan}, {"kl": torch.nan}, {"loss": torch.inf}])
def test_a_line_search_that_finds_nothing_but_broken_numbers_says_so(broken: dict[str, float]) -> None:
    steps = (8, 4, 2, 1)
    loss, kl = broken.get("loss", -1.0), broken.get("kl", 0.1)
    with pytest.raises(NonFiniteError, match="every step of the line search"):
        search(dict.fromkeys(steps, loss), dict.fromkeys(steps, kl))
