"""How memories are read: against generated networks applied by hand, and what they are before training."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

from metarl.core.conditioning import FiLM, HyperNetwork, body_of
from metarl.core.networks import MLP, initial_parameters
from metarl.core.types import Params

M, O, Y = 3, 4, 2  # noqa: E741
close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)


def random_params(module: nn.Module, seed: int = 0) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in module.named_parameters()
    }


def inputs(*axes: int) -> torch.Tensor:
    return torch.randn(*axes, O + M, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_hypernetworks_output_is_that_of_the_network_that_it_generates() -> None:
    module = HyperNetwork(M, O + M, (5,), Y)
    params, x = random_params(module), inputs(7, 6)
    outputs = functional_call(module, params, (x,))
    for b in range(7):
        for t in range(6):
            observation, memory = x[b, t, :O], x[b, t, O:]
            generated = {}
            for i in range(2):  # layers: own weights, and a mean over what the memory emits: rows, the bias last
                weight, bias = (params[f"network.layers.{i}.{name}"] for name in ("weight", "bias"))
                emitted = (params[f"emitted.{i}.weight"] @ memory / M).reshape(len(weight), weight.shape[1] + 1)
                generated[f"layers.{i}.weight"] = weight + emitted[:, :-1]
                generated[f"layers.{i}.bias"] = bias + emitted[:, -1]
            close(outputs[b, t], functional_call(MLP(O, (5,), Y), generated, (observation,)))


def test_film_scales_and_shifts_hidden_units() -> None:
    module = FiLM(M, O + M, (5,), Y)
    params, x = random_params(module), inputs(7)
    observation, memory = x[:, :O], x[:, O:]
    scale, shift = (memory @ params["emitted.0.weight"].T / M).reshape(7, 2, 5).unbind(dim=1)
    hidden = observation @ params["network.layers.0.weight"].T + params["network.layers.0.bias"]
    hidden = torch.tanh(hidden * (1 + scale) + shift)
    expected = hidden @ params["network.layers.1.weight"].T + params["network.layers.1.bias"]
    close(functional_call(module, params, (x,)), expected)


@pytest.mark.parametrize("head", ["film", "hypernetwork"])
def test_at_first_the_network_is_an_ordinary_one_of_the_observation(head: str) -> None:
    # Bias-HyperInit: whatever is remembered, the generated network is the one that an MLP would begin as.
    make: Callable[[int, int], nn.Module] = body_of(head, M, (5,), gain=0.1)
    module, generator = make(O + M, Y), torch.Generator().manual_seed(3)
    params = initial_parameters(module, generator)
    plain = MLP(O, (5,), Y, output_gain=0.1)
    alike = initial_parameters(plain, torch.Generator().manual_seed(3))
    assert {name.removeprefix("network."): value.tolist() for name, value in params.items() if "network" in name} == {
        name: value.tolist() for name, value in alike.items()
    }
    x = inputs(9).float()
    torch.testing.assert_close(functional_call(module, params, (x,)), functional_call(plain, alike, (x[:, :O],)))


@pytest.mark.parametrize("head", ["film", "hypernetwork"])
def test_what_is_emitted_learns_from_the_first_step_on(head: str) -> None:
    module = body_of(head, M, (5,))(O + M, Y)
    params = initial_parameters(module, torch.Generator().manual_seed(3))
    params = {name: value.double().requires_grad_() for name, value in params.items()}
    functional_call(module, params, (inputs(9),)).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in params.values())


@pytest.mark.parametrize("head", ["memory", "state"])
def test_other_heads_are_plain_networks(head: str) -> None:
    assert isinstance(body_of(head, M, (5,))(O + M, Y), MLP)


@pytest.mark.parametrize("size", [1, 8, 64])
def test_a_step_of_every_parameter_moves_a_generated_weight_as_far_whatever_is_remembered(size: int) -> None:
    # Each of the emitting parameters moves by 0.01, as in a first step of Adam; what a recurrent unit remembers lies
    # within ±1, and where it is all ones the generated weights and biases move by 0.01 themselves.
    module = HyperNetwork(size, O + size, (5,), Y)
    before = initial_parameters(module, torch.Generator().manual_seed(3))
    moved = {name: value + 0.01 if "emitted" in name else value for name, value in before.items()}
    generated = {name.removeprefix("network."): value + 0.01 for name, value in before.items() if "network" in name}
    observation = torch.randn(9, O, generator=torch.Generator().manual_seed(1))
    seen = torch.cat([observation, torch.ones(9, size)], dim=1)
    torch.testing.assert_close(
        functional_call(module, moved, (seen,)), functional_call(MLP(O, (5,), Y), generated, (observation,))
    )


@pytest.mark.parametrize("head", ["film", "hypernetwork"])
def test_what_is_remembered_is_read_though_no_hidden_units_are_named(head: str) -> None:
    module = body_of(head, M, ())(O + M, Y)
    params = {name: value.float() for name, value in random_params(module).items()}
    x = inputs(9).float()
    other = torch.cat([x[:, :O], -x[:, O:]], dim=1)
    assert (functional_call(module, params, (x,)) - functional_call(module, params, (other,))).abs().min() > 1e-3
