"""One run by many processes, on one machine or several, as torchrun starts them.

    torchrun --nproc-per-node 4 -m metarl train half-cheetah-dir promp

Each process is a rank that samples and adapts a block of every meta-batch's tasks (`core/ranks.py` says how they
agree); rank 0 alone writes and speaks. Every number of ranks trains alike, so a run may be resumed with another.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from metarl.core.errors import InputError
from metarl.core.ranks import rank, world_size

PATIENCE = timedelta(minutes=30)
"""How long a rank waits for one that is slower, or for a machine that vanished without closing its connections."""


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def joined() -> Iterator[None]:
    """Be a rank within the block, where torchrun says so; elsewhere nothing happens.

    Ranks talk by gloo through the CPU, for a GPU too: messages are small, a rank that died is noticed at once, and
    several ranks, whose sampling takes the CPU's cores, may share a GPU.
    """
    if not launched() or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("gloo", timeout=PATIENCE)
    logger = logging.getLogger("metarl")
    level = logger.level
    if rank() > 0:
        logger.setLevel(logging.ERROR)  # rank 0 has the same to warn of
    try:
        yield
    finally:
        logger.setLevel(level)
        dist.destroy_process_group()


def tasks_of_rank(tasks: int) -> int:
    """The size of each rank's block of a meta-batch.

    Raises:
        InputError: the blocks would not be of one size.
    """
    if tasks % world_size():
        raise InputError(
            f"--tasks is {tasks}, which {world_size()} ranks cannot share — give a multiple of {world_size()}"
        )
    return tasks // world_size()


def threads_of_rank(threads: int) -> int:
    """A rank's share of a machine's threads, at least one."""
    return max(1, threads // int(os.environ["LOCAL_WORLD_SIZE"])) if world_size() > 1 else threads
