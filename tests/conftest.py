"""Annotated shapes are checked while tests run, torch keeps to one thread; the command, and a finished run."""

import shutil
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before anything imports metarl: the hook rewrites modules as they are loaded.
install_import_hook("metarl", "beartype.beartype")

import torch  # noqa: E402
from support.command import metarl, train_arguments  # noqa: E402

from metarl.cli import main  # noqa: E402

__all__ = ["metarl"]

torch.set_num_threads(1)


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
