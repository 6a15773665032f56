"""Adam as a function, against `torch.optim.Adam`."""

import pytest
import torch

from metarl.core.meta_gradient import shortened
from metarl.core.optimiser import AdamSteps, adam_state, adam_step


def quadratic_gradient(params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of `½ Σ (x − 1)²`, uneven in scale so that Adam's normalisation shows."""
    return {"a": params["a"] - 1, "b": 100 * (params["b"] - 1)}


def start() -> dict[str, torch.Tensor]:
    return {"a": torch.tensor([0.3, -2.0]), "b": torch.tensor([[4.0]])}


def test_several_steps_are_torchs_adam() -> None:
    params, state = start(), adam_state(start())
    leaves = {name: value.clone().requires_grad_() for name, value in start().items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=0.03)
    for _ in range(7):
        params, state = adam_step(params, quadratic_gradient(params), state, 0.03)
        for name, gradient in quadratic_gradient({name: leaf.detach() for name, leaf in leaves.items()}).items():
            leaves[name].grad = gradient
        optimiser.step()
        for name, leaf in leaves.items():
            assert torch.equal(params[name], leaf)
    assert state["step"] == 7


@pytest.mark.parametrize("transposed", ["gradient", "parameter", "memory"])
def test_fused_steps_are_those_of_torchs_adam_however_numbers_lie_in_memory(transposed: str) -> None:
    random = torch.Generator().manual_seed(0)
    parameter, gradient = torch.randn(2, 3, 4, generator=random)
    expected = parameter.clone().requires_grad_()
    optimiser = torch.optim.Adam([expected], lr=0.03)
    params, state = {"weight": parameter}, adam_state({"weight": parameter})
    if transposed == "parameter":
        params = {"weight": parameter.mT.contiguous().mT}
    elif transposed == "memory":
        state["exp_avg"] = {"weight": torch.zeros(4, 3).mT}
    steps = AdamSteps(params, state, 0.03, fused=True)
    for scale in (1.0, -0.3, 2.0):
        expected.grad = scale * gradient
        optimiser.step()
        given = scale * gradient
        steps.step({"weight": given.mT.contiguous().mT if transposed == "gradient" else given})
    torch.testing.assert_close(steps.result()[0]["weight"], expected.detach())


def test_the_first_step_is_the_learning_rate_against_the_gradients_sign() -> None:
    # Bias-corrected moments of one gradient g are g and g²: the step is lr g / (|g| + 1e-8) = lr sign(g).
    params, _ = adam_step(start(), quadratic_gradient(start()), adam_state(start()), 0.1)
    torch.testing.assert_close(params["a"], torch.tensor([0.4, -1.9]))
    torch.testing.assert_close(params["b"], torch.tensor([[3.9]]))


def test_nothing_passed_in_is_changed() -> None:
    params = start()
    gradient = quadratic_gradient(params)
    once, state = adam_step(params, gradient, adam_state(params), 0.1)
    remembered = {room: {k: v.clone() for k, v in state[room].items()} for room in ("exp_avg", "exp_avg_sq")}
    twice, _ = adam_step(once, gradient, state, 0.1)
    assert all(torch.equal(params[name], start()[name]) for name in params)
    assert all(torch.equal(gradient[name], quadratic_gradient(start())[name]) for name in params)
    assert state["step"] == 1
    for room, memory in remembered.items():
        assert all(torch.equal(state[room][name], memory[name]) for name in memory)
    assert not torch.equal(once["a"], twice["a"])


def test_a_gradient_is_shortened_only_if_it_is_longer() -> None:
    # Its length is 5, across both tensors: 3, 0 and 4.
    gradient = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[-4.0]])}
    short = shortened(gradient, 2.0)
    torch.testing.assert_close(short["a"], torch.tensor([1.2, 0.0]))
    torch.testing.assert_close(short["b"], torch.tensor([[-1.6]]))
    for enough in (5.0, 5.1, 1e9, float("inf")):
        kept = shortened(gradient, enough)
        assert all(
            torch.equal(kept[name], value) and kept[name].dtype == value.dtype for name, value in gradient.items()
        )
    nothing = {"a": torch.zeros(2)}
    assert torch.equal(shortened(nothing, 1.0)["a"], nothing["a"])
