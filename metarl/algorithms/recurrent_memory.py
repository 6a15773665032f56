"""What an agent with a recurrent core carries through a trial, and what its next step is told of the one before.

Letters: B lanes, each one trial · P numbers about the step before, the last of which says whether an episode starts.
"""

from typing import Any, NamedTuple

import torch

from metarl.core.recurrent import beginning


class RecurrentMemory(NamedTuple):
    """What an agent carries through a trial."""

    hidden: Any  # [B, S], or a cache
    previous: torch.Tensor  # [B, P]: what the last step was; whether an episode starts

    def after(self, known: torch.Tensor, mask: torch.Tensor) -> "RecurrentMemory":
        """What the next step is told, `known` `[B, P - 1]`, in the lanes that played this one (`mask` [B])."""
        previous = torch.cat([known, torch.zeros(len(known), 1)], dim=1)
        return self._replace(previous=torch.where(mask[:, None] > 0, previous, self.previous))

    def before_an_episode(self) -> "RecurrentMemory":
        """The same, with an episode about to start."""
        previous = self.previous.clone()
        previous[:, -1] = 1
        return self._replace(previous=previous)


def nothing_met(core: Any, lanes: int, previous_size: int) -> RecurrentMemory:
    """Nothing remembered, an episode about to start."""
    return RecurrentMemory(beginning(core, lanes), torch.zeros(lanes, previous_size)).before_an_episode()
