"""The descent of proximal methods against torch's own Adam, by hand."""

from typing import Any

import pytest
import torch

from metarl.algorithms.ppo_configs import PPOOptions
from metarl.algorithms.proximal_update import proximal_update
from metarl.core.optimiser import adam_state
from metarl.core.proximal import Loss, Targets
from metarl.core.types import Batch, Params, State
from metarl.runtime.errors import NonFiniteError


def descent(params: Params, memory: State, batch: Batch, **options: Any) -> Any:
    """The regression's state after an update of `params`."""
    config, nothing = PPOOptions(max_gradient_norm=0.5, **options), torch.zeros(())
    state, random = {"policy": params, "optimiser": memory}, torch.Generator().manual_seed(7)
    return proximal_update(config, state, regression, batch, Targets(nothing, nothing, nothing, 0.0), random)


def regression(params: Params, batch: Batch) -> Loss:
    """A loss with a long gradient: a least-squares fit."""
    error = batch.observation @ params["w"] - batch.return_
    total = 100 * (error.square() * batch.mask).mean()
    return Loss(total, *(total.detach() for _ in range(5)))


def lines(count: int = 6) -> Batch:
    """Inputs and targets to fit."""
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(count, 4, 2, generator=random), torch.randn(count, 4, generator=random)
    return Batch(x, y, y, y, y, torch.ones(count, 4))


def test_the_descent_is_torchs_adam_on_shortened_gradients_of_the_same_minibatches() -> None:
    batch, params = lines(), {"w": torch.tensor([1.0, -2.0])}
    state, metrics = descent(params, adam_state(params), batch, epochs=3, minibatches=2, learning_rate=0.05)
    found, memory = state["policy"], state["optimiser"]
    leaf, random = params["w"].clone().requires_grad_(), torch.Generator().manual_seed(7)
    optimiser = torch.optim.Adam([leaf], lr=0.05)
    for _ in range(3):
        losses = []
        for lanes in torch.randperm(6, generator=random).split(3):
            optimiser.zero_grad()
            loss = regression({"w": leaf}, Batch(*(field[lanes] for field in batch))).total
            loss.backward()
            assert leaf.grad is not None and leaf.grad.norm() > 0.5
            torch.nn.utils.clip_grad_norm_([leaf], 0.5)
            optimiser.step()
            losses.append(float(loss.detach()))
    torch.testing.assert_close(found["w"], leaf.detach(), rtol=1e-5, atol=1e-6)
    assert memory["step"] == 6 and metrics["update/loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)
    assert torch.equal(params["w"], torch.tensor([1.0, -2.0])) and not found["w"].requires_grad


def test_every_further_descent_multiplies_the_learning_rate_by_its_decay() -> None:
    # Also where there are fewer lanes than parts were asked for: two here, in one step each.
    batch, params = lines(2), {"w": torch.tensor([1.0, -2.0])}
    memory = adam_state(params)
    for rate in (0.1, 0.05, 0.025):
        decaying, constant = (
            descent(params, memory, batch, epochs=2, minibatches=5, learning_rate=first, learning_rate_decay=decay)[0]
            for first, decay in ((0.1, 0.5), (rate, 1.0))
        )
        assert torch.equal(decaying["policy"]["w"], constant["policy"]["w"])
        assert not torch.equal(decaying["policy"]["w"], params["w"])
        params, memory = decaying["policy"], decaying["optimiser"]


def test_every_further_descent_multiplies_the_weight_of_the_entropy_by_its_decay() -> None:
    def losing(config: PPOOptions) -> Any:
        def loss(params: Params, batch: Batch) -> Loss:
            fit, entropy = regression(params, batch), params["w"].square().sum()
            return fit._replace(total=fit.total / 100 - config.entropy_bonus * entropy, entropy=entropy)

        return loss

    batch, params = lines(), {"w": torch.tensor([1.0, -2.0])}
    memory, nothing = adam_state(params), torch.zeros(())
    for bonus in (0.8, 0.4, 0.2):
        falling, constant = (
            proximal_update(
                config,
                {"policy": params, "optimiser": memory},
                losing(config),
                batch,
                Targets(nothing, nothing, nothing, 0.0),
                torch.Generator().manual_seed(7),
            )[0]
            for config in (PPOOptions(entropy_bonus=0.8, entropy_bonus_decay=0.5), PPOOptions(entropy_bonus=bonus))
        )
        torch.testing.assert_close(falling["policy"]["w"], constant["policy"]["w"], rtol=1e-5, atol=1e-6)
        params, memory = falling["policy"], falling["optimiser"]


def test_a_broken_gradient_is_named() -> None:
    batch, params = lines(), {"w": torch.tensor([1.0, -2.0])}
    batch.return_[3, 1] = torch.inf
    with pytest.raises(NonFiniteError, match="^the gradient of the policy is not finite in w — "):
        descent(params, adam_state(params), batch, epochs=1, minibatches=2, learning_rate=0.05)
