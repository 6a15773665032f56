"""Which source a run was made with: commits and uncommitted changes of the repositories that it may depend on."""

import contextlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

MOST = 1_000_000  # bytes of changes that are kept
SECONDS = 2.0  # that git may take; it is never waited for longer
# a repository's own settings could name programs to be run
GIT = ("git", "-c", "core.fsmonitor=false")


def state_of_source(folders: Iterable[Path]) -> tuple[list[dict[str, str | bool]], bytes]:
    """Of each git repository that a folder lies in: its place, commit, and whether it has changes; and those changes.

    Nothing is said where there is no git, or no repository.
    """
    states: list[dict[str, str | bool]] = []
    changes = b""
    for folder in dict.fromkeys(folders):
        top = _git(folder, "rev-parse", "--show-toplevel").decode(errors="replace").strip()
        if not top or any(state["repository"] == top for state in states):
            continue
        commit = _git(folder, "rev-parse", "HEAD").decode().strip()
        different = _git(Path(top), "diff", "--no-ext-diff", "--no-textconv", "HEAD")
        states.append({"repository": top, "commit": commit, "changed": bool(different)})
        changes += different
    return states, changes[:MOST]


def _git(folder: Path, *words: str) -> bytes:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            [*GIT, *words], cwd=folder, capture_output=True, timeout=SECONDS, check=True, stdin=subprocess.DEVNULL
        ).stdout
    return b""
