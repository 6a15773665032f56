"""The baselines: one policy for all tasks against TRPO written out with matrices, and one that never learns."""

from typing import Any

import pytest
import torch
from support.trials import ADDRESSES, E, N, copies, doubled, imagine, make, navigate, same, tensors
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import functional_call

from metarl.algorithms import algorithm_class, config_class, names_for
from metarl.core.types import Batch, Params, Trial
from metarl.runtime.randomness import Address

START, UPDATE = Address(0), Address(2)
BASELINES = pytest.mark.parametrize("name", ["random-init", "multitask", "oracle"])
ONE_POLICY = pytest.mark.parametrize("name", ["multitask", "oracle"])
# With so much damping the conjugate gradient is the exact solution, up to rounding.
EXACT = {"cg_damping": 0.1, "cg_iterations": 200, "curvature_share": 1.0, "max_kl": 0.02}


def problem(name: str, **options: Any) -> tuple[Any, Any, Trial]:
    """A method, its first state and a trial, in double precision."""
    algorithm = make(name, **options)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    return algorithm, doubled(state), Trial([doubled(rollout) for rollout in trial.rollouts])


def vector(params: Params) -> torch.Tensor:
    return torch.cat([value.flatten() for value in params.values()])


def params_of(flat: torch.Tensor, like: Params) -> Params:
    parts = flat.split([value.numel() for value in like.values()])
    return {name: part.reshape(value.shape) for (name, value), part in zip(like.items(), parts, strict=True)}


class Written:
    """TRPO on all tasks' data at once (Schulman et al. 2015), with torch's distributions and a Fisher matrix."""

    def __init__(self, algorithm: Any, policy: Params, query: Batch) -> None:
        self.network, self.like, self.query = algorithm.learned.model, policy, query
        # The mean over tasks of means over their steps: a weight for every step.
        self.weight = (query.mask / query.mask.sum(dim=(1, 2), keepdim=True) / N).flatten()
        self.old = self.policy(vector(policy))

    def policy(self, flat: torch.Tensor) -> Independent:
        mean, log_std = functional_call(self.network, params_of(flat, self.like), (self.query.observation,))
        return Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)

    def loss(self, flat: torch.Tensor) -> torch.Tensor:
        ratio = (self.policy(flat).log_prob(self.query.action) - self.query.log_probability).exp()
        return -(self.weight * (ratio * self.query.advantage).flatten()).sum()

    def kl(self, flat: torch.Tensor) -> torch.Tensor:
        return (self.weight * kl_divergence(self.old, self.policy(flat)).flatten()).sum()

    def fisher(self, flat: torch.Tensor) -> torch.Tensor:
        """Of a Gaussian: `E[∇μᵀ diag(1/σ²) ∇μ]`, and `2 ∇log σᵀ ∇log σ`."""
        matrix = torch.zeros(len(flat), len(flat), dtype=flat.dtype)
        means = torch.autograd.functional.jacobian(lambda x: self.policy(x).mean.flatten(0, 2), flat)  # [B, A, P]
        for scaled, weight in zip(means / self.old.stddev.flatten(0, 2)[..., None], self.weight, strict=True):
            matrix += weight * scaled.T @ scaled
        log_std = [name for name, value in self.like.items() for _ in range(value.numel()) if name == "log_std"]
        start = [name for name, value in self.like.items() for _ in range(value.numel())].index("log_std")
        for number in range(start, start + len(log_std)):
            matrix[number, number] += 2.0
        return matrix

    def update(self, config: Any) -> torch.Tensor:
        flat = vector(self.like)
        gradient = torch.autograd.functional.jacobian(self.loss, flat)
        matrix = self.fisher(flat) + config.cg_damping * torch.eye(len(flat), dtype=flat.dtype)
        direction = torch.linalg.solve(matrix, gradient)
        step = -direction * (2 * config.max_kl / (direction @ matrix @ direction)).sqrt()
        for attempt in range(config.max_backtracks):
            candidate = flat + config.backtrack_ratio**attempt * step
            if self.kl(candidate) <= config.max_kl and self.loss(candidate) < self.loss(flat):
                return candidate
        raise AssertionError("no step improves")


@ONE_POLICY
def test_an_update_of_one_policy_for_all_tasks_is_a_trpo_step_on_all_their_data(name: str) -> None:
    algorithm, state, trial = problem(name, **EXACT)
    updated, metrics = algorithm.update(state, trial, UPDATE)
    (query,) = (algorithm.learned.batch(rollout) for rollout in trial.rollouts)
    assert not query.mask.all()  # tasks with unequally many steps count alike
    written = Written(algorithm, state["policy"], query)
    expected = written.update(algorithm.config)
    torch.testing.assert_close(vector(updated["policy"]), expected, rtol=1e-4, atol=1e-6)
    assert (expected - vector(state["policy"])).abs().max() > 1e-2
    assert metrics["update/loss"] == pytest.approx(float(written.loss(expected)), rel=1e-4)
    assert metrics["update/kl"] == pytest.approx(float(written.kl(expected)), rel=1e-3)


@ONE_POLICY
def test_an_update_of_one_policy_for_all_tasks_is_mamls_without_an_inner_step(name: str) -> None:
    # An inner rate of 1e-30 changes no parameter, and its Jacobian is the identity.
    algorithm, state, trial = problem(name, cg_damping=0.1)
    maml = make("maml-trpo", inner_lr=1e-30, cg_damping=0.1)
    ours, our_metrics = algorithm.update(state, trial, UPDATE)
    theirs, their_metrics = maml.update(state, Trial([trial.rollouts[0], *trial.rollouts]), UPDATE)
    torch.testing.assert_close(vector(ours["policy"]), vector(theirs["policy"]), rtol=1e-9, atol=1e-12)
    assert our_metrics == pytest.approx(their_metrics, rel=1e-7)


@ONE_POLICY
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_one_policy_for_all_tasks_trains_in_one_round_whatever_the_inner_loop(name: str, inner_steps: int) -> None:
    plain, other = make(name), make(name, inner_steps=inner_steps, inner_lr=7.0, inner_objective="dice")
    assert other.rounds == 1
    state = plain.initial_state(START)
    trial = navigate(other, state)
    assert len(trial.rollouts) == 1
    assert same(tensors(plain.update(state, trial, UPDATE)), tensors(other.update(state, trial, UPDATE)))


def test_a_policy_that_is_not_trained_keeps_its_bits() -> None:
    for play in (navigate, imagine):
        algorithm = make("random-init")
        state = algorithm.initial_state(START)
        before = copies(state)
        trial = play(algorithm, state)
        updated, metrics = algorithm.update(state, trial, UPDATE)
        assert same(before, copies(updated)) and set(updated) == set(state)
        assert metrics.keys() == {"policy/entropy", "policy/std"}


@BASELINES
def test_evaluation_adapts_each_task_with_the_full_rate_at_first_and_a_smaller_one_later(name: str) -> None:
    # By torch's own distributions and `torch.autograd`, down REINFORCE's loss.
    algorithm, state, trial = problem(name, inner_lr=0.3, later_inner_lr=0.25)
    rollout = trial.rollouts[0]
    batch = algorithm.learned.batch(rollout)
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    assert memory.steps == 0
    for rate in (0.3, 0.075, 0.075):
        before, memory = memory, algorithm.adapt(state, memory, rollout)
        for task in range(N):
            own = {key: value[task].clone().requires_grad_() for key, value in before.params.items()}
            mean, log_std = functional_call(algorithm.learned.model, own, (batch.observation[task],))
            chosen = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1).log_prob(batch.action[task])
            loss = -(chosen * batch.advantage[task] * batch.mask[task]).sum() / batch.mask[task].sum()
            for key, gradient in zip(own, torch.autograd.grad(loss, list(own.values())), strict=True):
                expected = own[key].detach() - rate * gradient
                torch.testing.assert_close(memory.params[key][task], expected, rtol=1e-9, atol=1e-12)
                assert not torch.equal(memory.params[key][task], own[key])


def test_the_oracle_alone_sees_the_task() -> None:
    methods = names_for("experience")
    sighted = {name for name in methods if algorithm_class(name).traits(config_class(name)()).sees_task}
    assert sighted == {"oracle"}
