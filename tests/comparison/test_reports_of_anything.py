"""Whatever lies in a run's folder, the page stands: the run is listed with what is wrong, and no other run suffers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import Command
from support.made_up import Page, evaluated, report, runs, write_run

from metarl.comparison.records import find_runs, read_record, told_apart
from metarl.comparison.results import write_results
from metarl.runs.metrics import MetricsFile, read_metrics

__all__ = ["runs"]
NAN, INFINITY = float("nan"), float("inf")


def config(room: str, value: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        values = yaml.safe_load((run / "config.yaml").read_text())
        (run / "config.yaml").write_text(yaml.safe_dump(values | {room: value}))

    return change


def metrics(*lines: dict[str, Any]) -> Callable[[Path], None]:
    return lambda run: (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines)) and None


def evaluation(**changes: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        values = json.loads((run / "evaluation.json").read_text())
        (run / "evaluation.json").write_text(json.dumps(values | changes))

    return change


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(content) and None


def folder_in_place_of(name: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return change


def line(iteration: int = 2, **values: Any) -> dict[str, Any]:
    return {"iteration": iteration, "env_steps": 200, "return/round_0": 1.0, "return/round_1": 2.0} | values


def curve(*means: Any) -> dict[str, Any]:
    return {name: list(means) for name in ("mean", "low", "high")}


# what is done to one run of three, and what the page then says
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no metrics": (lambda run: (run / "metrics.jsonl").unlink(), "no metrics.jsonl"),
    "metrics are a folder": (folder_in_place_of("metrics.jsonl"), "metrics.jsonl cannot be read"),
    "metrics are words": (text("metrics.jsonl", "hello\n\x00\n"), "0 / 2"),
    "metrics are NaN": (metrics(line(1), line(2, **{"return/round_1": NAN})), "1 of 2 iterations are finite"),
    "metrics are null": (metrics(line(1), line(2, **{"return/round_0": None})), "1 of 2 iterations are finite"),
    "steps are infinite": (metrics(line(1), line(2, env_steps=INFINITY)), "1 of 2 iterations are finite"),
    "steps are too many": (metrics(line(1), line(2, env_steps=1e301)), "1 of 2 iterations are finite"),
    "metrics of another kind": (metrics(line(**{"return/round_1": "high", "return/round_x": 3.0})), "finished"),
    "no evaluation": (lambda run: (run / "evaluation.json").unlink(), "not evaluated"),
    "half an evaluation": (text("evaluation.json", '{"iteration": 2, "ret'), "evaluation.json cannot be read"),
    "an empty evaluation": (text("evaluation.json", "{}"), "evaluation.json cannot be read"),
    "an evaluation of NaN": (evaluation(returns=curve(1.0, NAN)), "no finite numbers"),
    "an evaluation of null": (evaluation(returns=curve(1.0, None)), "no finite numbers"),
    "an evaluation of words": (evaluation(returns=curve(1.0, "high")), "no finite numbers"),
    "ragged tasks": (evaluation(per_task=[[1.0, 2.0], [1.0]]), "no finite numbers"),
    "tasks of other rounds": (evaluation(per_task=[[1.0], [1.0]]), "no finite numbers"),
    "a level of NaN": (evaluation(oracle=NAN), "no finite numbers"),
    "a level of words": (evaluation(random="low"), "no finite numbers"),
    "training tasks": (evaluation(split="train"), "not evaluated on unseen tasks"),
    "config is no YAML": (text("config.yaml", "environment: ["), "config.yaml cannot be read"),
    "config is binary": (text("config.yaml", "\x00\x01"), "config.yaml cannot be read"),
    "options are no table": (config("train", [1]), "not the config of a run"),
    "environment is no table": (config("env", [1]), "not the config of a run"),
    "numbers for names": (config("env", {1: 2}), "not the config of a run"),
    "the seed is a word": (config("train", {"seed": "one", "iterations": 2}), "seed 'one'"),
    "no iterations": (config("train", {"seed": 0, "iterations": None}), "iterations None"),
    "versions are no table": (config("versions", "all"), "not the config of a run"),
    "a name like a formula": (config("algorithm", "$a^{_$.py:Mine"), "$a^{_$.py:Mine"),
    "a name that hides": (config("algorithm", "_mine.py:Mine"), "_mine.py:Mine"),
}


def rows_of_promp(page: Page) -> list[dict[str, str]]:
    tables = page.tables()
    return [row for name in tables if "profile" not in name for row in tables[name] if row["algorithm"] == "promp"]


@pytest.mark.filterwarnings("error")
def test_bad_runs_are_listed_with_what_is_wrong_and_the_others_are_as_before(metarl: Command, runs: Path) -> None:
    before = rows_of_promp(report(metarl, runs))
    assert len(before) == 4
    for name, (damage, _) in DAMAGES.items():
        run = shutil.copytree(runs / "bandit" / "maml-trpo-0", runs / "bad" / name.replace(" ", "-"))
        damage(Path(run))
    page = report(metarl, runs)
    assert rows_of_promp(page) == before
    for name, (_, words) in DAMAGES.items():
        # the run's row in the table, or its line below; in either case what is wrong follows its path
        _, _, said = page.text.partition(f"bad/{name.replace(' ', '-')}")
        assert words in said.partition("bad/")[0], (name, said[:200])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["metrics are NaN", "an evaluation of NaN", "steps are too many", "a name that hides"])
def test_a_bad_run_alone_makes_a_page(metarl: Command, runs: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    damage(runs / "bandit" / "maml-trpo-0")
    assert words in report(metarl, runs / "bandit" / "maml-trpo-0").text


def test_baselines_that_a_run_was_compared_with_are_not_counted(metarl: Command, runs: Path) -> None:
    promp = runs / "bandit" / "promp-0"
    shutil.copytree(runs / "bandit" / "maml-trpo-0", promp / "compare" / "multitask")
    assert "3 runs, 2 methods" in report(metarl, runs).text
    assert "1 run, 1 method" in report(metarl, promp / "compare" / "multitask").text  # who names it means it
    elsewhere = runs / "compare" / "other"  # a folder of that name within no run
    shutil.copytree(promp, elsewhere)
    assert elsewhere in find_runs([runs])


def test_options_that_are_free_on_resume_make_no_other_environment_or_method(tmp_path: Path) -> None:
    for name, processes, threads in (("a", 0, 1), ("b", 4, 2)):
        run = write_run(tmp_path / name, "promp", 0, [(1, 0.0)], iterations=1 + processes)
        config("env", {"horizon": 5, "processes": processes, "timeout": 10.0 + processes, "start": NAN})(run)
        given = {"iterations": 1 + processes, "seed": processes, "threads": threads, "torch_threads": threads}
        config("train", given | {"device": "cuda" if processes else "cpu", "checkpoint_every": threads})(run)
    records = told_apart([read_record(path) for path in find_runs([tmp_path])])
    assert {(record.environment, record.algorithm) for record in records} == {("bandit", "promp")}


def test_older_runs_are_of_the_environment_and_method_that_they_are_of_today(tmp_path: Path) -> None:
    # without `shared_tasks` it was False, without `clip_actions` True, without lists there were none
    then = write_run(tmp_path, "maml++", 0, [(100, 1.0)], environment="half-cheetah-dir")
    now = write_run(tmp_path, "lslr", 1, [(100, 1.0)], environment="half-cheetah-dir")
    config("env", {"shared_tasks": False, "clip_actions": True, "train_list": "", "test_list": ""})(now)
    config("schema", 2)(now)
    records = told_apart([read_record(then), read_record(now)])
    assert {(record.environment, record.algorithm) for record in records} == {("half-cheetah-dir", "lslr")}


def test_training_tasks_are_never_shown_as_unseen(metarl: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "promp", 0, [(1, 0.0)], evaluated([[0, 7654.3]]) | {"split": "train"})
    page = report(metarl, tmp_path / "runs")
    assert list(page.tables()) == ["bandit-learning.csv"] and "7654" not in page.text


def test_test_tasks_that_training_has_too_are_not_called_unseen(metarl: Command, tmp_path: Path) -> None:
    for seed, unseen in enumerate((True, False)):
        met = evaluated([[0, 1], [0, 2]]) | {"unseen": unseen}
        write_run(tmp_path / "runs", "promp", seed, [(1, 0.0)], met)
    text = report(metarl, tmp_path / "runs").text
    assert "2 unseen tasks, 1 adaptations" in text and "2 test tasks, 1 adaptations" in text
    assert "Test tasks of all seeds" in text


def test_runs_are_shown_by_evaluations_that_are_alike(metarl: Command, tmp_path: Path) -> None:
    more = {
        "one-task": evaluated([[0, 1]]) | {"seed": 0},
        "two-tasks": evaluated([[0, 3], [0, 5]]) | {"seed": 0},
        "seed-7": evaluated([[0, 80], [0, 80]]) | {"seed": 7},
        "train": evaluated([[0, 90], [0, 90]]) | {"split": "train"},
        "earlier": evaluated([[0, 70], [0, 70]]) | {"iteration": 0},
    }
    for seed, names in enumerate((["one-task"], ["one-task", "two-tasks"], [*more], [])):
        run = write_run(tmp_path / "runs", "promp", seed, [(1, 0.0)])
        for name in names:
            (run / "evaluations" / name).mkdir(parents=True)
            (run / "evaluations" / name / "evaluation.json").write_text(json.dumps({"iteration": 1} | more[name]))
    page = report(metarl, tmp_path / "runs")
    rows = page.tables()["bandit-adaptation.csv"]
    # the one task that three have: 1 in each; without what is alike it would be 1, 4, 4
    assert [float(row["return"]) for row in rows] == [0, 1] and rows[0]["seeds"] == "3"
    assert page.text.count("1 unseen tasks, 1 adaptations, seed 0") == 3


def test_what_is_not_finite_is_null_in_every_file_and_read_as_nan(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl", 0)
    file.append({"iteration": 1, "update/kl": NAN, "update/loss": 0.5})
    (tmp_path / "older.jsonl").write_text('{"iteration": 1, "update/kl": NaN}\n{"iteration": 2, "update/kl": 1.0}\n')
    MetricsFile(tmp_path / "older.jsonl", 2)  # as a resumed run opens it
    write_results(tmp_path, {"environments": [], "score": INFINITY})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"iteration": 1, "update/kl": null, "update/loss": 0.5}\n'
    assert "NaN" not in (tmp_path / "older.jsonl").read_text() and "null" in (tmp_path / "results.json").read_text()
    (read,) = read_metrics(tmp_path / "metrics.jsonl")
    assert read["update/kl"] != read["update/kl"] and read["update/loss"] == 0.5
