"""One writer a run: a lock that the kernel takes back when its holder ends, were it by kill -9."""

import errno
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metarl.runtime.errors import InputError, StorageError

LOCK = ".lock"  # in the run's folder; it says who held it last
PATIENCE = 1.0  # seconds, for a writer that is about to end
UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

logger = logging.getLogger("metarl")


@contextmanager
def only_writer(folder: Path, begin: Callable[[], None]) -> Iterator[None]:
    """Be the only process that writes the run in `folder`, while `begin` runs and then within the block.

    Where the file system has no locks this is said, and the work done without. `begin` may find that this is no run to
    write: what it raises leaves the folder as it was.

    Raises:
        InputError: another process is writing the run.
        StorageError: the file system refused.
    """
    from filelock import FileLock, SoftFileLock, Timeout  # slow to import

    path = folder / LOCK
    is_new = not path.exists()
    lock = FileLock(path, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{_holder(path)} is writing {folder} — wait for it, or stop it") from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in UNSUPPORTED:
            raise StorageError(f"{path} cannot be locked ({error.strerror}) — fix permissions") from error
        logger.warning("%s lies where files cannot be locked: see to it that no second process writes it", folder)
        begin()
        yield
        return
    try:
        of_kernel = not isinstance(lock, SoftFileLock)  # which filelock makes where there is no flock, and signs itself
        try:
            begin()
        except InputError:
            if is_new and of_kernel:
                path.unlink()
            raise
        if of_kernel:
            with suppress(OSError):  # of a full disk others will speak
                path.write_text(f"{os.getpid()}\n{platform.node()}\n")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Who holds a lock, as far as it is known."""
    with suppress(OSError, ValueError):
        pid, host = path.read_text().split()[:2]
        return f"process {int(pid)} on {host}"
    return "another process"
