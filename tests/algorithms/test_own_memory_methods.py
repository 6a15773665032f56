"""A recurrent core and an off-policy method from outside: one file each, named by its path, no edit of the package."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.command import Command, assert_refused, end_result

import metarl as library

OWN = Path(__file__).parents[1] / "support" / "own"
SIZES = [*("--lanes", "2", "--threads", "1", "--torch-threads", "1", "--algo.hidden", "16"), "--out"]


def train(metarl: Command, environment: str, algorithm: str, *options: str, out: str) -> None:
    result = metarl("train", environment, algorithm, *options, *SIZES, out)
    assert result.code == 0, result


@pytest.mark.parametrize("algorithm", ["rl2", "varibad"])
def test_a_core_of_ones_own_remembers(algorithm: str, metarl: Command, tmp_path: Path) -> None:
    shutil.copy(OWN / "leaky.py", tmp_path)
    options = ["--algo.memory", "leaky.py:Leaky", "--tasks", "4", "--env.horizon", "6", "--algo.memory-size", "5"]
    train(metarl, "bandit", algorithm, *options, "--iterations", "2", out="run")
    train(metarl, "bandit", algorithm, *options, "--iterations", "1", out="half")
    train(metarl, "bandit", algorithm, *options, "--iterations", "2", "--resume", out="half")
    assert end_result(tmp_path / "run") == end_result(tmp_path / "half")
    learned = library.load(tmp_path / "run", trust=True).state["policy" if algorithm == "rl2" else "model"]
    assert any(name.endswith("rate") for name in learned)

    # What a run names is not run unasked, and is found wherever one stands.
    assert_refused(metarl("evaluate", "run"), "leaky.py:Leaky", "--trust")
    os.chdir(tmp_path.parent)
    curve = library.evaluate(tmp_path / "run", tasks=3, adaptations=1, trust=True)["per_task"]
    assert np.isfinite(curve).all()


def test_a_core_that_is_none_is_refused_before_anything_is_written(metarl: Command, tmp_path: Path) -> None:
    for name, words in (("gur", "did you mean 'gru'?"), ("metarl.core.networks:Linear", "is no memory")):
        assert_refused(metarl("train", "bandit", "rl2", "--algo.memory", name, "--out", "run"), name, words)
        assert not (tmp_path / "run").exists()


def test_an_off_policy_method_of_ones_own_learns_from_the_replay(metarl: Command, tmp_path: Path) -> None:
    # One bandit of five arms, met again and again: in the end the arm that pays most is pulled, by luck in one of five.
    shutil.copy(OWN / "greedy_q.py", tmp_path)
    options = [
        "--tasks",
        "1",
        "--env.train-tasks",
        "1",
        "--env.arms",
        "5",
        "--env.horizon",
        "10",
        "--algo.discount",
        "0",
    ]
    train(metarl, "bandit", "greedy_q.py:GreedyQ", *options, "--iterations", "60", out="run")
    policy = library.load(tmp_path / "run", trust=True)
    (adapted,) = policy.practise(task=0, adaptations=0, split="train")
    env = policy.setup.env
    (means,) = env.tasks.values()
    assert adapted(np.zeros(env.observation_size)) == means[0].argmax()
    assert policy.setup.traits.replay == 20_000
