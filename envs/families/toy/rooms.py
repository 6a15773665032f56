"""Dark rooms (Laskin et al. 2022, Algorithm Distillation): what is sought is a cell that only rewards tell of.

An agent knows its own cell of a grid and nothing else; it stays, or moves by a cell up (+y), right (+x), down or left,
and walls hold it. In a dark room a goal pays 1 after every step that ends there, or after the first one alone. With key
and door, the first step that ends on the key pays 1, and after it the first that ends on the door, 1 again. Neither
ends an episode.

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete

from envs.contract import sources
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig, option
from envs.contract.definition import Outcome, states
from envs.contract.errors import InputError
from envs.contract.sources import Variant
from envs.contract.tasks import Choice, TaskDistribution, Tasks
from envs.engine.rendering import NO_PATHS, draw_plane

MOVES = np.array([[0, 0], [0, 1], [1, 0], [0, -1], [-1, 0]])  # stay, up, right, down, left


@dataclass(frozen=True)
class DarkRoomConfig(FamilyConfig):
    """The options of DarkRoom; what is None comes from the variant."""

    variant: str = "laskin"
    size: int | None = option(above=0)
    """Cells along a side."""
    start: Literal["centre", "corner", "anywhere"] | None = option()
    """Where an episode starts: in the middle, in the cell (0, 0), or in any cell with equal probability."""
    pays: Literal["always", "once"] | None = option()
    """Whether the goal pays after every step that ends there, or only after the first."""


@dataclass(frozen=True)
class KeyToDoorConfig(FamilyConfig):
    """The options of KeyToDoor; what is None comes from the variant."""

    variant: str = "laskin"
    size: int | None = option(above=0)
    """Cells along a side."""
    start: Literal["centre", "corner", "anywhere"] | None = option()
    """Where an episode starts: in the middle, in the cell (0, 0), or in any cell with equal probability."""


ROOM: dict[str, Any] = {"horizon": 20, "size": 9, "start": "centre", "pays": "always"}
DARK_ROOMS = {
    "laskin": Variant(ROOM, sources.AD),
    "laskin-hard": Variant(ROOM | {"size": 17, "pays": "once"}, sources.AD),
    "dpt": Variant(ROOM | {"horizon": 100, "size": 10, "start": "corner"}, sources.DPT / "darkroom_env.py"),
}
KEYS = {"laskin": Variant({"horizon": 50, "size": 9, "start": "anywhere"}, sources.AD)}


class Walkers:
    """Agents on a grid, one in each lane of an environment whose config has `size` and `start`."""

    def __init__(self, env: TaskEnv) -> None:
        self.env, self.size = env, env.config.size
        places = {"centre": [self.size // 2], "corner": [0], "anywhere": range(self.size)}[env.config.start]
        self.starts = np.array(list(itertools.product(places, repeat=2)))
        """The cells where an episode may start, with equal probability: `[starts, 2]`."""
        self.cell = np.zeros((env.num_envs, 2), np.int64)

    def reset(self, mask: np.ndarray) -> None:
        """Put the agents of `mask` where they start."""
        for lanes, copies, rng in self.env.tasks_to_reset(mask):
            self.cell[lanes] = self.starts[rng.integers(len(self.starts), size=self.env.lanes_per_task)[copies]]

    def move(self, actions: np.ndarray, live: np.ndarray) -> None:
        """A step of the agents in the live lanes."""
        moved = np.clip(self.cell + MOVES[actions], 0, self.size - 1)
        self.cell = np.where(live[:, None], moved, self.cell)

    def on(self, cells: np.ndarray) -> np.ndarray:
        """Who stands on the own one of the `cells` [num_envs, 2]."""
        there: np.ndarray = (self.cell == cells).all(axis=1)
        return there

    def observe(self) -> np.ndarray:
        """x one-hot, then y one-hot, `[num_envs, 2 · size]`."""
        return np.eye(self.size)[self.cell].reshape(len(self.cell), -1)

    def draw(self, lane: int, paths: Mapping[str, np.ndarray], *cells: np.ndarray) -> np.ndarray:
        """A picture of one among the `cells` [num_envs, 2] of what is hidden."""
        hidden = np.stack([each[lane] for each in cells])
        return draw_plane(self.cell[lane], hidden, self.size - 0.5, cells=True, paths=paths)


def cells_of(options: Any, *names: str) -> dict[str, Any]:
    """The definition of a room that hides so many cells."""
    cells = Choice(tuple(itertools.product(range(options.size), repeat=2)))
    return {
        "task_distribution": TaskDistribution(dict.fromkeys(names, cells)),
        "action_space": Discrete(len(MOVES)),
        "observation_size": 2 * options.size,
    }


def require_cells(tasks: Tasks, size: int) -> None:
    """Raises: InputError on what is no cell of the grid."""
    for name, cells in tasks.items():
        bad = ((cells < 0) | (cells >= size)).any(axis=1)
        if bad.any():
            task = int(np.argmax(bad))
            where = f"task parameter '{name}' of task {task} is {cells[task]}"
            raise InputError(f"{where} — give cells from 0 to {size - 1}")


class DarkRoom(TaskEnv):
    """Find the goal. Task parameter: `goal` [2], a cell (x, y). Observation: the cell of the agent, x one-hot, then y
    one-hot (2 · size)."""

    Config, variants = DarkRoomConfig, DARK_ROOMS
    summary = states(lambda options: f"1 on the goal{', once' if options.pays == 'once' else ''}, else 0")

    def define(self, options: Any) -> dict[str, Any]:
        return cells_of(options, "goal")

    def build(self) -> None:
        self.walkers, self.found = Walkers(self), np.zeros(self.num_envs, bool)

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Raises: InputError on a goal that is no cell of the grid."""
        require_cells(tasks, self.config.size)

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.walkers.reset(mask)
        self.found[mask] = False

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the agents and pay those on the goal."""
        self.walkers.move(actions, live)
        there = self.walkers.on(self.lane_tasks["goal"])
        paid = there & ~self.found if self.config.pays == "once" else there
        self.found |= live & there
        return Outcome(paid.astype(np.float64))

    def observe(self) -> np.ndarray:
        return self.walkers.observe()

    @property
    def position(self) -> np.ndarray:
        """The cell, on the map."""
        return self.walkers.cell

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        return self.walkers.draw(lane, paths, self.lane_tasks["goal"])

    def informed_action(self) -> np.ndarray:
        """Straight to the goal, along x first, and stay there."""
        return towards(self.walkers.cell, self.lane_tasks["goal"])

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """What `informed_action` is worth, `[N]`: the mean over starts."""
        arrival = steps_between(self.walkers.starts, tasks["goal"][:, None])  # [N, starts]
        paid = np.maximum(self.horizon + 1 - arrival, 0)
        worth: np.ndarray = (np.minimum(paid, 1) if self.config.pays == "once" else paid).mean(axis=1)
        return worth


class KeyToDoor(TaskEnv):
    """Find the key, then the door. Task parameters: `key` and `door`, [2] each, cells (x, y). Observation: the cell of
    the agent, x one-hot, then y one-hot (2 · size); not whether it has the key."""

    Config, variants = KeyToDoorConfig, KEYS
    summary = states("1 for the key, 1 for the door after it, else 0")

    def define(self, options: Any) -> dict[str, Any]:
        return cells_of(options, "key", "door")

    def build(self) -> None:
        self.walkers, self.found = Walkers(self), np.zeros(self.num_envs, np.int64)
        """How many of both each lane has found in its episode."""

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Raises: InputError on a key or a door in no cell of the grid."""
        require_cells(tasks, self.config.size)

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.walkers.reset(mask)
        self.found[mask] = 0

    def sought(self) -> np.ndarray:
        """What each lane is to find next, the door also when all is found: cells `[num_envs, 2]`."""
        return np.where(self.found[:, None] == 0, self.lane_tasks["key"], self.lane_tasks["door"])

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the agents and pay for what is found."""
        self.walkers.move(actions, live)
        found = self.walkers.on(self.sought()) & (self.found < 2)
        self.found += live & found
        return Outcome(found.astype(np.float64))

    def observe(self) -> np.ndarray:
        return self.walkers.observe()

    @property
    def position(self) -> np.ndarray:
        """The cell, on the map."""
        return self.walkers.cell

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        return self.walkers.draw(lane, paths, self.lane_tasks["key"], self.lane_tasks["door"])

    def informed_action(self) -> np.ndarray:
        """Straight to the key, then to the door, along x first."""
        return towards(self.walkers.cell, self.sought())

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """What `informed_action` is worth, `[N]`: the mean over starts."""
        key = steps_between(self.walkers.starts, tasks["key"][:, None])  # [N, starts]
        door = key + steps_between(tasks["key"], tasks["door"])[:, None]
        found: np.ndarray = (1.0 * (key <= self.horizon) + (door <= self.horizon)).mean(axis=1)
        return found


def steps_between(start: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """How many steps it takes until one ends on `cell`, of `[..., 2]` both: who is there stays for one."""
    return np.maximum(np.abs(cell - start).sum(axis=-1), 1)


def towards(cell: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The action that leads from `cell` to `goal` [num_envs, 2], along x first."""
    right, up = np.sign(goal - cell).T
    return np.select([right > 0, right < 0, up > 0, up < 0], [2, 4, 1, 3], 0)
