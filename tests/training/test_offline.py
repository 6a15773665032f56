"""Runs that learn from stored histories: they train, go on, act and adapt like any other, and refuse what cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.command import Command, assert_refused

import envs
import metarl as library
from envs.families.toy.rooms import DarkRoomConfig
from metarl.runtime.errors import InputError
from metarl.sources.collect import collect_data
from metarl.training.run import Run

ROOM = {"size": 3, "horizon": 5, "test_tasks": 2}
SIZES: dict[str, Any] = {"tasks": 2, "lanes": 1, "checkpoint_every": 1, "torch_threads": 1, "log": ()}
SMALL = {"rounds": 2, "memory_size": 8, "layers": 1, "embedding_size": 4, "batch_size": 4, "updates": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("histories") / "data"
    return str(collect_data("dark-room", "q-learning", folder, tasks=6, episodes=3, env=DarkRoomConfig(**ROOM)))


def train(out: Path, algorithm: str, data: str, iterations: int = 3, **more: Any) -> Run:
    algo = {**SMALL, "data": data}
    return library.train("dark-room", algorithm, out=out, env=ROOM, algo=algo, iterations=iterations, **SIZES, **more)


@pytest.mark.parametrize("algorithm", ["ad", "dpt"])
def test_a_run_learns_from_histories_and_acts_in_environments(algorithm: str, data: str, tmp_path: Path) -> None:
    run = train(tmp_path / "run", algorithm, data, evaluate_every=3)
    first, last = run.metrics[0], run.metrics[-1]
    assert last["loss/step_0"] < first["loss/step_0"] and 0 < last["accuracy/step_0"] < 1
    assert last["examples"] == 3 * 2 * 4 * 2 * 5  # iterations · steps · contexts · episodes · horizon
    assert "unseen/return/round_1" in last and "return/round_0" not in last
    record = library.evaluate(run.path, adaptations=4)
    assert record["unseen"] and len(record["returns"]["mean"]) == 5 and record["tasks"] == 2
    policy = library.load(run.path)
    adapted = policy.adapt(envs.SingleTask("dark-room", size=3, horizon=5), episodes=2)
    assert adapted(np.eye(3)[[1, 1]].flatten()) in range(5) and len(adapted.returns) == 2
    with pytest.raises(InputError, match=rf"what {algorithm} remembers grows with each step.* — use metarl\.load"):
        library.export(adapted, tmp_path / "policy")


def test_a_run_that_goes_on_is_one_that_was_not_interrupted(data: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", "ad", data, iterations=4)
    part = train(tmp_path / "part", "ad", data, iterations=2)
    part = library.resume(part.path, iterations=4)
    ours, theirs = (library.load(run.path).state["policy"] for run in (whole, part))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_cannot_be_learned_from_is_refused_in_a_line(data: str, tmp_path: Path, metarl: Command) -> None:
    collect_data("bandit", "random", tmp_path / "bandits", tasks=2, episodes=3)
    collect_data("point-nav", "random", tmp_path / "plane", tasks=2, episodes=3)
    small = [word for name, value in SMALL.items() for word in (f"--algo.{name.replace('_', '-')}", str(value))]
    room = ["--env.size", "3", "--env.horizon", "5", *small, "--out", "run", "--iterations", "1"]
    for words, told in (
        (("dark-room", "ad", *room), ("algo.data names no histories", "metarl collect-data")),
        (("dark-room", "ad", *room, "--algo.data", "nowhere"), ("there are no histories in 'nowhere'",)),
        (("dark-room", "ad", *room, "--algo.data", "bandits"), ("bandits has 1 numbers in an observation",)),
        (("dark-room", "ad", *room, "--algo.data", data, "--algo.rounds", "4"), ("of 3 episodes", "ask for 4")),
        (("dark-room", "ad", *room, "--algo.data", data, "--normalise-observations"), ("learned from as they are",)),
        (("dark-room", "ad", *room, "--algo.data", data, "--env.horizon", "6"), ("5 steps in an episode",)),
        (("dark-room", "ad", *room, "--algo.data", data, "--env.test-tasks", "5"), ("holds test tasks of this run",)),
        (("point-nav", "dpt", *small, "--out", "run", "--algo.data", "plane"), ("do not say what had been best",)),
        (("sinusoid", "ad", "--out", "run"), ("'ad' does not learn from labels",)),
    ):
        assert_refused(metarl("train", *words), *told)
    assert not (tmp_path / "run").exists()


def test_a_run_may_be_compared_with_one_that_learns_from_the_same_histories(data: str, tmp_path: Path) -> None:
    run = train(tmp_path / "run", "ad", data, iterations=1)
    record = library.evaluate(run.path, adaptations=1, compare=("dpt", "random-init"))
    assert record["compared"].keys() == {"dpt", "random-init"}
    other = library.train("dark-room", "rl2", out=tmp_path / "other", env=ROOM, iterations=1, **SIZES)
    with pytest.raises(InputError, match=r"algo.data names no histories"):
        library.evaluate(other.path, compare=("ad",))
