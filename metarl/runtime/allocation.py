"""What a process has of its machine: cores, and memory that it keeps, so that an iteration's tensors find it again."""

import ctypes
import os

# Of mallopt(3), glibc.
TRIM_THRESHOLD, MMAP_MAX = -1, -4


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors free for the next ones, until the process ends. Whether it can.

    glibc hands large blocks back to the system at once. An update frees and asks for the same megabytes hundreds of
    times, and the system clears every page anew: a sixth to a fifth of the time of an update on the CPU. Kept, the
    process holds its peak memory instead. Elsewhere than with glibc nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, 2**31 - 1))
