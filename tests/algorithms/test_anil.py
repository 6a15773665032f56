"""ANIL: which parameters its inner loop moves."""

import pytest
import torch
from support.trials import ADDRESSES, E, imagine, make

from metarl.runtime.randomness import Address


@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
def test_the_last_layer_adapts_and_everything_else_stays_bit_for_bit(hidden: tuple[int, ...]) -> None:
    algorithm = make("anil", hidden=hidden, inner_lr=0.3)
    state = algorithm.initial_state(Address(0))
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    adapted = algorithm.adapt(state, memory, imagine(algorithm, state).rollouts[0]).params
    moved = {name for name in adapted if not torch.equal(adapted[name], memory.params[name])}
    last = f"body.layers.{len(hidden)}"
    assert moved == {f"{last}.weight", f"{last}.bias"}
    assert "log_std" in adapted and adapted.keys() == state["policy"].keys()


def test_the_shared_layers_are_learned_across_tasks() -> None:
    algorithm = make("anil", inner_lr=0.3)
    state = algorithm.initial_state(Address(0))
    updated, _ = algorithm.update(state, imagine(algorithm, state), Address(2))
    assert all(not torch.equal(updated["policy"][name], state["policy"][name]) for name in state["policy"])
