"""Labelled data through `metarl train`, `evaluate` and `list`: the same loop, files and exactness as for policies."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import Command, assert_refused, end_result, numbers, snapshot
from support.drawings import draw

from metarl.algorithms import names_for
from metarl.fewshot import SOURCES
from metarl.runs.presets import PRESETS, default_config
from metarl.runs.worlds import environment_config

USER = Path(__file__).parents[1] / "support" / "user_sources.py"
TINY = ("--tasks", "3", "--threads", "1", "--torch-threads", "1", "--checkpoint-every", "1", "--algo.hidden", "8")
CHEAP = {"imaml": ("--algo.proximal-steps", "3"), "reptile": ("--algo.inner-steps", "2")}


def train(environment: str, learner: str, out: str, iterations: int = 2, *more: Any) -> list[str]:
    names = ("train", environment, learner, *TINY, *CHEAP.get(learner, ()), "--iterations", iterations, "--out", out)
    return [str(word) for word in (*names, *more)]


def evaluated(metarl: Command, run: str, *more: Any) -> dict[str, Any]:
    result = metarl("evaluate", run, "--tasks", "7", "--adaptations", "2", "--json", *more)
    assert result.code == 0, result
    return json.loads(result.out)


@pytest.mark.parametrize("learner", names_for("labels"))
def test_every_learner_trains_resumes_bit_for_bit_and_evaluates(metarl: Command, tmp_path: Path, learner: str) -> None:
    assert metarl(*train("sinusoid", learner, "whole", 3)).code == 0
    assert metarl(*train("sinusoid", learner, "half", 1)).code == 0
    assert metarl(*train("sinusoid", learner, "half", 3, "--resume")).code == 0
    assert end_result(tmp_path / "whole") == end_result(tmp_path / "half")
    lines = numbers(tmp_path / "whole")
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert [line["examples"] for line in lines] == [60, 120, 180]  # 3 tasks of 10 shots and 10 queries
    steps = {"multitask": 1, "reptile": 3}.get(learner, 2)
    assert [name for name in lines[0] if name.startswith("loss/")] == [f"loss/step_{k}" for k in range(steps)]
    before = snapshot(tmp_path / "whole" / "checkpoints")
    record = evaluated(metarl, "whole")
    assert np.shape(record["loss"]["per_task"]) == (7, 3) and "accuracy" not in record
    assert record["loss"]["mean"] == pytest.approx(np.mean(record["loss"]["per_task"], axis=0))
    assert record == evaluated(metarl, "half") == json.loads((tmp_path / "half/evaluation.json").read_text())
    assert snapshot(tmp_path / "whole" / "checkpoints") == before


def test_classes_are_counted_too(metarl: Command, tmp_path: Path) -> None:
    data = draw(tmp_path / "data")
    sizes = ("--env.data", data, "--env.ways", "3", "--env.shots", "2", "--env.queries", "2", "--algo.filters", "4")
    for learner in ("maml", "cavia", "rnn"):
        assert metarl(*train("omniglot", learner, learner, 2, *sizes)).code == 0
        line = numbers(tmp_path / learner)[-1]
        assert {"loss/step_0", "loss/step_1", "accuracy/step_0", "accuracy/step_1"} <= line.keys()
        record = evaluated(metarl, learner)
        shares = np.array(record["accuracy"]["per_task"]) * 6  # of 3 x 2 answers
        assert np.allclose(shares, shares.round()) and (shares >= 0).all() and (shares <= 6).all()
    for split in ("train", "validation"):
        assert evaluated(metarl, "maml", "--split", split)["split"] == split
    # the loss of who has read nothing is near that of guessing
    assert numbers(tmp_path / "rnn")[0]["loss/step_0"] == pytest.approx(math.log(3), abs=0.5)


def test_a_run_is_evaluated_with_other_shots_than_it_was_trained_with(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train("sinusoid", "maml", "run")).code == 0
    ten, same, three = (evaluated(metarl, "run", *more) for more in ((), ("--shots", "10"), ("--shots", "3")))
    assert ten == same and "shots" not in ten and three["shots"] == 3
    loss = {name: np.array(record["loss"]["per_task"]) for name, record in (("ten", ten), ("three", three))}
    # the same waves, asked for the same points; only what is learned from differs
    np.testing.assert_array_equal(loss["ten"][:, 0], loss["three"][:, 0])
    assert (loss["ten"][:, 1] != loss["three"][:, 1]).all()
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text()) == ten  # what stands for the run
    assert len(list((tmp_path / "run" / "evaluations").iterdir())) == 2


def test_what_is_printed_shows_the_curve(metarl: Command, tmp_path: Path) -> None:
    out = metarl(*train("polynomial", "maml", "run")).out
    assert "polynomial · maml · 3 tasks · cpu" in out and "after 1 step" in out and "before adaptation" in out
    table = metarl("evaluate", "run", "--tasks", "5", "--adaptations", "1").out
    assert "mean loss" in table and "evaluation.json" in table
    listed = metarl("list").out
    assert all(name in listed for name in (*SOURCES, *names_for("labels")))


def test_the_names_alone_train_maml(metarl: Command, tmp_path: Path) -> None:
    assert metarl("train", "sinusoid", *TINY, "--iterations", "1").code == 0
    assert (tmp_path / "runs/sinusoid/maml/seed-0/metrics.jsonl").exists()


def test_a_users_source_and_learner_are_named_by_their_file(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train(f"{USER}:Sides", f"{USER}:Mine", "run", 2, "--env.shots", "3")).code == 0
    assert np.shape(evaluated(metarl, "run", "--trust")["accuracy"]["per_task"]) == (7, 3)


REFUSED = {
    "a typo in the source": ("sinusiod maml", ["sinusiod", "did you mean 'sinusoid'?"]),
    "a method for policies": ("sinusoid maml-trpo", ["maml-trpo", "labels", "maml, fomaml"]),
    "a learner for a policy": ("point-nav maml", ["'maml'", "experience", "maml-trpo"]),
    "an attribute that is no source": (f"{USER}:SidesConfig", ["SidesConfig", "TaskEnv"]),
    "an attribute that is no learner": (f"sinusoid {USER}:Sides", ["Sides", "no algorithm"]),
    "episodes of labelled data": ("sinusoid maml --lanes 3", ["--lanes", "--env.shots"]),
    "no shots": ("sinusoid maml --env.shots 0", ["env.shots is 0"]),
    "a rate below 0": ("sinusoid maml --algo.inner-lr=-1", ["algo.inner_lr is -1"]),
    "no folder": ("omniglot maml", ["--env.data", "images_background.zip"]),
    "an empty folder": ("omniglot maml --env.data .", ["images_background.zip and images_evaluation.zip"]),
    "one class": ("omniglot maml --env.data . --env.ways 1", ["env.ways is 1"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_writes_nothing(metarl: Command, tmp_path: Path, case: str) -> None:
    arguments, words = REFUSED[case]
    assert_refused(metarl("train", *arguments.split()), *words)
    assert not any(tmp_path.iterdir())


def test_what_labelled_data_do_not_have_is_refused(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train("sinusoid", "maml", "run")).code == 0
    assert_refused(metarl("evaluate", "run", "--split", "outside"), "outside", "train, test")
    assert_refused(metarl("evaluate", "run", "--compare", "anil"), "--compare")
    assert_refused(metarl(*train("sinusoid", "maml", "run", 2, "--resume", "--env.shots", "5")), "env.shots")


def test_presets_name_options_that_exist() -> None:
    for _, runs, *_ in PRESETS:
        for source in SOURCES.keys() & set(runs.environments):
            for learner in runs.algorithms or names_for("labels"):
                assert default_config(source, learner)
    assert {environment_config(name) for name in SOURCES} == {entry.config for entry in SOURCES.values()}
