"""What checkpoints of older versions lack, filled with what learning from them takes for unknown.

Before schema 3 a replay held no log-probabilities, no flags of truncation and of an episode's first step (a flag said
that an episode ended, in VariBAD's by whatever it was), and the names of tasks only where it was drawn from by them.
"""

from collections.abc import Callable, Mapping

import torch

Shape = tuple[int, ...]


def _all_different(shape: Shape, dtype: torch.dtype) -> torch.Tensor:
    return -1 - torch.arange(shape[0], dtype=dtype)  # names of known tasks are not negative


CAME_LATER: dict[str, Callable[[Shape, torch.dtype], torch.Tensor]] = {
    "replay/log_probability": lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    "replay/truncated": lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    "replay/first": lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    "replay/task": _all_different,
}


def completed(
    tensors: dict[str, torch.Tensor], shapes: Mapping[str, tuple[Shape, torch.dtype]]
) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors, and those that came later among the ones that its run's config makes (`shapes`)."""
    lacking = [name for name in CAME_LATER if name in shapes and name not in tensors]
    return tensors | {name: CAME_LATER[name](*shapes[name]) for name in lacking}
