"""What the families of locomotion share: options, where an episode starts, the terms of the reward, the end.

A family is a table of functions over all lanes of a `MujocoTasks`: how it starts, what it sees, what it earns. Each
robot's file has its own; these are common to several. In what a step pays, v is the velocity in the plane (m/s; along x
where nothing is said), p the place (m), a the controls in ±1, f the contact forces.

Letters: E lanes per task; num_envs = N * E.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium
import mujoco
import numpy as np

from envs.contract.config import option
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks, load_model

ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
TORSO = 1  # in every model here, the torso is the first body after the world
# VariBAD's environments (lmzintgraf/varibad, environments/mujoco) get the policy's action as it is, charge for its
# square and leave the clipping to MuJoCo.
RAW_COST: dict[str, Any] = {"clip_actions": False}

CONTROLS, ALONG = " − {control_cost:g}·Σa²", "cos({0})·v_x + sin({0})·v_y"  # in summaries
Reward = tuple[np.ndarray, dict[str, np.ndarray]]
"""[num_envs], and diagnostics by name, [num_envs] each."""
TaskReward = Callable[[MujocoTasks, np.ndarray], np.ndarray]
"""The task's part of the reward, [num_envs], at the velocities in the plane, [num_envs, 2]."""


@dataclass(frozen=True)
class RobotConfig:
    """The options of every family with a MuJoCo robot."""

    timestep: float | None = option(above=0)
    """Seconds in a physics step."""
    frame_skip: int | None = option(above=0)
    """Physics steps in a step."""
    action_scale: float | None = option(above=0)
    """Half the side of the action box, whose border means full control of the actuators."""
    control_cost: float | None = option(least=0)
    """Weight of the squared controls in the reward."""
    clip_actions: bool | None = option(unsaid=True)
    """Whether actions are put onto their box before they cost anything; otherwise what is beyond it costs too, although
    no actuator follows it."""


@dataclass(frozen=True)
class TorsoConfig:
    """Whose velocity counts, and where an episode starts."""

    mass_center: bool | None = option()
    """Whether velocity and place are those of the centre of mass; otherwise they are the torso's, whose velocity is
    its displacement in the step over the step's duration."""
    reset_law: Literal["uniform", "normal"] | None = option()
    """Law of the initial positions around those of the model."""
    reset_position: float | None = option(least=0)
    """Bound, or standard deviation, of the initial positions (m, rad, parts of a quaternion)."""
    reset_velocity: float | None = option(least=0)
    """Standard deviation of the initial velocities (m/s, rad/s), which are normal; the swimmer's follow `reset_law`."""


@dataclass(frozen=True)
class SurvivalConfig:
    """What a robot that can fall gets and pays besides its task."""

    survive_bonus: float | None = option()
    """Reward of every step."""
    contact_cost: float | None = option(least=0)
    """Weight of the squared contact forces in the reward."""
    terminates: bool | None = option()
    """Whether an episode ends where the torso leaves the heights below."""
    min_height: float | None = option()
    """Lowest healthy height of the torso (m)."""
    max_height: float | None = option()
    """Highest healthy height of the torso (m)."""


@dataclass(frozen=True)
class VelocityConfig:
    """Velocities as tasks."""

    min_velocity: float | None = option()
    """Lowest velocity of a task (m/s)."""
    max_velocity: float | None = option()
    """Highest velocity of a task (m/s)."""


def definition(
    options: Any,
    xml: str,
    *,
    mass_center: bool = False,
    forces: bool = False,
    fields: Collection[str] = (),
    **tasks: Any,
) -> dict[str, Any]:
    """The definition of one of Gymnasium's robots.

    Args:
        options: a resolved RobotConfig.
        xml: the model's file.
        mass_center: whether to sense the place and the velocity of the centre of mass.
        forces: whether to sense contact forces: MuJoCo computes `cfrc_ext` only where a sensor needs what is computed
            with it.
        fields: what else to bind.
        tasks: the fields that say what tasks are.
    """
    sensors = [mujoco.mjtSensor.mjSENS_SUBTREELINVEL] * mass_center + [mujoco.mjtSensor.mjSENS_FRAMELINACC] * forces

    def add_sensors(spec: mujoco.MjSpec) -> None:
        for kind in sensors:
            spec.add_sensor(name=kind.name, type=kind, objtype=mujoco.mjtObj.mjOBJ_BODY, objname="torso")

    return {
        "model": load_model(ASSETS / xml, timestep=options.timestep, edit=add_sensors),
        "frame_skip": options.frame_skip,
        "action_scale": options.action_scale,
        "clip_actions": options.clip_actions,
        "fields": [*fields, *["subtree_com", "sensordata"] * mass_center, *["cfrc_ext"] * forces],
        **tasks,
    }


def noise(rng: np.random.Generator, law: str, width: float, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±width, or normal with that standard deviation."""
    return rng.uniform(-width, width, shape) if law == "uniform" else rng.normal(0.0, width, shape)


def start_around(env: MujocoTasks, rng: np.random.Generator, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions `[E, nq]` by the law of a TorsoConfig around a pose `[nq]`, and normal velocities `[E, nv]`."""
    options, E = env.config, env.lanes_per_task
    positions = pose + noise(rng, options.reset_law, options.reset_position, (E, env.model.nq))
    return positions, noise(rng, "normal", options.reset_velocity, (E, env.model.nv))


def start(env: MujocoTasks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same around the model's own pose."""
    return start_around(env, rng, env.model.qpos0)


def start_uniform(env: MujocoTasks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions around the model's own pose, and velocities, all uniform in ±reset_noise."""
    width, E = env.config.reset_noise, env.lanes_per_task
    positions = env.model.qpos0 + noise(rng, "uniform", width, (E, env.model.nq))
    return positions, noise(rng, "uniform", width, (E, env.model.nv))


def planar_velocity(env: MujocoTasks) -> np.ndarray:
    """`[num_envs, 2]` (m/s): the centre of mass's where it is sensed, else the root's mean velocity over the step."""
    if "sensordata" in env.fields:
        return env.fields["sensordata"][:, :2]  # of the first sensor
    return (env.qpos[:, :2] - env.qpos_before[:, :2]) / env.dt


def control_cost(env: MujocoTasks, controls: np.ndarray) -> np.ndarray:
    """control_cost * Σ a², [num_envs]."""
    return env.config.control_cost * np.einsum("na,na->n", controls, controls)


def earning(task_reward: TaskReward) -> Any:
    """A family's `reward`: that of its task, less the cost of the controls."""

    def reward(env: MujocoTasks, controls: np.ndarray) -> Reward:
        velocity, cost = planar_velocity(env), control_cost(env, controls)
        return task_reward(env, velocity) - cost, {"velocity": velocity[:, 0], "control_cost": cost}

    return reward


# Tasks: their laws, and what they reward.

DIRECTIONS: dict[str, Any] = {"task_distribution": TaskDistribution(direction=Choice((-1.0, 1.0)))}


def velocities(options: Any, beyond: float = 1.0) -> dict[str, Any]:
    """Velocities of a VelocityConfig; outside of training they are up to `beyond` (m/s) faster."""
    low, high = options.min_velocity, options.max_velocity
    return {
        "task_distribution": TaskDistribution(velocity=Uniform(low, high)),
        "outside_distribution": TaskDistribution(velocity=Uniform(high, high + beyond)),
    }


def forwards(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """The faster, the better."""
    return velocity[:, 0]


def in_direction(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """The velocity forwards or backwards."""
    return env.lane_tasks["direction"] * velocity[:, 0]


def along(angle: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """The part of velocities `[num_envs, 2]` along angles from the x axis (rad)."""
    return np.cos(angle) * velocity[:, 0] + np.sin(angle) * velocity[:, 1]


def at_velocity(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """Minus the distance to the velocity."""
    return -np.abs(velocity[:, 0] - env.lane_tasks["velocity"])


def heights(options: Any) -> str:
    """What `left_its_heights` is in words, for a summary."""
    return "torso outside {min_height:g} to {max_height:g} m" if options.terminates else "never"


def left_its_heights(env: MujocoTasks) -> np.ndarray:
    """Whether the torso is too low or too high, where that ends an episode."""
    height, options = env.qpos[:, 2], env.config
    return options.terminates & ((height < options.min_height) | (height > options.max_height))
