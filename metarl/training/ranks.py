"""One run by many processes, on one machine or several, as torchrun starts them.

    torchrun --nproc-per-node 4 -m metarl train half-cheetah-dir promp

Each process is a rank that samples and adapts a block of every meta-batch's tasks (`runtime/ranks.py` says how they
agree); rank 0 alone writes and speaks. Every number of ranks trains alike, so a run may be resumed with another. Within
a process tasks may be sampled in groups side by side (`sampling/groups.py`).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from envs.contract.base import TaskEnv
from metarl.algorithms.algorithm import Traits
from metarl.runs.config import TrainConfig
from metarl.runtime.errors import InputError
from metarl.runtime.ranks import rank, world_size

WORTH_TRYING = 50
"""Lanes from which on two groups may be faster than one, by enough to be worth finding out."""
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


def ways_to_group(family: type[TaskEnv], algorithm: str, traits: Traits, train: TrainConfig) -> list[list[int]]:
    """Ways to divide this rank's part of an iteration's tasks into groups: how many tasks each group has.

    Two groups can be faster than one where there are several threads, and steps that leave Python to the other group.

    Raises:
        InputError: more groups than tasks, or an algorithm that does not promise the same numbers in groups.
    """
    tasks, groups = tasks_of_rank(train.tasks), train.groups
    if groups > tasks:
        raise InputError(f"--groups is {groups}, of {tasks} tasks — give at most {tasks}, or 0")
    if groups > 1 and not traits.divides_over_ranks:
        raise InputError(f"--groups is {groups}, but {algorithm} samples its tasks in one — leave it out")
    counts = [groups or 1]
    divides = traits.divides_over_ranks and family.native_steps
    if groups == 0 and divides and threads_of_rank(train.threads) > 1 and tasks > 1:
        counts = [1, 2] if tasks * train.lanes >= WORTH_TRYING else [1]
    return [[tasks // count + (group < tasks % count) for group in range(count)] for count in counts]
