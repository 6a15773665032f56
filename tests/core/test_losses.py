"""Objectives: hand-derived numbers, and expected derivatives against the exact ones of a Markov decision process.

The process has 3 states, 2 actions and 3 steps, so all of its 216 trajectories are enumerated with their
probabilities. The policy is a table of logits `[S, A]`. A batch has one lane for each trajectory, and its advantages
carry the trajectory's probability, so that a loss is an expectation instead of an estimate.
"""

import itertools
import math

import pytest
import torch
from support.problems import relative_difference
from torch.func import grad, jacrev

from metarl.core.distributions import Categorical, Gaussian
from metarl.core.losses import (
    clipped_loss,
    dice_loss,
    likelihood_ratio_loss,
    log_likelihood_loss,
    log_ratio,
    masked_mean,
)
from metarl.core.types import Batch

S, A, T, DISCOUNT = 3, 2, 3, 0.9
RANDOM = torch.Generator().manual_seed(0)
START = torch.softmax(torch.randn(S, generator=RANDOM, dtype=torch.float64), dim=-1)  # [S]
MOVE = torch.softmax(torch.randn(S, A, S, generator=RANDOM, dtype=torch.float64), dim=-1)  # [S, A, S]
REWARD = torch.randn(S, A, generator=RANDOM, dtype=torch.float64)  # [S, A]
LOGITS = torch.randn(S, A, generator=RANDOM, dtype=torch.float64)  # [S, A]

TRAJECTORIES = torch.tensor(list(itertools.product(range(S), range(A), repeat=T)))  # [E, 2T]
STATES, ACTIONS = TRAJECTORIES[:, 0::2], TRAJECTORIES[:, 1::2]  # [E, T]
E = len(TRAJECTORIES)
DISCOUNTS = DISCOUNT ** torch.arange(T, dtype=torch.float64)  # [T]
REWARDS = DISCOUNTS * REWARD[STATES, ACTIONS]  # [E, T], discounted to the start


def values(logits: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """By dynamic programming: V_t(s) `[S]` and Q_t(s, a) `[S, A]` for every t."""
    value, V, Q = torch.zeros(S, dtype=torch.float64), [], []
    for _ in range(T):
        action_value = REWARD + DISCOUNT * MOVE @ value
        value = (torch.softmax(logits, dim=-1) * action_value).sum(dim=-1)
        V, Q = [value, *V], [action_value, *Q]
    return V, Q


def expected_return(logits: torch.Tensor) -> torch.Tensor:
    return START @ values(logits)[0][0]


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Of every trajectory, `[E]`."""
    policy = torch.softmax(logits, dim=-1)[STATES, ACTIONS].prod(dim=-1)
    return START[STATES[:, 0]] * policy * MOVE[STATES[:, :-1], ACTIONS[:, :-1], STATES[:, 1:]].prod(dim=-1)


def batch(advantage: torch.Tensor) -> Batch:
    """All trajectories with advantages `[E, T]`, weighted so that `−T · loss` is an expectation over them."""
    weights = E * probabilities(LOGITS)[:, None]
    acted = Categorical(LOGITS[STATES]).log_probability(ACTIONS)
    ones = torch.ones(E, T, dtype=torch.float64)
    return Batch(STATES, ACTIONS, acted, weights * advantage, ones, ones)


def objective(loss, advantage: torch.Tensor):
    """`logits -> −T · loss`."""
    data = batch(advantage)
    return lambda logits: -T * loss(Categorical(logits[data.observation]), data)


REWARD_TO_GO = REWARDS.flip(-1).cumsum(dim=-1).flip(-1)
OBJECTIVES = {
    "log-likelihood": objective(log_likelihood_loss, REWARD_TO_GO),
    "likelihood ratio": objective(likelihood_ratio_loss, REWARD_TO_GO),
    "DiCE": objective(dice_loss, REWARD_TO_GO),
}


def advantages() -> torch.Tensor:
    """`γ^t (Q_t − V_t)` along every trajectory, `[E, T]`."""
    V, Q = (torch.stack(x) for x in values(LOGITS))
    time = torch.arange(T)
    return DISCOUNTS * (Q[time, STATES, ACTIONS] - V[time, STATES])


def hessian(function) -> torch.Tensor:
    return jacrev(jacrev(function))(LOGITS).reshape(S * A, S * A)


def test_the_enumeration_is_complete() -> None:
    p = probabilities(LOGITS)
    assert E == 216 and math.isclose(p.sum(), 1, rel_tol=1e-12)
    torch.testing.assert_close((p[:, None] * REWARDS).sum(), expected_return(LOGITS), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_expected_gradient_is_that_of_the_return(name: str) -> None:
    assert relative_difference(grad(OBJECTIVES[name])(LOGITS), grad(expected_return)(LOGITS)) < 1e-12


def test_the_expected_second_derivative_of_dice_is_that_of_the_return() -> None:
    assert relative_difference(hessian(OBJECTIVES["DiCE"]), hessian(expected_return)) < 1e-12


@pytest.mark.parametrize("name", ["log-likelihood", "likelihood ratio"])
def test_the_other_second_derivatives_are_biased(name: str) -> None:
    assert relative_difference(hessian(OBJECTIVES[name]), hessian(expected_return)) > 0.1


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_dice_has_both_derivatives_of_the_return_for_any_baseline(seed: int | None) -> None:
    # With exact values by the performance difference lemma too; with others as E[ratio of an action | state] = 1.
    advantage = advantages()
    if seed is not None:
        baseline = 3 * torch.randn(T, S, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        advantage = REWARD_TO_GO - DISCOUNTS * baseline[torch.arange(T), STATES]
    of_advantages = objective(dice_loss, advantage)
    assert relative_difference(grad(of_advantages)(LOGITS), grad(expected_return)(LOGITS)) < 1e-12
    assert relative_difference(hessian(of_advantages), hessian(expected_return)) < 1e-12


def test_dice_is_the_change_of_the_return_wherever_the_policy_is() -> None:
    other = LOGITS + torch.randn(S, A, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    change = expected_return(other) - expected_return(LOGITS)
    torch.testing.assert_close(OBJECTIVES["DiCE"](other), change, rtol=1e-10, atol=0)
    assert OBJECTIVES["DiCE"](LOGITS) == 0


def steps(ratio: list[float], advantage: list[float], mask: list[float]) -> tuple[Gaussian, Batch]:
    """A standard normal policy, and one lane of steps to which it gives `ratio` times the probability that acted."""
    size = len(ratio)
    distribution = Gaussian(torch.zeros(1, size, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    action = torch.arange(1, size + 1, dtype=torch.float64).reshape(1, size, 1)
    acted = distribution.log_probability(action) - torch.tensor([ratio], dtype=torch.float64).log()
    facts = [torch.tensor([values], dtype=torch.float64) for values in (advantage, mask)]
    return distribution, Batch(action, action, acted, facts[0], facts[0], facts[1])


def test_losses_by_hand() -> None:
    # Ratios (2, ½), advantages (3, −4); a third step was not played. log π(a) = −a²/2 − log(2π)/2 at a = 1, 2:
    #   log-likelihood: −[3 · (−½ − c) − 4 · (−2 − c)] / 2 = −(6.5 + c) / 2 with c = log(2π)/2
    #   likelihood ratio: −[2 · 3 + ½ · (−4)] / 2 = −2
    #   DiCE: products of ratios are 1, 2, 2 · ½ = 1: −[(2 − 1) · 3 + (1 − 2) · (−4)] / 2 = −3.5
    data = steps([2.0, 0.5, 5.0], [3.0, -4.0, 100.0], [1.0, 1.0, 0.0])
    assert math.isclose(log_likelihood_loss(*data), -(6.5 + math.log(2 * math.pi) / 2) / 2)
    assert math.isclose(likelihood_ratio_loss(*data), -2)
    assert math.isclose(dice_loss(*data), -3.5)
    torch.testing.assert_close(log_ratio(*data).exp(), torch.tensor([[2, 0.5, 1]], dtype=torch.float64))


@pytest.mark.parametrize(
    "ratio, advantage, objective",
    [
        # min(ratio · A, clip(ratio, 0.8, 1.2) · A)
        (1.0, 5.0, 5.0),
        (2.0, 5.0, 6.0),  # no credit beyond 1.2
        (0.5, 5.0, 2.5),  # full blame below 0.8
        (2.0, -5.0, -10.0),  # full blame beyond 1.2
        (0.5, -5.0, -4.0),  # no credit below 0.8
        (1.1, -5.0, -5.5),
    ],
)
def test_the_clipped_objective_is_the_lower_bound(ratio: float, advantage: float, objective: float) -> None:
    data = steps([ratio, 3.0], [advantage, 100.0], [1.0, 0.0])
    assert math.isclose(clipped_loss(*data, clip=0.2), -objective, rel_tol=1e-12)


def test_a_mean_over_no_steps_is_zero() -> None:
    assert masked_mean(torch.ones(2, 3), torch.zeros(2, 3)) == 0
    assert masked_mean(torch.tensor([[1.0, 5.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]])) == 3
