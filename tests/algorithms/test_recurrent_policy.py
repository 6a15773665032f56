"""Policies with a memory of their episode under gradient steps: acting as training, and meta-gradients by differences."""

from typing import Any

import pytest
import torch
from support.problems import central_differences, flatten, relative_difference
from support.trials import ADDRESSES, E, N, descended, doubled, make, navigate

from metarl.core.inner_step import for_tasks
from metarl.core.types import Params, Rollout
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address

ATTENTIVE: dict[str, Any] = {"policy": "attention", "memory_size": 8, "hidden": (4,)}


def problem(**options: Any) -> tuple[Any, dict[str, Any], list[Rollout]]:
    """A method, its first state with spread weights, and the rounds of a trial with episodes of different lengths."""
    algorithm = make("maml-trpo", inner_lr=0.2, **ATTENTIVE, **options)
    state, random = algorithm.initial_state(Address(0)), torch.Generator().manual_seed(1)
    state["policy"] = {
        name: value + 0.2 * torch.randn(value.shape, generator=random) for name, value in state["policy"].items()
    }
    rounds = navigate(algorithm, state).rollouts
    assert not all(rollout.mask.all() for rollout in rounds)
    return algorithm, state, rounds


def test_what_acts_is_what_is_trained_in_every_round() -> None:
    algorithm, state, rounds = problem(inner_steps=2)
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    for rollout in rounds:
        batch = algorithm.learned.batch(rollout)
        trained = for_tasks(algorithm.learned.distribution)(memory.params, batch).log_probability(batch.action)
        assert ((trained - batch.log_probability) * batch.mask).abs().max() < 1e-5
        memory = algorithm.adapt(state, memory, rollout)


def test_a_step_depends_on_those_before_it_in_its_episode_and_on_no_other_lane() -> None:
    algorithm, state, rounds = problem()
    batch = algorithm.learned.batch(rounds[0])
    params = {name: value.expand(N, *value.shape) for name, value in state["policy"].items()}

    def means(observation: torch.Tensor) -> torch.Tensor:
        seen = batch._replace(observation=observation)
        return for_tasks(algorithm.learned.distribution)(params, seen).mean  # [N, E, T, A]

    changed = batch.observation.clone()
    changed[:, 0, 2] += 1.0
    moved = (means(changed) - means(batch.observation)).abs().amax(dim=(0, 3))  # [E, T]
    assert moved[0, :2].max() == 0 and moved[0, 2:4].min() > 1e-6 and moved[1:].max() == 0


def test_the_meta_gradient_is_the_slope_of_the_meta_objective() -> None:
    algorithm, state, rounds = problem()
    support, query = doubled(tuple([algorithm.learned.batch(rollout)] for rollout in rounds))
    support, query, meta = tuple(support), query[0], doubled(state["policy"])

    def objective(point: Params) -> torch.Tensor:
        adapted = algorithm.adapted(point, support, query)
        return for_tasks(algorithm.outer.outer_loss)(adapted, query).mean()

    gradient = descended(algorithm, meta, support, query)
    assert relative_difference(flatten(gradient), central_differences(objective, meta)) < 1e-6


def test_a_memory_that_torch_cannot_step_for_all_tasks_at_once_is_refused() -> None:
    with pytest.raises(InputError, match="algo.policy is gru, .* — give attention"):
        make("maml-trpo", policy="gru")
    with pytest.raises(InputError, match="no memory is called"):
        make("maml-trpo", policy="grue")
