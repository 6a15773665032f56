"""Where files cannot grow any more: one line, no crash, and nothing half written."""

from pathlib import Path

import pytest
from support.command import end_result, numbers, snapshot, train_arguments
from support.processes import Job


@pytest.mark.parametrize("most_bytes", [1000, 10_000])
def test_an_export_that_does_not_fit_is_a_storage_error_and_leaves_nothing(
    tmp_path: Path, run: Path, most_bytes: int
) -> None:
    before = snapshot(tmp_path)
    log = tmp_path.parent / f"{tmp_path.name}.log"
    job = Job(["export", str(run), "--out", str(tmp_path / "policy")], log, most_bytes=most_bytes)
    assert job.end() == 5, log.read_text()
    assert snapshot(tmp_path) == before
    (line,) = log.read_text().splitlines()
    assert line.startswith(f"metarl: error: {tmp_path / 'policy'} cannot be written (File too large) — ")


def test_charts_that_no_longer_fit_cost_a_warning_and_the_run_ends_as_it_would_have(tmp_path: Path) -> None:
    # Longest of the other files are the weights; each iteration adds to the events, and 40 of them make them longer.
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert Job(train_arguments(whole, iterations=40), tmp_path / "log").end() == 0
    sizes = {path.name: path.stat().st_size for path in whole.rglob("*") if path.is_file()}
    (events,) = [size for name, size in sizes.items() if "tfevents" in name]
    others = max(size for name, size in sizes.items() if "tfevents" not in name and name != "source.diff")
    assert events > 1.2 * others
    job = Job(train_arguments(run, iterations=40), tmp_path / "limited", most_bytes=int(1.1 * others))
    said = (tmp_path / "limited").read_text() if job.end() == 0 else ""
    assert said.count("tensorboard failed") == 1 and "File too large" in said
    assert "Traceback" not in said and "Exception" not in said
    assert end_result(run) == end_result(whole)
    assert len(numbers(run)) == 40


def test_an_evaluation_whose_charts_do_not_fit_stands(tmp_path: Path, run: Path) -> None:
    # the picture and the events that hold it are the longest files of an evaluation
    assert Job(["evaluate", str(run), "--tasks", "2"], tmp_path / "log").end() == 0
    most_bytes = (run / "adaptation.png").stat().st_size // 2
    assert (run / "evaluation.csv").stat().st_size < most_bytes
    job = Job(["evaluate", str(run), "--tasks", "2"], tmp_path / "limited", most_bytes=most_bytes)
    assert job.end() == 0
    said = (tmp_path / "limited").read_text()
    assert "the picture failed" in said and "Traceback" not in said and "Exception" not in said
    assert (run / "evaluation.json").is_file() and not (run / "adaptation.png").exists()
