"""What the ranks of `test_ranks.py` do, in processes of their own."""

import os
from typing import Any

import torch
import torch.distributed as dist

from metarl.runtime import ranks
from metarl.runtime.errors import RankLost


def report(rank: int, port: int, world_size: int, answer: str) -> None:
    """Use every function once; then the last rank leaves without a word. What was found is saved at `answer`."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    mine: dict[str, Any] = {"single": torch.full((2, 3), rank + 0.5), "nested": (torch.tensor(rank).double(),)}
    found = {
        "rank": (ranks.rank(), ranks.world_size()),
        "sum": ranks.sum_over_ranks(mine),
        "gathered": ranks.gather(torch.arange(4).reshape(2, 2) + 10 * rank),
        "mean": ranks.mean_over_tasks({"x": share(rank, world_size)})["x"],
        "tensors": ranks.tensors_of_first({"bits": share(rank, world_size), "count": torch.tensor(7 + rank)}),
        "value": ranks.value_of_first({"of": rank}),
    }
    ranks.wait_for_all()
    if rank == world_size - 1:
        torch.save(found, answer)
        os._exit(0)
    try:
        for _ in range(1000):
            ranks.sum_over_ranks(torch.zeros(1))
        found["end"] = "nobody left"
    except RankLost as error:
        found["end"] = str(error)
    torch.save(found, answer)


def shares() -> torch.Tensor:
    """Numbers of 8 tasks that single precision would add up differently in every order."""
    return torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))


def share(rank: int, world_size: int) -> torch.Tensor:
    """The block of a rank."""
    return shares().chunk(world_size)[rank]
