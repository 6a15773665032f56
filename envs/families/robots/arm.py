"""A Universal Robots UR5e that reaches a place, or pushes a box there, with dynamics that it is not told.

    ArmReach    a load at its wrist, the strength of its motors and their stiffness are drawn
    ArmPush     the box's mass, its friction and where its centre of mass is are drawn

It is told the place. Letters: E lanes per task; num_envs lanes.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from envs.contract.config import FamilyConfig, option
from envs.contract.definition import states
from envs.contract.sources import OURS, Variant
from envs.contract.tasks import TaskDistribution, Uniform, check_numbers
from envs.engine.dynamics import Scale, Set, Shift
from envs.engine.models import load_model
from envs.engine.mujoco_tasks import MujocoTasks

MODEL = Path(__file__).with_name("ur5e.xml")
JOINTS = 6
HOME = (-0.2713, -1.2225, 2.1451, -2.4934, -1.5708, 0.0)  # the stick points down; its tip is at (0.5, 0, 0.05)
HALF = 0.03  # of a side of the box (m)
AT = (0.6, 0.0, HALF)  # where the box starts
BEHIND = HALF + 0.015  # from its middle, of the tip that pushes it


@dataclass(frozen=True)
class Place:
    """Uniform between two corners (m)."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a place."""
        return (len(self.low),)

    def __str__(self) -> str:
        return f"uniform from {self.low} to {self.high}"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high)

    check = check_numbers


@dataclass(frozen=True)
class ArmConfig(FamilyConfig):
    """The options of the arms; what is None comes from the variant."""

    reach: float | None = option(above=0)
    """How far from home full control puts a servo's target (rad)."""
    rate_cost: float | None = option(least=0)
    """Weight of the squared change of the action, summed over motors."""


VARIANTS = {"metarl": Variant({"horizon": 150, "reach": 0.6, "rate_cost": 0.01}, OURS)}
RATE = " − {rate_cost:g}·Σ(Δa)²"


def furnish(spec: mujoco.MjSpec, box: bool) -> None:
    """Add the pose in which episodes start and, to be pushed, the box."""
    if box:
        body = spec.worldbody.add_body(name="box", pos=AT, simple=False)  # for its centre of mass moves
        body.add_freejoint()
        shape = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [HALF] * 3, "mass": 0.5}
        body.add_geom(name="box", contype=0, conaffinity=3, rgba=(0.85, 0.65, 0.2, 1.0), **shape)
    spec.add_key(name="home", qpos=[*HOME, *((*AT, 1, 0, 0, 0) if box else ())], ctrl=HOME)


def arm(options: Any, box: bool, **others: Any) -> dict[str, Any]:
    """The definition of a UR5e, at 50 Hz."""
    return {
        "model": load_model(MODEL, edit=partial(furnish, box=box)),
        "frame_skip": 5,
        "controls": "around-home",
        "control_reach": options.reach,
    } | others


def sense(env: MujocoTasks) -> dict[str, np.ndarray]:
    """The joints, the tip (m, relative to the base), what was done last, and where to."""
    return {
        "joints": env.qpos[:, :JOINTS] - env.home[:JOINTS],
        "joint_velocities": 0.1 * env.qvel[:, :JOINTS],
        "tip": env.site("tip").position,
        "action": env.action,
        "goal": env.lane_tasks["goal"],
    }


def unsteady(env: MujocoTasks) -> np.ndarray:
    """What the change of the action costs, `[num_envs]`."""
    return np.asarray(env.config.rate_cost * np.square(env.action - env.action_before).sum(axis=1))


class ArmReach(MujocoTasks):
    """Task parameters: `goal` [3] (m), told; `load` (kg; the arm is sold for 5), `strength`, `stiffness` (factors)."""

    Config, variants = ArmConfig, VARIANTS
    summary, observe = states("−‖tip − goal‖" + RATE), sense

    def define(self, options: Any) -> dict[str, Any]:
        dynamics = {
            "load": Shift("mass", Uniform(0.0, 3.0), "wrist_3_link"),
            "strength": Scale("strength", Uniform(0.7, 1.1)),
            "stiffness": Scale("stiffness", Uniform(0.3, 1.0)),
        }
        beyond = TaskDistribution(load=Uniform(3.0, 5.0), strength=Uniform(0.5, 0.7), stiffness=Uniform(0.15, 0.3))
        goals = TaskDistribution(goal=Place((0.35, -0.3, 0.1), (0.65, 0.3, 0.5)))
        return arm(options, False, dynamics=dynamics, task_distribution=goals, outside_distribution=beyond)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Minus the distance (m), less what unsteadiness costs."""
        distance = np.linalg.norm(self.site("tip").position - self.lane_tasks["goal"], axis=1)
        return -distance - unsteady(self), {"distance": distance}


class ArmPush(MujocoTasks):
    """Task parameters: `goal` [2] (m), told; the box's `mass` (kg), `friction`, and `balance` [2] (m)."""

    Config, variants = ArmConfig, VARIANTS
    summary = states("1 − tanh(‖box − goal‖ / 0.2) + ½·(1 − tanh(‖tip − behind‖ / 0.1))" + RATE)

    def define(self, options: Any) -> dict[str, Any]:
        dynamics = {
            "mass": Set("mass", Uniform(0.2, 1.0), "box"),
            "friction": Set("friction", Uniform(0.2, 0.6), ("table", "box")),
            "balance": Shift("center_of_mass", Uniform(-0.01, 0.01, (2,)), "box", axes="xy"),
        }
        beyond = TaskDistribution(mass=Uniform(1.0, 2.0), friction=Uniform(0.6, 0.9))
        goals = TaskDistribution(goal=Place((0.65, -0.15), (0.8, 0.15)))
        return arm(options, True, dynamics=dynamics, task_distribution=goals, outside_distribution=beyond)

    def observe(self) -> dict[str, np.ndarray]:
        """As of every arm; and the box: its place (m), and its axes along x."""
        box = self.body("box")
        return sense(self) | {"box": box.position, "box_axes": box.rotation[:, 0]}

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """For a box near its goal, and half for a tip behind the box, where it pushes it there; less what unsteadiness
        costs. Kernels, since a box that was hit too hard must not cost more than one that was never touched."""
        box, goal = self.body("box").position, self.lane_tasks["goal"]
        way = goal - box[:, :2]
        distance = np.linalg.norm(way, axis=1)
        behind = box.copy()
        behind[:, :2] -= BEHIND * way / np.maximum(distance, HALF)[:, None]
        tip = np.linalg.norm(self.site("tip").position - behind, axis=1)
        earned = 1 - np.tanh(distance / 0.2) + 0.5 * (1 - np.tanh(tip / 0.1))
        return earned - unsteady(self), {"distance": distance}
