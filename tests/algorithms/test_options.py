"""Options that gradient-based methods share: entropy bonus, decay, clipping, later rounds, spread of the actions."""

from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import ADDRESSES, GRADIENT_BASED, E, N, descended, doubled, imagine, make, navigate, same, tensors
from torch.distributions import Categorical, Distribution, Independent, Normal
from torch.func import functional_call

from metarl.core.optimiser import adam_step
from metarl.core.types import Batch, Params
from metarl.runtime.randomness import Address

START, UPDATE = Address(0), Address(2)
BY_ADAM = ["maml-ppo", "maml-vpg", "promp", "reptile"]
ONE_STEP = {"maml-ppo": {"epochs": 1}, "promp": {"epochs": 1}}  # Adam steps of an update


def task_of(batch: Batch, number: int) -> Batch:
    return Batch(*(field[number] for field in batch))


def chooses(algorithm: Any, params: Params, batch: Batch) -> Distribution:
    """The policy as one of torch's own distributions."""
    outputs = functional_call(algorithm.learned.model, params, (batch.observation,))
    if len(outputs) == 1:
        return Categorical(logits=outputs[0])
    return Independent(Normal(outputs[0], outputs[1].exp().expand_as(outputs[0])), 1)


def mean_adapted_entropy(algorithm: Any, policy: Params, support: tuple[Batch, ...], query: Batch) -> torch.Tensor:
    """After REINFORCE steps of size 0.3, task by task."""
    entropies = []
    for task in range(N):
        params = policy
        for batch in (task_of(batch, task) for batch in support):
            chosen = chooses(algorithm, params, batch).log_prob(batch.action)
            loss = -(chosen * batch.advantage * batch.mask).sum() / batch.mask.sum()
            gradients = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {name: params[name] - 0.3 * gradient for name, gradient in zip(params, gradients, strict=True)}
        own = task_of(query, task)
        entropies.append((chooses(algorithm, params, own).entropy() * own.mask).sum() / own.mask.sum())
    return torch.stack(entropies).mean()


@pytest.mark.parametrize("world", ["point-nav", "discrete actions"])
@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("name", ["maml-trpo", "maml-ppo", "maml-vpg", "promp", "e-maml"])
def test_the_entropy_bonus_adds_minus_its_weight_times_the_entropys_gradient(
    name: str, inner_steps: int, world: str
) -> None:
    discrete = world == "discrete actions"
    shared = {"inner_steps": inner_steps, "inner_lr": 0.3, "inner_objective": "log_likelihood"}
    plain, paid = (
        make(name, Discrete(3) if discrete else None, state_dependent_std=True, entropy_bonus=weight, **shared)
        for weight in (0.0, 0.7)
    )
    state = plain.initial_state(START)
    support, query = doubled(
        plain.learned.batches((imagine if discrete else navigate)(plain, state), state, inner_steps)
    )
    policy = {name: value.double().requires_grad_() for name, value in state["policy"].items()}
    entropy = mean_adapted_entropy(plain, policy, support, query)
    used = dict(zip(policy, torch.autograd.grad(entropy, list(policy.values())), strict=True))
    policy = {name: value.detach() for name, value in policy.items()}
    with_it, without = (descended(method, policy, support, query) for method in (paid, plain))
    assert max(value.abs().max() for value in used.values()) > 1e-3
    for key, value in used.items():
        torch.testing.assert_close(with_it[key] - without[key], -0.7 * value, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["maml-trpo", "maml-ppo", "maml-vpg", "promp", "multitask"])
def test_an_update_with_an_entropy_bonus_leaves_more_entropy(name: str) -> None:
    entropies = []
    for weight in (0.0, 10.0):
        algorithm = make(name, entropy_bonus=weight)
        state = algorithm.initial_state(START)
        updated, _ = algorithm.update(state, navigate(algorithm, state), UPDATE)
        entropies.append(float(updated["policy"]["log_std"].sum()))
    assert entropies[1] > entropies[0] + 1e-3 and entropies[1] > 1e-3  # it starts at log 1 = 0


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("name", BY_ADAM)
def test_every_update_multiplies_the_learning_rate_by_its_decay(name: str, epochs: int) -> None:
    # Update k, whatever its number of Adam steps, is the update of a method without decay at lr · decay^k.
    options = {"epochs": epochs} if name in ONE_STEP else {}
    decaying = make(name, learning_rate=0.01, learning_rate_decay=0.5, **options)
    state = decaying.initial_state(START)
    trial = navigate(decaying, state)
    for rate in (0.01, 0.005, 0.0025, 0.00125):
        constant = make(name, learning_rate=rate, **options)
        updated, metrics = decaying.update(state, trial, UPDATE)
        expected, expected_metrics = constant.update(state, trial, UPDATE)
        assert same(tensors(updated), tensors(expected)) and metrics == expected_metrics
        assert not same(tensors(updated["policy"]), tensors(state["policy"]))
        state = updated


@pytest.mark.parametrize("name", BY_ADAM)
def test_a_long_gradient_steps_like_one_that_was_scaled_by_hand_and_a_short_one_as_it_is(name: str) -> None:
    options = {"learning_rate": 0.01, **ONE_STEP.get(name, {})}
    free = make(name, **options)
    state = free.initial_state(START)
    trial = navigate(free, state)
    state, _ = free.update(state, trial, UPDATE)  # Adam's first step would not show how long a gradient is
    batches = free.learned.batches(trial, state, free.steps)
    gradient = descended(free, state["policy"], *batches, penalty=5e-4)
    norm = float(torch.cat([value.flatten() for value in gradient.values()]).norm())
    assert norm > 1e-3

    untouched, _ = free.update(state, trial, UPDATE)
    longer, _ = make(name, max_gradient_norm=1.01 * norm, **options).update(state, trial, UPDATE)
    assert same(tensors(longer), tensors(untouched))

    shorter, metrics = make(name, max_gradient_norm=0.2 * norm, **options).update(state, trial, UPDATE)
    scaled = {key: 0.2 * value for key, value in gradient.items()}
    policy, optimiser = adam_step(state["policy"], scaled, state["optimiser"], 0.01)
    for key in policy:
        torch.testing.assert_close(shorter["policy"][key], policy[key], rtol=0, atol=1e-6)
        for room in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(shorter["optimiser"][room][key], optimiser[room][key], rtol=1e-4, atol=1e-8)
    steps = [torch.cat([x["policy"][key].flatten() for key in policy]) for x in (shorter, untouched)]
    assert (steps[0] - steps[1]).abs().max() > 1e-4
    if name == "reptile":  # what is reported is the length that it had
        assert metrics["update/gradient_norm"] == pytest.approx(norm, rel=1e-5)


def test_every_epoch_is_shortened() -> None:
    # An Adam memory of gradients that are at most 1e-3 long: exp_avg = (1 − 0.9^4) of such, after 4 epochs.
    algorithm = make("maml-ppo", epochs=4, max_gradient_norm=1e-3)
    state = algorithm.initial_state(START)
    updated, _ = algorithm.update(state, navigate(algorithm, state), UPDATE)
    memory = torch.cat([value.flatten() for value in updated["optimiser"]["exp_avg"].values()]).norm()
    assert 1e-4 < memory <= (1 - 0.9**4) * 1e-3 * 1.0001


@pytest.mark.parametrize("name", GRADIENT_BASED)
def test_the_factor_of_later_rounds_shortens_a_second_evaluation_step(name: str) -> None:
    # From the same parameters and on the same round: the first step is untouched, the second one half as long.
    algorithm = make(name, later_inner_lr=0.5, inner_lr=0.1)
    state = algorithm.initial_state(START)
    rollout = navigate(algorithm, state).rollouts[0]
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    start = memory.params
    first, second = (algorithm.adapt(state, memory._replace(steps=steps), rollout).params for steps in (0, 1))
    untouched = make(name, later_inner_lr=1.0, inner_lr=0.1).adapt(state, memory, rollout).params
    assert same(tensors(first), tensors(untouched))
    whole, half = (torch.cat([(x[key] - start[key]).flatten() for key in start]) for x in (first, second))
    assert whole.abs().max() > 1e-4
    if name == "imaml":  # it pulls back twice as strongly instead: the solution is nearer, though not half as near
        assert 0.3 * whole.norm() < half.norm() < 0.9 * whole.norm()
    else:
        torch.testing.assert_close(half, 0.5 * whole, rtol=1e-3, atol=1e-6)


def test_a_standard_deviation_may_depend_on_the_observation() -> None:
    # The network's last outputs are added to the parameter: log σ = log_std + b for a network of bias b alone.
    algorithm = make("maml-trpo", state_dependent_std=True, initial_std=0.5)
    policy = algorithm.initial_state(START)["policy"]
    policy = {name: torch.zeros_like(value) if "layers" in name else value for name, value in policy.items()}
    policy["body.layers.1.bias"] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    observation = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    mean, log_std = functional_call(algorithm.learned.model, policy, (observation,))
    torch.testing.assert_close(mean, torch.tensor([[0.1, 0.2]] * 2))
    torch.testing.assert_close(log_std.exp(), 0.5 * torch.tensor([[0.3, 0.4]] * 2).exp())

    for state_dependent in (True, False):
        network = make("maml-trpo", state_dependent_std=state_dependent)
        _, log_std = functional_call(network.learned.model, network.initial_state(START)["policy"], (observation,))
        rows = log_std.expand(2, 2)
        assert torch.equal(rows[0], rows[1]) != state_dependent


@pytest.mark.parametrize("name", ["maml-trpo", "promp"])
def test_discrete_actions_have_no_standard_deviation_to_depend_on_anything(name: str) -> None:
    results = []
    for state_dependent in (False, True):
        algorithm = make(name, Discrete(3), state_dependent_std=state_dependent)
        state = algorithm.initial_state(START)
        results.append(algorithm.update(state, imagine(algorithm, state), UPDATE))
    assert same(tensors(results[0][0]), tensors(results[1][0])) and results[0][1] == results[1][1]
