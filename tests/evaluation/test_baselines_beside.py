"""`metarl evaluate --compare`: baselines are trained as the run was, once, and meet the very same tasks."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml
from support.command import TINY, Command, assert_refused, end_result, metarl, snapshot, train_arguments

from metarl.cli import main
from metarl.evaluation.baselines import baselines
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory

__all__ = ["metarl"]
SIZES = ("--tasks", "3", "--adaptations", "1")


@pytest.fixture(scope="module")
def compared_run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, evaluated beside two baselines."""
    run = Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("compared") / "run"))
    assert main(["evaluate", str(run), *SIZES, "--compare", "random-init", "multitask"]) == 0
    return run


def test_stdout_is_one_object_with_every_method_and_nothing_is_trained_twice(
    metarl: Command, tmp_path: Path, compared_run: Path
) -> None:
    run = Path(shutil.copytree(compared_run, tmp_path / "run"))
    before = snapshot(run / "compare")
    code, out, err = metarl("evaluate", "run", *SIZES, "--compare", "random-init", "multitask", "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record == json.loads((compared_run / "evaluation.json").read_text())
    assert list(record["compared"]) == ["random-init", "multitask"]
    after = snapshot(run / "compare")
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert all("/evaluation/events" in name for name in changed)


def test_a_baseline_is_the_run_that_its_own_command_trains(metarl: Command, tmp_path: Path, compared_run: Path) -> None:
    assert metarl(*train_arguments("alone", iterations=4, algorithm="multitask")).code == 0
    assert end_result(tmp_path / "alone") == end_result(compared_run / "compare" / "multitask")
    alone = json.loads(metarl("evaluate", "alone", *SIZES, "--json").out)
    record = json.loads((compared_run / "evaluation.json").read_text())
    assert record["compared"]["multitask"]["per_task"] == alone["per_task"]
    assert record["task_parameters"] == alone["task_parameters"]


def test_a_baseline_that_was_interrupted_goes_on(
    metarl: Command, tmp_path: Path, run: Path, compared_run: Path
) -> None:
    assert metarl(*train_arguments("run/compare/multitask", iterations=2, algorithm="multitask")).code == 0
    assert metarl("evaluate", "run", *SIZES, "--compare", "multitask").code == 0
    assert end_result(run / "compare" / "multitask") == end_result(compared_run / "compare" / "multitask")


def test_every_method_is_in_the_table_and_in_the_csv(metarl: Command, tmp_path: Path, compared_run: Path) -> None:
    shutil.copytree(compared_run, tmp_path / "run")
    out = metarl("evaluate", "run", *SIZES, "--compare", "random-init", "multitask").out
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    with open(tmp_path / "run" / "evaluation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 2  # methods, tasks, rounds
    for name, curve in record["compared"].items():
        assert name in out and all(f"{value:.2f}" in out for value in curve["returns"]["mean"])
        written = [float(row["return"]) for row in rows if row["algo"] == name]
        assert written == [value for returns in curve["per_task"] for value in returns]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["alchemy"], ["alchemy", "maml-trpo"]),
        (["multitask", "randon-init"], ["randon-init", "did you mean 'random-init'?"]),
        (["maml-vpg"], ["--compare maml-vpg", "itself"]),
        (["json:JSONDecoder"], ["json:JSONDecoder", "Algorithm"]),
    ],
)
def test_a_bad_name_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, run: Path, names: list[str], words: list[str]
) -> None:
    before = snapshot(run)
    assert_refused(metarl("evaluate", "run", *SIZES, "--compare", *names), *words)
    assert snapshot(run) == before


def test_something_else_in_a_baselines_place_is_refused(metarl: Command, run: Path) -> None:
    other = ("--algo.inner-lr", "0.5")
    assert metarl(*train_arguments("run/compare/multitask", iterations=4, algorithm="multitask"), *other).code == 0
    result = metarl("evaluate", "run", *SIZES, "--compare", "multitask")
    assert_refused(result, "algo.inner_lr", "move it away")


def test_a_baseline_shares_what_the_run_chose_and_keeps_what_makes_it_another_method(
    metarl: Command, tmp_path: Path
) -> None:
    arguments = ["train", "point-nav", "fomaml", *TINY, "--iterations", "1", "--algo.inner-lr", "0.3", "--out", "run"]
    assert metarl(*arguments).code == 0
    config = load_config(RunDirectory.existing(tmp_path / "run"))
    others = baselines(config, ["maml-trpo", "cavia", "random-init"])
    assert all(other.algo.hidden == (8,) for other in others.values())
    assert all((other.train, other.env) == (config.train, config.env) for other in others.values())
    assert others["maml-trpo"].algo.first_order is False  # fomaml's own default, not a choice of the run
    assert others["maml-trpo"].algo.inner_lr == 0.3
    assert others["cavia"].algo.inner_lr == 1.0  # its rate means something else
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert others["random-init"].as_dict()["train"] == written["train"]


def test_what_learns_nothing_is_not_trained(compared_run: Path) -> None:
    record = json.loads((compared_run / "evaluation.json").read_text())
    assert record["compared"]["random-init"]["iteration"] == record["compared"]["random-init"]["env_steps"] == 0
    assert not (compared_run / "compare" / "random-init" / "checkpoints").exists()
    assert (compared_run / "compare" / "multitask" / "checkpoints").exists()
