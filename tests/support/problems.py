"""What the tests of adaptation share: policies on random data, in double, and a way to differentiate without autograd.

The data are random numbers, not experience: the identities under test hold for any.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from metarl.core.inner_step import Loss, Rates, gradient_step
from metarl.core.losses import INNER_LOSSES
from metarl.core.networks import MLP, CategoricalPolicy, GaussianPolicy, apply
from metarl.core.types import Batch, Params

N, E, T, O, A = 3, 4, 5, 3, 2  # noqa: E741 (letters of the house)
INNER_LR = 0.1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def adapt(
    loss: Loss[Any], params: Params, supports: Sequence[Any], rates: Rates, *, first_order: bool = False
) -> Params:
    """One step on each of `supports`."""
    for support in supports:
        params = gradient_step(loss, params, support, rates, first_order=first_order)
    return params


class Problem:
    """A policy, meta-parameters, one batch `[N, E, T, ...]` for each inner step and one for afterwards.

    Everything is small and in double, and large enough a step away that second-order terms matter.
    """

    def __init__(self, kind: str, inner_loss: str, inner_steps: int) -> None:
        self.discrete = kind == "categorical"
        if self.discrete:
            self.policy = CategoricalPolicy(MLP(O, (5,), A + 1, "tanh"))
        else:
            self.policy = GaussianPolicy(MLP(O, (5,), A, "tanh"), A, 1.0)
        self.loss = INNER_LOSSES[inner_loss]
        random = generator(0)
        self.params: Params = {
            name: 0.5 * torch.randn(value.shape, generator=random, dtype=torch.float64)
            for name, value in self.policy.named_parameters()
        }
        self.support = tuple(self.batch(seed) for seed in range(1, inner_steps + 1))
        self.query = self.batch(0)

    def batch(self, seed: int) -> Batch:
        """Random facts; in the last lane of every task only the first two steps were played."""
        random = generator(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(N, E, T, *shape, generator=random, dtype=torch.float64)

        observation = normal(O)
        action = torch.randint(A + 1, (N, E, T), generator=random) if self.discrete else normal(A)
        # near the policy's own, so that probability ratios are near one but differ
        own = apply(self.policy, self.params, observation).log_probability(action)
        mask = torch.ones(N, E, T, dtype=torch.float64)
        mask[:, -1, 2:] = 0
        return Batch(observation, action, own + 0.1 * normal(), normal(), normal(), mask)

    def inner_loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """For one task."""
        return self.loss(apply(self.policy, params, batch.observation), batch)

    def adapt(self, params: Params, support: tuple[Batch, ...], first_order: bool = False) -> Params:
        """For one task."""
        return adapt(self.inner_loss, params, support, INNER_LR, first_order=first_order)

    def objective(self, params: Params, support: tuple[Batch, ...], query: Batch) -> torch.Tensor:
        """For one task: the loss on `query` after adapting to `support`."""
        return self.inner_loss(self.adapt(params, support), query)

    def task(self, number: int) -> tuple[tuple[Batch, ...], Batch]:
        """Support and query of one task, without the axis N."""
        support = tuple(Batch(*(field[number] for field in batch)) for batch in self.support)
        return support, Batch(*(field[number] for field in self.query))


def flatten(params: Params) -> torch.Tensor:
    """All parameters as one vector."""
    return torch.cat([value.reshape(-1) for value in params.values()])


def unflatten(vector: torch.Tensor, like: Params) -> Params:
    """The inverse of `flatten`."""
    pieces = vector.split([value.numel() for value in like.values()])
    return {name: piece.reshape(like[name].shape) for name, piece in zip(like, pieces, strict=True)}


def central_differences(function: Callable[[Params], torch.Tensor], params: Params, step: float = 1e-5) -> torch.Tensor:
    """The gradient of a scalar `function`, flattened, by `(f(θ + h) − f(θ − h)) / 2h` in every coordinate."""
    vector = flatten(params)
    changes = step * torch.eye(len(vector), dtype=vector.dtype)
    values = torch.vmap(lambda point: function(unflatten(point, params)))  # all coordinates at once, for speed
    return (values(vector + changes) - values(vector - changes)) / (2 * step)


def relative_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Distance between `a` and `b` against the length of `b`."""
    return float((a - b).norm() / b.norm())
