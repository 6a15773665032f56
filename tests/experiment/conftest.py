"""A finished run that tests copy and damage."""

import shutil
from pathlib import Path

import pytest
from experiment.command import metarl, train_arguments

from metarl.cli import main

__all__ = ["metarl"]


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four iterations, the last three of them with checkpoints. Copy it before changing anything."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert main(train_arguments(run, iterations=4)) == 0
    return run


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of `finished_run`, named `run` in the test's folder."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
