"""Reptile: its direction against the closed form on quadratic tasks and against steps by autograd."""

import numpy as np
import torch
from support.trials import N, doubled, imagine, make
from torch.distributions import Independent, Normal
from torch.func import functional_call

from metarl.core.inner_loops import GradientSteps
from metarl.core.types import Batch, Params
from metarl.runtime.randomness import Address

LR = 0.1


def quadratic_loss(params: Params, batch: Batch) -> torch.Tensor:
    """`½ (θ − c)ᵀ A (θ − c)`; a batch holds A as observations and c as actions."""
    away = params["x"] - batch.action
    return 0.5 * away @ batch.observation @ away


def test_quadratic_tasks_have_the_closed_form_direction() -> None:
    # A step takes θ − c to (I − αA)(θ − c), so θ − θ'_K = (I − (I − αA)^K) (θ − c).
    random = np.random.default_rng(0)
    factors = random.normal(size=(N, 4, 4))
    A, c, theta = factors @ factors.transpose(0, 2, 1) / 4, random.normal(size=(N, 4)), random.normal(size=4)
    algorithm = make("reptile", hidden=())
    algorithm.inner = GradientSteps(quadratic_loss, LR, first_order=True)
    empty = torch.zeros(N, dtype=torch.float64)
    batch = Batch(torch.from_numpy(A), torch.from_numpy(c), empty, empty, empty, empty)
    for steps in (1, 2, 3):
        direction = algorithm.outer.direction({"x": torch.from_numpy(theta)}, (batch,) * (steps - 1), batch)["x"]
        shrink = [np.linalg.matrix_power(np.eye(4) - LR * A[n], steps) for n in range(N)]
        expected = np.mean([(np.eye(4) - shrink[n]) @ (theta - c[n]) for n in range(N)], axis=0)
        np.testing.assert_allclose(direction.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_the_update_steps_against_where_all_rounds_lead() -> None:
    # K + 1 = 3 steps by autograd, each on a round of its own, the last on the one after adaptation. Adam's first step
    # is −lr · sign(direction), wherever the direction is well above its 1e-8.
    algorithm = make("reptile", inner_steps=2, inner_lr=LR, learning_rate=0.01)
    state = algorithm.initial_state(Address(0))
    trial = imagine(algorithm, state)
    support, query = doubled(algorithm.learned.batches(trial, state, algorithm.steps))
    policy: Params = doubled(state["policy"])
    direction = {name: torch.zeros_like(value) for name, value in policy.items()}
    for number in range(N):
        params = policy
        for batch in (*support, query):
            own = Batch(*(field[number] for field in batch))
            leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
            mean, log_std = functional_call(algorithm.learned.model, leaves, (own.observation,))
            log_probability = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1).log_prob(own.action)
            loss = -(log_probability * own.advantage * own.mask).sum() / own.mask.sum()
            gradients = torch.autograd.grad(loss, list(leaves.values()))
            params = {name: params[name] - LR * value for name, value in zip(params, gradients, strict=True)}
        direction = {name: direction[name] + (policy[name] - params[name]) / N for name in params}
    found = algorithm.outer.direction(policy, support, query)
    updated, _ = algorithm.update(state, trial, Address(2))
    for name, value in direction.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-13)
        clear = value.abs() > 1e-3
        step = (updated["policy"][name] - state["policy"][name])[clear]
        assert clear.any()
        torch.testing.assert_close(step, -0.01 * value[clear].sign().float(), rtol=1e-2, atol=0)
