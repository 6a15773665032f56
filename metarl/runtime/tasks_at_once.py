"""How many tasks are worked on at once: all of them, or one part after the other where memory is short.

A part needs a part of the memory, and every task's numbers stay the same. Products with a graph that would be kept for
all tasks (`core/meta_gradient.py`) have it built anew for each part then: slower, but it goes on.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

logger = logging.getLogger("metarl")

Result = TypeVar("Result")

_size: ContextVar[int | None] = ContextVar("tasks_at_once", default=None)


@contextmanager
def tasks_at_once(size: int | None) -> Iterator[None]:
    """Within the block at most `size` tasks are worked on at once; None for all."""
    before = _size.set(size)
    try:
        yield
    finally:
        _size.reset(before)


def size_of_parts(*trees: Any) -> int | None:
    """How many of the tasks in trees of tensors `[N, ...]` are worked on at once; None where all are."""
    size = _size.get()
    return None if size is None or size >= len(tree_leaves(trees)[0]) else size


def in_parts(function: Callable[..., Any], size: int) -> Callable[..., Any]:
    """`function` of trees of tensors `[N, ...]`, called for `size` tasks after the other; results are joined."""

    def of_all(*trees: Any) -> Any:
        leaves, shape = tree_flatten(trees)
        parts = zip(*(leaf.split(size) for leaf in leaves), strict=True)
        results = [tree_flatten(function(*tree_unflatten(list(part), shape))) for part in parts]
        joined = [torch.cat(same) for same in zip(*(result for result, _ in results), strict=True)]
        return tree_unflatten(joined, results[0][1])

    return of_all


class WithinMemory:
    """Has work done with as many tasks at once as the device's memory holds: half as many each time it does not."""

    def __init__(self, tasks: int, at_once: int = 0) -> None:
        """`tasks` there are, `at_once` to begin with (0: all)."""
        self.at_once = min(at_once or tasks, tasks)

    def __call__(self, work: Callable[[], Result]) -> Result:
        """The result of `work`, which is called again from its start where memory ran out.

        Raises:
            RuntimeError: torch's, where memory does not hold a single task.
        """
        while True:
            try:
                with tasks_at_once(self.at_once):
                    return work()
            except RuntimeError as error:
                if self.at_once == 1 or not ran_out_of_memory(error):
                    raise
            # The failed work's tensors are free only here, where its error is gone.
            self.at_once = -(-self.at_once // 2)
            logger.warning("memory does not hold all tasks at once — going on with %d, more slowly", self.at_once)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch found no memory, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
