"""A Universal Robots UR5e that reaches a place, or pushes a box there, with dynamics that it is not told.

    ArmReach    a load at its wrist, the strength of its motors and their stiffness are drawn
    ArmPush     the box's mass, its friction and where its centre of mass is are drawn

It is told the place. Letters: E lanes per task; num_envs lanes.

ArmReach acts by angles of its joints, ArmPush by the velocity of the tip over the table, as benchmarks of pushing do
(Gymnasium-Robotics, ManiSkill). By angles nothing was learned there: random ones that deviate by 0.12 rad throw the tip
4 cm up and down beside a box of 6 cm, which it touches in 7 of 1000 steps and leaves further from its place.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from envs.contract.config import FamilyConfig, option
from envs.contract.definition import states
from envs.contract.errors import InputError
from envs.contract.sources import OURS, Source, Variant, after
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
START, HEIGHT = np.array([0.5, 0.0]), 0.035  # of the tip that pushes: where it starts, and how high it stays (m)
SIDEWAYS = 0.25  # how far to either side the tip goes (m)
FAR = 0.88  # along x, where the arm still reaches as far to the side (m)
NEAR = 0.05  # a box this near to its place is there (m)
STILL = 0.02  # and rests where it is slower (m/s)
# Of the model: heights and lengths (m), and how far to the side of the shoulder's axis the arm is.
SHOULDER, UPPER_ARM, FOREARM, WRIST, STICK, ASIDE = 0.163, 0.425, 0.392, 0.1, 0.2, 0.134


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
class ReachConfig(FamilyConfig):
    """The options of ArmReach; what is None comes from the variant."""

    reach: float | None = option(above=0)
    """How far from home full control puts a servo's target (rad)."""
    rate_cost: float | None = option(least=0)
    """Weight of the squared change of the action, summed over motors."""


@dataclass(frozen=True)
class PushConfig(FamilyConfig):
    """The options of ArmPush; what is None comes from the variant."""

    speed: float | None = option(above=0)
    """Of the tip's target along x or y at full control (m/s)."""
    edge: float | None = option(above=START[0])
    """How far along x the tip may go (m); from there on the box slides alone."""


MANISKILL = Source(
    "Tao et al. 2024, ManiSkill3", "2410.00425",
    "haosulab/ManiSkill", "04e813bbe341f3b0645350924ba80057913a2668", "mani_skill/envs/tasks/tabletop/push_cube.py",
)  # fmt: skip


def furnish(spec: mujoco.MjSpec, box: bool) -> None:
    """Add the pose in which episodes start and, to be pushed, the box."""
    if box:
        body = spec.worldbody.add_body(name="box", pos=AT, simple=False)  # for its centre of mass moves
        body.add_freejoint()
        shape = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [HALF] * 3, "mass": 0.5}
        body.add_geom(name="box", contype=0, conaffinity=3, rgba=(0.85, 0.65, 0.2, 1.0), **shape)
    spec.add_key(name="home", qpos=[*HOME, *((*AT, 1, 0, 0, 0) if box else ())], ctrl=HOME)


def bend(place: np.ndarray, height: float) -> np.ndarray:
    """The joints' angles `[lanes, JOINTS]` (rad) at which the stick points down and its tip is at `place` `[lanes, 2]`
    (m) and `height`: a triangle of upper arm, forearm and the way from shoulder to wrist, elbow up."""
    ahead = np.sqrt(np.square(place).sum(axis=1) - ASIDE**2)
    pan = np.arctan2(place[:, 1], place[:, 0]) - np.arctan2(ASIDE, ahead)
    out, up = ahead - WRIST, height + STICK - SHOULDER
    elbow = np.arccos((out**2 + up**2 - UPPER_ARM**2 - FOREARM**2) / (2 * UPPER_ARM * FOREARM))
    lift = -np.arctan2(up, out) - np.arctan2(FOREARM * np.sin(elbow), UPPER_ARM + FOREARM * np.cos(elbow))
    down = np.full(len(place), -np.pi / 2)
    return np.stack([pan, lift, elbow, down - lift - elbow, down, np.zeros(len(place))], axis=1)


class ArmReach(MujocoTasks):
    """Task parameters: `goal` [3] (m), told; `load` (kg; the arm is sold for 5), `strength`, `stiffness` (factors)."""

    Config = ReachConfig
    variants = {"metarl": Variant({"horizon": 150, "reach": 0.6, "rate_cost": 0.01}, OURS)}
    summary = states("−‖tip − goal‖ − {rate_cost:g}·Σ(Δa)²")

    def define(self, options: Any) -> dict[str, Any]:
        dynamics = {
            "load": Shift("mass", Uniform(0.0, 3.0), "wrist_3_link"),
            "strength": Scale("strength", Uniform(0.7, 1.1)),
            "stiffness": Scale("stiffness", Uniform(0.3, 1.0)),
        }
        beyond = TaskDistribution(load=Uniform(3.0, 5.0), strength=Uniform(0.5, 0.7), stiffness=Uniform(0.15, 0.3))
        return {
            "model": load_model(MODEL, edit=partial(furnish, box=False)),
            "frame_skip": 5,
            "controls": "around-home",
            "control_reach": options.reach,
            "dynamics": dynamics,
            "task_distribution": TaskDistribution(goal=Place((0.35, -0.3, 0.1), (0.65, 0.3, 0.5))),
            "outside_distribution": beyond,
        }

    def observe(self) -> dict[str, np.ndarray]:
        """The joints, the tip (m, relative to the base), what was done last, and where to."""
        return {
            "joints": self.qpos[:, :JOINTS] - self.home[:JOINTS],
            "joint_velocities": 0.1 * self.qvel[:, :JOINTS],
            "tip": self.site("tip").position,
            "action": self.action,
            "goal": self.lane_tasks["goal"],
        }

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Minus the distance (m), less what unsteadiness costs."""
        distance = np.linalg.norm(self.site("tip").position - self.lane_tasks["goal"], axis=1)
        unsteady = np.square(self.action - self.action_before).sum(axis=1)
        return -distance - self.config.rate_cost * unsteady, {"distance": distance}


class ArmPush(MujocoTasks):
    """Task parameters: `goal` [2] (m), told; the box's `mass` (kg), `friction`, and `balance` [2] (m).

    An action is the velocity of the tip's target over the table. In the variant `slide` the tip's edge lies before most
    places: the box must slide there, and how far it slides is its friction's doing.
    """

    Config = PushConfig
    variants = {
        "metarl": Variant({"horizon": 50, "speed": 0.5, "edge": 0.8}, after(MANISKILL)),
        "slide": Variant({"horizon": 50, "speed": 1.0, "edge": 0.7}, after(MANISKILL), "the box must slide"),
    }
    summary = states(
        f"2 − tanh(5·d) − tanh(20·d) + ½·(1 − tanh(10·‖tip − behind‖)), the last term ½ where d < {NEAR} m"
    )
    events = ("success",)

    def define(self, options: Any) -> dict[str, Any]:
        """Raises: InputError on an edge where the arm does not reach."""
        if options.edge > FAR:
            raise InputError(f"env.edge is {options.edge:g} — give at most {FAR} (m), as far as the arm reaches there")
        dynamics = {
            "mass": Set("mass", Uniform(0.2, 1.0), "box"),
            "friction": Set("friction", Uniform(0.1, 0.6), ("table", "box")),
            "balance": Shift("center_of_mass", Uniform(-0.01, 0.01, (2,)), "box", axes="xy"),
        }
        return {
            "model": load_model(MODEL, edit=partial(furnish, box=True)),
            "frame_skip": 10,
            "keyframe": "home",
            "action_size": 2,
            "dynamics": dynamics,
            "task_distribution": TaskDistribution(goal=Place((0.7, -0.15), (0.82, 0.15))),
            "outside_distribution": TaskDistribution(mass=Uniform(1.0, 2.0), friction=Uniform(0.6, 0.9)),
        }

    def build(self) -> None:
        """How far the tip is told to be from where it starts (m)."""
        self.moved = self.lane_state(2)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """Angles that hold the tip where it is told to be; nowhere near the arm's own foot, nor out of its reach."""
        moved = self.moved + self.config.speed * self.dt * np.clip(actions, -1, 1)
        self.moved[...] = np.clip(moved, (-0.1, -SIDEWAYS), (self.config.edge - START[0], SIDEWAYS))
        return bend(START + self.moved, HEIGHT)

    def observe(self) -> dict[str, np.ndarray]:
        """Over the table, as ways: from the tip to where it is told to be and to the box, from the box to its place
        (m); and the box's axis along x, its velocity (m/s) and how fast it turns (10 rad/s)."""
        tip, box = self.site("tip").position[:, :2], self.body("box")
        return {
            "tip": tip - START,
            "told": START + self.moved - tip,
            "box": box.position[:, :2] - tip,
            "way": self.lane_tasks["goal"] - box.position[:, :2],
            "axis": box.rotation[:, :2, 0],
            "velocity": box.velocity[:, :2],
            "turning": 0.1 * box.angular_velocity[:, 2:],
        }

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """For a box near its place, coarsely and finely; and, as long as it is not there, for a tip behind it.

        ManiSkill's PushCube pays 1 − tanh(5·distance) for either, and as much as can be where the box is there.
        """
        box, tip = self.body("box"), self.site("tip").position[:, :2]
        way = self.lane_tasks["goal"] - box.position[:, :2]
        distance = np.linalg.norm(way, axis=1)
        behind = box.position[:, :2] - BEHIND * way / np.maximum(distance, NEAR)[:, None]
        from_behind = np.where(distance < NEAR, 0, np.linalg.norm(tip - behind, axis=1))
        earned = 2 - np.tanh(5 * distance) - np.tanh(20 * distance) + 0.5 * (1 - np.tanh(10 * from_behind))
        success = (distance < NEAR) & (np.linalg.norm(box.velocity, axis=1) < STILL)
        return earned, {"distance": distance, "success": success.astype(float)}
