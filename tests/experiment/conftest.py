"""Whole runs, without the checks of annotations that other tests do; and one finished run to copy and damage."""

import shutil
from pathlib import Path

import jaxtyping
import pytest
from experiment.command import metarl, train_arguments

from metarl.cli import main

__all__ = ["metarl"]


@pytest.fixture(autouse=True)
def annotations_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Metrics` holds counts as well as floats, and beartype counts no int as a float."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four iterations, the last three of them with checkpoints. Copy it before changing anything."""
    run = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        assert main(train_arguments(run, iterations=4)) == 0
    return run


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of `finished_run`, named `run` in the test's folder."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
