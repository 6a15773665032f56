"""ProMP's point environments (Rothfuss et al. 2019): the goal is one of the four corners (±2, ±2).

A point starts near the origin. In what a step pays (`PAYS`), p is its position and d its distance to the goal before
the step, p′ and d′ after it.

With walls, two rings around the origin (radii 1 and 2) let out only who steps across within a distance of 1 of the
ring's gap. As in the source, a step is paid for where it led, and only then put back to the ring's inside.

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from envs.contract import sources
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig, option
from envs.contract.definition import Outcome, states
from envs.contract.sources import Variant
from envs.contract.tasks import Choice, Law, TaskDistribution, Tasks, Uniform
from envs.engine.rendering import NO_PATHS, draw_plane
from envs.families.point.navigation import mean_distance

CORNERS = ((-2.0, -2.0), (2.0, -2.0), (-2.0, 2.0), (2.0, 2.0))
RINGS = {"inner_gap": 1.0, "outer_gap": 2.0}  # task parameter of a ring's gap: the ring's radius
INSIDE = 1e-6  # who is put back stands this much inside the ring, relative to its radius


@dataclass(frozen=True)
class PointCornersConfig(FamilyConfig):
    """The options of PointCorners; what is None comes from the variant."""

    variant: str = "promp-sparse"
    reward: Literal["progress", "near", "dense", "dense-squared"] | None = option()
    """What a step pays."""
    sparse_radius: float | None = option(least=0)
    """Radius of the reward: what "progress" ignores around the origin (L1), how far "near" sees around the goal."""
    step_size: float | None = option(above=0)
    """Bound of an action along each axis: a move or, with momentum, a change of velocity in a step."""
    momentum: bool | None = option()
    """Whether actions change the velocity, which is then seen, instead of the position."""
    walls: bool | None = option()
    """Whether the two rings stand in the way."""
    start_range: float | None = option(above=0)
    """Half the side of the square in which an episode starts, uniformly."""
    start_velocity: float | None = option(least=0)
    """Half the side of the square of the initial velocity, with momentum (a step)."""


CORNER: dict[str, Any] = {"horizon": 100, "reward": "progress", "sparse_radius": 0.5, "step_size": 0.2}
CORNER |= {"momentum": False, "walls": False, "start_range": 0.2, "start_velocity": 0.1}
MOMENTUM = {"horizon": 200, "reward": "near", "sparse_radius": 2.0, "step_size": 0.1, "momentum": True}
PROMP = sources.PROMP / "point_envs"
VARIANTS = {
    "promp-sparse": Variant(CORNER, PROMP / "point_env_2d_corner.py"),
    "promp-dense": Variant(CORNER | {"reward": "dense"}, PROMP / "point_env_2d_corner.py"),
    "promp-dense-squared": Variant(CORNER | {"reward": "dense-squared"}, PROMP / "point_env_2d_corner.py"),
    "promp-momentum": Variant(CORNER | MOMENTUM, PROMP / "point_env_2d_momentum.py"),
    # The source sets no horizon; 100 is that of the corners without walls.
    "promp-walls": Variant(CORNER | {"reward": "dense", "walls": True}, PROMP / "point_env_2d_walls.py"),
}
PAYS = {
    "progress": "d − d′ where the goal is the nearest corner and |p′|₁ ≥ {sparse_radius:g}, else 0",
    "near": "max({sparse_radius:g} − d′, 0)",
    "dense": "−d′",
    "dense-squared": "−d′²",
}


class PointCorners(TaskEnv):
    """A point that looks for its corner.

    Task parameters: `goal` [2] and, with walls, `inner_gap` and `outer_gap`, the angles (rad) of the rings' gaps.
    Observation: position (2) and, with momentum, velocity (2).
    """

    Config, variants = PointCornersConfig, VARIANTS
    summary = states(lambda options: PAYS[options.reward])

    def define(self, options: Any) -> dict[str, Any]:
        laws: dict[str, Law] = {"goal": Choice(CORNERS)}
        if options.walls:
            laws |= {gap: Uniform(0.0, 2 * np.pi) for gap in RINGS}
        box = Box(-options.step_size, options.step_size, (2,), np.float64)
        return {"task_distribution": TaskDistribution(laws), "action_space": box}

    def build(self) -> None:
        self.position, self.velocity = np.zeros((2, self.num_envs, 2))

    def reset_lanes(self, mask: np.ndarray) -> None:
        bound = np.array([self.config.start_range, self.config.start_velocity])[:, None, None]
        for lanes, copies, rng in self.tasks_to_reset(mask):
            start = bound * rng.uniform(-1.0, 1.0, (2, self.lanes_per_task, 2))
            self.position[lanes], self.velocity[lanes] = start[:, copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the points, pay them, and put those back that ran into a wall."""
        action = np.clip(actions, -self.config.step_size, self.config.step_size)
        velocity = self.velocity + action if self.config.momentum else action
        position = self.position + velocity
        reward = self._reward(self.position, position)
        if self.config.walls:
            position = self._held_back(self.position, position)
        self.position = np.where(live[:, None], position, self.position)
        self.velocity = np.where(live[:, None], velocity, self.velocity)
        return Outcome(reward)

    def observe(self) -> np.ndarray:
        return np.concatenate([self.position, self.velocity], axis=1) if self.config.momentum else self.position

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        walls = []
        for gap, radius in RINGS.items() if self.config.walls else ():
            # Who stands within 1 of the gap passes: on the ring, that is this angle to either side of it.
            half = 2 * np.arcsin(0.5 / radius)
            angle = self.lane_tasks[gap][lane] + np.linspace(half, 2 * np.pi - half, 100)
            walls.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        return draw_plane(self.position[lane], self.lane_tasks["goal"][[lane]], 3.0, walls=walls, paths=paths)

    def informed_return(self, tasks: Tasks) -> np.ndarray | None:
        """For the dense rewards without momentum and walls, the greedy path's exact mean over the starts, `[N]`.

        None otherwise: with momentum and walls the best path has no closed form; "near" has none for its mean over
        the starts; and "progress" pays best who keeps crossing out of its region, unpaid, and back into it.
        """
        options, goal = self.config, tasks["goal"]
        if options.momentum or options.walls or options.start_range < 1e-3:  # below, the closed forms lose their digits
            return None
        if options.reward == "dense":
            return -mean_distance(goal, options.start_range, options.step_size, self.horizon).sum(axis=1)
        if options.reward == "dense-squared":
            return -self._mean_squared_distance(goal).sum(axis=(1, 2))
        return None

    def _mean_squared_distance(self, goal: np.ndarray) -> np.ndarray:
        """Along each axis after each step, `[N, 2, T]`: the integral of max(|u| - covered, 0)² over the starts."""
        covered, start = self.config.step_size * np.arange(1, self.horizon + 1), self.config.start_range

        def integral(bound: np.ndarray) -> np.ndarray:
            return np.sign(bound) * np.maximum(np.abs(bound) - covered, 0.0) ** 3 / 3

        return (integral((goal + start)[..., None]) - integral((goal - start)[..., None])) / (2 * start)

    def _reward(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        goal, radius = self.lane_tasks["goal"], self.config.sparse_radius
        distance = np.linalg.norm(after - goal, axis=1)
        if self.config.reward == "near":
            return np.maximum(radius - distance, 0.0)
        if self.config.reward == "dense":
            return -distance
        if self.config.reward == "dense-squared":
            return -(distance**2)
        to_corners = np.linalg.norm(after[:, None] - np.array(CORNERS), axis=2)  # [num_envs, 4]
        paid = (distance <= to_corners.min(axis=1)) & (np.abs(after).sum(axis=1) >= radius)
        return np.where(paid, np.linalg.norm(before - goal, axis=1) - distance, 0.0)

    def _held_back(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Where the walls leave the points, [num_envs, 2]."""
        started, reached = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
        for gap, radius in RINGS.items():
            angle = self.lane_tasks[gap]
            way_out = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            within = (radius - 1.0 <= started) & (started < radius)  # a step meets the first ring in its way only
            stopped = within & (reached > radius) & (np.linalg.norm(after - way_out, axis=1) > 1.0)
            inside = after * (radius * (1.0 - INSIDE) / np.maximum(reached, radius))[:, None]
            after = np.where(stopped[:, None], inside, after)
        return after
