"""Values as classes: a distribution over fixed numbers, learned by cross-entropy (Imani & White 2018; Farebrother et
al. 2024), so that the size of returns does not decide the size of gradients.

The numbers stand at equal distances of `symlog(x) = sign(x) log(1 + |x|)` (Hafner et al. 2023), so that small and large
returns are both told apart. A return is the two numbers around it, weighted so that their mean is the return.
"""

from typing import NamedTuple

import torch

from metarl.runtime.devices import sent


class TwoHot(NamedTuple):
    """Numbers `[K]` that classes stand for, rising."""

    numbers: torch.Tensor

    def encoded(self, value: torch.Tensor) -> torch.Tensor:
        """Weights `[..., K]` of the numbers around each value `[...]`; beyond the last ones these alone."""
        value = value.clamp(self.numbers[0], self.numbers[-1])
        above = torch.searchsorted(self.numbers, value.contiguous(), right=True).clamp(1, len(self.numbers) - 1)
        low, high = self.numbers[above - 1], self.numbers[above]
        share = ((value - low) / (high - low))[..., None]
        weights = torch.zeros(*value.shape, len(self.numbers), dtype=value.dtype, device=value.device)
        return weights.scatter(-1, above[..., None] - 1, 1 - share).scatter(-1, above[..., None], share)

    def decoded(self, logits: torch.Tensor) -> torch.Tensor:
        """The mean `[...]` of the numbers under logits `[..., K]`."""
        return logits.softmax(dim=-1) @ self.numbers

    def loss(self, logits: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Cross-entropy `[...]` of logits `[..., K]` with values `[...]`."""
        return -(self.encoded(value) * logits.log_softmax(dim=-1)).sum(dim=-1)


def two_hot(count: int, largest: float, device: torch.device) -> TwoHot:
    """So many numbers from `-largest` to `largest`."""
    end = torch.tensor(largest, dtype=torch.float64).log1p()
    spaced = torch.linspace(-1, 1, count, dtype=torch.float64) * end
    return TwoHot(sent((spaced.sign() * spaced.abs().expm1()).float(), device))
