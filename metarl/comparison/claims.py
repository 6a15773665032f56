"""Who works on which cell of a grid, agreed through files alone: several launchers, on one machine or on many.

A claim is a file `.NAME.claim-G` made with O_EXCL, so that only one can make it, and G counts up: the highest one says
whose the cell is. It is never deleted, so no launcher can mistake a new claim for one that it has judged before. Its
owner touches it as long as it works (its heart beats) and marks it when it stops. One whose process is dead on this
host, or whose heart has not beaten for minutes on any, is stale: whoever makes the next number has taken over.
"""

import json
import os
import platform
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.contract.errors import InputError
from metarl.runtime.errors import StorageError

STALE_SECONDS = 300.0
BEAT_SECONDS = 10.0


def this_host() -> str:
    """A name for this machine since it was started, and for its process numbers (a container has its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: the name must do
        return platform.node()


@dataclass(frozen=True)
class Claim:
    """A cell that this process may work on until `release`."""

    path: Path

    def beat(self) -> bool:
        """Say that the work goes on. False where another launcher has taken over, thinking us dead."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _blaming(self.path, error) from error
        return _newest(*_parts(self.path)) == self.path

    def release(self) -> None:
        """Leave the cell to whoever comes next, finished or not."""
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        try:
            aside.write_text(json.dumps({"released": True}))
            os.replace(aside, self.path)
        except OSError as error:
            raise _blaming(self.path, error) from error


def claim(cell: Path, alive: Callable[[int], bool] | None = None) -> Claim | None:
    """Claim the run at `cell`; None where another launcher works on it.

    Args:
        cell: the run's folder, which need not exist; the claim stands beside it.
        alive: whether a process of this host lives, by its number.

    Raises:
        InputError: something else is in the folder's place.
        StorageError: the file system refused.
    """
    folder, name = cell.parent, cell.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        newest = _newest(folder, name)
        if newest is not None and not _is_free(newest, alive or process_lives):
            return None
        number = 1 + (_number(newest) if newest else 0)
        path = folder / f".{name}.claim-{number}"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except (FileExistsError, NotADirectoryError) as error:
        if isinstance(error, FileExistsError) and folder.is_dir():
            return None  # another launcher was faster
        raise InputError(f"{folder} cannot be a folder — choose another --out") from error
    except OSError as error:
        raise _blaming(folder, error) from error
    with os.fdopen(file, "w") as text:
        json.dump({"host": this_host(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, text)
    return Claim(path)


def process_lives(pid: int) -> bool:
    """Whether this host has a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_free(path: Path, alive: Callable[[int], bool]) -> bool:
    """Whether a claim was released, or its owner is dead."""
    try:
        age = time.time() - path.stat().st_mtime
        owner: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return False  # it is being replaced
    except json.JSONDecodeError:
        return age > STALE_SECONDS  # its owner is about to write it, or died before
    if owner.get("released"):
        return True
    dead = owner.get("host") == this_host() and not alive(int(owner["pid"]))
    return dead or age > STALE_SECONDS


def _newest(folder: Path, name: str) -> Path | None:
    prefix = f".{name}.claim-"
    found = [path for path in folder.iterdir() if path.name.startswith(prefix) and path.name[len(prefix) :].isdigit()]
    return max(found, key=_number, default=None)


def _number(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


def _parts(path: Path) -> tuple[Path, str]:
    """The folder and the cell's name that a claim's file belongs to."""
    return path.parent, path.name[1:].rsplit(".claim-", 1)[0]


def _blaming(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written ({error.strerror}) — free space or choose another --out")
