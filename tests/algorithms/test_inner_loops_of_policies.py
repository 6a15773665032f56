"""What moves in the inner loops of policies, and from where; their closed forms are tested with `core`."""

import pytest
import torch
from support.trials import ADDRESSES, E, N, imagine, make

from metarl.core.rates_and_contexts import RATE
from metarl.runtime.randomness import Address

CONTEXT = "body.context"
BOTH = pytest.mark.parametrize("name", ["meta-sgd", "lslr"])


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


@BOTH
def test_before_training_they_adapt_as_maml_does(name: str) -> None:
    options = {"inner_steps": 2, "inner_lr": 0.3}
    algorithm, maml = make(name, **options), make("maml-trpo", **options)
    state, plain = (method.initial_state(Address(0)) for method in (algorithm, maml))
    rollouts = imagine(maml, plain).rollouts
    memories = algorithm.begin(algorithm.acting(state), ADDRESSES, E), maml.begin(maml.acting(plain), ADDRESSES, E)
    for rollout in rollouts:  # the last one beyond the trained ones, at half the rate
        memories = algorithm.adapt(state, memories[0], rollout), maml.adapt(plain, memories[1], rollout)
        for key, value in memories[1].params.items():
            torch.testing.assert_close(memories[0].params[key], value, rtol=1e-6, atol=1e-7)
        assert memories[0].params.keys() == memories[1].params.keys()


@BOTH
def test_every_rate_is_learned(name: str) -> None:
    algorithm = make(name, inner_steps=2, inner_lr=0.3)
    state = algorithm.initial_state(Address(0))
    updated, metrics = algorithm.update(state, imagine(algorithm, state), Address(2))
    rates = {key: value for key, value in updated["policy"].items() if key.startswith(RATE)}
    for key, value in rates.items():
        model = state["policy"][key.removeprefix(RATE)]
        assert value.shape == (model.shape if name == "meta-sgd" else (2,))
        assert (value != state["policy"][key]).all()
    mean = torch.cat([value.flatten() for value in rates.values()]).mean()
    assert metrics["policy/inner_rate"] == pytest.approx(float(mean))
    assert len(rates) == len(state["policy"]) / 2
