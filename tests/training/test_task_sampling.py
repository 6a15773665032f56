"""Runs whose tasks are chosen: resumed bit for bit, alike on any number of ranks, evaluated on the laws themselves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.command import Command, assert_refused, end_result, numbers, snapshot, train_arguments
from support.processes import Job
from support.ranked import Ranks

from metarl.core.types import Rollout, Trial
from metarl.runs.config import TrainConfig
from metarl.runs.presets import default_config
from metarl.runs.task_sampling import ADROptions
from metarl.runtime.randomness import Address
from metarl.training.loop import train_iteration
from metarl.training.setup import Setup, fresh_state, set_up
from metarl.training.task_sampling import SAMPLING, outcomes

QUICK = {
    "adr": ["--task-sampling", "adr", "--adr.buffer", "1", "--adr.boundary", "0.6", "--tasks", "6"],
    "plr": ["--task-sampling", "plr", "--plr.capacity", "4", "--plr.replay", "0.9"],
}


def arguments(kind: str, run: str | Path, iterations: int, *names: str) -> list[str]:
    return [*train_arguments(run, iterations, *names), *QUICK[kind]]


def last_tensors(run: Path) -> dict[str, torch.Tensor]:
    return load_file(max((run / "checkpoints").glob("*.safetensors")))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("adr", ("point-nav", "maml-vpg")),
        ("plr", ("point-nav", "maml-vpg")),
        ("adr", ("half-cheetah-vel", "rma")),
        ("plr", ("half-cheetah-vel", "pearl")),
    ],
)
def test_a_run_resumes_exactly(metarl: Command, tmp_path: Path, kind: str, names: tuple[str, str]) -> None:
    assert metarl(*arguments(kind, "whole", 6, *names)).code == 0
    assert metarl(*arguments(kind, "half", 3, *names)).code == 0
    assert metarl(*arguments(kind, "half", 6, *names), "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")
    lines = numbers(tmp_path / "whole")
    told = "tasks/width" if kind == "adr" else "tasks/replayed"
    assert len({line[told] for line in lines}) > 1  # it did something
    uniform = metarl(*arguments(kind, "half", 7, *names), "--task-sampling", "uniform", "--resume")
    assert_refused(uniform, f"train.task_sampling is uniform, there it is {kind}")
    narrower = metarl(*arguments(kind, "half", 7, *names), "--adr.start", "0.5", "--resume")
    assert_refused(narrower, "train.adr.start is 0.5, there it is 0.1")
    assert metarl("evaluate", "half", "--tasks", "2", "--adaptations", "1").code == 0


@pytest.mark.parametrize("kind", QUICK)
def test_ranks_choose_what_one_process_chooses(tmp_path: Path, kind: str) -> None:
    # of a policy that never changes, every rank has the very same returns
    run = [*arguments(kind, "run", 5, "point-nav", "random-init"), "--tasks", "4"]
    ranks = Ranks(2, run, tmp_path / "ranks")
    job = Job([*run, "--out", str(tmp_path / "run")], tmp_path / "log")
    assert ranks.end() == [0, 0], ranks.log()
    assert job.end() == 0, job.log.read_text()
    ours, alone = last_tensors(tmp_path / "ranks/rank-0/run"), last_tensors(tmp_path / "run")
    state = [name for name in alone if name.startswith(SAMPLING)]
    assert len(state) == 5
    for name in state:
        assert torch.equal(ours[name], alone[name]), name
    for line, other in zip(numbers(tmp_path / "ranks/rank-0/run"), numbers(tmp_path / "run"), strict=True):
        assert line == pytest.approx(other, rel=1e-6)


def sampling(kind: str, **options: Any) -> Setup:
    defaults = default_config("point-nav", "maml-vpg")
    train = TrainConfig(tasks=6, lanes=3, threads=1, torch_threads=1, task_sampling=kind, **options)  # type: ignore[arg-type]
    return set_up(replace(defaults, train=train, env=replace(defaults.env, horizon=5)))


def test_training_meets_narrow_tasks_and_evaluation_those_of_the_laws() -> None:
    setups = [sampling("uniform"), sampling("adr", adr=ADROptions(start=0.2)), sampling("plr")]
    unseen = []
    for setup in setups:
        state = fresh_state(setup)
        state, trial, _ = train_iteration(setup, state, Address(7))
        assert trial.tasks is not None
        farthest = float(trial.tasks.abs().max())  # goals lie within ±0.5
        assert farthest <= 0.1 + 1e-12 if setup is setups[1] else farthest > 0.25
        told = setup.on_unseen_tasks(fresh_state(setup))
        unseen.append({name: value for name, value in told.items() if not name.startswith("time/")})
    assert unseen[0] == unseen[1] == unseen[2]


def test_the_outcome_of_a_trial_counts_lanes_that_count() -> None:
    # two tasks, two lanes, two steps, two rounds; a lane of task 0 diverged in the last round, both of task 1 did
    reward = torch.tensor([[[[1.0, 2.0], [5.0, 5.0]], [[0.0, 1.0], [2.0, 2.0]]]] * 2)
    reward = reward * torch.tensor([1.0, 10.0]).reshape(2, 1, 1, 1)
    mask = torch.ones(2, 2, 2, 2)
    mask[1, 0, 1] = mask[1, 1] = 0
    empty = torch.zeros(0)
    trial = Trial([Rollout(*[empty] * 3, reward[k], *[empty] * 3, mask[k], empty) for k in range(2)])
    # task 0: last round 1 · (10 + 20), best of 3, 10 and 30. task 1: nothing at last, best of 1 and 4.
    assert outcomes(trial).tolist() == [[30, 30, 1], [0, 4, 0]]


def test_a_task_whose_physics_broke_has_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = sampling("plr")
    state = fresh_state(setup)
    monkeypatch.setattr(Rollout, "returns", property(lambda rollout: rollout.mask[:, 0, 0]))
    monkeypatch.setattr("metarl.training.task_sampling.outcomes", lambda trial: torch.eye(6, 3).double())
    state, _, metrics = train_iteration(setup, state, Address(1))
    assert metrics["tasks/remembered"] == 1 and np.isfinite(list(metrics.values())).all()


def test_a_run_begins_from_another_whose_tasks_were_chosen_otherwise(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*arguments("plr", "plr", 2)).code == 0
    assert metarl(*arguments("adr", "adr", 1), "--from", "plr").code == 0
    assert metarl(*train_arguments("uniform", 1), "--from", "adr").code == 0
    assert SAMPLING not in {name.split("/")[0] for name in last_tensors(tmp_path / "uniform")}


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        (("sinusoid", "maml"), ["--task-sampling", "adr"], "needs returns to learn from"),
        (("point-nav",), ["--task-sampling", "adr", "--env.train-tasks", "9"], "widens intervals"),
        (("bandit", "rl2"), ["--task-sampling", "plr", "--env.train-tasks", "1"], "there is one here"),
        (("point-nav",), ["--adr.lower-below", "0.6"], "give a lower one first"),
        (("point-nav",), ["--adr.step", "0"], "adr.step is 0.0 — it must be above 0"),
        (("point-nav",), ["--plr.capacity", "1"], "plr.capacity is 1"),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_a_line(
    metarl: Command, tmp_path: Path, names: tuple[str, ...], more: list[str], words: str
) -> None:
    assert_refused(metarl("train", *names, "--iterations", "1", "--out", "run", *more), words)
    assert snapshot(tmp_path) == {}
