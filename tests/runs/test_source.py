"""The source's state in a run's folder: commits, and what is not committed."""

import subprocess
from pathlib import Path

import pytest
import yaml
from support.command import Command, train_arguments

from metarl.runs.source import state_of_source


def git(folder: Path, *words: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    ran = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, **identity}
    )
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "robot.py").write_text("legs = 4\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "four legs")
    return folder


def test_a_commit_and_no_changes(repository: Path) -> None:
    (state,), changes = state_of_source([repository, repository])
    assert state == {
        "repository": str(repository.resolve()),
        "commit": git(repository, "rev-parse", "HEAD"),
        "changed": False,
    }
    assert changes == b""


def test_changes_are_kept(repository: Path) -> None:
    (repository / "robot.py").write_text("legs = 3\n")
    (state,), changes = state_of_source([repository])
    assert state["changed"] and b"-legs = 4\n+legs = 3\n" in changes


def test_where_there_is_no_repository_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_of_source([tmp_path]) == ([], b"")
    monkeypatch.setenv("PATH", "")
    assert state_of_source([Path.cwd()]) == ([], b"")


def test_a_repositorys_settings_run_nothing(repository: Path) -> None:
    trap = repository / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {repository}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "diff.mine.textconv"):
        git(repository, "config", name, str(trap))
    (repository / ".gitattributes").write_text("*.py diff=mine\n")
    (repository / "robot.py").write_text("legs = 3\n")
    (state,), changes = state_of_source([repository])
    assert state["changed"] and b"+legs = 3" in changes
    assert not (repository / "sprung").exists()


def test_a_run_remembers_the_source_that_it_began_with(
    metarl: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    (repository / "robot.py").write_text("legs = 3\n")
    assert metarl(*train_arguments("run", iterations=1)).code == 0
    git(repository, "commit", "-qam", "three legs")
    assert metarl("resume", "run", "--iterations", "2").code == 0
    states = yaml.safe_load((repository / "run/config.yaml").read_text())["source"]
    (mine,) = [state for state in states if state["repository"] == str(repository.resolve())]
    assert mine["commit"] == git(repository, "rev-parse", "HEAD~1") and mine["changed"]
    assert "+legs = 3" in (repository / "run/source.diff").read_text()
