"""GridNavi (Zintgraf et al. 2020, VariBAD): find the hidden goal cell of a grid.

The agent starts in the corner (0, 0) and stays, or moves by a cell up (+y), right (+x), down or left; the border holds
it. After its move it earns +1 on the goal and -0.1 elsewhere; an episode does not end at the goal. Goals are uniform
over the cells that do not touch the start.

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
ON_GOAL, ELSEWHERE = 1.0, -0.1  # rewards


@dataclass(frozen=True)
class GridNaviConfig(FamilyConfig):
    """The options of GridNavi; what is None comes from the variant."""

    variant: str = "varibad"
    size: int | None = option(above=0)
    """Cells along a side."""


VARIANTS = {"varibad": Variant({"horizon": 15, "size": 5}, sources.VARIBAD / "navigation/gridworld.py")}


class GridNavi(TaskEnv):
    """Task parameter: `goal` [2], a cell (x, y). Observation: the cell of the agent, (x, y)."""

    Config, variants = GridNaviConfig, VARIANTS
    summary = states(f"{ON_GOAL:g} on the goal, else −{-ELSEWHERE:g}")

    def define(self, options: Any) -> dict[str, Any]:
        if options.size < 3:
            raise InputError(f"env.size is {options.size} — give 3 or more: goals do not touch the start")
        cells = itertools.product(range(options.size), repeat=2)
        goal = Choice(tuple(cell for cell in cells if max(cell) > 1))
        return {"task_distribution": TaskDistribution(goal=goal), "action_space": Discrete(len(MOVES))}

    def build(self) -> None:
        self.cell = np.zeros((self.num_envs, 2), np.int64)

    @property
    def position(self) -> np.ndarray:
        """The cell, on the map."""
        return self.cell

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Raises: InputError on a goal that is no cell of the grid."""
        goal, size = tasks["goal"], self.config.size
        bad = ((goal < 0) | (goal >= size)).any(axis=1)
        if bad.any():
            task = int(np.argmax(bad))
            raise InputError(f"task parameter 'goal' of task {task} is {goal[task]} — give cells from 0 to {size - 1}")

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.cell[mask] = 0

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the agents and pay those on the goal."""
        moved = np.clip(self.cell + MOVES[actions], 0, self.config.size - 1)
        self.cell = np.where(live[:, None], moved, self.cell)
        found = (self.cell == self.lane_tasks["goal"]).all(axis=1)
        return Outcome(np.where(found, ON_GOAL, ELSEWHERE))

    def observe(self) -> np.ndarray:
        return self.cell

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        goal, reach = self.lane_tasks["goal"][[lane]], self.config.size - 0.5
        return draw_plane(self.cell[lane], goal, reach, cells=True, paths=paths)

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """Walk straight to the goal and stay there, `[N]`."""
        first = np.maximum(np.abs(tasks["goal"]).sum(axis=1), 1)  # the first step that ends on the goal
        found = np.maximum(self.horizon - first + 1, 0)
        return ON_GOAL * found + ELSEWHERE * (self.horizon - found)
