"""Which source a run was made with: commits and uncommitted changes of the repositories that it may depend on."""

import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

MOST = 1_000_000  # bytes of changes that are kept
SECONDS = 2.0  # that git may take for everything; it is never waited for longer
# a repository's own settings could name programs to be run
GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
DIFF = ("diff", "--no-ext-diff", "--no-textconv")


def state_of_source(folders: Iterable[Path], files: Sequence[Path] = ()) -> tuple[list[dict[str, str | bool]], bytes]:
    """Of each git repository that a folder lies in: its place, branch and commit, whether it has changes; and these.

    Of what no commit has ever held only `files` count, the user's own code. Nothing is said where there is no git, no
    repository or no commit, and nothing of changes where git takes too long to find them.
    """
    until = time.monotonic() + SECONDS
    states: dict[str, dict[str, str | bool]] = {}
    changes = b""
    for folder in dict.fromkeys(folders):
        found = _git(until, folder, "rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD")
        if found is None:
            continue
        top, commit, branch = found.decode(errors="replace").removesuffix("\n").rsplit("\n", 2)
        if top in states:
            continue
        states[top] = {"repository": top, "branch": branch, "commit": commit}
        parts = [_git(until, Path(top), *DIFF, "HEAD")]
        for file in files:
            if _git(until, file.parent, "ls-files", "--others", "--full-name", "--", file.name) and (
                file.resolve().is_relative_to(top)
            ):
                parts.append(_git(until, file.parent, *DIFF, "--no-index", "/dev/null", file.name))
        if None not in parts:
            different = b"".join(part for part in parts if part)
            states[top]["changed"] = bool(different)
            changes += f"# {top}\n".encode() + different if different else b""
    cut = f"\n# cut after {MOST} of {len(changes)} bytes\n".encode() if len(changes) > MOST else b""
    return list(states.values()), changes[:MOST] + cut


def _git(until: float, folder: Path, *words: str) -> bytes | None:
    """What git says; None where it does not, or not until then. That files differ is no failure."""
    try:
        ran = subprocess.run(
            [*GIT, *words],
            cwd=folder,
            capture_output=True,
            timeout=max(0.0, until - time.monotonic()),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout if ran.returncode == 0 or (ran.returncode == 1 and "--no-index" in words) else None
