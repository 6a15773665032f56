"""Who works on which cell of a grid, agreed through files alone: several launchers, on one machine or on many.

A cell is leased: `.NAME.lease` beside its folder names the launcher, whose heart beats as long as it works. One whose
process is dead on this host, or whose heart has not beaten for minutes on any, loses its cell to whoever asks next.
"""

from pathlib import Path
from typing import Any

from envs.contract.errors import InputError
from metarl.runtime.errors import StorageError

SILENCE = 300.0  # seconds without a heartbeat, by the clock of who waits, after which a launcher counts as dead
BEAT = 10.0  # seconds between heartbeats


class Lease:
    """The right to work on a cell, which must be asked for again and again by the same object until it is there."""

    def __init__(self, cell: Path, silence: float = SILENCE) -> None:
        """Nothing is written or asked for yet.

        Args:
            cell: the run's folder, which need not exist.
            silence: seconds; the same for all launchers of a grid.
        """
        from filelock import SoftFileLease  # slow to import

        self.folder = cell.parent
        path, beat = self.folder / f".{cell.name}.lease", min(BEAT, silence / 3)
        self._lock: Any = SoftFileLease(path, lease_duration=silence, heartbeat_interval=beat, timeout=0)

    def take(self) -> bool:
        """Ask for the cell. False where another launcher works on it.

        Raises:
            InputError: something else is in the place of its folder.
            StorageError: the file system refused.
        """
        from filelock import Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            return False
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{self.folder} cannot be a folder — choose another --out") from error
        except OSError as error:
            raise StorageError(
                f"{self.folder} cannot be written ({error.strerror}) — free space or choose another --out"
            ) from error
        return True

    @property
    def is_lost(self) -> bool:
        """Whether another launcher has taken over, thinking us dead."""
        return self._lock.compromise is not None

    def release(self) -> None:
        """Leave the cell to whoever comes next, finished or not."""
        self._lock.release()
