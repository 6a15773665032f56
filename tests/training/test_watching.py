"""`--evaluate-every`, `--until`, `--minutes`: what is looked at while training goes on, and when it ends early."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, assert_refused, numbers, snapshot, train_arguments

from metarl.runs.checkpoint import shapes_of
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.runs.until import Target, target_of
from metarl.runtime.devices import CPU
from metarl.runtime.errors import InputError
from metarl.training.setup import fresh_state, set_up


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


ENVIRONMENTS = [("point-nav", "maml-vpg"), ("point-nav", "pearl"), ("bandit", "rl2"), ("grid-navi", "varibad")]


@pytest.mark.parametrize(("environment", "algorithm"), ENVIRONMENTS, ids=["-".join(names) for names in ENVIRONMENTS])
def test_looking_at_unseen_tasks_changes_no_bit_of_training(
    metarl: Command, tmp_path: Path, environment: str, algorithm: str
) -> None:
    tiny = ["--tasks", "2", "--lanes", "2", "--threads", "1", "--torch-threads", "1", "--algo.hidden", "8"]
    small = {"pearl": ["--algo.replay-size", "2000", "--env.horizon", "5"], "varibad": ["--algo.replay-size", "2000"]}
    arguments = ["train", environment, algorithm, *tiny, "--iterations", "3", *small.get(algorithm, [])]
    blind, seeing = metarl(*arguments, "--out", "blind"), metarl(*arguments, "--out", "seeing", "--evaluate-every", "2")
    assert (blind.code, seeing.code) == (0, 0), (blind, seeing)
    unseen = [{name for name in line if name.startswith("unseen/return/")} for line in lines_of(tmp_path / "seeing")]
    assert not unseen[0] and unseen[1] and not unseen[2]
    own = [{k: v for k, v in line.items() if "unseen" not in k} for line in numbers(tmp_path / "seeing")]
    assert own == numbers(tmp_path / "blind")
    weights = sorted((tmp_path / "blind/checkpoints").glob("*.safetensors"))
    assert weights
    for path in weights:
        assert path.read_bytes() == (tmp_path / "seeing/checkpoints" / path.name).read_bytes()


def test_the_best_checkpoint_by_unseen_tasks_is_kept(metarl: Command, tmp_path: Path) -> None:
    out = metarl(*train_arguments("run", iterations=8), "--evaluate-every", "2")
    assert out.code == 0, out
    scores = {
        line["iteration"]: line["unseen/return/round_1"]
        for line in lines_of(tmp_path / "run")
        if line["iteration"] % 2 == 0
    }
    best = max(scores, key=scores.__getitem__)
    (kept,) = (tmp_path / "run/checkpoints/best").glob("*.json")
    assert kept.name == f"iteration-{best:06d}.json"


def test_unseen_labelled_tasks_are_met_too(metarl: Command, tmp_path: Path) -> None:
    arguments = ["train", "sinusoid", "maml", "--tasks", "2", "--algo.hidden", "4", "--torch-threads", "1"]
    assert metarl(*arguments, "--iterations", "4", "--evaluate-every", "1", "--out", "run").code == 0
    losses = [line["unseen/loss/step_1"] for line in lines_of(tmp_path / "run")]
    (kept,) = (tmp_path / "run/checkpoints/best").glob("*.json")
    assert kept.name == f"iteration-{losses.index(min(losses)) + 1:06d}.json"


def test_a_run_that_is_resumed_looks_at_the_same_tasks_and_keeps_the_same_best(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("straight", iterations=6), "--evaluate-every", "1").code == 0
    assert metarl(*train_arguments("halves", iterations=3), "--evaluate-every", "1").code == 0
    assert metarl("resume", "halves", "--iterations", "6").code == 0
    assert numbers(tmp_path / "halves") == numbers(tmp_path / "straight")
    bests = [[path.name for path in (tmp_path / run / "checkpoints/best").iterdir()] for run in ("halves", "straight")]
    assert sorted(bests[0]) == sorted(bests[1])


# By hand: with a window of five, the mean of 10, 20, 30, 40, 50 is 30, and that of 20, ..., 60 is 40.
@pytest.mark.parametrize(("level", "at"), [(30, 5), (30.5, 6), (40, 6), (41, None)])
def test_a_level_counts_as_a_mean_of_five_iterations(level: float, at: int | None) -> None:
    lines = [{"iteration": i, "return/round_0": 99.0, "return/round_1": 10.0 * i} for i in range(1, 7)]
    reached = [i for i in range(1, 7) if Target("return", level).reached(lines[:i])]
    assert reached == ([] if at is None else list(range(at, 7)))


def test_a_loss_is_reached_from_above_and_unseen_tasks_count_by_the_newest_evaluation() -> None:
    lines = [{"loss/step_0": 9.0, "loss/step_1": 1.0}] * 5
    assert Target("loss", 1.0).reached(lines) and not Target("loss", 0.9).reached(lines)
    unseen = [{"unseen/return/round_1": 5.0, "return/round_1": 0.0}]
    assert Target("unseen/return", 5.0).reached(unseen)
    assert not Target("unseen/return", 5.0).reached([*unseen, {"return/round_1": 9.0}])  # nothing new was looked at


@pytest.mark.parametrize("text", ["return", "return=", "return=high", "reward=3", "return=nan", "=3", "return=inf"])
def test_what_is_no_level_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--until is"):
        target_of(text, unseen=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--until", "return"], ["--until is 'return'", "return=250"]),
        (["--until", "unseen/return=3"], ["no unseen tasks are met", "--evaluate-every"]),
        (["--until", "loss=3"], ["what is measured here is return"]),
        (["--minutes", "nan"], ["minutes is nan"]),
        (["--evaluate-every", "-1"], ["evaluate_every is -1"]),
    ],
)
def test_an_impossible_end_is_refused_before_anything_is_written(
    metarl: Command, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    assert_refused(metarl(*train_arguments("run"), *options), *words)
    assert not snapshot(tmp_path)


def test_training_ends_where_its_level_is_reached_and_says_how_long_it_took(metarl: Command, tmp_path: Path) -> None:
    # any return of the point robot is above -1e9, so that the fifth iteration is the first that can end it
    early = metarl(*train_arguments("run", iterations=9), "--until", "return=-1e9", "--checkpoint-every", "9")
    assert early.code == 0
    assert re.search(r"trained: +iterations 1 to 5 in \d+ s: return=-1e9 is reached\n", early.out)
    assert [line["iteration"] for line in numbers(tmp_path / "run")] == [1, 2, 3, 4, 5]
    assert (tmp_path / "run/checkpoints/iteration-000005.json").exists()
    # it stays reached; and goes on where another end is named
    assert metarl("resume", "run").code == 0
    assert len(numbers(tmp_path / "run")) == 5
    assert metarl("resume", "run", "--until", "", "--iterations", "6").code == 0
    assert len(numbers(tmp_path / "run")) == 6


def test_training_ends_when_its_minutes_are_over(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = time.monotonic, iter(range(10**6))
    monkeypatch.setattr("metarl.training.recording.time.monotonic", lambda: 20.0 * next(calls))
    ended = metarl(*train_arguments("run", iterations=99), "--minutes", "1", "--checkpoint-every", "99")
    monkeypatch.setattr("metarl.training.recording.time.monotonic", real)
    assert ended.code == 0 and "1 minutes are over" in ended.out
    done = len(numbers(tmp_path / "run"))
    assert 1 <= done < 6  # a minute is three looks at the clock
    assert (tmp_path / f"run/checkpoints/iteration-{done:06d}.json").exists()
    assert metarl("resume", "run", "--minutes", "0", "--iterations", str(done + 1)).code == 0


def test_the_best_the_last_or_any_kept_checkpoint_is_loaded_by_its_name(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=5), "--evaluate-every", "1").code == 0
    run = RunDirectory(tmp_path / "run")
    shapes = shapes_of(fresh_state(set_up(load_config(run))))
    unseen = [line["unseen/return/round_1"] for line in lines_of(tmp_path / "run")]
    names = {"best": unseen.index(max(unseen)) + 1, "last": 5, "4": 4}
    for name, iteration in names.items():
        assert run.require_checkpoint(CPU, shapes, name).iteration == iteration
    for name in ("1" if names["best"] != 1 else "2", "99", "first", "-1"):
        with pytest.raises(InputError, match=f"keeps no checkpoint '{name}'.*choose one of: last, 3, 4, 5, best"):
            run.require_checkpoint(CPU, shapes, name)


def test_no_best_checkpoint_is_kept_where_no_unseen_tasks_are_met(run: Path) -> None:
    directory = RunDirectory(run)
    shapes = shapes_of(fresh_state(set_up(load_config(directory))))
    with pytest.raises(InputError, match="--evaluate-every"):
        directory.require_checkpoint(CPU, shapes, "best")
