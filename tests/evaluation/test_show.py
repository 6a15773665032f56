"""`metarl show`: a run at a glance."""

from pathlib import Path

import pytest
from support.command import Command, assert_refused, train_arguments


def test_a_run_is_shown_with_its_options_curve_checkpoints_and_evaluations(metarl: Command, run: Path) -> None:
    assert metarl("evaluate", "run", "--tasks", "2", "--adaptations", "1").code == 0
    shown = metarl("show", "run")
    assert shown.code == 0
    first, *_ = shown.out.splitlines()
    assert first == "point-nav · maml-vpg · seed 0 · run"
    assert "iteration 4 of 4" in shown.out and "checkpoints: 2, 3, 4\n" in shown.out
    assert "tasks" in shown.out and "│ 20" in shown.out  # the preset's
    assert "after the last adaptation" in shown.out
    assert "│ 2 test (seed 0) │ 4         │ mean return │" in shown.out


def test_a_run_that_has_not_begun_is_shown_too(metarl: Command, run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    shown = metarl("show", "run")
    assert shown.code == 0 and "iteration 0 of 4" in shown.out and "checkpoints: none yet" in shown.out


def test_the_users_own_code_is_not_run_for_it(metarl: Command, run: Path) -> None:
    text = (run / "config.yaml").read_text().replace("algorithm: maml-vpg", "algorithm: evil.py:Evil")
    (run / "config.yaml").write_text(text)
    (run.parent / "evil.py").write_text("raise SystemExit('it was run')\n")
    shown = metarl("show", "run")
    assert shown.code == 0 and "evil.py:Evil" in shown.out


@pytest.mark.parametrize("run_folder", ["nowhere", "."])
def test_what_is_no_run_is_refused(metarl: Command, run_folder: str) -> None:
    assert_refused(metarl("show", run_folder), "no run at")


def test_the_best_checkpoint_and_the_beginning_are_told(metarl: Command, run: Path) -> None:
    begun = metarl(*train_arguments("begun", iterations=2), "--from", "run", "--evaluate-every", "1")
    assert begun.code == 0
    shown = metarl("show", "begun").out
    assert "began from run, iteration 4" in shown and "; best: " in shown
