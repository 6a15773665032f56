"""Runs whose observations are normalised, or whose rewards: resumed exactly, evaluated by their own moments."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.command import Command, end_result, train_arguments

from metarl.core.networks import apply
from metarl.core.types import Metrics, State, Trial
from metarl.runs.config import TrainConfig
from metarl.runs.presets import default_config
from metarl.runtime.randomness import Address
from metarl.sampling.normalisation import MOMENTS, Normaliser
from metarl.training.setup import Setup, set_up


@pytest.mark.parametrize(
    ("algorithm", "rounds"),
    [("maml-trpo", 2), ("promp", 2), ("pearl", 3), ("varibad", 2), ("recurrent-sac", 2), ("oracle", 1)],
)
def test_a_normalised_run_resumes_exactly_and_is_evaluated_with_its_moments(
    metarl: Command, tmp_path: Path, algorithm: str, rounds: int
) -> None:
    def arguments(run: str, iterations: int) -> list[str]:
        return [*train_arguments(run, iterations, "half-cheetah-vel", algorithm), "--normalise-observations"]

    assert metarl(*arguments("whole", 2)).code == 0
    assert metarl(*arguments("half", 1)).code == 0
    assert metarl(*arguments("half", 2), "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")

    moments = load_file(tmp_path / "whole/checkpoints/iteration-000002.safetensors")
    # a round before the first iteration, then iterations x rounds; each of tasks x lanes x steps; and one before all
    assert moments["observations/count"] == 1 + (1 + 2 * rounds) * 2 * 3 * 5
    assert torch.isfinite(moments["observations/mean"]).all() and (moments["observations/squares"] >= 0).all()
    curves = []
    for run in ("whole", "half"):
        result = metarl("evaluate", run, "--tasks", "2", "--adaptations", "1", "--json")
        curves.append(np.array(json.loads(result.out)["per_task"]))
    assert np.isfinite(curves[0]).all() and np.array_equal(*curves)
    # whoever resumes without the option would show the policy something else
    other = metarl(*train_arguments("whole", 3, "half-cheetah-vel", algorithm), "--resume")
    assert other.code == 2 and "normalise_observations" in other.err


def test_a_run_in_units_of_reward_resumes_exactly_and_reports_rewards_as_they_are(
    metarl: Command, tmp_path: Path
) -> None:
    # Before the first update, agents that are told of rewards in other units have done the same.
    def arguments(run: str, iterations: int, unit: str) -> list[str]:
        return [*train_arguments(run, iterations, "half-cheetah-vel", "maml-trpo"), "--reward-unit", unit]

    assert metarl(*arguments("whole", 2, "0")).code == 0
    assert metarl(*arguments("half", 1, "0")).code == 0
    assert metarl(*arguments("half", 2, "0"), "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")
    moments = load_file(tmp_path / "whole/checkpoints/iteration-000002.safetensors")
    # a round before the first iteration, then two iterations of two rounds, each of tasks x lanes x steps
    assert moments["rewards/count"] == 1 + (1 + 2 * 2) * 2 * 3 * 5 and moments["rewards/squares"] > 0

    assert metarl(*arguments("tens", 1, "10")).code == 0
    assert metarl(*arguments("ones", 1, "1")).code == 0
    said = [json.loads((tmp_path / run / "metrics.jsonl").read_text().splitlines()[0]) for run in ("tens", "ones")]
    assert said[0]["return/round_0"] == said[1]["return/round_0"]
    assert load_file(tmp_path / "tens/checkpoints/iteration-000001.safetensors")["rewards/unit"] == 10
    other = metarl(*arguments("tens", 2, "1"), "--resume")
    assert other.code == 2 and "reward_unit" in other.err


def normalised_setup(groups: int = 1, tasks: int = 4, lanes: int = 5, horizon: int = 40) -> Setup:
    defaults = default_config("half-cheetah-vel", "maml-trpo")
    train = TrainConfig(
        tasks=tasks, lanes=lanes, threads=1, torch_threads=1, groups=groups, normalise_observations=True
    )
    return set_up(replace(defaults, train=train, env=replace(defaults.env, horizon=horizon)))


def test_the_first_moments_do_not_turn_the_policy_that_was_updated_into_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An update is on what the policy was shown in its iteration. Shown otherwise it must act alike: within a tenth of
    # the noise in each of six actions, a divergence of 6 · 0.1²/2 = 0.03.
    setup = normalised_setup(tasks=8, lanes=10, horizon=100)
    algorithm: Any = setup.algorithm
    shown = []

    def update(state: State, trial: Trial, address: Address, plain: Any = algorithm.update) -> tuple[State, Metrics]:
        shown.append((Normaliser(state), trial))
        return plain(state, trial, address)

    monkeypatch.setattr(algorithm, "update", update)
    state = setup.initial_state(Address(0))
    jumps = []
    for iteration in (1, 2):
        state, _, _ = setup.iterate(state, Address(1, iteration))
        normalise, trial = shown[-1]
        seen = trial.rollouts[0].observation
        raw = seen * normalise.std + normalise.mean if normalise.active else seen
        before, after = (
            apply(algorithm.learned.model, state["policy"], each(raw)) for each in (normalise, Normaliser(state))
        )
        jumps.append(float(before.kl(after).mean()))
    assert 0 < max(jumps) < 0.03, jumps
    assert shown[0][0].std.max() > 10 * shown[0][0].std.min()  # observations have spreads of all sizes


def test_the_first_moments_are_of_steps_that_count_and_the_same_in_groups() -> None:
    results = []
    for groups in (1, 2):
        setup = normalised_setup(groups)
        first, _, steps = setup.iterate(setup.initial_state(Address(0)), Address(1))
        second, _, later = setup.iterate(first, Address(2))
        episode = 4 * 5 * 40
        assert (steps, later) == ((2 + 2) * episode, 2 * episode)  # two rounds before the first two
        # Of the very first one, which was played on observations as they are, there is the weight of one observation.
        assert first[MOMENTS]["count"] == 1 + 3 * episode and second[MOMENTS]["count"] == 1 + 5 * episode
        results.append(second)
    together, divided = (torch.utils._pytree.tree_leaves(result) for result in results)
    assert all(torch.equal(a, b) for a, b in zip(together, divided, strict=True))
