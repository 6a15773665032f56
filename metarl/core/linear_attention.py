"""Memory as a table of notes: linear attention (Katharopoulos et al. 2020), which is recurrent with a fixed state.

Every step notes a value under a key and asks for what was noted under keys like its query. A gated unit has to learn
how to keep several things apart; here they are apart from the start, which is what tasks need whose parts (states,
actions) are each to be remembered on their own.

Letters: B streams · L steps · X inputs · H numbers that are said after a step · M heads, each with a table of D keys
and D values.
"""

import torch
from torch import nn

from metarl.core.networks import Linear

HEADS = 8  # as in Vaswani et al. 2017
STEPS_AT_ONCE = 32  # of a sequence: fewer of them share less work, more of them waste it on steps that come later
SHARPNESS = 3.0  # factor on the logits of keys and queries, so that the first ones already differ


class LinearAttention(nn.Module):
    """Input and table -> what the table says then, and the next table.

    Keys and queries are positive and add up to one, so that what is read is an average of what was noted, weighted by
    how well the keys of notes fit the query. An empty note of weight 1/D takes part: where little was noted, little is
    said. Beside the average stands the sum w of all weights, as w / (1 + w): how much that rests on.

    Args:
        inputs: X.
        embedding_size: units of a rectified layer between a step and the values that are noted; 0: none.
        size: H; D is an M-th of it.
    """

    def __init__(self, inputs: int, embedding_size: int, size: int) -> None:
        super().__init__()
        self.width = max(1, size // HEADS)
        self.state_size = HEADS * self.width * (self.width + 1)  # a column more, for the sum of keys
        self.embedding = nn.Sequential(Linear(inputs, embedding_size), nn.ReLU()) if embedding_size else nn.Identity()
        embedded = embedding_size or inputs
        self.query = Linear(inputs, HEADS * self.width)
        self.key = Linear(inputs, HEADS * self.width)
        self.value = Linear(embedded, HEADS * self.width)
        self.output = Linear(HEADS * (self.width + 1) + embedded, size)

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is said after the step `[B, H]`, or after each of a sequence `[B, L, H]`; and the table at the end.

        The state is the table, `[B, M · D · (D + 1)]`; where the mask is zero a step notes nothing (`recurrent.Core`).
        """
        embedding, table = self.embedding(x), start.unflatten(1, (HEADS, self.width, self.width + 1))
        query, key = (torch.softmax(SHARPNESS * self.heads(layer(x)), dim=-1) for layer in (self.query, self.key))
        value = self.heads(self.value(embedding))  # [B, M, D], or [B, L, M, D], like query and key
        value = torch.cat([value, torch.ones_like(value[..., :1])], dim=-1)
        if mask is None:
            table = table + key[..., None] * value[..., None, :]
            return self.said((query[..., None] * table).sum(dim=-2), embedding), table.flatten(1)
        parts = (query, key * mask[..., None, None], value)  # each [B, L, M, ...]
        notes, read = (part.transpose(1, 2).split(STEPS_AT_ONCE, dim=2) for part in parts), []
        for q, k, v in zip(*notes, strict=True):
            read.append(torch.tril(q @ k.mT) @ v + q @ table)  # of these steps up to each, and of those before
            table = table + k.mT @ v
        return self.said(torch.cat(read, dim=2).transpose(1, 2), embedding), table.flatten(1)

    def said(self, read: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """The output `[..., H]`, of sums of values and of weights `[..., M, D + 1]`."""
        total, weight = read.split([self.width, 1], dim=-1)
        average, trust = total / (weight + 1 / self.width), weight / (1 + weight)
        return torch.relu(self.output(torch.cat([average.flatten(-2), trust.flatten(-2), embedding], dim=-1)))

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """`[..., M · D]` as `[..., M, D]`."""
        return x.unflatten(-1, (HEADS, self.width))
