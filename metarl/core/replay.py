"""Replay as values: the transitions of the last meetings, in tensors of a fixed shape that a checkpoint holds.

A *meeting* is one task met for one trial, in all its lanes. Each iteration's N meetings take the next N slots of a
ring, over the oldest ones; a task of a fixed list that is drawn again is simply another meeting, so that listed and
fresh tasks are alike. All meetings of a run have the same number of steps, and a slot holds just that many: a replay of
C transitions remembers `M = C // (E · L)` meetings.

Replay is part of the state, and so of every checkpoint: a resumed run is exact. Writing returns new tensors: an update
that fails leaves the old replay whole.

Letters: C transitions · M meetings remembered · E lanes of a meeting · L steps of a lane (rounds · horizon).
"""

import torch

from metarl.core.devices import sent
from metarl.core.errors import InputError
from metarl.core.types import State, Trial

FIELDS = ("observation", "action", "reward", "terminated", "next_observation", "mask")
FLAGS = ("terminated", "mask")


def empty_replay(capacity: int, observation_size: int, action_size: int, device: torch.device) -> State:
    """Room for `capacity` transitions: `observation` [C, O], `action` [C, A], `reward` [C], …; and `meetings`, how many
    were ever written, on the CPU."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(FIELDS, ())
    shapes |= {"observation": (observation_size,), "next_observation": (observation_size,), "action": (action_size,)}
    room: State = {
        name: torch.zeros(capacity, *shapes[name], dtype=torch.bool if name in FLAGS else torch.float32, device=device)
        for name in FIELDS
    }
    return {**room, "meetings": torch.zeros((), dtype=torch.int64)}


def replay_bytes(capacity: int, observation_size: int, action_size: int) -> int:
    """The memory that a replay takes: four bytes a number, one a flag."""
    return capacity * (4 * (2 * observation_size + action_size + 1) + 2) + 8


def write_trial(replay: State, trial: Trial) -> State:
    """The replay with N more meetings, which the valid steps of a trial's rounds make up.

    Raises:
        InputError: the replay cannot hold one trial.
    """
    fields = {
        name: torch.cat([getattr(rollout, name) for rollout in trial.rollouts], dim=2) for name in FIELDS
    }  # [N, E, L, ...]
    N, E, L = fields["mask"].shape
    slots, meetings = remembered(replay, E * L), int(replay["meetings"])
    if slots < N:
        raise InputError(
            f"algo.replay_size is {len(replay['mask'])}, but a trial of {N} tasks has {N * E * L} steps"
            " — give at least that many, better a hundred times as many"
        )
    order = torch.argsort(fields["mask"], dim=2, descending=True, stable=True)  # valid steps first
    chosen = sent(torch.arange(meetings, meetings + N) % slots, replay["mask"].device)
    written: State = {}
    for name, value in fields.items():
        index = order.reshape(N, E, L, *[1] * (value.dim() - 3)).expand_as(value)
        room = replay[name].clone()
        slot_view = room[: slots * E * L].view(slots, E, L, *value.shape[3:])
        slot_view[chosen] = sent(value.gather(2, index).to(room.dtype), room.device)
        written[name] = room
    return {**written, "meetings": replay["meetings"] + N}


def remembered(replay: State, steps: int) -> int:
    """How many meetings of `steps` steps there is room for, M."""
    return len(replay["mask"]) // steps


class Slots:
    """The meetings of a replay that can be drawn from.

    Args:
        replay: what was written.
        lanes: of a meeting, E.
        steps: of a lane, L.
    """

    def __init__(self, replay: State, lanes: int, steps: int) -> None:
        self.replay, self.lanes, self.steps = replay, lanes, steps
        self.filled = min(int(replay["meetings"]), remembered(replay, lanes * steps))
        mask = replay["mask"][: self.filled * lanes * steps]
        self.valid = mask.view(self.filled, lanes, steps).sum(dim=2)  # [filled, E]

    def draw_meetings(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """`count` different meetings, or all there are if they are fewer: their slots, `[M]`."""
        return sent(torch.randperm(self.filled, generator=generator)[:count], self.valid.device)

    def draw(self, meetings: torch.Tensor, count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """`count` valid transitions of each of `meetings`, drawn evenly with replacement: `[M, count, ...]`."""
        lane, step = self._draw_steps(meetings, count, generator)
        return self._rows(meetings, lane, step)

    def draw_of_one_lane(
        self, meetings: torch.Tensor, count: int, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """The same, of one lane of each meeting: what a single agent has seen there."""
        lane, _ = self._draw_steps(meetings, 1, generator)  # [M, 1]
        uniform = self._uniform(len(meetings), count, generator)
        step = (uniform * self.valid[meetings].gather(1, lane)).long()  # [M, count]
        return self._rows(meetings, lane, step)

    def _draw_steps(
        self, meetings: torch.Tensor, count: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Lanes and steps `[M, count]`, every valid step of a meeting being equally likely."""
        valid = self.valid[meetings]
        ends = valid.cumsum(dim=1)  # [M, E]
        number = (self._uniform(len(meetings), count, generator) * ends[:, -1:]).long()  # of a valid step
        lane = torch.searchsorted(ends, number, right=True)
        return lane, number - (ends - valid).gather(1, lane)

    def _uniform(self, meetings: int, count: int, generator: torch.Generator) -> torch.Tensor:
        return sent(torch.rand(meetings, count, generator=generator, dtype=torch.float64), self.valid.device)

    def _rows(self, meetings: torch.Tensor, lane: torch.Tensor, step: torch.Tensor) -> dict[str, torch.Tensor]:
        row = (meetings[:, None] * self.lanes + lane) * self.steps + step
        return {name: self.replay[name][row] for name in FIELDS if name != "mask"}


def slots_of(replay: State, trial: Trial) -> Slots:
    """The meetings of a replay to which trials like this one were written."""
    lanes = trial.rollouts[0].mask.shape[1]
    return Slots(replay, lanes, sum(rollout.mask.shape[2] for rollout in trial.rollouts))
