"""Between the CPU and a GPU: what is sent there, and what is read back.

A GPU works off what it is given while Python goes on; whoever reads a value back waits until all of it is done. So an
update sends what it needs beside the work, reads nothing within a loop, and ends in one transfer of what is measured.
"""

from collections.abc import Mapping
from typing import Any

import torch

CPU = torch.device("cpu")
"""Where acting happens."""


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on `device`, itself where it is there already; nobody waits for the copy to a GPU.

    That copy is taken from memory that the system never moves, since any other would be waited for.
    """
    if tensor.device == device or device.type == "cpu" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def read_back(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Scalars as Python's numbers, all in one transfer."""
    numbers = torch.stack([value.detach().double() for value in values.values()]).tolist()
    return dict(zip(values, numbers, strict=True))


def placed_like(state: dict[str, Any], fresh: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A state, wherever it was loaded to, with each tensor where a fresh state has it, and on `device` where that has
    none: numbers that Python looks at, such as counts of steps, lie on the CPU."""
    return {
        name: placed_like(value, fresh.get(name, {}), device)
        if isinstance(value, dict)
        else value.to(fresh[name].device if name in fresh else device)
        for name, value in state.items()
    }
