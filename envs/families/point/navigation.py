"""2-D point navigation (Finn et al. 2017, MAML): the task is a goal, the reward minus the distance to it.

Every project has its own: they differ in where goals and starts lie, in what an action of size 1 means, in
when an episode ends and in what is seen. `VARIANTS` holds those published definitions.

An action `a` in ±action_bound moves the point by `clip(a * step_size / action_bound, ±step_size)` an axis.
Who knows the goal moves greedily, each axis on its own: no other path is nearer to the goal after any number of steps.

Letters: N tasks, E lanes per task, T steps; num_envs = N * E.
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
from envs.contract.published_lists import pearl_uniform
from envs.contract.sources import Variant
from envs.contract.tasks import Choice, TaskDistribution, Tasks, Uniform
from envs.engine.rendering import NO_PATHS, draw_plane


@dataclass(frozen=True)
class PointNavConfig(FamilyConfig):
    """The options of PointNav; what is None comes from the variant."""

    variant: str = "maml"
    goals: Literal["square", "left-right", "pearl"] | None = option()
    """Law of the goals: uniform in the square of goal_range; (-goal_range, 0) or (goal_range, 0); or one of the 100
    that PEARL's code draws from that square, 80 to train with and the other 20 to test with."""
    goal_range: float | None = option(above=0)
    """Half the side of the square of the goals."""
    start_range: float | None = option(least=0)
    """Half the side of the square in which an episode starts, uniformly; 0: at the origin."""
    action_bound: float | None = option(above=0)
    """Half the side of the action box: the action that moves by step_size."""
    step_size: float | None = option(above=0)
    """Longest move along an axis in one step."""
    position_bound: float | None = option(least=0)
    """Half the side of the square that the point cannot leave; 0: the plane has no border."""
    ends: Literal["at-goal", "near-goal", "at-origin", "never"] | None = option()
    """What ends an episode: the point within 0.01 of the goal along both axes, within a diagonal move of the
    goal, within 0.01 of the origin along both axes (a slip of ProMP's, kept), or nothing."""
    observes: Literal["position", "goal", "distance"] | None = option()
    """What is seen: the position alone, or with the goal (an oracle), or with the distance to the goal."""


# rllab's normalisation: the policy acts in ±1.
MAML: dict[str, Any] = {"horizon": 100, "goals": "square", "goal_range": 0.5, "start_range": 0.0, "action_bound": 1.0}
MAML |= {"step_size": 0.1, "position_bound": 0.0, "ends": "at-goal", "observes": "position"}
WIDE = MAML | {"goal_range": 2.0, "action_bound": 0.1}
NEAR = {"position_bound": 5.0, "ends": "near-goal", "observes": "distance"}
PEARL = {"horizon": 20, "goals": "pearl", "goal_range": 1.0, "start_range": 1.0, "ends": "never"}
FINNS = sources.MAML._replace(path="maml_examples")
VARIANTS = {
    "maml": Variant(MAML, FINNS / "point_env_randgoal.py"),
    "maml-two-goals": Variant(MAML | {"goals": "left-right"}, FINNS / "point_env_rand2goal.py"),
    "maml-oracle": Variant(MAML | {"observes": "goal"}, FINNS / "point_env_randgoal_oracle.py"),
    "meta-sgd": Variant(MAML | {"start_range": 0.5}, sources.META_SGD),
    # Raw actions: a policy with standard deviation 1 is bang-bang.
    "deleu": Variant(MAML | {"action_bound": 0.1}, sources.DELEU / "navigation.py"),
    # The environment takes raw actions, as Deleu's; its examples rescale them to ±1, as MAML does.
    "l2l": Variant(MAML, sources.L2L / "particles/particles_2d.py"),
    # The source sets no horizon; 100 is what the others use. The distance that it shows leaks the task.
    "garage": Variant(WIDE | NEAR, sources.GARAGE / "point_env.py"),
    "pearl": Variant(MAML | PEARL, sources.PEARL / "point_robot.py"),
    "promp": Variant(WIDE | {"ends": "at-origin"}, sources.PROMP / "point_envs/point_env_2d_v2.py"),
}
END_RADIUS = 0.01  # of the ends "at-goal" and "at-origin", along each axis
ENDS = {
    "at-goal": "on the goal",
    "near-goal": "near the goal",
    "at-origin": "on the origin",
    "never": "never",
}


@dataclass(frozen=True)
class SquareRing(Uniform):
    """Uniform in the square of half side `high` (`low` is -high), without the square of half that side within it."""

    def __str__(self) -> str:
        return f"{super().__str__()} but for ±{self.high / 2:g}"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        while True:
            value = super().draw(rng)
            if np.abs(value).max() > self.high / 2:
                return value


class PointNav(TaskEnv):
    """A point that steps through the plane towards a goal which (but for oracles) it does not see.

    Task parameter: `goal` [2]; those of the split "outside" lie beyond goal_range, up to twice as far along an axis.
    Observation: position (2) and, where seen, the goal (2) or its distance (1).
    """

    Config, variants = PointNavConfig, VARIANTS
    summary = states("−‖p − goal‖", lambda options: ENDS[options.ends])

    def define(self, options: Any) -> dict[str, Any]:
        reach, square = options.goal_range, Uniform(-options.goal_range, options.goal_range, (2,))
        train, test = TaskDistribution(goal=square), None
        beyond: TaskDistribution | None = TaskDistribution(goal=SquareRing(-2 * reach, 2 * reach, (2,)))
        if options.goals == "left-right":
            train, beyond = TaskDistribution(goal=Choice(((-reach, 0.0), (reach, 0.0)))), None
        elif options.goals == "pearl":
            train, test = pearl_uniform("goal", square, train=80, test=20)
        return {
            "task_distribution": train,
            "test_distribution": test,
            "outside_distribution": beyond,
            "action_space": Box(-options.action_bound, options.action_bound, (2,), np.float64),
        }

    def build(self) -> None:
        self.position = np.zeros((self.num_envs, 2))

    def reset_lanes(self, mask: np.ndarray) -> None:
        reach, shape = self.config.start_range, (self.lanes_per_task, 2)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.position[lanes] = rng.uniform(-reach, reach, shape)[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        step, border = self.config.step_size, self.config.position_bound
        move = np.clip(actions * (step / self.config.action_bound), -step, step)
        position = np.where(live[:, None], self.position + move, self.position)
        self.position = np.clip(position, -border, border) if border else position
        return Outcome(-self._distance(), self._ended())

    def observe(self) -> np.ndarray:
        seen = [self.position]
        if self.config.observes == "goal":
            seen.append(self.lane_tasks["goal"])
        elif self.config.observes == "distance":
            seen.append(self._distance()[:, None])
        return np.concatenate(seen, axis=1)

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        reach = 1.5 * self.config.goal_range
        return draw_plane(self.position[lane], self.lane_tasks["goal"][[lane]], reach, paths=paths)

    def informed_return(self, tasks: Tasks) -> np.ndarray | None:
        """What the greedy path is worth, `[N]`; where starts are random, its exact mean over them.

        With ends="at-origin" it may be better to end at once, around the origin: then the least upper bound, which
        that path approaches. None for random starts with a border, an end near the goal or at the origin, or steps or
        starts so short that the closed form does not hold or loses its digits.
        """
        options, goal = self.config, tasks["goal"]
        if options.start_range:
            exact = options.ends in ("at-goal", "never") and not options.position_bound
            # A step of END_RADIUS or more brings a point that has ended at the goal there: the rest costs nothing.
            exact = exact and options.step_size >= END_RADIUS and options.start_range >= 1e-3
            if not exact:
                return None
            return -mean_distance(goal, options.start_range, options.step_size, self.horizon).sum(axis=1)
        if options.ends == "at-origin" and (options.step_size < END_RADIUS or options.position_bound):
            return None
        left = distance_left(goal, options.step_size, self.horizon, options.position_bound)  # [N, T, 2]
        distance: np.ndarray = np.linalg.norm(left, axis=2)
        # Who has ended at a step takes no further one.
        if options.ends == "at-goal":
            distance[:, 1:] *= left.max(axis=2)[:, :-1] >= END_RADIUS
        elif options.ends == "near-goal":
            distance[:, 1:] *= distance[:, :-1] >= np.sqrt(2.0) * options.step_size
        total: np.ndarray = -distance.sum(axis=1)
        if options.ends == "at-origin":
            total = np.maximum(total, -np.linalg.norm(np.maximum(np.abs(goal) - END_RADIUS, 0.0), axis=1))
        return total

    def _distance(self) -> np.ndarray:
        return np.linalg.norm(self.position - self.lane_tasks["goal"], axis=1)  # [num_envs]

    def _ended(self) -> np.ndarray:
        """bool [num_envs]"""
        if self.config.ends == "never":
            return np.zeros(self.num_envs, bool)
        if self.config.ends == "near-goal":
            return self._distance() < np.sqrt(2.0) * self.config.step_size
        target = self.lane_tasks["goal"] if self.config.ends == "at-goal" else 0.0
        near = np.abs(self.position - target) < END_RADIUS  # [num_envs, 2]
        return near[:, 0] & near[:, 1]


def distance_left(goal: np.ndarray, step_size: float, horizon: int, border: float = 0.0) -> np.ndarray:
    """What is left to the goal along each axis after each step of the greedy path from the origin, `[N, T, 2]`.

    Args:
        goal: `[N, 2]`.
        border: the largest coordinate that can be reached; 0: any.
    """
    covered = step_size * np.arange(1, horizon + 1)
    covered = np.minimum(covered, border) if border else covered
    return np.maximum(np.abs(goal)[:, None] - covered[:, None], 0.0)


def mean_distance(goal: np.ndarray, start_range: float, step_size: float, horizon: int) -> np.ndarray:
    """The distance to the goal after each greedy step, its mean over starts uniform in ±start_range, `[N, T]`.

    Args:
        goal: `[N, 2]`.
    """
    covered = step_size * np.arange(1, horizon + 1)
    low, high = (goal - start_range)[:, :, None], (goal + start_range)[:, :, None]  # [N, 2, 1]
    total = (
        _integral(high[:, 0], high[:, 1], covered)
        - _integral(low[:, 0], high[:, 1], covered)
        - _integral(high[:, 0], low[:, 1], covered)
        + _integral(low[:, 0], low[:, 1], covered)
    )
    return total / (2.0 * start_range) ** 2


def _integral(x: np.ndarray, y: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Over the rectangle between (0, 0) and (x, y), of the norm of (max(|u| - covered, 0), max(|v| - covered, 0)).

    With a = max(|x| - covered, 0) and b alike, the integral of hypot(u, v) over [0, a] x [0, b] is
    a b hypot(a, b) / 3 + (a³ asinh(b / a) + b³ asinh(a / b)) / 6; where one of the two is 0, the other is integrated
    alone.
    """
    a, b = np.maximum(np.abs(x) - covered, 0.0), np.maximum(np.abs(y) - covered, 0.0)
    safe_a, safe_b = np.where(a > 0, a, 1.0), np.where(b > 0, b, 1.0)
    both = a * b * np.hypot(a, b) / 3 + (a**3 * np.arcsinh(b / safe_a) + b**3 * np.arcsinh(a / safe_b)) / 6
    one = np.minimum(np.abs(x), covered) * b**2 / 2 + np.minimum(np.abs(y), covered) * a**2 / 2
    return np.sign(x) * np.sign(y) * (both + one)
