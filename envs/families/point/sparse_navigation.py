"""Sparse point navigation (Rakelly et al. 2019, PEARL): the goal lies on a circle and pays only who is close to it.

A point starts at the origin and an action `a` in ±1 moves it by 0.1 * a; its position p is paid for after the move.
PEARL meta-trains its policy on the dense reward, shows its encoder the sparse one, and reports the sparse return.
`VARIANTS` has both ("pearl", "pearl-dense"), and the diagnostics of a step hold both rewards whichever is paid.

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
from envs.contract.published_lists import pearl_semicircle
from envs.contract.sources import Variant
from envs.contract.tasks import TaskDistribution, Tasks, Uniform
from envs.engine.rendering import NO_PATHS, draw_plane
from envs.families.point.navigation import distance_left

STEP_SIZE = 0.1


@dataclass(frozen=True)
class SparsePointNavConfig(FamilyConfig):
    """The options of SparsePointNav; what is None comes from the variant."""

    variant: str = "varibad"
    goals: Literal["semicircle", "circle", "spaced"] | None = option()
    """Law of the goals on the unit circle: uniform in its upper half, uniform in all of it, or PEARL's 100 equally
    spaced goals of the upper half, those 80 of them that its code trains with and the other 20 to test with."""
    goal_radius: float | None = option(above=0)
    """Distance up to which the goal pays."""
    reward: Literal["sparse", "dense"] | None = option()
    """What a step pays."""


VARIBAD: dict[str, Any] = {"horizon": 100, "goals": "semicircle", "goal_radius": 0.2, "reward": "sparse"}
PEARL = VARIBAD | {"horizon": 20, "goals": "spaced"}
ZINTGRAFS, RAKELLYS = sources.VARIBAD / "navigation/point_robot.py", sources.PEARL / "point_robot.py"
VARIANTS = {
    "varibad": Variant(VARIBAD, ZINTGRAFS),
    "varibad-circle": Variant(VARIBAD | {"goals": "circle"}, ZINTGRAFS),
    "pearl": Variant(PEARL, RAKELLYS),
    "pearl-dense": Variant(PEARL | {"reward": "dense"}, RAKELLYS),
}
PAYS = {"sparse": "1 − ‖p − goal‖ within {goal_radius:g} of the goal, else 0", "dense": "−‖p − goal‖"}


class SparsePointNav(TaskEnv):
    """A point that looks for a goal on the unit circle. Observation: position (2).

    Task parameter: `angle` (rad) of the goal; where training goals lie in the upper half of the circle, those of the
    split "outside" lie in the lower one.
    """

    Config, variants = SparsePointNavConfig, VARIANTS
    summary = states(lambda options: PAYS[options.reward])

    def define(self, options: Any) -> dict[str, Any]:
        half = options.goals != "circle"
        train, test = TaskDistribution(angle=Uniform(0.0, np.pi if half else 2 * np.pi)), None
        if options.goals == "spaced":
            train, test = pearl_semicircle(train=80, test=20)
        return {
            "task_distribution": train,
            "test_distribution": test,
            "outside_distribution": TaskDistribution(angle=Uniform(-np.pi, 0.0)) if half else None,
            "action_space": Box(-1.0, 1.0, (2,), np.float64),
        }

    def build(self) -> None:
        self.position = np.zeros((self.num_envs, 2))

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.position[mask] = 0.0

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        self.position = np.where(live[:, None], self.position + STEP_SIZE * np.clip(actions, -1.0, 1.0), self.position)
        distance = np.linalg.norm(self.position - _place(self.lane_tasks["angle"]), axis=1)
        rewards = {"sparse": self._sparse_reward(distance), "dense": -distance}
        terms = {f"{name}_reward": values for name, values in rewards.items()}
        return Outcome(rewards[self.config.reward], terms=terms)

    def observe(self) -> np.ndarray:
        return self.position

    def render_lane(self, lane: int = 0, paths: Mapping[str, np.ndarray] = NO_PATHS) -> np.ndarray:
        return draw_plane(self.position[lane], _place(self.lane_tasks["angle"][[lane]]), 1.4, paths=paths)

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """What the greedy path is worth, `[N]`: it is as near as can be after every step, and nearer pays more."""
        left = distance_left(_place(tasks["angle"]), STEP_SIZE, self.horizon)
        distance = np.linalg.norm(left, axis=2)  # [N, T]
        reward = -distance if self.config.reward == "dense" else self._sparse_reward(distance)
        return reward.sum(axis=1)

    def _sparse_reward(self, distance: np.ndarray) -> np.ndarray:
        return np.where(distance <= self.config.goal_radius, 1.0 - distance, 0.0)


def _place(angle: np.ndarray) -> np.ndarray:
    """[..., 2]: on the unit circle."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)
