"""Recurrent soft actor-critic: training sees what acting saw, through borders and gaps; targets by hand; it learns."""

from typing import Any

import numpy as np
import pytest
import torch
from support.aim import Aim
from support.trials import CPU, E, N, make, navigate

import envs
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.recurrent_sac import Draw
from metarl.algorithms.soft_updates import learned
from metarl.core.parts import part_of
from metarl.core.recurrent import unbroken
from metarl.core.replay import drawn_lanes, write_trial
from metarl.core.types import Rollout, State, Trial
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.collect import collect
from metarl.sampling.noise import draw_noise

START, K, ITERATIONS = Address(0), 3, 24
AMAGO = {"memory": "transformer", "critic": "two-hot", "critics": 3, "other_discounts": (0.5, 0.9)}
VARIANTS = pytest.mark.parametrize("options", [{}, {"memory": "attention"}, {"memory": "splagger"}, AMAGO], ids=str)


def small(**options: Any) -> Any:
    sizes = {"memory_size": 6, "embedding_size": 5, "replay_size": 2_000, "batch_size": 4}
    return make("recurrent-sac", **{**sizes, "rounds": K, **options})


def lively(algorithm: Any) -> State:
    """A state whose policies and values depend strongly on memory: the first ones hardly do."""
    state: State = algorithm.initial_state(START)
    random = torch.Generator().manual_seed(5)

    def stirred(params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: x + 0.15 * torch.randn(x.shape, generator=random) for name, x in params.items()}

    policy = {part: stirred(params) for part, params in state["policy"].items()}
    return {**state, "policy": policy, "critic": stirred(state["critic"]), "target": stirred(state["target"])}


def all_lanes(state: State, trial: Trial) -> Rollout:
    """Every lane of a trial, by way of the replay, in the order of the trial."""
    replay = write_trial(state["replay"], unbroken(trial))
    drawn = drawn_lanes(replay, trial, N * E, torch.Generator().manual_seed(3))
    order = torch.randperm(N * E, generator=torch.Generator().manual_seed(3)).argsort()
    return Rollout(*(field[order] for field in drawn))


@VARIANTS
def test_acting_and_training_compute_the_same_log_probabilities(options: dict[str, Any]) -> None:
    algorithm = small(**options)
    state = lively(algorithm)
    trial = navigate(algorithm, state)
    env = envs.make("point-nav", num_tasks=N, lanes_per_task=E, horizon=trial.rollouts[0].mask.shape[2])
    addresses = [[Address(1).at(Purpose.ACTIONS, task, round_) for task in range(N)] for round_ in range(K)]
    noise = torch.cat([torch.from_numpy(draw_noise(env, each)) for each in addresses], dim=2).flatten(0, 1)  # [B, L, A]
    mask = torch.cat([rollout.mask for rollout in trial.rollouts], dim=2).flatten(0, 1)
    acted = torch.cat([rollout.log_probability for rollout in trial.rollouts], dim=2).flatten(0, 1)
    assert len(set(mask.sum(dim=1).tolist())) > 1 and (mask[:, :-1] < mask[:, 1:]).any()  # gaps in the midst of trials

    trials = algorithm.sequences(all_lanes(state, trial))
    seen = algorithm.remembered(state["policy"]["core"], trials)[:, :-1]
    for lane in range(N * E):
        played = mask[lane] > 0
        of_lane = seen[lane, : int(played.sum())]
        distribution = algorithm.distribution(state["policy"]["actor"], of_lane)
        unit, log_probability = distribution.sample_with_log_probability(noise[lane][played])
        wanted = algorithm.box.log_density(log_probability)
        assert (wanted - acted[lane][played]).abs().max() <= 1e-5
        torch.testing.assert_close(unit, trials.action[lane, : len(unit)], rtol=0, atol=1e-5)
    assert acted[mask > 0].std() > 0.1


def test_memories_are_fed_every_border_as_it_was() -> None:
    algorithm = small(memory="gru")
    state = lively(algorithm)
    trial = navigate(algorithm, state)
    trial.rollouts[1].mask[2, 1] = 0  # a lane that diverged in its second round counts nowhere
    trials = algorithm.sequences(all_lanes(state, trial))
    inputs = trials.inputs.unflatten(0, (N, E))
    for n in range(N):
        for e in range(E):
            lane = n * E + e
            steps = [
                (rollout, t)
                for rollout in trial.rollouts
                for t in rollout.mask[n, e].nonzero().flatten().tolist()
                if (n, e) != (2, 1)
            ]
            length, told = len(steps), torch.zeros(3)
            assert trials.mask[lane].sum() == (length + 1 if length else 0) and trials.played[lane].sum() == length
            for number, (rollout, t) in enumerate(steps):
                expected = torch.cat([rollout.observation[n, e, t], told, rollout.first[n, e, t : t + 1].float()])
                torch.testing.assert_close(inputs[n, e, number], expected)
                told = torch.cat([algorithm.box.unit(rollout.action[n, e, t]), rollout.reward[n, e, t : t + 1]])
            if length:  # and after the last step comes where it led, which starts no episode
                expected = torch.cat([steps[-1][0].next_observation[n, e, steps[-1][1]], told, torch.zeros(1)])
                torch.testing.assert_close(inputs[n, e, length], expected)
                ended = trials.ended[lane].nonzero().flatten().tolist()
                assert ended == ([length - 1] if steps[-1][0].terminated[n, e, steps[-1][1]] else [])
    assert trials.ended.any() and not trials.ended[trials.played.sum(dim=1) > 0].any(dim=1).all()


def hand_made(algorithm: Any, terminated: bool) -> Any:
    """One trial of two episodes, of two steps and one: rewards 1, 2 and 3."""
    none, L = torch.zeros(1, 4), 4
    mask = torch.tensor([[1.0, 1, 1, 0]])
    return algorithm.sequences(
        Rollout(
            observation=torch.randn(1, L, 2, generator=torch.Generator().manual_seed(1)),
            action=torch.zeros(1, L, 2),
            log_probability=none,
            reward=torch.tensor([[1.0, 2, 3, 9]]),
            terminated=torch.tensor([[False, True, terminated, False]]),
            truncated=torch.tensor([[False, False, not terminated, False]]),
            first=torch.tensor([[True, False, True, False]]),
            mask=mask,
            next_observation=torch.ones(1, L, 2),
        )
    )


@pytest.mark.parametrize("terminated", [True, False])
def test_targets_go_through_episodes_and_end_with_the_trial(terminated: bool) -> None:
    # Target critics that always say 10 and 20 whatever they see; α = 0.5, log π = −4: what comes after is worth
    # min(10, 20) + 0.5 · 4 = 12, times γ = 0.5 and 0.25; rewards count double. So 2 · (1, 2, 3) + γ · 12, and after the
    # trial's last step only if it did not terminate; that the first episode terminated changes nothing.
    algorithm = small(discount=0.5, other_discounts=(0.25,), reward_scale=2.0)
    target = {name: torch.zeros_like(x) for name, x in algorithm.initial_state(START)["target"].items()}
    (last,) = (name for name in target if name.startswith("values.") and target[name].shape == (2, 2))
    target[last] = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
    trials = hand_made(algorithm, terminated)
    wanted = algorithm.wanted(target, trials, torch.zeros(1, 5, 2), torch.full((1, 5), -4.0), torch.tensor(0.5))
    goes_on = 0.0 if terminated else 1.0
    expected = [[2 + 6, 2 + 3], [4 + 6, 4 + 3], [6 + 6 * goes_on, 6 + 3 * goes_on]]
    torch.testing.assert_close(wanted[0, :3], torch.tensor(expected))


@pytest.mark.parametrize("options", [{}, AMAGO], ids=str)
def test_steps_that_were_not_played_change_nothing_and_each_loss_moves_its_own_networks(
    options: dict[str, Any],
) -> None:
    algorithm = small(**options)
    state = lively(algorithm)
    trials, noise = hand_made(algorithm, False), torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(2))

    def gradient(trials: Any) -> dict[str, torch.Tensor]:
        leaves = {name: value.clone().requires_grad_() for name, value in learned(state).items()}
        parts = {part: part_of(leaves, part) for part in ("core", "actor", "critic")}
        found: dict[str, torch.Tensor]
        found, _ = algorithm.gradient(parts, leaves["log_temperature"], state["target"], Draw(trials, noise))
        return found

    plain = gradient(trials)
    assert all(value.abs().max() > 0 for name, value in plain.items() if not name.endswith("bias"))
    garbage = [field.clone() for field in trials]
    for field in garbage[:2]:
        field[:, 4:] = 7.0
    garbage[3][:, 3:], garbage[4][:, 3:] = 0.3, -50.0
    for name, value in gradient(type(trials)(*garbage)).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-6)


def test_the_temperature_is_moved_towards_the_wanted_entropy() -> None:
    # Its loss, −log α (log π + (−A)), has the slope entropy + A in log α: with A = 2 and the policy of the hand-made
    # trial that entropy is measured on the three steps that were played.
    for of_config in (True, False):
        algorithm = small(learned_temperature=of_config)
        state = lively(algorithm)
        leaves = {name: value.clone().requires_grad_() for name, value in learned(state).items()}
        parts = {part: part_of(leaves, part) for part in ("core", "actor", "critic")}
        draw = Draw(hand_made(algorithm, False), torch.zeros(1, 5, 2))
        gradient, metrics = algorithm.gradient(parts, leaves["log_temperature"], state["target"], draw)
        seen = algorithm.remembered(state["policy"]["core"], draw.trials)[0, :3]
        _, logs = algorithm.distribution(state["policy"]["actor"], seen).sample_with_log_probability(torch.zeros(3, 2))
        assert float(metrics["entropy"]) == pytest.approx(-float(logs.mean()), rel=1e-5)
        assert float(gradient["log_temperature"]) == pytest.approx((2 - float(logs.mean())) * of_config, rel=1e-5)


@pytest.mark.parametrize("options", [{}, AMAGO], ids=str)
def test_it_learns_to_find_out_what_only_rewards_tell(options: dict[str, Any]) -> None:
    # Aims at ±0.6 that nothing shows but what shots were paid: five shots an episode, each paying minus its miss. Who
    # remembers nothing misses by 0.6 on average, wherever he shoots: −3 an episode at best.
    sizes = {"hidden": (32,), "memory_size": 16, "embedding_size": 16, "replay_size": 20_000, "batch_size": 32}
    rates = {"learning_rate": 3e-3, "target_rate": 0.05, "discount": 0.5, "update_ratio": 0.04, "temperature": 0.05}
    config = config_class("recurrent-sac")(**{**sizes, **rates, **options, "rounds": 2})
    env = Aim(10, 5)
    algorithm = make_algorithm(
        "recurrent-sac", config, Spaces(env.single_observation_space, env.single_action_space), CPU
    )
    state, returns = algorithm.initial_state(START), []
    for iteration in range(ITERATIONS):
        env.set_tasks({"aim": np.array([-0.6, 0.6] * 5)})
        trial = collect(env, algorithm, state, 2, Address(1, iteration))
        state, _ = algorithm.update(state, trial, Address(2, iteration))
        returns.append(trial.returns[:, 1].mean())
    assert torch.stack(returns[-3:]).mean() > -2, torch.stack(returns).tolist()
