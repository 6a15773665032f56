"""No evaluation of a run replaces another, and `evaluation.json` is the newest on unseen tasks."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, snapshot, train_arguments

from metarl.evaluation.identity import EvaluationIdentity, best_known, identity_of, read_evaluations
from metarl.runtime.files import as_json


def evaluate(metarl: Command, *options: Any) -> dict[str, Any]:
    sizes = {"--tasks": 2, "--adaptations": 0} | dict(zip(options[::2], options[1::2], strict=True))
    result = metarl("evaluate", "run", "--json", *(word for pair in sizes.items() for word in pair))
    assert result.code == 0, result
    return json.loads(result.out)


def test_evaluations_that_differ_in_anything_lie_side_by_side(metarl: Command, run: Path) -> None:
    records = [
        evaluate(metarl),
        evaluate(metarl, "--split", "train"),
        evaluate(metarl, "--tasks", 3),
        evaluate(metarl, "--adaptations", 1),
        evaluate(metarl, "--seed", 1),
    ]
    assert metarl(*train_arguments("run", iterations=5), "--resume").code == 0
    records.append(evaluate(metarl))
    kept = [
        json.loads((run / "evaluations" / name / "evaluation.json").read_text())
        for name in (
            "test-seed-0-tasks-2-adaptations-0-iteration-4",
            "train-seed-0-tasks-2-adaptations-0-iteration-4",
            "test-seed-0-tasks-3-adaptations-0-iteration-4",
            "test-seed-0-tasks-2-adaptations-1-iteration-4",
            "test-seed-1-tasks-2-adaptations-0-iteration-4",
            "test-seed-0-tasks-2-adaptations-0-iteration-5",
        )
    ]
    assert kept == records and len(list((run / "evaluations").iterdir())) == 6
    for record in records:
        assert record["deterministic"] is False and record["adaptations"] == len(record["returns"]["mean"]) - 1


def test_an_evaluation_on_training_tasks_leaves_that_on_unseen_ones_where_it_is(metarl: Command, run: Path) -> None:
    unseen = evaluate(metarl)
    before = snapshot(run)
    seen = metarl("evaluate", "run", "--tasks", "2", "--adaptations", "0", "--split", "train")
    after = snapshot(run)
    assert {name: content for name, content in after.items() if name in before} == before
    assert json.loads((run / "evaluation.json").read_text()) == unseen
    place = "evaluations/train-seed-0-tasks-2-adaptations-0-iteration-4"
    assert after.keys() - before.keys() >= {f"{place}/{name}" for name in ("evaluation.csv", "adaptation.png")}
    assert f"written: run/{place}/evaluation.json" in seen.out and "written: run/evaluation.json" not in seen.out


def test_the_newest_on_unseen_tasks_is_shown_in_the_runs_folder(metarl: Command, run: Path) -> None:
    for options in (("--tasks", 3), ("--tasks", 2)):
        record = evaluate(metarl, *options)
        assert json.loads((run / "evaluation.json").read_text()) == record
        own = run / "evaluations" / identity_of(record).name
        for name in ("evaluation.csv", "adaptation.png"):
            assert (run / name).read_bytes() == (own / name).read_bytes()


def test_the_only_evaluation_of_an_older_run_is_read_and_kept(metarl: Command, run: Path) -> None:
    returns = {name: [-3.0, -1.0] for name in ("mean", "low", "high")}
    older = {"env": "point-nav", "algo": "maml-vpg", "iteration": 4, "split": "train", "tasks": 2, "returns": returns}
    (run / "evaluation.json").write_text(json.dumps(older))
    identity = EvaluationIdentity("train", seed=0, tasks=2, adaptations=1, iteration=4)
    assert read_evaluations(run) == ({identity: older}, [])
    newer = evaluate(metarl)
    assert read_evaluations(run) == ({identity: older, identity_of(newer): newer}, [])


def test_what_is_no_evaluation_is_named(run: Path) -> None:
    for name, text in (("one", "{"), ("two", "[]"), ("three", '{"returns": {"mean": [1.0]}}')):
        (run / "evaluations" / name).mkdir(parents=True)
        (run / "evaluations" / name / "evaluation.json").write_text(text)
    found, broken = read_evaluations(run)
    assert found == {} and len(broken) == 3
    assert all("cannot be read" in line and "evaluations/" in line for line in broken)


@pytest.mark.parametrize(
    "change",
    [{"split": "../../elsewhere"}, {"split": "a\0b"}, {"split": "a" * 300}, {"iteration": 10**300}, {"tasks": -1}],
    ids=["another folder", "no file's name", "a long name", "a long number", "a negative number"],
)
def test_what_a_record_says_of_itself_names_no_other_place(metarl: Command, run: Path, change: dict[str, Any]) -> None:
    returns = {name: [-3.0, -1.0] for name in ("mean", "low", "high")}
    older = {"env": "point-nav", "algo": "maml-vpg", "iteration": 4, "split": "train", "tasks": 2, "returns": returns}
    (run / "evaluation.json").write_text(json.dumps(older | change))
    evaluate(metarl)
    assert [place.name for place in (run / "evaluations").iterdir()] == [
        "test-seed-0-tasks-2-adaptations-0-iteration-4"
    ]
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_the_evaluation_that_is_meant_is_on_unseen_tasks_and_as_asked() -> None:
    usual = EvaluationIdentity("test", seed=0, tasks=40, adaptations=3, iteration=60)
    others = [
        usual._replace(split="train", tasks=100),
        usual._replace(split="outside", tasks=100),
        usual._replace(deterministic=True, tasks=100),
        usual._replace(seed=1, tasks=100),
        usual._replace(iteration=50, tasks=100),
        usual._replace(tasks=5),
        usual._replace(adaptations=2),
    ]
    assert best_known([*others, usual], iteration=60) == usual
    assert best_known([usual, *others], iteration=60, tasks=5) == usual._replace(tasks=5)
    assert best_known([usual, *others], iteration=60, adaptations=2) == usual._replace(adaptations=2)
    assert best_known([usual, *others], iteration=60, tasks=7) is None
    assert best_known(others[:3], iteration=60) is None
    assert len({each.name for each in (usual, *others)}) == 8


def test_what_is_not_finite_is_null_in_json() -> None:
    value = {"a": [1.0, float("nan"), (float("inf"), -0.0)], "b": {"c": float("-inf")}, "d": "NaN", "e": None}
    assert as_json(value) == '{"a": [1.0, null, [null, -0.0]], "b": {"c": null}, "d": "NaN", "e": null}'
