"""Processes that train together, each with tasks of its own: the few functions that know of them.

A meta-batch is divided into blocks of consecutive tasks, one a rank, all of one size. What is a mean over tasks is a
mean over all ranks' tasks, and every rank goes on from the same numbers. All ranks must call the same functions in the
same order. For a process that is alone there is nothing to do; where another has ended, all raise `RankLost`.

Means over tasks are added up in double: every task's share is computed by itself, in single precision, so that the
rounded mean hardly ever depends on how the tasks are divided or ordered. It must not: ten steps of conjugate gradient
make of a difference in the last bit one in the first digits.

`metarl/training/parallel.py` makes ranks of processes. Messages go through the CPU whatever the device: they are
small, and a rank whose peer has died learns of it at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.utils._pytree import tree_flatten, tree_unflatten

from metarl.runtime.errors import RankLost
from metarl.runtime.interruption import interruption_point

Tree = TypeVar("Tree")
Value = TypeVar("Value")


def rank() -> int:
    """The number of this process; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(tree: Tree) -> Tree:
    """The sum of every tensor in a tree (nested tuples, dicts) over all ranks, added up in double whatever they are."""
    return _exchanged(tree, torch.float64, dist.all_reduce)


def gather(tasks: torch.Tensor) -> torch.Tensor:
    """Every rank's tasks in the order of the meta-batch: `[N / ranks, ...]` -> `[N, ...]`."""
    if world_size() == 1:
        return tasks
    mine = tasks.detach().cpu().contiguous()
    blocks = [torch.empty_like(mine) for _ in range(world_size())]
    with _together():
        dist.all_gather(blocks, mine)
    return torch.cat(blocks).to(tasks.device)


def tensors_of_first(tree: Tree) -> Tree:
    """Rank 0's tensors, bit for bit, where every rank has a tree of the same shapes."""
    return _exchanged(tree, None, lambda flat: dist.broadcast(flat, src=0))


def _exchanged(tree: Tree, kind: torch.dtype | None, send: Callable[[torch.Tensor], object]) -> Tree:
    """A tree whose tensors all went through one message: as numbers of `kind`, or as the bytes that they are."""
    if world_size() == 1:
        return tree
    leaves, shape = tree_flatten(tree)
    sent = [leaf.detach().to("cpu", kind or leaf.dtype).contiguous() for leaf in leaves]
    flat = torch.cat([leaf.flatten().view(torch.uint8) for leaf in sent])
    with _together():
        send(flat.view(kind or torch.uint8))
    parts = flat.split([leaf.numel() * leaf.element_size() for leaf in sent])
    # cloned, since the last bits of a matrix product depend on where its memory starts
    received = [
        part.clone().view(mine.dtype).reshape(mine.shape).to(leaf.device, leaf.dtype)
        for part, mine, leaf in zip(parts, sent, leaves, strict=True)
    ]
    result: Tree = tree_unflatten(received, shape)
    return result


def value_of_first(value: Value) -> Value:
    """Rank 0's value, whatever it is, on every rank; slower than `tensors_of_first`."""
    if world_size() == 1:
        return value
    values = [value]
    with _together():
        dist.broadcast_object_list(values, src=0)
    return values[0]


def wait_for_all() -> None:
    """Go on once every rank has come here."""
    if world_size() > 1:
        with _together():
            dist.barrier()


def mean_over_tasks(tree: Tree) -> Tree:
    """The mean of every tensor `[N, ...]` in a tree over the tasks of all ranks, `[...]`, added up in double."""
    leaves, shape = tree_flatten(tree)
    sums = sum_over_ranks([leaf.double().sum(dim=0) for leaf in leaves])
    count = len(leaves[0]) * world_size()
    means = [(total / count).to(leaf.dtype) for total, leaf in zip(sums, leaves, strict=True)]
    result: Tree = tree_unflatten(means, shape)
    return result


@contextmanager
def _together() -> Iterator[None]:
    """A message among all ranks. It fails where a connection closed, which a process does that ends or is killed."""
    try:
        yield
    except RuntimeError as error:
        interruption_point()  # whoever ends them all by a signal has signalled this rank as well
        raise RankLost("another rank has ended — see what it said") from error
