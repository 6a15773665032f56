"""iMAML: its implicit derivative against closed forms and differences of converged solutions, in double."""

import pytest
import torch
from support.trials import ADDRESSES, N, doubled, imagine, make

from metarl.core.adaptation import Adaptation
from metarl.core.inner_step import for_tasks
from metarl.core.proximal_steps import ProximalSteps, conjugate_gradient_of_tasks
from metarl.core.types import Batch, Params
from metarl.runtime.randomness import Address

LAMBDA = 3.0


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive_definite(size: int) -> torch.Tensor:
    """One matrix for each task, `[N, size, size]`."""
    factors = random(0, N, size, size)
    return factors @ factors.mT / size + 0.2 * torch.eye(size)


def flatten(params: Params) -> torch.Tensor:
    """Task parameters `[N, ...]` as vectors `[N, P]`."""
    return torch.cat([value.flatten(1) for value in params.values()], dim=1)


def unflatten(vectors: torch.Tensor, like: Params) -> Params:
    """The inverse of `flatten` for one task or many; `like` is one task's."""
    pieces = vectors.split([value.numel() for value in like.values()], dim=-1)
    return {
        name: piece.reshape(*vectors.shape[:-1], *like[name].shape) for name, piece in zip(like, pieces, strict=True)
    }


def product_with(matrices: torch.Tensor, like: Params):
    """`v -> A_n v_n`, on named tensors."""
    return lambda vector: unflatten(torch.einsum("nij,nj->ni", matrices, flatten(vector)), like)


SIX_NUMBERS: Params = {"a": torch.zeros(2, 2).double(), "b": torch.zeros(2).double()}


def test_conjugate_gradient_solves_every_tasks_own_system() -> None:
    # Six iterations are exact for six numbers, but for rounding times the condition number (some 50).
    matrices, targets = positive_definite(6), random(1, N, 6)
    solution = conjugate_gradient_of_tasks(
        product_with(matrices, SIX_NUMBERS), unflatten(targets, SIX_NUMBERS), iterations=6
    )
    torch.testing.assert_close(flatten(solution), torch.linalg.solve(matrices, targets), rtol=1e-8, atol=1e-9)
    # and after it has arrived it stays
    settled = conjugate_gradient_of_tasks(
        product_with(matrices, SIX_NUMBERS), unflatten(targets, SIX_NUMBERS), iterations=40
    )
    torch.testing.assert_close(flatten(settled), torch.linalg.solve(matrices, targets), rtol=1e-11, atol=1e-12)


def test_a_task_of_negative_curvature_stays_put_and_disturbs_no_other() -> None:
    matrices, targets = positive_definite(6), random(1, N, 6)
    matrices[1] = -matrices[1]
    targets[2] = 0  # and one that has nothing to solve
    solution = flatten(
        conjugate_gradient_of_tasks(product_with(matrices, SIX_NUMBERS), unflatten(targets, SIX_NUMBERS), iterations=10)
    )
    assert torch.isfinite(solution).all() and not solution[1].any() and not solution[2].any()
    torch.testing.assert_close(solution[0], torch.linalg.solve(matrices[0], targets[0]), rtol=1e-10, atol=1e-11)


def assert_derivative(adaptation: Adaptation, expected: torch.Tensor, like: Params, tolerance: float) -> None:
    """That `expected` `[N, P, P]` is `dφ_n/dθ`: by the pushforward of every unit vector, and the pullback of some."""
    assert adaptation.pushforward is not None
    size = expected.shape[-1]
    units = torch.eye(size, dtype=torch.float64)
    columns = torch.stack(
        [flatten(adaptation.pushforward(unflatten(unit.expand(N, size), like))) for unit in units], dim=-1
    )
    assert (columns - expected).norm() / expected.norm() < tolerance
    for seed in range(3):
        vectors = random(10 + seed, N, size)
        pulled = adaptation.pullback(unflatten(vectors, like))
        wanted = torch.einsum("nij,ni->nj", expected, vectors)
        assert (flatten(pulled) - wanted).norm() / wanted.norm() < tolerance


def quadratic_loss(params: Params, batch: Batch) -> torch.Tensor:
    """`½ (θ − c)ᵀ A (θ − c)`; a batch holds A as observations and c as actions."""
    away = torch.cat([value.flatten() for value in params.values()]) - batch.action
    return 0.5 * away @ batch.observation @ away


def test_quadratic_tasks_have_the_closed_form_derivative() -> None:
    # φ = (A + λI)⁻¹ (A c + λθ), so dφ/dθ = λ (A + λI)⁻¹.
    inner = ProximalSteps(quadratic_loss, 0.2, strength=LAMBDA, iterations=200, implicit_iterations=12)
    matrices, centres = positive_definite(6), random(1, N, 6)
    empty = torch.zeros(N, dtype=torch.float64)
    theta = random(2, 6)
    adaptation = inner.adaptation(
        unflatten(theta, SIX_NUMBERS), (Batch(matrices, centres, empty, empty, empty, empty),), N
    )
    shifted = matrices + LAMBDA * torch.eye(6)
    solution = torch.linalg.solve(shifted, torch.einsum("nij,nj->ni", matrices, centres) + LAMBDA * theta)
    torch.testing.assert_close(flatten(adaptation.adapted), solution, rtol=1e-12, atol=1e-12)
    expected = LAMBDA * torch.linalg.inv(shifted)
    assert_derivative(adaptation, expected, SIX_NUMBERS, 1e-9)


def test_the_derivative_of_a_policys_solution_is_that_of_central_differences() -> None:
    # The solver shrinks its error by about 1 / (1 + 0.2 λ) a step: 0.63^60 < 1e-11.
    # Central differences at 1e-5 then are good to about 1e-8.
    algorithm = make(
        "imaml", hidden=(3,), inner_lr=0.2, proximal_strength=LAMBDA, proximal_steps=60, implicit_iterations=25
    )
    state = algorithm.initial_state(Address(0))
    (batch,), _ = doubled(algorithm.learned.batches(imagine(algorithm, state), state, algorithm.steps))
    theta = doubled(state["policy"])
    vector = torch.cat([value.flatten() for value in theta.values()])

    def solutions(point: torch.Tensor) -> torch.Tensor:
        return flatten(algorithm.adapted(unflatten(point, theta), (batch,), None))

    changes = 1e-5 * torch.eye(len(vector), dtype=torch.float64)
    slopes = (torch.vmap(solutions)(vector + changes) - torch.vmap(solutions)(vector - changes)) / 2e-5  # [P, N, P]
    expected = slopes.permute(1, 2, 0)  # [N, P of φ, P of θ]
    assert_derivative(algorithm.inner.adaptation(theta, (batch,), N), expected, theta, 1e-7)
    identity = torch.eye(len(vector), dtype=torch.float64)
    assert all((expected[n] - identity).norm() > 0.1 for n in range(N))  # or any derivative would do


def test_the_meta_gradient_is_the_slope_of_the_meta_objective() -> None:
    algorithm = make(
        "imaml", hidden=(3,), inner_lr=0.2, proximal_strength=LAMBDA, proximal_steps=60, implicit_iterations=25
    )
    state = algorithm.initial_state(Address(0))
    support, query = doubled(algorithm.learned.batches(imagine(algorithm, state), state, algorithm.steps))
    theta = doubled(state["policy"])
    gradient, _ = algorithm.outer.gradient(theta, algorithm.inner.adaptation(theta, support, N), support, query)
    vector = torch.cat([value.flatten() for value in theta.values()])
    before = for_tasks(algorithm.learned.distribution)(algorithm.adapted(theta, support, None), query)

    def objective(point: torch.Tensor) -> torch.Tensor:
        return algorithm.outer.loss_and_kl(unflatten(point, theta), support, query, before)[0]

    changes = 1e-5 * torch.eye(len(vector), dtype=torch.float64)
    slope = (torch.vmap(objective)(vector + changes) - torch.vmap(objective)(vector - changes)) / 2e-5
    own = torch.cat([value.flatten() for value in gradient.values()])
    assert (own - slope).norm() / slope.norm() < 1e-6


@pytest.mark.parametrize("later, strength", [(1.0, LAMBDA), (0.5, 2 * LAMBDA)])
def test_later_rounds_are_held_more_strongly(later: float, strength: float) -> None:
    one = make("imaml", proximal_strength=LAMBDA, later_inner_lr=later, proximal_steps=30)
    two = make("imaml", proximal_strength=strength, later_inner_lr=1.0, proximal_steps=30)
    state = one.initial_state(Address(0))
    rollout = imagine(one, state).rollouts[0]
    memory = one.begin(one.acting(state), ADDRESSES, 6)._replace(steps=1)
    actual, expected = (algorithm.adapt(state, memory, rollout).params for algorithm in (one, two))
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-5, atol=1e-6)
