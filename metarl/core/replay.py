"""Replay as values: the transitions of the last meetings, in tensors of a fixed shape that a checkpoint holds.

A *meeting* is one task met for one trial, in all its lanes. Each iteration's N meetings take the next N slots of a
ring. All meetings of a run have the same number of steps, and a slot holds just that many: a replay of C transitions
has `C // (E · L)` slots.

Writing is in place, and yet leaves the old replay whole, so that an update which fails can be tried again and the state
before it saved: N slots, those that the next meetings are written to, count for nothing. All others are remembered, M
meetings. Both replays share their memory; the old one is good until the new one is written to. A replay without room
for two trials has none to keep free: it is copied whenever it is written to, and all of its slots count.

It holds all that a rollout says of a step (observations as they were recorded: who draws them normalises them), and
which `task` it was of. So it can be drawn from by task as well, where tasks come from a fixed list: what a task has
taught is then pooled over all its meetings, while its context is of the last one alone, as in PEARL's two buffers
(Rakelly et al. 2019; oyster, rlkit/core/rl_algorithm.py).

Replay is part of the state, and so of every checkpoint: a resumed run is exact.

Letters: C transitions · N tasks of an iteration · M meetings remembered · E lanes of a meeting · L steps of a lane
(rounds · horizon) · B tasks of a gradient step.
"""

import hashlib

import torch

from metarl.core.networks import action_as_input
from metarl.core.types import Rollout, State, Trial
from metarl.runtime.devices import sent
from metarl.runtime.errors import InputError

FIELDS = Rollout._fields
FLAGS = ("terminated", "truncated", "first", "mask")


def empty_replay(capacity: int, observation_size: int, action_size: int, device: torch.device) -> State:
    """Room for `capacity` transitions: a rollout's fields, such as `observation` [C, O], `action` [C, A], `reward` [C];
    the name of each one's `task` [C]; and `meetings`, how many were ever written, on the CPU."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*FIELDS, "task"), ())
    shapes |= {"observation": (observation_size,), "next_observation": (observation_size,), "action": (action_size,)}
    kinds = dict.fromkeys(FLAGS, torch.bool) | {"task": torch.int64}
    room: State = {
        name: torch.zeros(capacity, *shape, dtype=kinds.get(name, torch.float32), device=device)
        for name, shape in shapes.items()
    }
    return {**room, "meetings": torch.zeros((), dtype=torch.int64)}


def replay_bytes(capacity: int, observation_size: int, action_size: int) -> int:
    """The memory that a replay takes: four bytes a number, one a flag, eight the name of a task."""
    return capacity * (4 * (2 * observation_size + action_size + 2) + len(FLAGS) + 8) + 8


def write_trial(replay: State, trial: Trial) -> State:
    """The replay with N more meetings, which the valid steps of a trial's rounds make up; discrete actions are one-hot.
    It may share its memory with `replay`, which stays as it was until the result is written to.

    Args:
        replay: what was written before.
        trial: N tasks met.

    Raises:
        InputError: the replay cannot hold the trial.
    """
    fields = {
        name: torch.cat([getattr(rollout, name) for rollout in trial.rollouts], dim=2) for name in FIELDS
    }  # [N, E, L, ...]
    N, E, L = fields["mask"].shape
    slots, meetings = len(replay["mask"]) // (E * L), int(replay["meetings"])
    if slots < N:
        raise InputError(
            f"algo.replay_size is {len(replay['mask'])}, but a trial of {N} tasks has {N * E * L} steps"
            " — give at least that many, better a hundred times as many"
        )
    fields["action"] = action_as_input(fields["action"], replay["action"].shape[-1])
    fields["task"] = task_names(trial, meetings)[:, None, None].expand(N, E, L)
    order = torch.argsort(fields["mask"], dim=2, descending=True, stable=True)  # valid steps first
    chosen = sent(torch.arange(meetings, meetings + N) % slots, replay["mask"].device)
    rooms = {name: replay[name] if kept_free(slots, N) else replay[name].clone() for name in fields}
    for name, value in fields.items():
        index = order.reshape(N, E, L, *[1] * (value.dim() - 3)).expand_as(value)
        room = by_slot(rooms[name], E * L)
        sorted_ = value.to(order.device).gather(2, index).flatten(1, 2)  # [N, E · L, ...]
        room[chosen] = sent(sorted_.to(room.dtype), room.device)
    return {**replay, **rooms, "meetings": replay["meetings"] + N}


def by_slot(room: torch.Tensor, steps: int) -> torch.Tensor:
    """A view `[slots, steps, ...]` of transitions `[C, ...]`, for meetings of so many steps in all their lanes."""
    slots = len(room) // steps
    return room[: slots * steps].unflatten(0, (slots, steps))


def kept_free(slots: int, tasks: int) -> int:
    """How many of the slots count for nothing, so that the next N tasks can be written there."""
    return tasks if slots >= 2 * tasks else 0


def remembered(replay: State, tasks: int, steps: int) -> torch.Tensor:
    """The slots `[M]` of the meetings that count, oldest first, where N `tasks` a trial have so many steps each."""
    slots, written = len(replay["mask"]) // steps, int(replay["meetings"])
    oldest = max(0, written - slots + kept_free(slots, tasks))
    return torch.arange(oldest, written, device=replay["mask"].device) % slots


def task_names(trial: Trial, meetings: int) -> torch.Tensor:
    """A number for each task, `[N]`: the same for the same parameters, whenever they are met.

    Args:
        trial: where its tasks are not known, each gets a name that no other has.
        meetings: how many there were before.
    """
    if trial.tasks is None:
        return -1 - torch.arange(meetings, meetings + trial.rollouts[0].mask.shape[0])
    rows = (trial.tasks.double() + 0.0).numpy()  # −0 is 0
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    return torch.tensor([int.from_bytes(digest, "little") >> 1 for digest in digests])


class Slots:
    """The tasks of a replay that can be drawn from, numbered `0 … tasks − 1`.

    Args:
        replay: what was written.
        by_task: whether meetings with the same task are of one, or each is one of its own.
        tasks: of a trial, N.
        lanes: of a meeting, E.
        steps: of a lane, L.
    """

    def __init__(self, replay: State, by_task: bool, tasks: int, lanes: int, steps: int) -> None:
        self.replay, self.lanes, self.steps = replay, lanes, steps
        slots, device = remembered(replay, tasks, lanes * steps), replay["mask"].device  # [M]
        meeting = torch.arange(len(slots), device=device)
        names = replay["task"][slots * lanes * steps] if by_task else meeting
        _, name, meetings = names.unique(return_inverse=True, return_counts=True)  # [M], [tasks]
        last, by_last = torch.zeros_like(meetings).scatter_reduce(0, name, meeting, "amax").sort()
        task, meetings = by_last.argsort()[name], meetings[by_last]  # tasks in the order of their last meetings
        self.tasks, self.last = len(meetings), slots[last]
        valid = by_slot(replay["mask"], lanes * steps)[slots].unflatten(1, (lanes, steps)).sum(dim=2)  # [M, E]
        self.context = valid[last]  # [tasks, E]
        # Lanes in the order of tasks, and how many valid steps there are up to the end of each.
        order = task.argsort(stable=True)
        self.order = (slots[order, None] * lanes + torch.arange(lanes, device=device)).flatten()
        self.valid = valid[order].flatten()
        self.ends = self.valid.cumsum(dim=0)  # [M · E]
        self.end = self.ends[meetings.cumsum(dim=0) * lanes - 1]  # of a task, [tasks]
        self.start = torch.cat([self.end.new_zeros(1), self.end[:-1]])

    def draw_tasks(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """`count` different tasks, or all there are if they are fewer: `[B]`."""
        return sent(torch.randperm(self.tasks, generator=generator)[:count], self.end.device)

    def draw(self, tasks: torch.Tensor, count: int, generator: torch.Generator) -> Rollout:
        """`count` valid transitions of each of `tasks`, drawn evenly and with replacement from all of its meetings:
        `[B, count, ...]`."""
        start, end = self.start[tasks, None], self.end[tasks, None]
        number = start + (self._uniform(len(tasks), count, generator) * (end - start)).long()  # of a valid step
        place = torch.searchsorted(self.ends, number, right=True)
        return self._rows(self.order[place], number - (self.ends - self.valid)[place])

    def draw_context(self, tasks: torch.Tensor, count: int, generator: torch.Generator) -> Rollout:
        """`count` valid transitions of the last meeting with each of `tasks`, `[B, count, ...]`, all of one lane: what
        a single agent has seen there."""
        steps = self.context[tasks]  # [B, E]
        ends = steps.cumsum(dim=1)
        number = (self._uniform(len(tasks), 1, generator) * ends[:, -1:]).long()
        lane = torch.searchsorted(ends, number, right=True)  # [B, 1]
        step = (self._uniform(len(tasks), count, generator) * steps.gather(1, lane)).long()  # [B, count]
        return self._rows(self.last[tasks, None] * self.lanes + lane, step)

    def _uniform(self, tasks: int, count: int, generator: torch.Generator) -> torch.Tensor:
        return sent(torch.rand(tasks, count, generator=generator, dtype=torch.float64), self.end.device)

    def _rows(self, lane: torch.Tensor, step: torch.Tensor) -> Rollout:
        row = lane * self.steps + step
        return Rollout(*(self.replay[name][row] for name in FIELDS))


def extent(trial: Trial) -> tuple[int, int, int]:
    """N tasks, E lanes, L steps of a lane."""
    tasks, lanes, _ = trial.rollouts[0].mask.shape
    return tasks, lanes, sum(rollout.mask.shape[2] for rollout in trial.rollouts)


def slots_of(replay: State, trial: Trial, by_task: bool = True) -> Slots:
    """The meetings of a replay to which trials like this one were written."""
    return Slots(replay, by_task, *extent(trial))


def drawn_lanes(replay: State, trial: Trial, count: int, generator: torch.Generator) -> Rollout:
    """`count` different lanes `[B, L, ...]` of the meetings remembered, or all there are, where trials like this one
    were written. Their played steps come first."""
    tasks, lanes, steps = extent(trial)
    slots = remembered(replay, tasks, lanes * steps)
    number = sent(torch.randperm(len(slots) * lanes, generator=generator)[:count], slots.device)
    slot, lane = slots[number // lanes], number % lanes
    rooms = {name: by_slot(replay[name], lanes * steps).unflatten(1, (lanes, steps)) for name in FIELDS}
    drawn = Rollout(**{name: room[slot, lane] for name, room in rooms.items()})
    return drawn._replace(mask=drawn.mask.to(drawn.reward.dtype))
