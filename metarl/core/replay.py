"""Replay as values: the transitions of the last meetings, in tensors of a fixed shape that a checkpoint holds.

A *meeting* is one task met for one trial, in all its lanes. Each iteration's N meetings take the next N slots of a
ring, over the oldest ones. All meetings of a run have the same number of steps, and a slot holds just that many: a
replay of C transitions remembers `M = C // (E · L)` meetings.

A replay *by task* also knows which meetings were with one and the same task, as happens where tasks come from a fixed
list. It then plays the part of PEARL's two buffers (Rakelly et al. 2019; oyster, rlkit/core/rl_algorithm.py): what a
task has taught is pooled over all its meetings, while its context is of the last one alone.

Replay is part of the state, and so of every checkpoint: a resumed run is exact. Writing returns new tensors: an update
that fails leaves the old replay whole.

Letters: C transitions · M meetings remembered · E lanes of a meeting · L steps of a lane (rounds · horizon).
"""

import hashlib

import torch

from metarl.core.devices import sent
from metarl.core.errors import InputError
from metarl.core.types import State, Trial

FIELDS = ("observation", "action", "reward", "terminated", "next_observation", "mask")
BY_TASK = ("task", "context")
FLAGS = ("terminated", "mask", "context")


def empty_replay(
    capacity: int, observation_size: int, action_size: int, device: torch.device, by_task: bool = False
) -> State:
    """Room for `capacity` transitions: `observation` [C, O], `action` [C, A], `reward` [C], …; and `meetings`, how many
    were ever written, on the CPU.

    By task, each transition also has the name of its `task` [C], and whether it is `context` [C].
    """
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*FIELDS, *(BY_TASK if by_task else ())), ())
    shapes |= {"observation": (observation_size,), "next_observation": (observation_size,), "action": (action_size,)}
    kinds = dict.fromkeys(FLAGS, torch.bool) | {"task": torch.int64}
    room: State = {
        name: torch.zeros(capacity, *shape, dtype=kinds.get(name, torch.float32), device=device)
        for name, shape in shapes.items()
    }
    return {**room, "meetings": torch.zeros((), dtype=torch.int64)}


def replay_bytes(capacity: int, observation_size: int, action_size: int, by_task: bool = False) -> int:
    """The memory that a replay takes: four bytes a number, one a flag; eight for the name of a task."""
    return capacity * (4 * (2 * observation_size + action_size + 1) + 2 + (9 if by_task else 0)) + 8


def write_trial(replay: State, trial: Trial, context_rounds: int = 0) -> State:
    """The replay with N more meetings, which the valid steps of a trial's rounds make up.

    Args:
        replay: what was written before.
        trial: N tasks met.
        context_rounds: by task, how many of the first rounds are context (0: all).

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
    if "task" in replay:
        fields["task"] = task_names(trial, meetings)[:, None, None].expand(N, E, L)
        early = [
            torch.full_like(rollout.mask, k < (context_rounds or len(trial.rollouts)))
            for k, rollout in enumerate(trial.rollouts)
        ]
        fields["context"] = fields["mask"] * torch.cat(early, dim=2)
    order = torch.argsort(fields["mask"], dim=2, descending=True, stable=True)  # valid steps first
    chosen = sent(torch.arange(meetings, meetings + N) % slots, replay["mask"].device)
    written: State = {}
    for name, value in fields.items():
        index = order.reshape(N, E, L, *[1] * (value.dim() - 3)).expand_as(value)
        room = replay[name].clone()
        slot_view = room[: slots * E * L].view(slots, E, L, *value.shape[3:])
        slot_view[chosen] = sent(value.to(order.device).gather(2, index).to(room.dtype), room.device)
        written[name] = room
    return {**written, "meetings": replay["meetings"] + N}


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


def remembered(replay: State, steps: int) -> int:
    """How many meetings of `steps` steps there is room for, M."""
    return len(replay["mask"]) // steps


class Slots:
    """The tasks of a replay that can be drawn from, numbered `0 … tasks − 1`; each meeting is one of its own where the
    replay is not by task.

    Args:
        replay: what was written.
        lanes: of a meeting, E.
        steps: of a lane, L.
    """

    def __init__(self, replay: State, lanes: int, steps: int) -> None:
        self.replay, self.lanes, self.steps = replay, lanes, steps
        slots, written = remembered(replay, lanes * steps), int(replay["meetings"])
        filled = min(written, slots)
        rows, device = filled * lanes * steps, replay["mask"].device

        def per_lane(flag: torch.Tensor) -> torch.Tensor:
            return flag[:rows].view(filled, lanes, steps).sum(dim=2)

        slot = torch.arange(filled, device=device)
        names = replay["task"][: rows : lanes * steps] if "task" in replay else slot
        _, name, meetings = names.unique(return_inverse=True, return_counts=True)  # [filled], [tasks]
        number = written - 1 - (written - 1 - slot) % slots  # of the meeting that a slot holds
        last = torch.zeros_like(meetings).scatter_reduce(0, name, number, "amax") % slots
        self.last, by_last = last.sort()  # slots, [tasks]: where each task was met once, tasks are numbered like slots
        task, meetings = by_last.argsort()[name], meetings[by_last]
        self.tasks = len(meetings)
        self.context = per_lane(replay["context" if "context" in replay else "mask"])  # [filled, E]
        # Lanes in the order of tasks, and how many valid steps there are up to the end of each.
        self.order = (task.argsort(stable=True)[:, None] * lanes + torch.arange(lanes, device=device)).flatten()
        self.valid = per_lane(replay["mask"]).flatten()[self.order]
        self.ends = self.valid.cumsum(dim=0)  # [filled · E]
        self.end = self.ends[meetings.cumsum(dim=0) * lanes - 1]  # of a task, [tasks]
        self.start = torch.cat([self.end.new_zeros(1), self.end[:-1]])

    def draw_tasks(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """`count` different tasks, or all there are if they are fewer: `[M]`."""
        return sent(torch.randperm(self.tasks, generator=generator)[:count], self.end.device)

    def draw(self, tasks: torch.Tensor, count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """`count` valid transitions of each of `tasks`, drawn evenly and with replacement from all of its meetings:
        `[M, count, ...]`."""
        start, end = self.start[tasks, None], self.end[tasks, None]
        number = start + (self._uniform(len(tasks), count, generator) * (end - start)).long()  # of a valid step
        place = torch.searchsorted(self.ends, number, right=True)
        return self._rows(self.order[place], number - (self.ends - self.valid)[place])

    def draw_context(self, tasks: torch.Tensor, count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """`count` transitions of context of each of `tasks`, `[M, count, ...]`: what one agent has seen in the last
        meeting, which is one lane of it."""
        meeting = self.last[tasks]
        ends = self.context[meeting].cumsum(dim=1)  # [M, E]
        number = (self._uniform(len(tasks), 1, generator) * ends[:, -1:]).long()
        lane = torch.searchsorted(ends, number, right=True)  # [M, 1]
        steps = self.context[meeting].gather(1, lane)
        step = (self._uniform(len(tasks), count, generator) * steps).long()  # [M, count]
        return self._rows(meeting[:, None] * self.lanes + lane, step)

    def _uniform(self, tasks: int, count: int, generator: torch.Generator) -> torch.Tensor:
        return sent(torch.rand(tasks, count, generator=generator, dtype=torch.float64), self.end.device)

    def _rows(self, lane: torch.Tensor, step: torch.Tensor) -> dict[str, torch.Tensor]:
        row = lane * self.steps + step
        return {name: self.replay[name][row] for name in FIELDS if name != "mask"}


def slots_of(replay: State, trial: Trial) -> Slots:
    """The meetings of a replay to which trials like this one were written."""
    lanes = trial.rollouts[0].mask.shape[1]
    return Slots(replay, lanes, sum(rollout.mask.shape[2] for rollout in trial.rollouts))
