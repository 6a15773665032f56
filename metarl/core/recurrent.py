"""Memory that lives through a whole trial: recurrent cores, and the streams that they read.

A core takes inputs and a state, and returns outputs and the next state; the same parameters take one step while acting
(`[B, X]`) and whole sequences in training (`[B, L, X]`). GRU: Cho et al. 2014; its outputs are its states.

Letters: B streams (a lane's rounds, one after another; B = N·E, tasks fold into the batch) · L steps of a stream
(L = K·T for K rounds of T steps) · X inputs · H outputs · S numbers of a state. A step that was not played (mask 0: the
lane's episode had ended) is passed over: the next round goes on where the last played step left.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import nn

from metarl.core.linear_attention import LinearAttention
from metarl.core.networks import Linear, apply
from metarl.core.transformer import Transformer
from metarl.core.types import Params, Rollout, Trial


class Core(Protocol):
    """A module that takes inputs and a state; its outputs start as zeros, as its state does.

    One whose state is no vector of a fixed size has, for acting, a method `begin(streams)` that makes the first one. It
    takes the mask of a step as well, `[B]`, and passes over the streams that do not play it (`transformer.py`).
    """

    state_size: int

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step `[B, X]`, or a sequence `[B, L, X]` with its mask `[B, L]` (zero: no step), from
        the state `[B, S]`: outputs `[B, H]` or `[B, L, H]`, and the last state."""


class GRU(nn.Module):
    """Input and hidden state -> next hidden state, twice: it is what the unit says, too.

    Its gates stand in torch's order: reset, update, candidate. X `inputs`, H `size`.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.size = self.state_size = size
        self.weight_input = nn.Parameter(torch.empty(3 * size, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(3 * size, size))
        self.bias_input = nn.Parameter(torch.zeros(3 * size))
        self.bias_hidden = nn.Parameter(torch.zeros(3 * size))

    def initialise(self, generator: torch.Generator) -> None:
        """Glorot-uniform from the input, orthogonal from the state (Saxe et al. 2014), gate by gate; no biases."""
        for gate in range(3):
            rows = slice(gate * self.size, (gate + 1) * self.size)
            nn.init.xavier_uniform_(self.weight_input.data[rows], generator=generator)
            nn.init.orthogonal_(self.weight_hidden.data[rows], generator=generator)
        nn.init.zeros_(self.bias_input)
        nn.init.zeros_(self.bias_hidden)

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The state after the step, or after each of a sequence; and the last one (`Core`)."""
        weights = (self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden)
        if mask is None:
            state = torch.gru_cell(x, start, *weights)
            return state, state
        # Played steps first: they are one sequence without gaps. Step t's state is then that after as many of them as
        # were played up to t.
        order = torch.argsort(mask, dim=1, descending=True, stable=True)  # [B, L]
        played = x.gather(1, along(order, x))
        # cuDNN differentiates only what is called for training (which, without dropout, is the same on the CPU).
        train = torch.is_grad_enabled()
        states, _ = torch.gru(played, start[None], weights, True, 1, 0.0, train, False, True)
        states = torch.cat([start[:, None], states], dim=1)  # [B, 1 + L, H]
        states = states.gather(1, along(mask.long().cumsum(dim=1), states))
        return states, states[:, -1]


class EmbeddedGRU(nn.Module):
    """A GRU behind a rectified layer, where a step's parts can meet before they are remembered; called as that is."""

    def __init__(self, inputs: int, embedding_size: int, size: int) -> None:
        super().__init__()
        self.state_size = size
        self.embedding = Linear(inputs, embedding_size)
        self.gru = GRU(embedding_size, size)

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states: tuple[torch.Tensor, torch.Tensor] = self.gru(torch.relu(self.embedding(x)), start, mask)
        return states


def gated(inputs: int, embedding_size: int, memory_size: int) -> GRU | EmbeddedGRU:
    """A GRU, behind a rectified layer if that has any units."""
    return EmbeddedGRU(inputs, embedding_size, memory_size) if embedding_size else GRU(inputs, memory_size)


class SplitAggregator(nn.Module):
    """A recurrent state beside the greatest of what each step alone says: what a task is does not hang on the order in
    which it was seen, what to do next may (SplAgger, Beck et al. 2024).

    The authors' code takes the maximum over half of a recurrent unit's outputs (jacooba/hyper, models/aggregator.py),
    here it is over encodings of single steps, so that it is exactly the same in any order. H is `size`: a half of the
    outputs is the GRU's state, the other half, M, the running maximum, which begins as zeros.
    """

    def __init__(self, inputs: int, embedding_size: int, size: int) -> None:
        super().__init__()
        self.state_size = size
        self.sizes = [size - size // 2, size // 2]
        self.gru = gated(inputs, embedding_size, self.sizes[0])
        self.encoding = Linear(inputs, self.sizes[1])

    def forward(
        self, x: torch.Tensor, start: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both after the step, or after each of a sequence; the state is what is said last (`Core`)."""
        hidden, greatest = start.split(self.sizes, dim=-1)
        states, _ = self.gru(x, hidden, mask)
        encoded = torch.relu(
            self.encoding(x)
        )  # never negative: a step that was not played says 0, which changes nothing
        if mask is None:
            said = torch.cat([states, torch.maximum(encoded, greatest)], dim=-1)
            return said, said
        encoded = torch.cat([greatest[:, None], encoded * mask[..., None]], dim=1).cummax(dim=1).values[:, 1:]
        said = torch.cat([states, encoded], dim=-1)
        return said, said[:, -1]


CORES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "gru": gated,
    "attention": LinearAttention,
    "splagger": SplitAggregator,
    "transformer": Transformer,
}
"""What makes a core of X inputs, units of a layer before it (0: none), and H outputs."""


def beginning(core: Any, streams: int) -> Any:
    """The state, while acting, before anything was met: zeros `[B, S]`, or what the core itself `begin`s with."""
    return core.begin(streams) if hasattr(core, "begin") else torch.zeros(streams, core.state_size)


def step(core: Any, params: Params, x: torch.Tensor, state: Any, live: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """What a core says `[B, H]` to one step `[B, X]`, and the next state, which moves in the `live` streams (bool [B]);
    what is said to the others means nothing."""
    if not isinstance(state, torch.Tensor):
        said, following = apply(core, params, x, state, live)
        return said, following
    said, following = apply(core, params, x, state)
    return said, torch.where(live[:, None], following, state)


def along(index: Int[torch.Tensor, "B L"], values: torch.Tensor) -> Int[torch.Tensor, "B L X"]:
    """An index of steps, repeated for the last axis of `values` `[B, ..., X]`, as `gather` wants it."""
    return index[..., None].expand(-1, -1, values.shape[-1])


def unbroken(trial: Trial) -> Trial:
    """The trial, with lanes that diverged in any round masked out of all.

    What such a lane saw in the broken round is lost, and so is what its memory was afterwards.
    """
    whole = torch.stack([rollout.mask.amax(dim=2) for rollout in trial.rollouts]).amin(dim=0)[..., None]  # [N, E, 1]
    return trial._replace(rollouts=[rollout._replace(mask=rollout.mask * whole) for rollout in trial.rollouts])


def streams(trial: Trial) -> Rollout:
    """The rounds of the unbroken lanes one after another, `[B, L, ...]`."""
    rollouts = unbroken(trial).rollouts
    return Rollout(*(torch.cat(fields, dim=2).flatten(0, 1) for fields in zip(*rollouts, strict=True)))


def of_previous_step(
    values: Float[torch.Tensor, "B L X"], mask: Float[torch.Tensor, "B L"]
) -> Float[torch.Tensor, "B L X"]:
    """At each step the values of the last step that was played before it; zeros before the first."""
    number = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    last = (number * mask.long()).cummax(dim=1).values  # up to and with each step; 0: none yet
    before = torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1]], dim=1)
    padded = torch.cat([torch.zeros_like(values[:, :1]), values], dim=1)  # [B, 1 + L, X]
    return padded.gather(1, along(before, values))
