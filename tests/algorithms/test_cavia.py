"""CAVIA: what is each task's own and what is shared."""

import torch
from support.trials import ADDRESSES, E, N, imagine, make

from metarl.runtime.randomness import Address

CONTEXT = "body.context"


def test_every_task_starts_with_an_empty_context_and_moves_nothing_else() -> None:
    algorithm = make("cavia", context_size=3)
    state = algorithm.initial_state(Address(0))
    assert CONTEXT not in state["policy"]
    state, _ = algorithm.update(state, imagine(algorithm, state), Address(2))
    assert CONTEXT not in state["policy"]
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    assert memory.params[CONTEXT].shape == (N, 3) and not memory.params[CONTEXT].any()
    adapted = algorithm.adapt(state, memory, imagine(algorithm, state).rollouts[0]).params
    for name, value in state["policy"].items():
        assert all(torch.equal(adapted[name][number], value) for number in range(N))
    contexts = adapted[CONTEXT]
    assert all(contexts[number].abs().min() > 0 for number in range(N))
    assert not torch.equal(contexts[0], contexts[1])


def test_an_update_changes_all_that_is_shared() -> None:
    algorithm = make("cavia", context_size=3)
    state = algorithm.initial_state(Address(0))
    updated, _ = algorithm.update(state, imagine(algorithm, state), Address(2))
    assert all(not torch.equal(updated["policy"][name], state["policy"][name]) for name in state["policy"])
