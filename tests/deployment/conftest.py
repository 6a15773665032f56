"""A bandit's run, which both adapting and exporting ask for."""

from pathlib import Path

import pytest
from support.command import train_arguments

from metarl.cli import main


@pytest.fixture(scope="session")
def bandit_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("bandit") / "run"
    assert main(train_arguments(run, iterations=2, environment="bandit")) == 0
    return run
