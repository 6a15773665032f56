"""`--log`: CSV and Weights & Biases, each where it is asked for, right after resuming, and unable to stop a run."""

import csv
import importlib
import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.command import Command, assert_refused, end_result, snapshot, train_arguments

from metarl.runs.loggers import check_logs
from metarl.runtime.errors import InputError


class FakeRun:
    def __init__(self, **options: Any) -> None:
        self.options, self.logged, self.finished = options, list[tuple[dict[str, float], int]](), False

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((metrics, step))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """What is asked of the package `wandb`, which need not be there."""
    runs: list[FakeRun] = []
    module: Any = ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None, origin="here")
    module.Settings = lambda **options: options

    def init(**options: Any) -> FakeRun:
        runs.append(FakeRun(**options))
        return runs[-1]

    module.init = init
    module.login = lambda **options: not options["prompt"]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return runs


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_csv_is_the_metrics(run: Path) -> None:
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = lines_of(run)
    assert [{name: float(text) for name, text in row.items() if text} for row in rows] == lines


def test_a_csv_file_holds_every_metric_also_those_that_come_later(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=5), "--log", "csv", "--evaluate-every", "2").code == 0
    assert_csv_is_the_metrics(tmp_path / "run")
    assert not list((tmp_path / "run").glob("events*"))


def test_a_csv_file_goes_on_where_the_run_does(metarl: Command, tmp_path: Path) -> None:
    arguments = [*train_arguments("run", iterations=4), "--log", "csv", "--checkpoint-every", "2"]
    assert metarl(*arguments).code == 0
    for path in (tmp_path / "run/checkpoints").glob("iteration-000004.*"):
        path.unlink()
    assert metarl("resume", "run", "--iterations", "5").code == 0
    assert [line["iteration"] for line in lines_of(tmp_path / "run")] == [1, 2, 3, 4, 5]
    assert_csv_is_the_metrics(tmp_path / "run")


def test_a_csv_file_that_is_asked_for_later_holds_what_was_before(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=2)).code == 0
    assert metarl("resume", "run", "--iterations", "3", "--log", "csv").code == 0
    assert [line["iteration"] for line in lines_of(tmp_path / "run")] == [1, 2, 3]
    assert_csv_is_the_metrics(tmp_path / "run")


def test_weights_and_biases_is_told_every_iteration_and_goes_on_as_the_same_run(
    metarl: Command, tmp_path: Path, wandb: list[FakeRun]
) -> None:
    assert metarl(*train_arguments("run", iterations=2), "--log", "tensorboard", "wandb").code == 0
    assert metarl("resume", "run", "--iterations", "3").code == 0
    first, second = wandb
    assert first.options["id"] == second.options["id"] == (tmp_path / "run/wandb.id").read_text()
    assert first.options["resume"] == "allow" and first.options["project"] == "metarl"
    assert first.options["config"]["algo.inner_lr"] == 0.1
    assert [step for _, step in [*first.logged, *second.logged]] == [1, 2, 3]
    assert [metrics for metrics, _ in [*first.logged, *second.logged]] == lines_of(tmp_path / "run")
    assert first.finished and second.finished


def test_without_a_key_weights_and_biases_does_not_ask(
    metarl: Command, wandb: list[FakeRun], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["wandb"], "login", lambda **options: False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert metarl(*train_arguments("run", iterations=1), "--log", "wandb").code == 0
    assert wandb[0].options["mode"] == "offline"
    (warning,) = caplog.messages
    assert warning == f"wandb knows no key; the run is kept in {Path('run/wandb')} — wandb login, then wandb sync"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert metarl(*train_arguments("other", iterations=1), "--log", "wandb").code == 0
    assert wandb[1].options["mode"] == "disabled" and len(caplog.messages) == 1


def test_a_log_that_breaks_is_a_warning_and_changes_nothing(
    metarl: Command,
    tmp_path: Path,
    finished_run: Path,
    wandb: list[FakeRun],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(FakeRun, "log", fail)
    assert metarl(*train_arguments("run", iterations=4), "--log", "wandb", "csv").code == 0
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    assert "wandb failed (the network is away); training goes on without it" in warning
    assert end_result(tmp_path / "run") == end_result(finished_run)
    assert_csv_is_the_metrics(tmp_path / "run")


def test_a_package_that_is_not_there_is_refused_before_anything_is_written(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "wandb" else real(name, *more))
    assert_refused(metarl(*train_arguments("run"), "--log", "wandb"), "pip install 'metarl[wandb]'")
    assert not snapshot(tmp_path)


def test_a_folder_that_weights_and_biases_has_left_is_not_its_package(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()
    # nothing but this folder and Python's own is looked through, as where the package is not installed
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(path for path in sys.path if "site-packages" not in path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match="pip install"):
        check_logs(["wandb"])


def test_a_run_needs_no_log(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=2), "--log").code == 0
    assert {path.name for path in (tmp_path / "run").iterdir() if path.is_file()} >= {"metrics.jsonl", "config.yaml"}
    assert not list((tmp_path / "run").glob("events*")) and len(lines_of(tmp_path / "run")) == 2
