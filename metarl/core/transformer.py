"""Memory as all that was met: a transformer over the steps of a trial (Vaswani et al. 2017), which acts with a cache.

Each step attends to itself and to the steps before it. How far back one lies is told by a slope, another one in each
head (ALiBi, Press et al. 2022), so that no number of steps is too many. Of each step, keys and values are kept for the
steps that come: acting costs one step's work and a look at the cache, and says what the whole sequence would.

The cache is a value, and yet is written in place: what is noted lies beyond all that earlier values read. A second
future of the same value finds that place taken, and goes on with a copy.

Letters: B streams · L steps · X inputs · H numbers that are said after a step · M heads of D numbers each · C steps
that a cache has room for.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from metarl.core.networks import Linear

HEAD_SIZE = 16  # D, where H is a multiple of it
FIRST_ROOM = 64  # steps that a cache has room for at first


class Pages:
    """Where caches note steps: `notes` [layers, 2, B, M, C, D], keys and values; and in which `filled` [B] places of
    each stream there is something."""

    def __init__(self, notes: torch.Tensor, filled: torch.Tensor) -> None:
        self.notes, self.filled = notes, filled


class Cache:
    """What a transformer remembers of streams: `steps` [B], how many each has seen; `places` [B], how many of them lie
    in `pages`, the first places there being theirs."""

    def __init__(self, pages: Pages, places: torch.Tensor, steps: torch.Tensor) -> None:
        self.pages, self.places, self.steps = pages, places, steps


class Block(nn.Module):
    """Attention, then a layer of rectified units, each added to what it reads normalised (Xiong et al. 2020)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_units = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query_key_value = Linear(size, 3 * size)
        self.attended = Linear(size, size, gain=0.5)
        self.units, self.output = Linear(size, 4 * size), Linear(4 * size, size, gain=0.5)

    def queries_keys_values(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """Of `[B, L, H]`, each `[B, M, L, D]`."""
        parts = self.query_key_value(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        queries_keys_values: Sequence[torch.Tensor] = parts.permute(2, 0, 3, 1, 4).unbind()
        return queries_keys_values

    def after_attention(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """`[B, L, H]` after what was read, `[B, M, L, D]`, is added to it, and then the units."""
        x = x + self.attended(read.transpose(1, 2).flatten(2))
        moved: torch.Tensor = x + self.output(torch.relu(self.units(self.before_units(x))))
        return moved


class Transformer(nn.Module):
    """Inputs -> what is said after each step (`recurrent.Core`); its state, while it acts, is a `Cache`.

    Args:
        inputs: X.
        embedding_size: units of a rectified layer that a step passes first; 0: none.
        size: H.
        layers: blocks, one after the other.
        window: how many steps, its own among them, a step attends to in each block; 0: all.
    """

    state_size = 0  # a sequence begins with nothing met

    def __init__(self, inputs: int, embedding_size: int, size: int, layers: int = 2, window: int = 0) -> None:
        super().__init__()
        self.size, self.window = size, window
        self.heads = max(1, size // HEAD_SIZE) if size % HEAD_SIZE == 0 else 1
        first = [Linear(inputs, embedding_size), nn.ReLU()] if embedding_size else []
        self.embedding = nn.Sequential(*first, Linear(embedding_size or inputs, size))
        self.blocks: Any = nn.ModuleList(Block(size, self.heads) for _ in range(layers))
        self.last = nn.LayerNorm(size)

    def begin(self, streams: int) -> Cache:
        """Nothing met."""
        nothing = torch.zeros(streams, dtype=torch.int64)
        room = min(FIRST_ROOM, 2 * self.window or FIRST_ROOM)
        shape = (len(self.blocks), 2, streams, self.heads, room, self.size // self.heads)
        return Cache(Pages(torch.zeros(shape), nothing.clone()), nothing, nothing)

    def forward(self, x: torch.Tensor, start: Any, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, Any]:
        """After a step `[B, X]`, in the streams that play it (`mask` [B]; all by default), what is said `[B, H]` and
        the cache, `start` being the one before; or what is said after each step of sequences `[B, L, X]` with their
        mask `[B, L]`, from their beginning."""
        if isinstance(start, Cache):
            return self.step(x, start, torch.ones(len(x), dtype=torch.bool) if mask is None else mask > 0)
        assert mask is not None and start.shape[-1] == 0, "a sequence starts with nothing met"
        # Played steps first: they are one sequence without gaps, and who stands behind them is read by nobody else.
        order = torch.argsort(mask, dim=1, descending=True, stable=True)[..., None]  # [B, L, 1]
        x = self.embedding(x.gather(1, order.expand_as(x)))
        bias = self.bias(torch.arange(x.shape[1], device=x.device)[:, None], torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            query, key, value = block.queries_keys_values(x)
            x = block.after_attention(x, functional.scaled_dot_product_attention(query, key, value, bias.to(x.dtype)))
        said = functional.pad(self.last(x), (0, 0, 1, 0))  # [B, 1 + L, H]; zeros before the first step
        said = said.gather(1, mask.long().cumsum(dim=1)[..., None].expand(-1, -1, self.size))
        return said, start

    def step(self, x: torch.Tensor, start: Cache, live: torch.Tensor) -> tuple[torch.Tensor, Cache]:
        """What is said, and the cache, after a step of the `live` streams (bool [B])."""
        streams = torch.arange(len(x))
        pages, places = self.with_room(start, live)
        notes, used = pages.notes, int(places.max()) + 1
        # Of the streams that do not play what is computed is thrown away, and their notes lie where the next one does.
        bias = self.bias(places[:, None], torch.arange(used)).transpose(0, 1).unsqueeze(2)  # [B, M, 1, used]
        x = self.embedding(x).unsqueeze(1)
        for number, block in enumerate(self.blocks):
            query, key, value = block.queries_keys_values(x)
            noted = notes[number]
            noted[0, streams, :, places], noted[1, streams, :, places] = key[:, :, 0], value[:, :, 0]
            keys, values = noted[..., :used, :].unbind()
            x = block.after_attention(x, functional.scaled_dot_product_attention(query, keys, values, bias))
        pages.filled = places + live
        return self.last(x).squeeze(1), Cache(pages, places + live, start.steps + live)

    def with_room(self, cache: Cache, live: torch.Tensor) -> tuple[Pages, torch.Tensor]:
        """Pages that begin with the cache's notes and have a free place after them in each stream; and how many of its
        places hold notes there: those that the window has passed by are left out of new pages."""
        pages, places, room = cache.pages, cache.places, cache.pages.notes.shape[-2]
        full = bool((places >= room).any())
        if not full and torch.equal(pages.filled, places):
            return pages, places
        kept = places.clamp(max=self.window - 1) if self.window else places
        grown = room if self.window and room > self.window else 2 * room if full else room
        shape = list(pages.notes.shape)
        shape[-2] = grown
        notes = pages.notes.new_zeros(shape)
        count = int(kept.max())
        index = torch.arange(count) + (places - kept)[:, None]  # [B, count]
        index = index.clamp(max=room - 1)[:, None, :, None]
        notes[..., :count, :] = pages.notes.gather(-2, index.expand(*notes.shape[:-2], count, notes.shape[-1]))
        return Pages(notes, kept), kept

    def bias(self, now: torch.Tensor, then: torch.Tensor) -> Float[torch.Tensor, "..."]:
        """What is added to the logits of attention from places `now` [..., 1] to places `then` [C], `[M, ..., C]`."""
        back = now - then  # [..., C]
        passed = (back < 0) | (back >= self.window) if self.window else back < 0
        slopes = torch.exp2(-8 * torch.arange(1, self.heads + 1, device=back.device) / self.heads)
        bias = -slopes[:, None, None] * back.clamp(min=0)  # [M, ..., C]
        return bias.masked_fill(passed, -math.inf)
