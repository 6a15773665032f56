"""Meta-gradients against those of objectives that are known exactly: trajectories are enumerated, not sampled.

M tasks share states, actions and transitions, and differ in their rewards. The policy is a softmax of a linear function
of the state (one-hot); θ `[P]` is its weight `[A, S]` and its bias `[A]`. The exact side knows the process: all E
trajectories' probabilities and inner steps in closed form, and a policy's return by dynamic programming. It uses
neither autograd nor the package, and is differentiated by central differences.

Two objectives of θ, with `R(θ)` the expected return (averaged over tasks, here and below):

* of sampled inner steps: `J(θ) = Σ_τ P_θ(τ) R(θ'(θ, τ))`, where a round τ has one or two lanes. Its gradient has a term
  for P (the sampling) and one for θ' (the adaptation). The package sees an urn of tasks, in which every round is as
  frequent as it is probable: the policy and the process have probabilities in quarters.
* of expected inner steps: `J(θ) = R(θ + α ∇R(θ))`. The package sees all trajectories as lanes, and advantages carry
  their probabilities, as they do after adaptation in either case. They are discounted to the start.

The package's losses are means over T steps: `−T ·` a loss is a return, and α is `RATE / T`.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import descended, make

from metarl.algorithms.options import CreditOptions
from metarl.core.inner_step import for_tasks
from metarl.core.types import Batch, Params

M, S, A, P = 2, 2, 2, 6
DISCOUNT, RATE = 0.9, 3.0
RANDOM = torch.Generator().manual_seed(6)
MOVE = torch.tensor([[[0.25, 0.75], [0.5, 0.5]], [[0.75, 0.25], [0.0, 1.0]]], dtype=torch.float64)  # [S, A, S]
REWARD = torch.randn(M, S, A, generator=RANDOM, dtype=torch.float64)  # [M, S, A]
# The second action is log 3 more likely in state 0 and less likely in state 1: probabilities 3/4 and 1/4.
THETA = torch.tensor([0.1, -0.4, 0.6 + math.log(3), 0.1 - math.log(3), 0.3, -0.2], dtype=torch.float64)
OBJECTIVES = ["log_likelihood", "likelihood_ratio", "dice"]
METHODS = ["maml-trpo", "maml-ppo", "maml-vpg", "promp"]


def table(theta: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of actions `[..., S, A]` for θ `[..., P]`."""
    weight, bias = theta[..., : A * S].unflatten(-1, (A, S)), theta[..., A * S :]
    return torch.log_softmax(weight.mT + bias[..., None, :], dim=-1)


def scores(theta: torch.Tensor) -> torch.Tensor:
    """`∇ log π(a|s)` `[..., S, A, P]`: `1(b=a) − π(b|s)` for the bias of b, and for its weight of s."""
    bias = torch.eye(A, dtype=torch.float64) - table(theta).exp()[..., None, :]  # [..., S, A, A]
    weight = torch.einsum("...sab,sz->...sabz", bias, torch.eye(S, dtype=torch.float64))
    return torch.cat([weight.flatten(-2), bias], dim=-1)


def backwards_sum(values: torch.Tensor) -> torch.Tensor:
    return values.flip(-1).cumsum(dim=-1).flip(-1)


class Process:
    """All trajectories of `horizon` steps from state 0, whatever the task."""

    def __init__(self, horizon: int) -> None:
        paths = torch.tensor([path for path in itertools.product(range(S), range(A), repeat=horizon) if path[0] == 0])
        self.horizon = horizon
        self.states, self.actions = paths[:, 0::2], paths[:, 1::2]  # [E, T]
        self.moves = MOVE[self.states[:, :-1], self.actions[:, :-1], self.states[:, 1:]].prod(dim=-1)  # [E]
        discounts = DISCOUNT ** torch.arange(horizon, dtype=torch.float64)
        self.rewards = discounts * REWARD[:, self.states, self.actions]  # [M, E, T], discounted to the start
        self.to_go = backwards_sum(self.rewards)  # [M, E, T]

    def returns(self, theta: torch.Tensor) -> torch.Tensor:
        """Expected returns `[M, n]` of n policies `[M, n, P]` for every task, by dynamic programming."""
        value, policy = torch.zeros(*theta.shape[:-1], S, dtype=torch.float64), table(theta).exp()
        for _ in range(self.horizon):
            future = torch.einsum("saz,mnz->mnsa", MOVE, value)
            value = (policy * (REWARD[:, None] + DISCOUNT * future)).sum(dim=-1)
        return value[..., 0]

    def probabilities(self, theta: torch.Tensor) -> torch.Tensor:
        """Of all trajectories, `[..., E]`."""
        return table(theta)[..., self.states, self.actions].sum(dim=-1).exp() * self.moves

    def directions(self, theta: torch.Tensor, acted: torch.Tensor, objective: str) -> torch.Tensor:
        """Gradients `[M, E, P]` at θ `[M, P]` of what is to be climbed in a trajectory that `acted` `[M, P]` played.

        A score counts with the reward after it: as it is; times the probability ratio of its action; or times that
        of all actions until the reward (DiCE, loaded or not). All ratios are one where θ acted.
        """
        ratio = (table(theta) - table(acted))[:, self.states, self.actions].exp()  # [M, E, T]
        credit = {
            "log_likelihood": self.to_go,
            "likelihood_ratio": ratio * self.to_go,
            "dice": backwards_sum(ratio.cumprod(dim=-1) * self.rewards),
        }[objective]
        return torch.einsum("met,metp->mep", credit, scores(theta)[:, self.states, self.actions])

    def batch(self, acted: torch.Tensor, tasks: torch.Tensor, paths: torch.Tensor) -> Batch:
        """Trajectories `paths` `[N, lanes]` of `tasks` `[N]`, played by `acted` `[N, P]`."""
        states, actions = self.states[paths], self.actions[paths]  # [N, lanes, T]
        log_probability = table(acted)[torch.arange(len(acted))[:, None, None], states, actions]
        to_go, observation = self.to_go[tasks[:, None], paths], torch.eye(S, dtype=torch.float64)[states]
        return Batch(observation, actions, log_probability, to_go, to_go, torch.ones_like(to_go))

    def everything(self, acted: torch.Tensor, tasks: torch.Tensor, baseline: torch.Tensor | float = 0.0) -> Batch:
        """All trajectories, weighted so that means over lanes are expectations; advantages less a baseline `[E, T]`."""
        batch = self.batch(acted, tasks, torch.arange(len(self.states)).expand(len(acted), -1))
        weights = len(self.states) * self.probabilities(acted)[..., None]
        return batch._replace(advantage=weights * (batch.advantage - baseline), return_=weights * batch.return_)


def central_differences(function: Callable[[torch.Tensor], torch.Tensor], step: float = 1e-5) -> torch.Tensor:
    """The gradient at THETA, `[P]` (or of a vector, `[P, ...]`)."""
    changes = step * torch.eye(P, dtype=torch.float64)
    return torch.stack([(function(THETA + change) - function(THETA - change)) / (2 * step) for change in changes])


def relative_difference(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


def parameters(theta: torch.Tensor) -> Params:
    """θ as the package names it."""
    return {"body.layers.0.weight": theta[: A * S].reshape(A, S), "body.layers.0.bias": theta[A * S :]}


def gradient_of(name: str, process: Process, support: tuple[Batch, ...], query: Batch, **options: Any) -> torch.Tensor:
    """What a method takes for the gradient of the return after adaptation, at THETA, `[P]`."""
    algorithm = make(name, Discrete(A), hidden=(), inner_steps=len(support), inner_lr=RATE, **options)
    params = parameters(THETA)
    gradient = descended(algorithm, params, support, query, penalty=0.0)
    return -process.horizon * torch.cat([gradient[key].flatten() for key in params])


@pytest.mark.parametrize("horizon", [2, 3])
def test_the_enumeration_agrees_with_dynamic_programming(horizon: int) -> None:
    process, theta = Process(horizon), THETA.expand(M, P)
    probabilities = process.probabilities(theta)  # [M, E]
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(M, dtype=torch.float64))
    torch.testing.assert_close((probabilities * process.to_go[..., 0]).sum(-1), process.returns(theta[:, None])[:, 0])
    steps = (probabilities[..., None] * process.directions(theta, theta, "dice")).sum(1)
    exact = central_differences(lambda theta: process.returns(theta.expand(M, 1, P))[:, 0])  # [P, M]
    torch.testing.assert_close(steps, exact.T, rtol=1e-8, atol=1e-9)


class Sampled:
    """Inner steps on a round of so many lanes: what is exact, and the urn that shows it to the package."""

    def __init__(self, objective: str = "log_likelihood", lanes: int = 1) -> None:
        self.process, self.objective, self.lanes = Process(horizon=2), objective, lanes
        self.rounds = torch.tensor(list(itertools.product(range(len(self.process.moves)), repeat=lanes)))  # [C, lanes]

    def adapted(self, theta: torch.Tensor) -> torch.Tensor:
        """After a step on every round, as THETA played it, `[M, C, P]`."""
        at, acted = theta.expand(M, P), THETA.expand(M, P)
        directions = self.process.directions(at, acted, self.objective)[:, self.rounds].mean(dim=2)
        return theta + RATE / self.process.horizon * directions

    def probabilities(self, theta: torch.Tensor) -> torch.Tensor:
        """Of the rounds, `[C]`."""
        return self.process.probabilities(theta)[self.rounds].prod(dim=-1)

    def value(self, sampling: torch.Tensor, stepping: torch.Tensor) -> torch.Tensor:
        """The return after adaptation, where one policy samples the rounds and another one is adapted."""
        return (self.probabilities(sampling) * self.process.returns(self.adapted(stepping))).sum(dim=-1).mean()

    def spread(self) -> float:
        """The standard deviation of the adapted policies' expected returns over the urn's tasks."""
        returns, probabilities = self.process.returns(self.adapted(THETA)), self.probabilities(THETA) / M
        return float((probabilities * (returns - (probabilities * returns).sum()) ** 2).sum().sqrt())

    def urn(self) -> tuple[tuple[Batch], Batch]:
        """Support and query: every round as often as it is probable in 64 of one lane, or 64² of two, for each task."""
        # A trajectory has three probabilities in quarters: of the first action, the second state, the second action.
        counts = 64**self.lanes * self.probabilities(THETA)
        torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-9)
        draws = torch.arange(len(self.rounds)).repeat_interleave(counts.round().long()).repeat(M)  # [N]
        tasks = torch.arange(M).repeat_interleave(len(draws) // M)  # [N]
        adapted = self.adapted(THETA)[tasks, draws]  # [N, P]
        support = self.process.batch(THETA.expand(len(draws), P), tasks, self.rounds[draws])
        return (support,), self.process.everything(adapted, tasks)

    def gradient(self, name: str, **options: Any) -> torch.Tensor:
        """What a method takes for the gradient, `[P]`."""
        return gradient_of(name, self.process, *self.urn(), inner_objective=self.objective, **options)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", METHODS)
def test_the_meta_gradient_is_that_of_adaptation_to_data_as_it_is(name: str, objective: str) -> None:
    problem = Sampled(objective)
    exact = central_differences(lambda theta: problem.value(THETA, theta))
    assert relative_difference(problem.gradient(name), exact) < 1e-8


@pytest.mark.parametrize("lanes", [1, 2])
def test_the_credit_of_emaml_is_the_gradient_of_sampling(lanes: int) -> None:
    # Of weight as many as a round has steps in all lanes. Credit is normalised: its unit is the spread of returns, and
    # what is subtracted from it does not matter, as E[∇ log P(τ)] = 0.
    problem = Sampled(lanes=lanes)
    support, query = problem.urn()
    steps = float(lanes * problem.process.horizon)
    algorithm = make("e-maml", Discrete(A), hidden=(), sampling_credit=steps, inner_lr=RATE)
    loss = torch.func.grad(lambda theta: algorithm.outer.sampling_loss(parameters(theta), support, query))
    exact = central_differences(lambda theta: problem.value(theta, THETA))
    assert relative_difference(-problem.spread() * loss(THETA), exact) < 1e-8


@pytest.mark.parametrize("lanes", [1, 2])
def test_emaml_has_the_whole_gradient_and_maml_a_part(lanes: int) -> None:
    # The outer loss is a mean over steps, 1/T of the return: the weight is the number of lanes, and not of all steps.
    # Times the spread of returns, as advantages are not normalised here.
    problem = Sampled(lanes=lanes)
    exact = central_differences(lambda theta: problem.value(theta, theta))
    whole = problem.gradient("e-maml", sampling_credit=lanes * problem.spread())
    assert relative_difference(whole, exact) < 1e-8
    assert relative_difference(problem.gradient("maml-trpo"), exact) > 0.1


@pytest.mark.parametrize("objective", ["likelihood_ratio", "dice"])
def test_emaml_would_count_the_sampling_twice_with_a_curvature_that_counts_it_too(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which is why it refuses these objectives.
    monkeypatch.setattr(CreditOptions, "require", lambda config: None)
    # All objectives take the same on-policy step, so J is the same.
    problem, plain = Sampled(objective), Sampled("log_likelihood")
    torch.testing.assert_close(problem.adapted(THETA), plain.adapted(THETA))
    exact = central_differences(lambda theta: plain.value(theta, theta))
    assert relative_difference(problem.gradient("e-maml", sampling_credit=problem.spread()), exact) > 0.1


class Expected:
    """Inner steps on all trajectories at once."""

    def __init__(self, objective: str, steps: int = 1) -> None:
        self.process, self.objective, self.steps = Process(horizon=3), objective, steps

    def gradients(self, theta: torch.Tensor) -> torch.Tensor:
        """`∇R(θ)` `[M, P]` at θ `[M, P]`, by the policy gradient theorem."""
        directions = self.process.directions(theta, theta, "log_likelihood")
        return (self.process.probabilities(theta)[..., None] * directions).sum(dim=1)

    def way(self, theta: torch.Tensor) -> list[torch.Tensor]:
        """What is in force in every round and after the last one, `[M, P]` each."""
        way = [theta.expand(M, P)]
        for _ in range(self.steps):
            way.append(way[-1] + RATE / self.process.horizon * self.gradients(way[-1]))
        return way

    def value(self, theta: torch.Tensor) -> torch.Tensor:
        """The return after adaptation."""
        return self.process.returns(self.way(theta)[-1][:, None]).mean()

    def gradient(self, name: str, baseline: torch.Tensor | float = 0.0) -> torch.Tensor:
        """What a method takes for the gradient, `[P]`."""
        *rounds, last = self.way(THETA)
        support = tuple(self.process.everything(theta, torch.arange(M), baseline) for theta in rounds)
        query = self.process.everything(last, torch.arange(M), baseline)
        return gradient_of(name, self.process, support, query, inner_objective=self.objective)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_with_dice_the_meta_gradient_of_expected_steps_is_exact(name: str, steps: int) -> None:
    # With any baseline of state and time.
    problem, exact = Expected("dice", steps), central_differences(Expected("dice", steps).value)
    values = torch.randn(3, S, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for baseline in (0.0, 3 * values[torch.arange(3), problem.process.states]):
        assert relative_difference(problem.gradient(name, baseline), exact) < 1e-8


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("objective", ["log_likelihood", "likelihood_ratio"])
def test_the_other_objectives_lack_products_of_scores(name: str, objective: str) -> None:
    # ∇²R = E[Σ_t r_t (Σ_{s≤t} ∇² log π_s + Σ_{s≤t} Σ_{u≤t} ∇ log π_s ∇ log π_uᵀ)], and of the double sum
    # the log-likelihood has nothing, and the likelihood ratio (ProMP's) all s = u but no two different steps.
    problem = Expected(objective)
    process, adapted = problem.process, problem.way(THETA)[-1]
    score = scores(THETA)[process.states, process.actions]  # [E, T, P]
    until = score.cumsum(dim=1)
    products = torch.einsum("etp,etq->etpq", until, until)
    if objective == "likelihood_ratio":
        products = products - torch.einsum("etp,etq->etpq", score, score).cumsum(dim=1)
    lacking = torch.einsum("e,met,etpq->mpq", process.probabilities(THETA), process.rewards, products)
    missed = RATE / process.horizon * torch.einsum("mpq,mq->mp", lacking, problem.gradients(adapted)).mean(dim=0)
    exact, ours = central_differences(problem.value), problem.gradient(name)
    assert relative_difference(ours + missed, exact) < 1e-8
    assert relative_difference(ours, exact) > 0.05


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("steps", [1, 2])
def test_fomaml_has_the_gradient_at_the_adapted_policy(steps: int, objective: str) -> None:
    problem = Expected(objective, steps)
    exact = problem.gradients(problem.way(THETA)[-1]).mean(dim=0)
    assert relative_difference(problem.gradient("fomaml"), exact) < 1e-12
    assert relative_difference(exact, central_differences(problem.value)) > 0.1


@pytest.mark.parametrize("name", ["maml-ppo", "promp"])
def test_after_the_first_epoch_steps_on_the_old_round_are_those_of_the_policy_in_force(name: str) -> None:
    # From the second of several epochs on, the initial policy is another one than the one that sampled the round:
    # THETA there, `moved` in force. With one decision a trajectory, weighing it with its action's ratio is exact.
    # With three, the ratio of an action does not know how likely it has become to get there (nor does a later one), as
    # in PPO's own objective: an error remains, of the same order, that is smaller. The log-likelihood knows nothing.
    moved = THETA + 0.4 * torch.randn(P, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = {}
    for horizon in (1, 3):
        problem = Expected("likelihood_ratio")
        problem.process = process = Process(horizon)
        exact = problem.gradients(moved.expand(M, P))  # of the return, at `moved`
        round_ = process.everything(THETA.expand(M, P), torch.arange(M))
        for chosen in ({}, {"inner_objective": "log_likelihood"}):
            algorithm = make(name, Discrete(A), hidden=(), **chosen)
            slope = for_tasks(torch.func.grad(algorithm.learned.inner_loss), shared=[0])(parameters(moved), round_)
            ours = -horizon * torch.cat([value.flatten(1) for value in slope.values()], dim=1)
            errors[horizon, bool(chosen)] = relative_difference(ours, exact)
    assert errors[1, False] < 1e-12 and errors[1, True] > 0.1
    assert errors[3, False] < 0.5 * errors[3, True] and errors[3, True] > 0.1
