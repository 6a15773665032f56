"""Policies: one task's parameters or all tasks', against a loop and against torch's own layers."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.distributions import Independent, Normal
from torch.func import functional_call

from metarl.core.networks import (
    ACTIVATIONS,
    MLP,
    CategoricalPolicy,
    GaussianPolicy,
    Linear,
    apply,
    initial_parameters,
    make_policy,
)
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address


def body(*hidden: int, gain: float = 1.0) -> Callable[[int, int], nn.Module]:
    return lambda inputs, outputs: MLP(inputs, hidden, outputs, output_gain=gain)


BOX = spaces.Box(-np.inf, np.inf, (3,))


def random_params(module: nn.Module, seed: int, *leading: int) -> dict[str, torch.Tensor]:
    """Parameters of `module` with leading axes, in double."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*leading, *value.shape, generator=generator, dtype=torch.float64)
        for name, value in module.named_parameters()
    }


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_an_mlp_is_a_stack_of_torchs_linear_layers(activation: str) -> None:
    mlp = MLP(3, (5, 4), 2, activation)
    params = random_params(mlp, 0)
    a, b, c = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)
    squash = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    stack = nn.Sequential(a, squash(), b, squash(), c).double()
    for number, layer in enumerate((a, b, c)):
        layer.weight.data, layer.bias.data = (params[f"layers.{number}.{name}"] for name in ("weight", "bias"))
    x = torch.randn(7, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(functional_call(mlp, params, (x,)), stack(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axes", [(), (6,), (6, 5)], ids=["[N, O]", "[N, E, O]", "[N, E, T, O]"])
@pytest.mark.parametrize(
    "policy",
    [
        GaussianPolicy(MLP(3, (8, 4), 2), 2, 0.7),
        CategoricalPolicy(MLP(3, (8,), 2, "relu")),
        GaussianPolicy(MLP(3, (8, 4), 2, context_size=2), 2, 0.7),
        CategoricalPolicy(MLP(3, (8,), 2, "relu", context_size=2)),
        GaussianPolicy(MLP(3, (8,), 4), 2, 0.7, state_dependent_std=True),
        GaussianPolicy(MLP(3, (8,), 4, context_size=2), 2, 0.7, state_dependent_std=True),
    ],
)
def test_parameters_with_a_task_axis_act_as_a_loop_over_tasks(policy: nn.Module, axes: tuple[int, ...]) -> None:
    N = 4
    params = random_params(policy, 0, N)
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn(N, *axes, 3, generator=generator, dtype=torch.float64)
    action_axes = (2,) if isinstance(policy, GaussianPolicy) else ()
    noise = torch.rand(N, *axes, *action_axes, generator=generator, dtype=torch.float64)
    together = apply(policy, params, observation)
    actions = together.sample(noise)
    log_probability, entropy = together.log_probability(actions), together.entropy()
    for task in range(N):
        alone = apply(policy, {name: value[task] for name, value in params.items()}, observation[task])
        close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
        close(actions[task], alone.sample(noise[task]))
        close(log_probability[task], alone.log_probability(actions[task]))
        close(entropy[task], alone.entropy())


def test_a_context_stands_beside_every_input() -> None:
    plain, extended = MLP(5, (8,), 2), MLP(3, (8,), 2, context_size=2)
    params = random_params(extended, 0)
    x = torch.randn(7, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    beside = torch.cat([x, params["context"].repeat(7, 6, 1)], dim=-1)
    layers = {name: value for name, value in params.items() if name != "context"}
    expected = functional_call(plain, layers, (beside,))
    torch.testing.assert_close(functional_call(extended, params, (x,)), expected, rtol=1e-12, atol=1e-12)


def test_a_context_is_at_first_zero() -> None:
    policy = GaussianPolicy(MLP(3, (8,), 2, context_size=2), 2, 0.7)
    params = initial_parameters(policy, torch.Generator().manual_seed(0))
    assert params["body.context"].shape == (2,) and not params["body.context"].any()


def test_a_standard_deviation_may_depend_on_the_observation() -> None:
    # The network's second half of outputs is added to the log standard deviation.
    policy = GaussianPolicy(MLP(3, (8,), 4), 2, 0.7, state_dependent_std=True)
    params = random_params(policy, 0)
    random = torch.Generator().manual_seed(1)
    x, action = (torch.randn(7, 6, size, generator=random, dtype=torch.float64) for size in (3, 2))
    body = {name.removeprefix("body."): value for name, value in params.items() if name.startswith("body.")}
    outputs = functional_call(MLP(3, (8,), 4), body, (x,))
    reference = Independent(Normal(outputs[..., :2], torch.exp(params["log_std"] + outputs[..., 2:])), 1)
    distribution = apply(policy, params, x)
    close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
    close(distribution.log_probability(action), reference.log_prob(action))
    close(distribution.entropy(), reference.entropy())
    assert distribution.log_std.std(dim=(0, 1)).min() > 0.1


def test_sizes_come_from_the_spaces() -> None:
    gaussian = make_policy(BOX, spaces.Box(-1, 1, (2,)), body(64, 32), 0.5)
    assert {name: tuple(value.shape) for name, value in gaussian.named_parameters()} == {
        "log_std": (2,),
        "body.layers.0.weight": (64, 3),
        "body.layers.0.bias": (64,),
        "body.layers.1.weight": (32, 64),
        "body.layers.1.bias": (32,),
        "body.layers.2.weight": (2, 32),
        "body.layers.2.bias": (2,),
    }
    categorical = make_policy(BOX, spaces.Discrete(5), body(), 0.5)
    assert {name: tuple(value.shape) for name, value in categorical.named_parameters()} == {
        "body.layers.0.weight": (5, 3),
        "body.layers.0.bias": (5,),
    }


@pytest.mark.parametrize(
    "observation_space, action_space, fault",
    [
        (spaces.Box(0, 1, (3, 3)), spaces.Discrete(2), "observations of Box"),
        (spaces.Discrete(4), spaces.Discrete(2), "observations of Discrete"),
        (BOX, spaces.MultiBinary(3), "actions of MultiBinary"),
        (BOX, spaces.Box(-1, 1, (2, 2)), "actions of Box"),
    ],
)
def test_other_spaces_are_refused_by_name(observation_space, action_space, fault: str) -> None:
    with pytest.raises(InputError, match=f"^{fault}.* — "):
        make_policy(observation_space, action_space, body(8), 1.0)


def test_initial_parameters_come_from_the_generator_alone() -> None:
    policy = make_policy(BOX, spaces.Box(-1, 1, (2,)), body(64, 64), 0.5)
    torch.manual_seed(0)
    first = initial_parameters(policy, Address(0).torch_generator())
    torch.manual_seed(1)
    again = initial_parameters(policy, Address(0).torch_generator())
    other = initial_parameters(policy, Address(1).torch_generator())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["body.layers.0.weight"], other["body.layers.0.weight"])
    torch.testing.assert_close(first["log_std"].exp(), torch.full((2,), 0.5))


def test_initial_weights_are_glorot_uniform_and_biases_zero() -> None:
    # Uniform within ±sqrt(6 / (inputs + outputs)): variance 2 / (inputs + outputs) = 2 / 500.
    layer = Linear(200, 300)
    params = initial_parameters(layer, torch.Generator().manual_seed(0))
    assert params["weight"].abs().max() <= np.sqrt(6 / 500)
    torch.testing.assert_close(params["weight"].var(), torch.tensor(2 / 500), rtol=0.02, atol=0)
    assert not params["bias"].any()


def test_the_output_gain_scales_the_last_layers_first_weights_alone() -> None:
    for actions in (spaces.Box(-1, 1, (2,)), spaces.Discrete(4)):
        plain, scaled = (
            initial_parameters(make_policy(BOX, actions, body(8, gain=gain), 0.5), Address(0).torch_generator())
            for gain in (1.0, 0.25)
        )
        for name, value in plain.items():
            factor = 0.25 if name == "body.layers.1.weight" else 1.0
            torch.testing.assert_close(scaled[name], factor * value)


def test_the_standard_deviation_has_a_floor() -> None:
    # e^-13.8 = 1.01e-6
    policy = GaussianPolicy(MLP(1, (), 1), 1, 1.0)
    params = initial_parameters(policy, torch.Generator().manual_seed(0)) | {"log_std": torch.tensor([-1e9])}
    distribution = apply(policy, params, torch.zeros(1))
    torch.testing.assert_close(distribution.log_std.exp(), torch.tensor([1.01e-6]), rtol=0.01, atol=0)


def test_every_activation_is_covered_by_these_tests() -> None:
    assert set(ACTIVATIONS) == {"tanh", "relu"}
