"""Every inner loop: closed forms on quadratic tasks, identities, a loop over tasks, central differences; in double.

A quadratic task has the loss `½ (θ − c)ᵀ A (θ − c)`. A step at the rates R (a diagonal matrix) takes θ − c to
`(I − RA)(θ − c)`, so that steps lead to `c + M (θ − c)` with `M = (I − R_K A) … (I − R_1 A)`, whose derivative is M.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.problems import (
    A,
    N,
    O,
    Problem,
    central_differences,
    flatten,
    generator,
    relative_difference,
    unflatten,
)
from torch.func import grad, vmap

from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import for_tasks
from metarl.core.meta_gradient import meta_gradient
from metarl.core.networks import MLP, GaussianPolicy
from metarl.core.proximal_steps import ProximalSteps
from metarl.core.rates_and_contexts import RATE, ContextSteps, LearnedRates
from metarl.core.types import Batch, Params

LR, STRENGTH, CONTEXT = 0.1, 0.7, "body.context"
STEPS = pytest.mark.parametrize("inner_steps", [1, 2, 3])


def adapt(loop: GradientSteps) -> Callable[[Params, Any], Params]:
    return lambda meta, supports: loop.trail(meta, supports)[-1]


def quadratic(params: Params, task: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """The loss of a task `(A [4, 4], c [4])`."""
    matrix, centre = task
    away = flatten(params) - centre
    return 0.5 * away @ matrix @ away


def quadratic_tasks(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positive definite matrices [N, 4, 4] and centres [N, 4]."""
    random = generator(seed)
    factors = torch.randn(N, 4, 4, generator=random, dtype=torch.float64)
    return factors @ factors.mT / 4 + 0.1 * torch.eye(4), torch.randn(N, 4, generator=random, dtype=torch.float64)


START: Params = {
    "a": torch.tensor([1.0, -2.0], dtype=torch.float64),
    "b": torch.tensor([0.5, 3.0], dtype=torch.float64),
}
OWN_RATES = {
    RATE + "a": torch.tensor([0.3, -0.1], dtype=torch.float64),
    RATE + "b": torch.tensor([0.05, 0.2], dtype=torch.float64),
}
STEP_RATES = {
    RATE + "a": torch.tensor([0.3, -0.1], dtype=torch.float64),
    RATE + "b": torch.tensor([0.05, 0.2], dtype=torch.float64),
}

# A loop, its meta-parameters, where it starts, and the diagonals of R_1 and of all later R.
QUADRATIC_LOOPS = {
    "gradient steps": (GradientSteps(quadratic, LR), START, [1, -2, 0.5, 3], [LR] * 4, [LR] * 4),
    "head": (GradientSteps(quadratic, LR, only=("b",)), START, [1, -2, 0.5, 3], [0, 0, LR, LR], [0, 0, LR, LR]),
    "learned": (
        LearnedRates(quadratic, LR), START | OWN_RATES, [1, -2, 0.5, 3], [0.3, -0.1, 0.05, 0.2], [0.3, -0.1, 0.05, 0.2]
    ),
    "of each step": (  # two steps have rates; a third takes the second's
        LearnedRates(quadratic, LR, steps=2),
        START | STEP_RATES,
        [1, -2, 0.5, 3],
        [0.3, 0.3, 0.05, 0.05],
        [-0.1, -0.1, 0.2, 0.2],
    ),
    "context": (
        ContextSteps(quadratic, LR, only=("b",), size=2), {"a": START["a"]}, [1, -2, 0, 0], [0, 0, LR, LR],
        [0, 0, LR, LR],
    ),
}  # fmt: skip


@STEPS
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("name", QUADRATIC_LOOPS)
def test_quadratic_tasks_are_adapted_to_and_differentiated_as_by_hand(
    name: str, first_order: bool, inner_steps: int
) -> None:
    # Outer loss ½ (θ' − c')ᵀ A' (θ' − c'): its meta-gradient is Mᵀ A' (θ' − c'); first order, A' (θ' − c').
    loop, meta, start, first_rates, later_rates = QUADRATIC_LOOPS[name]
    loop = replace(loop, first_order=first_order)
    inner, outer = quadratic_tasks(0), quadratic_tasks(1)

    def objective(meta: Params, inner: Any, outer: Any) -> torch.Tensor:
        return quadratic(loop.trail(meta, [inner] * inner_steps)[-1], outer)

    adapted = for_tasks(adapt(loop), shared=[0])(meta, [inner] * inner_steps)
    gradient, _ = meta_gradient(objective, meta, inner, outer)
    expected = []
    for n in range(N):
        (matrix, centre), (outer_matrix, outer_centre) = ([x[n].numpy() for x in task] for task in (inner, outer))
        M = np.eye(4) - np.diag(first_rates) @ matrix
        for _ in range(inner_steps - 1):
            M = (np.eye(4) - np.diag(later_rates) @ matrix) @ M
        solution = centre + M @ (np.array(start) - centre)
        own = torch.cat([adapted["a"][n], adapted["b"][n]])
        np.testing.assert_allclose(own, solution, rtol=1e-12, atol=1e-12)
        after = outer_matrix @ (solution - outer_centre)
        expected.append(after if first_order else M.T @ after)
    of_model = [gradient[key] for key in ("a", "b") if key in meta]
    wanted = np.mean(expected, axis=0)[: 2 * len(of_model)]
    np.testing.assert_allclose(torch.cat(of_model), wanted, rtol=1e-11, atol=1e-12)


def test_the_meta_gradient_in_a_learned_rate_is_minus_inner_times_outer_gradient() -> None:
    # θ' = θ − α ∘ g, so dL'/dα = −g ∘ ∇L'(θ'), for one step; g = A (θ − c).
    loop, meta, *_ = QUADRATIC_LOOPS["learned"]
    inner, outer = quadratic_tasks(0), quadratic_tasks(1)
    gradient, _ = meta_gradient(lambda meta, x, y: quadratic(loop.trail(meta, [x])[-1], y), meta, inner, outer)
    theta, alpha = flatten(START), flatten(OWN_RATES)
    g = torch.einsum("nij,nj->ni", inner[0], theta - inner[1])
    after = torch.einsum("nij,nj->ni", outer[0], theta - alpha * g - outer[1])
    expected = -(g * after).mean(dim=0)
    own = torch.cat([gradient[RATE + "a"], gradient[RATE + "b"]])
    torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("iterations", [1, 2, 7, 300])
def test_the_proximal_solver_nears_the_solution_at_its_rate(iterations: int, scale: float) -> None:
    # The solution is φ = (A + λI)⁻¹ (A c + λ θ), with λ = strength / scale. A step of size η multiplies the distance
    # to it by (I − ηA) / (1 + ηλ).
    loop = ProximalSteps(quadratic, LR, strength=STRENGTH, iterations=iterations)
    tasks, theta, pull = quadratic_tasks(0), flatten(START).numpy(), STRENGTH / scale
    step = partial(loop.step, number=0, scale=scale)
    found = for_tasks(step, shared=[0, 1])(START, START, tasks)
    for n in range(N):
        matrix, centre = (x[n].numpy() for x in tasks)
        solution = np.linalg.solve(matrix + pull * np.eye(4), matrix @ centre + pull * theta)
        shrink = np.linalg.matrix_power((np.eye(4) - LR * matrix) / (1 + LR * pull), iterations)
        error = torch.cat([found["a"][n], found["b"][n]]).numpy() - solution
        np.testing.assert_allclose(error, shrink @ (theta - solution), rtol=0, atol=1e-13)
        assert np.linalg.norm(theta - solution) > 0.1


def test_the_proximal_solver_takes_shorter_steps_in_the_tasks_that_are_too_steep_for_its_own() -> None:
    # Steps of LR in a task whose curvature is above 2 / LR + strength lead away from the solution.
    matrices, centres = quadratic_tasks(0)
    matrices = torch.cat([300 * matrices[:1], matrices[1:]])
    assert LR * torch.linalg.eigvalsh(matrices[0]).max() > 10 > 2 + LR * STRENGTH
    loop = ProximalSteps(quadratic, LR, strength=STRENGTH, iterations=600)
    step = for_tasks(partial(loop.step, number=0), shared=[0, 1])
    found = step(START, START, (matrices, centres))
    for n in range(N):
        matrix, centre = matrices[n], centres[n]
        held = matrix + STRENGTH * torch.eye(4, dtype=torch.float64)
        solution = torch.linalg.solve(held, matrix @ centre + STRENGTH * flatten(START))
        torch.testing.assert_close(torch.cat([found["a"][n], found["b"][n]]), solution, rtol=0, atol=1e-12)
    alone = step(START, START, (matrices[1:], centres[1:]))  # the others do not notice
    assert all(torch.equal(alone[name], found[name][1:]) for name in alone)


def test_the_proximal_solver_climbs_nowhere() -> None:
    # From 200 starts on a wave of slopes up to 100, where a step of LR leads over hills, and slopes at both its ends
    # may say that it went down when it did not.
    def wave(params: Params, height: torch.Tensor) -> torch.Tensor:
        return height * torch.cos(params["x"]).sum()

    x = torch.linspace(-3, 3, 200, dtype=torch.float64)[:, None]
    heights = torch.full((200,), 100.0, dtype=torch.float64)
    for iterations in (1, 2, 5):
        loop = ProximalSteps(wave, LR, strength=0.1, iterations=iterations)
        start = {"x": x}
        found = for_tasks(lambda params, height, loop=loop: loop.step(params, params, height, 0))(start, heights)["x"]
        after = 100 * torch.cos(found) + 0.05 * (found - x).square()
        assert (after <= 100 * torch.cos(x) + 1e-5).all()
        assert iterations == 1 or (after < 100 * torch.cos(x) - 1).double().mean() > 0.3


def test_the_proximal_solver_stays_where_a_loss_is_not_a_number() -> None:
    def cliff(params: Params, edge: torch.Tensor) -> torch.Tensor:
        return -(params["x"] - edge).sqrt().sum() + 10 * (params["x"] - 2).square().sum()

    loop = ProximalSteps(cliff, 0.2, strength=1.0, iterations=40)  # the first step leads beyond the edge
    start = {"x": torch.tensor([4.0], dtype=torch.float64)}
    found = loop.step(start, start, torch.tensor(1.0), 0)["x"]
    slope = -0.5 / (found - 1).sqrt() + 20 * (found - 2) + (found - 4)
    assert found > 1 and abs(float(slope)) < 1e-6


class PolicyProblem(Problem):
    """As `Problem`, of a policy that takes a context beside its observation."""

    def __init__(self, inner_steps: int) -> None:
        super().__init__("gaussian", "log_likelihood", inner_steps)
        self.policy = GaussianPolicy(MLP(O, (4,), A, context_size=3), A, 1.0)
        random = generator(9)
        self.model: Params = {
            name: 0.5 * torch.randn(value.shape, generator=random, dtype=torch.float64)
            for name, value in self.policy.named_parameters()
        }

    def loop(self, kind: str) -> GradientSteps:
        """The inner loop of that name, for this policy."""
        loops: dict[str, GradientSteps] = {
            "gradient steps": GradientSteps(self.inner_loss, LR),
            "first order": GradientSteps(self.inner_loss, LR, first_order=True),
            "head": GradientSteps(self.inner_loss, LR, only=("body.layers.1.weight", "body.layers.1.bias")),
            "learned": LearnedRates(self.inner_loss, LR),
            "of each step": LearnedRates(self.inner_loss, LR, steps=2),
            "context": ContextSteps(self.inner_loss, 1.0, only=(CONTEXT,), size=3),
            "proximal": ProximalSteps(self.inner_loss, LR, strength=2.0, iterations=3),
        }
        return loops[kind]

    def meta(self, kind: str) -> Params:
        """Meta-parameters of that loop, where learned rates differ from one another."""
        random = generator(8)
        meta = self.loop(kind).initial(self.model)
        return {
            name: value * (1 + torch.rand(value.shape, generator=random, dtype=value.dtype))
            if name.startswith(RATE)
            else value
            for name, value in meta.items()
        }


DIFFERENTIABLE = ["gradient steps", "head", "learned", "of each step", "context"]


@STEPS
@pytest.mark.parametrize("kind", [*DIFFERENTIABLE, "first order", "proximal"])
def test_all_tasks_at_once_are_a_loop_over_tasks_in_every_inner_loop(kind: str, inner_steps: int) -> None:
    problem = PolicyProblem(inner_steps)
    loop, meta = problem.loop(kind), problem.meta(kind)
    together = for_tasks(adapt(loop), shared=[0])(meta, problem.support)
    assert together.keys() == problem.model.keys()
    for number in range(N):
        alone = loop.trail(meta, problem.task(number)[0])[-1]
        for name, value in alone.items():
            torch.testing.assert_close(together[name][number], value, rtol=1e-12, atol=1e-12)


@STEPS
@pytest.mark.parametrize("kind", DIFFERENTIABLE)
def test_the_meta_gradient_of_every_inner_loop_is_the_slope_of_the_objective(kind: str, inner_steps: int) -> None:
    # Central differences at 1e-5 are good to about 1e-9 of a gradient of this size.
    problem = PolicyProblem(inner_steps)
    loop, meta = problem.loop(kind), problem.meta(kind)

    def objective(meta: Params, support: tuple[Batch, ...], query: Batch) -> torch.Tensor:
        return problem.inner_loss(loop.trail(meta, support)[-1], query)

    def mean_objective(meta: Params) -> torch.Tensor:
        return torch.stack([objective(meta, *problem.task(number)) for number in range(N)]).mean()

    gradient, _ = meta_gradient(objective, meta, problem.support, problem.query)
    slope = unflatten(central_differences(mean_objective, meta), meta)
    for name in meta:  # each on its own: rates have slopes of another size than weights
        assert slope[name].norm() > 1e-4
        assert relative_difference(gradient[name], slope[name]) < 1e-6


@STEPS
def test_equal_learned_rates_are_gradient_steps(inner_steps: int) -> None:
    problem = PolicyProblem(inner_steps)
    gradients = {}
    for kind in ("gradient steps", "learned", "of each step"):
        loop = problem.loop(kind)
        objective = lambda meta, support, query, loop=loop: problem.inner_loss(loop.trail(meta, support)[-1], query)  # noqa: E731
        gradients[kind] = meta_gradient(objective, loop.initial(problem.model), problem.support, problem.query)
    plain, value = gradients["gradient steps"]
    for kind in ("learned", "of each step"):
        gradient, own_value = gradients[kind]
        torch.testing.assert_close(own_value, value, rtol=1e-13, atol=0)
        for name in problem.model:
            torch.testing.assert_close(gradient[name], plain[name], rtol=1e-11, atol=1e-13)


def test_rates_of_a_step_act_in_that_step_alone() -> None:
    problem = PolicyProblem(1)
    (batch,), _ = problem.task(0)
    loop, meta = problem.loop("of each step"), problem.meta("of each step")
    for changed in (0, 1):
        mask = torch.tensor([0.0, 0.0], dtype=torch.float64)
        mask[changed] = 0.1
        other = {name: value + mask if name.startswith(RATE) else value for name, value in meta.items()}
        for number in range(4):  # two have rates of their own, later ones take the second's
            one, two = (loop.step(rates, problem.model, batch, number) for rates in (meta, other))
            acts = min(number, 1) == changed
            assert all(torch.equal(one[name], two[name]) != acts for name in one)


@pytest.mark.parametrize(
    "kind, moved", [("head", {"body.layers.1.weight", "body.layers.1.bias"}), ("context", {CONTEXT})]
)
def test_shared_parameters_are_the_very_same_after_adaptation(kind: str, moved: set[str]) -> None:
    problem = PolicyProblem(2)
    loop, meta = problem.loop(kind), problem.meta(kind)
    start = loop.start(meta)
    adapted = loop.trail(meta, problem.task(0)[0])[-1]
    assert adapted.keys() == problem.model.keys()
    for name in adapted:
        if name in moved:
            assert (adapted[name] - start[name]).abs().min() > 1e-6
        else:
            assert adapted[name] is meta[name]


def test_the_head_moves_as_it_would_if_all_others_had_a_rate_of_zero() -> None:
    problem = PolicyProblem(3)
    support, _ = problem.task(1)
    head, learned = problem.loop("head"), problem.loop("learned")
    rates = {RATE + name: torch.full_like(value, LR * ("layers.1" in name)) for name, value in problem.model.items()}
    one, two = head.trail(problem.model, support)[-1], learned.trail(problem.model | rates, support)[-1]
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-13, atol=1e-13)


def test_a_context_starts_at_zero_and_is_not_learned() -> None:
    problem = PolicyProblem(1)
    loop = problem.loop("context")
    meta = loop.initial(problem.model)
    assert problem.model[CONTEXT].abs().min() > 0 and meta.keys() == problem.model.keys() - {CONTEXT}
    start = loop.start(meta)
    assert start[CONTEXT].shape == (3,) and start[CONTEXT].dtype == torch.float64 and not start[CONTEXT].any()


@pytest.mark.parametrize("kind", [*DIFFERENTIABLE, "first order"])
def test_scale_multiplies_the_length_of_a_step(kind: str) -> None:
    problem = PolicyProblem(1)
    (batch,), _ = problem.task(0)
    loop, meta = problem.loop(kind), problem.meta(kind)
    whole, half = (loop.step(meta, problem.model, batch, 1, scale) for scale in (1.0, 0.5))
    change = {name: whole[name] - problem.model[name] for name in whole}
    assert flatten(change).norm() > 0.01
    for name in whole:
        torch.testing.assert_close(half[name], problem.model[name] + 0.5 * change[name], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", [*DIFFERENTIABLE, "proximal"])
def test_a_scale_of_zero_leaves_a_task_where_it_is(kind: str) -> None:
    # of a proximal problem: a pull of 1e8 λ, which holds to a distance of about |∇L| / (1e8 λ)
    problem = PolicyProblem(1)
    (batch,), _ = problem.task(0)
    held = problem.loop(kind).step(problem.meta(kind), problem.model, batch, 0, 0.0)
    for name in held:
        torch.testing.assert_close(held[name], problem.model[name], rtol=0, atol=1e-7)


def test_first_order_is_the_gradient_with_the_inner_gradient_held() -> None:
    # θ' = θ − α g with g a constant that was computed beforehand
    problem = PolicyProblem(1)
    loop = problem.loop("first order")

    def held(meta: Params, constant: Params, query: Batch) -> torch.Tensor:
        return problem.inner_loss({name: meta[name] - LR * constant[name] for name in meta}, query)

    constants = vmap(grad(problem.inner_loss), in_dims=(None, 0))(problem.model, problem.support[0])
    expected, _ = meta_gradient(held, problem.model, constants, problem.query)
    actual, _ = meta_gradient(
        lambda meta, support, query: problem.inner_loss(loop.trail(meta, support)[-1], query),
        problem.model,
        problem.support,
        problem.query,
    )
    assert relative_difference(flatten(actual), flatten(expected)) < 1e-13
