"""Meta-updates by Adam (Kingma & Ba 2015) on an objective for one task, averaged over tasks.

* `Adam`: one step down the gradient after the inner loop: of the policy gradient (Finn et al. 2017, eq. 5), of a
  labelled query's loss.
* `Clipped`: several steps on the clipped objective (Schulman et al. 2017, eq. 7).
* `Reptile`: one step towards the adapted parameters (Nichol, Achiam & Schulman 2018), every round stepped on, the last
  one too; nothing is differentiated twice.
* `Nothing`: none at all; what adaptation alone is worth.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from metarl.algorithms.experience import Seen
from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss
from metarl.core.meta_gradient import Slope, descend
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.trust_region import dot, require_finite
from metarl.core.types import Batch, Metrics, Params, State
from metarl.runtime.devices import read_back
from metarl.runtime.ranks import mean_over_tasks

if TYPE_CHECKING:
    from metarl.algorithms.gradient_method import GradientMethod

Support = tuple[Any, ...]


class ByAdam:
    """What they share: an optimiser, and steps of it."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.config, self.learned = method, method.config, method.learned

    def initial_state(self, meta: Params) -> State:
        """A fresh optimiser."""
        return {"optimiser": adam_state(meta)}

    def descend(self, state: State, slope: Slope, epochs: int = 1) -> tuple[State, torch.Tensor]:
        """The state after `epochs` steps down a slope, and its value before each, `[epochs]`."""
        config, key = self.config, self.learned.key
        rate = falling_rate(config.learning_rate, config.learning_rate_decay, state["optimiser"], epochs)
        meta, optimiser, values = descend(slope, state[key], state["optimiser"], rate, epochs, config.max_gradient_norm)
        return {**state, key: meta, "optimiser": optimiser}, values


class Adam(ByAdam):
    """One step down the gradient of the loss after the inner loop."""

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """One Adam step on the meta-parameters."""
        key = self.learned.key
        gradient, (loss, seen) = self.method.inner.meta_gradient(self.learned.judge, state[key], support, query)
        state, _ = self.descend(state, lambda meta: (gradient, loss))
        return state, self.method.measured(state, support, query, seen)


class Clipped(ByAdam):
    """Epochs of Adam on the clipped objective, which holds the policy near the one that acted."""

    def judge(self, trail: list[Params], query: Batch) -> tuple[torch.Tensor, Seen]:
        """For one task: the clipped surrogate of the negative return after the inner loop, less the entropy bonus."""
        return self.learned.outer_loss(partial(clipped_loss, clip=self.config.clip), trail[-1], query), {}

    def update(self, state: State, support: Support, query: Batch) -> tuple[State, Metrics]:
        """`epochs` Adam steps on the meta-parameters."""

        def slope(meta: Params) -> tuple[Params, torch.Tensor]:
            gradient, (loss, _) = self.method.inner.meta_gradient(self.judge, meta, support, query)
            return gradient, loss

        adapted = self.method.adapted(state["policy"], support, query)
        before = for_tasks(self.learned.distribution)(adapted, query)
        state, losses = self.descend(state, slope, self.config.epochs)
        now = self.method.adapted(state["policy"], support, query)
        metrics = told(losses, {"update/kl": mean_over_tasks(for_tasks(self.learned.kl)(now, (query, before)))})
        return state, metrics | self.method.measured(state, support, query, {}, adapted)


def told(losses: torch.Tensor, divergences: dict[str, torch.Tensor]) -> Metrics:
    """The objective before the first and the last step, and divergences.

    Raises:
        NonFiniteError: of a divergence.
    """
    measured = read_back({"update/loss_before": losses[0], "update/loss": losses[-1], **divergences})
    require_finite("KL divergence", {name: measured[name] for name in divergences})
    return {**measured}


class Reptile(ByAdam):
    """One step towards where the inner loop leads."""

    def direction(self, meta: Params, support: Support, query: Any) -> Params:
        """Mean over tasks of the way back from the adapted to the initial parameters."""
        reached = self.method.adapted(meta, self.learned.pooled(support, query), query)
        return mean_over_tasks({name: (meta[name] - reached[name]).detach() for name in meta})

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """One Adam step along the direction."""
        key = self.learned.key
        direction = self.direction(state[key], support, query)
        seen = self.learned.look(self.method.inner, state[key], support, query)
        state, length = self.descend(state, lambda meta: (direction, dot(direction, direction).sqrt()))
        return state, {"update/gradient_norm": length.item(), **self.method.measured(state, support, query, seen)}


class Nothing:
    """No meta-update: parameters stay where chance put them."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.learned = method, method.learned

    def initial_state(self, meta: Params) -> State:
        """Nothing is kept."""
        return {}

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """Nothing changes."""
        seen = self.learned.look(self.method.inner, state[self.learned.key], support, query)
        return state, self.method.measured(state, support, query, seen)
