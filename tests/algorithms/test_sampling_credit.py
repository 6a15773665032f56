"""E-MAML's sampling loss and its place in the update; that it is exact in expectation: test_exact_objectives.py."""

import math

import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import N, copies, doubled, make, navigate, same, tensors
from torch.distributions import Independent, Normal
from torch.func import functional_call, grad

from metarl.core.inner_step import for_tasks
from metarl.core.types import Batch, Params
from metarl.runtime.randomness import Address

START, UPDATE = Address(0), Address(2)


def problem(inner_steps: int = 1, credit: float = 3.0):
    """In double: a method, its meta-parameters, and the batches of a trial with episodes of different lengths."""
    algorithm = make("e-maml", inner_lr=0.3, inner_steps=inner_steps, sampling_credit=credit)
    state = algorithm.initial_state(START)
    support, query = doubled(algorithm.learned.batches(navigate(algorithm, state), state, algorithm.steps))
    assert not support[0].mask.all()
    # exactly on-policy, which single precision was only nearly
    own = algorithm.learned.distribution(doubled(state["policy"]), support[0]).log_probability(support[0].action)
    return algorithm, doubled(state["policy"]), (support[0]._replace(log_probability=own), *support[1:]), query


def credits(query: Batch) -> torch.Tensor:
    """Every task's mean return less the mean of them, over their standard deviation."""
    returns = torch.stack([query.return_[n, query.mask[n, :, 0] == 1, 0].mean() for n in range(N)])
    assert returns.std() > 0.1
    return (returns - returns.mean()) / returns.std(correction=0)


def credited_scores(algorithm, params: Params, batch: Batch, credit: torch.Tensor) -> Params:
    """`mean_n credit_n · mean ∇ log π` over the valid steps, with torch's own distributions, task by task."""
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    for number in range(N):
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        mean, log_std = functional_call(algorithm.learned.model, leaves, (batch.observation[number],))
        log_probability = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1).log_prob(batch.action[number])
        gradients = torch.autograd.grad(log_probability[batch.mask[number] == 1].mean(), list(leaves.values()))
        for name, gradient in zip(params, gradients, strict=True):
            total[name] += credit[number] * gradient / N
    return total


def test_the_sampling_loss_by_hand() -> None:
    # Three tasks, two lanes, two steps; the policy is uniform over two actions (log π = −log 2).
    #   returns: lanes (1, 3) -> 2; (4, –) -> 4, as the other lane diverged; (9, 9) -> 9
    #   their mean is 5 and their variance (3² + 1² + 4²) / 3 = 26/3: credit (−3, −1, 4) / √(26/3)
    #   mean ratios: (2 + 1 + 1 + 4) / 4 = 2; (½ + 1) / 2 = ¾, the diverged lane left out; (1 + 3 + 5) / 3 = 3, as the
    #   last step was not played
    # Loss: −weight · (−3 · 2 − 1 · ¾ + 4 · 3) / 3 / √(26/3) = −weight · 1.75 / √(26/3)
    ratios = torch.tensor([[[2, 1], [1, 4]], [[0.5, 1], [7, 7]], [[1, 3], [5, 7]]], dtype=torch.float64)
    played = torch.tensor([[[1, 1], [1, 1]], [[1, 1], [0, 0]], [[1, 1], [1, 0]]], dtype=torch.float64)
    returns = torch.tensor([[[1, 50], [3, 50]], [[4, 50], [100, 50]], [[9, 50], [9, 50]]], dtype=torch.float64)
    algorithm = make("e-maml", Discrete(2), hidden=(), sampling_credit=6.0)
    params = {"body.layers.0.weight": torch.zeros(2, 2).double(), "body.layers.0.bias": torch.zeros(2).double()}
    action, nothing = torch.ones(3, 2, 2, dtype=torch.int64), torch.full((3, 2, 2), torch.nan, dtype=torch.float64)
    observation = torch.ones(3, 2, 2, 2, dtype=torch.float64)
    support = Batch(observation, action, -math.log(2) - ratios.log(), nothing, nothing, played)
    query = Batch(observation, action, nothing, nothing, returns, played)
    loss = algorithm.outer.sampling_loss(params, (support,), query)
    assert math.isclose(loss, -6 * 1.75 / math.sqrt(26 / 3), rel_tol=1e-12)


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_at_the_sampling_parameters_its_gradient_is_the_scores_of_the_first_round_times_credit(
    inner_steps: int,
) -> None:
    algorithm, params, support, query = problem(inner_steps, credit=3.0)
    gradient = grad(algorithm.outer.sampling_loss)(params, support, query)
    expected = credited_scores(algorithm, params, support[0], credits(query))
    for name in params:
        torch.testing.assert_close(gradient[name], -3 * expected[name], rtol=1e-10, atol=1e-12)
        assert gradient[name].norm() > 1e-3
    assert abs(algorithm.outer.sampling_loss(params, support, query)) < 1e-12  # ratios are 1, and credits sum to 0


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_meta_gradient_is_that_of_maml_and_the_sampling_term(inner_steps: int) -> None:
    algorithm, params, support, query = problem(inner_steps, credit=3.0)
    maml = make("maml-trpo", inner_lr=0.3, inner_steps=inner_steps)
    ours, theirs = (
        a.outer.gradient(params, a.inner.adaptation(params, support, N), support, query) for a in (algorithm, maml)
    )
    owed = credited_scores(algorithm, params, support[0], credits(query))
    for name in params:
        torch.testing.assert_close(ours[0][name], theirs[0][name] - 3 * owed[name], rtol=0, atol=1e-10)
    assert ours[1] == pytest.approx(theirs[1], abs=1e-12)


def test_what_the_line_search_compares_has_this_gradient() -> None:
    # Off the parameters that sampled, along 5 random directions, by central differences.
    algorithm, sampled, support, query = problem(credit=3.0)
    random, step = torch.Generator().manual_seed(0), 1e-5

    def direction() -> Params:
        return {k: torch.randn(v.shape, generator=random, dtype=torch.float64) for k, v in sampled.items()}

    def moved(params: Params, along: Params, length: float) -> Params:
        return {name: params[name] + length * along[name] for name in params}

    before = for_tasks(algorithm.learned.distribution)(algorithm.adapted(sampled, support, None), query)

    def meta_loss(params: Params) -> torch.Tensor:
        return algorithm.outer.loss_and_kl(params, support, query, before)[0]

    params = moved(sampled, direction(), 0.1)
    gradient, value = algorithm.outer.gradient(params, algorithm.inner.adaptation(params, support, N), support, query)
    assert value == pytest.approx(float(meta_loss(params)), abs=1e-12)
    assert abs(algorithm.outer.sampling_loss(params, support, query)) > 1e-2
    for _ in range(5):
        along = direction()
        slope = (meta_loss(moved(params, along, step)) - meta_loss(moved(params, along, -step))) / (2 * step)
        ours = sum((gradient[name] * along[name]).sum() for name in params)
        torch.testing.assert_close(ours, slope, rtol=1e-6, atol=1e-8)


def test_without_credit_it_is_maml() -> None:
    emaml, maml = make("e-maml", sampling_credit=0.0, inner_lr=0.3), make("maml-trpo", inner_lr=0.3)
    state = maml.initial_state(START)
    trial = navigate(maml, state)
    (ours, our_metrics), (theirs, their_metrics) = (a.update(state, trial, UPDATE) for a in (emaml, maml))
    assert same(tensors(ours), tensors(theirs)) and not same(tensors(ours), tensors(state))
    assert our_metrics == their_metrics


def test_an_update_with_credit_goes_its_own_way_down_the_meta_loss() -> None:
    emaml, maml = make("e-maml", sampling_credit=6.0, inner_lr=0.3), make("maml-trpo", inner_lr=0.3)
    state = maml.initial_state(START)
    trial, before = navigate(maml, state), copies(state)
    (ours, metrics), (theirs, _) = (a.update(state, trial, UPDATE) for a in (emaml, maml))
    assert same(before, copies(state)) and not same(tensors(ours), tensors(theirs))
    support, query = emaml.learned.batches(trial, state, maml.steps)
    values = []
    for params in (state["policy"], ours["policy"]):
        adapted = emaml.adapted(params, support, None)
        outer = torch.stack([emaml.outer.outer_loss(*own(number, adapted, query)) for number in range(N)]).mean()
        values.append(float(outer + emaml.outer.sampling_loss(params, support, query)))
    assert metrics["update/loss_before"] == pytest.approx(values[0], abs=1e-5)
    assert metrics["update/loss"] == pytest.approx(values[1], abs=1e-5)
    assert metrics["update/accepted"] == 1 and values[1] < values[0] - 1e-3


def own(number: int, adapted: Params, query: Batch) -> tuple[Params, Batch]:
    """One task's parameters and batch."""
    return {name: value[number] for name, value in adapted.items()}, Batch(*(field[number] for field in query))


def test_tasks_that_fare_alike_owe_nothing() -> None:
    # Returns without spread: no credit to share out, and nothing that is not finite.
    algorithm, params, support, query = problem()
    alike = query._replace(return_=torch.full_like(query.return_, 2.0))
    gradient = grad(algorithm.outer.sampling_loss)(params, support, alike)
    assert all(not value.any() for value in gradient.values())
