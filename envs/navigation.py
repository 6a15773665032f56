"""2-D point navigation (Finn et al. 2017, MAML): the task is a goal, the reward minus the distance to it.

Every project has its own: they differ in where goals and starts lie, in what an action of size 1 means, in
when an episode ends and in what is seen. `VARIANTS` holds those published definitions.

An action `a` in ±action_bound moves the point by `clip(a * step_size / action_bound, ±step_size)` an axis.
Letters: N tasks, E lanes per task; num_envs = N * E.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from envs.base import Outcome, TaskEnv
from envs.config import FamilyConfig, resolve
from envs.tasks import Choice, TaskDistribution, Uniform


@dataclass(frozen=True)
class PointNavConfig(FamilyConfig):
    """The options of PointNav; what is None comes from the variant."""

    variant: str = "maml"
    goals: Literal["square", "left-right"] | None = None
    """Law of the goals: uniform in the square of goal_range, or (-goal_range, 0) or (goal_range, 0)."""
    goal_range: float | None = None
    """Half the side of the square of the goals."""
    start_range: float | None = None
    """Half the side of the square in which an episode starts, uniformly; 0: at the origin."""
    action_bound: float | None = None
    """Half the side of the action box: the action that moves by step_size."""
    step_size: float | None = None
    """Longest move along an axis in one step."""
    position_bound: float | None = None
    """Half the side of the square that the point cannot leave; 0: the plane has no border."""
    ends: Literal["at-goal", "near-goal", "at-origin", "never"] | None = None
    """What ends an episode: the point within 0.01 of the goal along both axes, within a diagonal move of the
    goal, within 0.01 of the origin along both axes (a slip of ProMP's, kept), or nothing."""
    observes: Literal["position", "goal", "distance"] | None = None
    """What is seen: the position alone, or with the goal (an oracle), or with the distance to the goal."""


MAML: dict[str, Any] = {
    "horizon": 100,
    "goals": "square",
    "goal_range": 0.5,
    "start_range": 0.0,
    "action_bound": 1.0,  # rllab's normalisation: the policy acts in ±1
    "step_size": 0.1,
    "position_bound": 0.0,
    "ends": "at-goal",
    "observes": "position",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "maml": MAML,
    "maml-two-goals": MAML | {"goals": "left-right"},
    "maml-oracle": MAML | {"observes": "goal"},
    "meta-sgd": MAML | {"start_range": 0.5},
    # Raw actions: a policy with standard deviation 1 is bang-bang.
    "deleu": MAML | {"action_bound": 0.1},
    # The environment takes raw actions, as Deleu's; its examples rescale them to ±1, as MAML does.
    "l2l": MAML,
    # The source sets no horizon; 100 is what the others use. The distance that it shows leaks the task.
    "garage": MAML
    | {
        "goal_range": 2.0,
        "action_bound": 0.1,
        "position_bound": 5.0,
        "ends": "near-goal",
        "observes": "distance",
    },
    "pearl": MAML | {"horizon": 20, "goal_range": 1.0, "start_range": 1.0, "ends": "never"},
    "promp": MAML | {"goal_range": 2.0, "action_bound": 0.1, "ends": "at-origin"},
}


class PointNav(TaskEnv):
    """A point that steps through the plane towards a goal which (but for oracles) it does not see.

    Task parameter: `goal` [2]. Observation: position (2) and, where seen, the goal (2) or its distance (1).
    """

    Config = PointNavConfig
    variants = VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: PointNavConfig | None = None, *, threads: int = 0
    ) -> None:
        """`threads` is there for the families that simulate: numpy moves all points at once."""
        options = resolve(
            config or PointNavConfig(),
            VARIANTS,
            positive=("goal_range", "action_bound", "step_size"),
            nonnegative=("start_range", "position_bound"),
        )
        reach = options.goal_range
        goal = Uniform(-reach, reach, (2,)) if options.goals == "square" else Choice(((-reach, 0.0), (reach, 0.0)))
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            horizon=options.horizon,
            task_distribution=TaskDistribution(goal=goal),
            observation_size={"position": 2, "goal": 4, "distance": 3}[options.observes],
            action_space=Box(-options.action_bound, options.action_bound, (2,), np.float64),
        )
        self.position = np.zeros((self.num_envs, 2))

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Place the points, at the origin or around it."""
        reach, shape = self.config.start_range, (self.lanes_per_task, 2)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.position[lanes] = rng.uniform(-reach, reach, shape)[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the points and measure their distance to the goal."""
        step, border = self.config.step_size, self.config.position_bound
        move = np.clip(actions * (step / self.config.action_bound), -step, step)
        position = np.where(live[:, None], self.position + move, self.position)
        self.position = np.clip(position, -border, border) if border else position
        return Outcome(-self._distance(), self._ended(), np.zeros(self.num_envs, bool), {})

    def observe(self) -> np.ndarray:
        """The position and, where it is seen, the goal or its distance."""
        seen = [self.position]
        if self.config.observes == "goal":
            seen.append(self.lane_tasks["goal"])
        elif self.config.observes == "distance":
            seen.append(self._distance()[:, None])
        return np.concatenate(seen, axis=1)

    def _distance(self) -> np.ndarray:
        return np.linalg.norm(self.position - self.lane_tasks["goal"], axis=1)  # [num_envs]

    def _ended(self) -> np.ndarray:
        """bool [num_envs]"""
        if self.config.ends == "never":
            return np.zeros(self.num_envs, bool)
        if self.config.ends == "near-goal":
            return self._distance() < np.sqrt(2.0) * self.config.step_size
        target = self.lane_tasks["goal"] if self.config.ends == "at-goal" else 0.0
        near = np.abs(self.position - target) < 0.01  # [num_envs, 2]
        return near[:, 0] & near[:, 1]
