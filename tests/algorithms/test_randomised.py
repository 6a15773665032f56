"""Domain randomisation: what follows a truncated episode counts, steps are one batch, and the step size is fitted."""

import math

import pytest
import torch
from support.trials import make, navigate, uneven

from metarl.algorithms.ppo_configs import PPOOptions
from metarl.algorithms.proximal_update import by_step, fitted_rate, through_truncation
from metarl.core.networks import apply
from metarl.core.parts import part_of
from metarl.core.types import Batch, Params, Rollout, Trial
from metarl.runtime.randomness import Address

START = Address(0)


def steps(reward: list[list[float]], truncated: list[list[bool]], mask: list[list[float]]) -> Rollout:
    """Two lanes of three steps, whose successors are told by one number each: 10 · lane + step."""
    number = torch.tensor([[[0.0], [1.0], [2.0]], [[10.0], [11.0], [12.0]]])
    flags, ones = torch.tensor(truncated), torch.tensor(mask)
    return Rollout(number, number, ones, torch.tensor(reward), ~flags, flags, flags, ones, number)


def test_a_truncated_episode_is_worth_what_follows_it_too() -> None:
    stream = steps(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]], [[False, False, True], [False, True, True]], [[1, 1, 1], [1, 1, 0]]
    )
    state = {"policy": {}, "return_scale": torch.tensor(2.0)}

    def value(policy: Params, seen: torch.Tensor) -> torch.Tensor:
        return 100 * seen.squeeze(-1)

    # by hand, γ = 0.5, a unit of 2: 3 + 0.5 · 2 · 200, and 5 + 0.5 · 2 · 1100; what was not played stays
    expected = torch.tensor([[1.0, 2.0, 203.0], [4.0, 1105.0, 0.0]])
    assert torch.equal(through_truncation(stream, state, value, 0.5).reward, expected)
    assert torch.equal(stream.reward[0], torch.tensor([1.0, 2.0, 3.0]))  # as it was


def test_every_played_step_is_a_lane_of_its_own() -> None:
    stream = steps([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[False] * 3] * 2, [[1, 0, 1], [0, 1, 1]])
    batch = by_step(Batch(stream.observation, stream.action, stream.mask, stream.reward, stream.reward, stream.mask))
    assert batch.observation.shape == (4, 1, 1) and batch.mask.shape == (4, 1)
    assert batch.observation.flatten().tolist() == [0, 2, 11, 12] and batch.advantage.flatten().tolist() == [1, 3, 5, 6]


@pytest.mark.parametrize(
    ("kl", "expected"), [(0.021, 1e-3 / 1.5), (0.019, 1e-3), (0.006, 1e-3), (0.004, 1.5e-3), (0.0, 1.5e-3)]
)
def test_the_step_size_follows_the_divergence(kl: float, expected: float) -> None:
    found = fitted_rate(PPOOptions(desired_kl=0.01), torch.tensor(1e-3), kl)
    assert math.isclose(float(found), expected, rel_tol=1e-6)


def test_the_step_size_has_bounds_and_is_what_the_next_update_takes() -> None:
    config = PPOOptions(desired_kl=0.01)
    assert fitted_rate(config, torch.tensor(1e-5), 1.0) == torch.tensor(1e-5)
    assert fitted_rate(config, torch.tensor(1e-2), 0.0) == torch.tensor(1e-2)
    algorithm = make("randomised", learning_rate=3e-3, desired_kl=1e6)  # which no update reaches
    state, first = algorithm.update(state := algorithm.initial_state(START), navigate(algorithm, state), START)
    _, second = algorithm.update(state, navigate(algorithm, state), START)
    assert math.isclose(first["update/learning_rate"], 3e-3, rel_tol=1e-6)
    assert math.isclose(second["update/learning_rate"], 4.5e-3, rel_tol=1e-6)
    assert "learning_rate" not in make("randomised", desired_kl=0.0).initial_state(START)


def test_stored_log_probabilities_are_those_that_training_computes() -> None:
    algorithm = make("randomised")
    state = algorithm.initial_state(START)
    (rollout,) = uneven(algorithm, state, 1, 7).rollouts
    distribution = apply(algorithm.actor, part_of(state["policy"], "actor"), rollout.observation)
    found = distribution.log_probability(rollout.action)
    assert torch.allclose(found, rollout.log_probability, atol=1e-5)


def test_it_learns_what_is_good_in_every_task() -> None:
    # Whatever is observed, the reward is minus the squared distance of the action to (0.5, -0.5).
    algorithm = make("randomised", initial_std=0.5, desired_kl=0.0, learning_rate=1e-2)
    state, best, distances = algorithm.initial_state(START), torch.tensor([0.5, -0.5]), []
    (rollout,) = uneven(algorithm, state, 1, 4).rollouts
    random = torch.Generator().manual_seed(0)
    for iteration in range(40):
        observation, noise = torch.randn(2, *rollout.action.shape, generator=random)
        distribution = apply(algorithm.actor, part_of(state["policy"], "actor"), observation)
        action = distribution.sample(noise)
        distances.append(float((distribution.mean - best).norm(dim=-1).mean()))
        played = {"action": action, "log_probability": distribution.log_probability(action)}
        reward = -(action - best).square().sum(dim=-1) * rollout.mask
        trial = Trial([rollout._replace(observation=observation, reward=reward, **played)])
        state, _ = algorithm.update(state, trial, Address(iteration))
    assert distances[0] > 0.5 and distances[-1] < 0.15
