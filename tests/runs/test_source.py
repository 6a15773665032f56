"""The source's state in a run's folder: commits, and what is not committed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import Command, train_arguments

from metarl.runs import source
from metarl.runs.source import state_of_source


def git(folder: Path, *words: str) -> str:
    someone = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    ran = subprocess.run(["git", *someone, *words], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "legs")
    (folder / "robot.py").write_text("legs = 4\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "four legs")
    return folder


def test_a_commit_and_no_changes(repository: Path) -> None:
    (state,), changes = state_of_source([repository, repository])
    assert state == {
        "repository": str(repository.resolve()),
        "branch": "legs",
        "commit": git(repository, "rev-parse", "HEAD"),
        "changed": False,
    }
    assert changes == b""


def test_changes_are_kept(repository: Path) -> None:
    (repository / "robot.py").write_text("legs = 3\n")
    (state,), changes = state_of_source([repository])
    assert state["changed"] and b"-legs = 4\n+legs = 3\n" in changes


def test_own_code_that_was_never_committed_is_kept(repository: Path) -> None:
    (repository / "own").mkdir()
    for name in ("method.py", "notes.txt"):
        (repository / "own" / name).write_text(f"{name}\n")
    folders, method = [repository, repository / "own"], repository / "own/method.py"
    (state,), changes = state_of_source(folders, [method])
    assert state["changed"] and b"+method.py\n" in changes and b"notes.txt" not in changes
    git(repository, "add", "own/method.py")
    git(repository, "commit", "-qm", "a method")
    assert not state_of_source(folders, [method])[0][0]["changed"]


def test_kept_changes_can_be_applied_again(repository: Path) -> None:
    (repository / "robot.py").write_text("legs = 3\n")
    (repository / "method.py").write_text("steps = 1\n")
    changes = state_of_source([repository], [repository / "method.py"])[1]
    git(repository, "checkout", "-q", "robot.py")
    (repository / "method.py").unlink()
    subprocess.run(["git", "apply"], cwd=repository, input=changes, check=True)
    assert (repository / "robot.py").read_text() == "legs = 3\n"
    assert (repository / "method.py").read_text() == "steps = 1\n"


def test_many_changes_are_cut_and_say_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "robot.py").write_text("legs = 3\n" * 100)
    monkeypatch.setattr(source, "MOST", 200)
    changes = state_of_source([repository])[1]
    assert len(changes) < 260 and changes[200:].startswith(b"\n# cut after 200 of 1")


def test_nothing_is_said_of_changes_that_git_takes_too_long_to_find(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waits = subprocess.run, list[float]()

    def slow(words: list[str], **options: Any) -> Any:
        if "diff" in words:
            waits.append(options["timeout"])
            raise subprocess.TimeoutExpired(words, options["timeout"])
        return real(words, **options)

    (repository / "robot.py").write_text("legs = 3\n")
    monkeypatch.setattr(subprocess, "run", slow)
    (state,), changes = state_of_source([repository])
    assert "changed" not in state and "commit" in state and changes == b""
    assert 0 < waits[0] < source.SECONDS


def test_where_there_is_no_repository_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_of_source([tmp_path]) == ([], b"")
    monkeypatch.setenv("PATH", "")
    assert state_of_source([Path.cwd()]) == ([], b"")


def test_programs_that_a_repository_names_for_showing_changes_are_not_run(repository: Path) -> None:
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
