"""Meta-SGD and LSLR: their rates begin as MAML's, and are learned."""

import pytest
import torch
from support.trials import ADDRESSES, E, imagine, make

from metarl.core.more_inner_loops import RATE
from metarl.runtime.randomness import Address

BOTH = pytest.mark.parametrize("name", ["meta-sgd", "lslr"])


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
