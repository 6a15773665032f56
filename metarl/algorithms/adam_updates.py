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

from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss
from metarl.core.meta_gradient import descend, meta_step
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.trust_region import dot, require_finite
from metarl.core.types import Batch, Metrics, Params, State
from metarl.runtime.devices import read_back
from metarl.runtime.interruption import interruption_point
from metarl.runtime.ranks import mean_over_tasks

if TYPE_CHECKING:
    from metarl.algorithms.gradient_method import GradientMethod

Support = tuple[Any, ...]


class Adam:
    """One step down the gradient of the loss after the inner loop."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.config, self.learned = method, method.config, method.learned

    def initial_state(self, meta: Params) -> State:
        """A fresh optimiser."""
        return {"optimiser": adam_state(meta)}

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """One Adam step on the meta-parameters."""
        interruption_point()
        meta = state[self.learned.key]
        gradient, (_, seen) = self.method.inner.meta_gradient(self.learned.judge, meta, support, query)
        return self.stepped(state, gradient, support, query, seen)

    def stepped(
        self, state: State, gradient: Params, support: Support, query: Any, seen: dict[str, torch.Tensor]
    ) -> tuple[State, Metrics]:
        """The state after one step down `gradient`, and what was seen on the way."""
        key, config = self.learned.key, self.config
        rate = falling_rate(config.learning_rate, config.learning_rate_decay, state["optimiser"])
        meta, optimiser = meta_step(state[key], gradient, state["optimiser"], rate, config.max_gradient_norm)
        measured = self.learned.metrics(meta, lambda: self.method.adapted(meta, support, query), query, seen)
        return {**state, key: meta, "optimiser": optimiser}, measured


class Clipped:
    """Epochs of Adam on the clipped objective, which holds the policy near the one that acted."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.config, self.learned = method, method.config, method.learned
        self.clipped = partial(clipped_loss, clip=self.config.clip)

    def initial_state(self, meta: Params) -> State:
        """A fresh optimiser."""
        return {"optimiser": adam_state(meta)}

    def objective(self, meta: Params, support: Support, query: Batch) -> torch.Tensor:
        """For one task: the clipped surrogate of the negative return after the inner loop, less the entropy bonus."""
        return self.learned.outer_loss(self.clipped, self.method.inner.trail(meta, support)[-1], query)

    def descend(self, state: State, objective: Any, data: tuple[Any, ...]) -> tuple[State, list[float]]:
        """The state after all epochs, each on all of `data`, and the objective before each of them."""
        config = self.config
        policy, optimiser, losses = descend(
            objective,
            state["policy"],
            state["optimiser"],
            data,
            falling_rate(config.learning_rate, config.learning_rate_decay, state["optimiser"], config.epochs),
            config.epochs,
            config.max_gradient_norm,
        )
        return {**state, "policy": policy, "optimiser": optimiser}, losses

    def update(self, state: State, support: Support, query: Batch) -> tuple[State, Metrics]:
        """`epochs` Adam steps on the meta-parameters."""
        adapted = self.method.adapted(state["policy"], support, query)
        before = for_tasks(self.learned.distribution)(adapted, query)
        state, losses = self.descend(state, self.objective, (support, query))
        now = self.method.adapted(state["policy"], support, query)
        measured = read_back({"update/kl": mean_over_tasks(for_tasks(self.learned.kl)(now, (query, before)))})
        require_finite("KL divergence", measured)
        metrics = {"update/loss_before": losses[0], "update/loss": losses[-1], **measured}
        return state, metrics | self.learned.metrics(state["policy"], lambda: adapted, query, {})


class Reptile(Adam):
    """One step towards where the inner loop leads."""

    def direction(self, meta: Params, support: Support, query: Any) -> Params:
        """Mean over tasks of the way back from the adapted to the initial parameters."""
        reached = self.method.adapted(meta, self.learned.pooled(support, query), query)
        return mean_over_tasks({name: (meta[name] - reached[name]).detach() for name in meta})

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """One Adam step along the direction."""
        interruption_point()
        meta = state[self.learned.key]
        direction = self.direction(meta, support, query)
        seen = self.learned.look(self.method.inner, meta, support, query)
        state, metrics = self.stepped(state, direction, support, query, seen)
        return state, {"update/gradient_norm": float(dot(direction, direction).sqrt()), **metrics}


class Nothing:
    """No meta-update: parameters stay where chance put them."""

    def __init__(self, method: "GradientMethod") -> None:
        self.method, self.learned = method, method.learned

    def initial_state(self, meta: Params) -> State:
        """Nothing is kept."""
        return {}

    def update(self, state: State, support: Support, query: Any) -> tuple[State, Metrics]:
        """Nothing changes."""
        meta = state[self.learned.key]
        seen = self.learned.look(self.method.inner, meta, support, query)
        return state, self.learned.metrics(meta, lambda: self.method.adapted(meta, support, query), query, seen)
