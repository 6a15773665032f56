"""HalfCheetah tasks: run forwards or backwards (`HalfCheetahDir`), or at a velocity (`HalfCheetahVel`).

With v the cheetah's velocity along x (m/s) and a its controls in [-1, 1]^6, the reward is

    direction * v - control_cost * Σ a²         or         -|v - velocity| - control_cost * Σ a²

(Finn et al. 2017, MAML) and an episode never terminates. Every project simulates its own cheetah under these
names: `DIR_VARIANTS` and `VEL_VARIANTS` hold the published definitions. The model is Gymnasium's
half_cheetah.xml.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envs.contract.config import SAME_TASKS, FamilyConfig, option
from envs.contract.published_lists import pearl_uniform
from envs.contract.tasks import Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.robot import RAW_COST, RobotConfig, TorsoConfig, VelocityConfig, earning, start


@dataclass(frozen=True)
class HalfCheetahOptions:
    """What a HalfCheetah sees."""

    torso_position: bool | None = option()
    """Whether the observation ends with the torso's place (x, y, z); x reveals the distance run."""


@dataclass(frozen=True)
class HalfCheetahConfig(HalfCheetahOptions, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of most HalfCheetahs; what is None comes from the variant."""


@dataclass(frozen=True)
class HalfCheetahVelConfig(VelocityConfig, HalfCheetahOptions, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of HalfCheetahVel; what is None comes from the variant."""

    velocities: Literal["uniform", "pearl"] | None = option()
    """Law of the velocities between these two: uniform, or one of the 130 that PEARL's code draws from it, 100 to train
    with and the other 30 to test with."""


GYM: dict[str, Any] = {"horizon": 200, "timestep": 0.01, "frame_skip": 5, "action_scale": 1.0, "control_cost": 0.05}
GYM |= {"torso_position": True, "mass_center": False}
GYM |= {"reset_law": "uniform", "reset_position": 0.1, "reset_velocity": 0.1}
# rllab's simulation: a step is 0.01 s, so that an episode is 2 s of running instead of 5 or 10.
RLLAB = GYM | {"frame_skip": 1, "mass_center": True, "reset_law": "normal", "reset_position": 0.01}
# Actions in ±10 divided by 10: a policy with standard deviation 1 then explores with 0.1.
SCALED = GYM | {"action_scale": 10.0}

DIR_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": SCALED,
    "maml": RLLAB,
    "deleu": SCALED | {"horizon": 100},
    "promp": SCALED | {"horizon": 100, "torso_position": False},
    "pearl": GYM | {"shared_tasks": True},
    "varibad": GYM | RAW_COST,
    "l2l": GYM | {"horizon": 100},
    "garage": SCALED | {"horizon": 100},
}
UP_TO_2: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 2.0, "velocities": "uniform"}
UP_TO_3: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 3.0, "velocities": "uniform"}
VEL_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": SCALED | UP_TO_3,
    "maml": RLLAB | UP_TO_2,
    "deleu": SCALED | UP_TO_2 | {"horizon": 100},
    "promp": SCALED | UP_TO_3 | {"horizon": 100, "torso_position": False},
    "pearl": GYM | UP_TO_3 | {"velocities": "pearl"},
    "varibad": GYM | UP_TO_3 | RAW_COST,
    "garage": SCALED | UP_TO_2,
    "amago": GYM | UP_TO_3 | {"horizon": 1000, "torso_position": False},
}


def half_cheetah(options: Any, **tasks: Any) -> dict[str, Any]:
    """The definition of a cheetah with these tasks."""
    return robot.definition(options, "half_cheetah.xml", mass_center=options.mass_center, **tasks)


def see(env: MujocoTasks) -> np.ndarray:
    """Joint positions but for x (8), joint velocities (9) and, if asked for, the torso's place (3)."""
    parts = [env.qpos[:, 1:], env.qvel]
    if env.config.torso_position and env.config.mass_center:
        parts.append(env.fields["subtree_com"][:, robot.TORSO])
    elif env.config.torso_position:  # the root slides move the torso itself
        x, z = env.qpos[:, 0], env.model.body_pos[robot.TORSO, 2] + env.qpos[:, 1]
        parts.append(np.stack([x, np.zeros(env.num_envs), z], axis=1))
    return np.concatenate(parts, axis=1)


class HalfCheetahDir(MujocoTasks):
    """Run forwards or backwards. Task parameter: `direction`, 1 or -1."""

    Config, variants, remarks = HalfCheetahConfig, DIR_VARIANTS, {"pearl": SAME_TASKS}
    initial_state, observe, reward = start, see, earning(robot.in_direction)

    def define(self, options: Any) -> dict[str, Any]:
        return half_cheetah(options, **robot.DIRECTIONS)


class HalfCheetahVel(MujocoTasks):
    """Run at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config, variants = HalfCheetahVelConfig, VEL_VARIANTS
    initial_state, observe, reward = start, see, earning(robot.at_velocity)

    def define(self, options: Any) -> dict[str, Any]:
        tasks = robot.velocities(options)
        if options.velocities == "pearl":
            law = Uniform(options.min_velocity, options.max_velocity)
            tasks["task_distribution"], tasks["test_distribution"] = pearl_uniform("velocity", law, train=100, test=30)
        return half_cheetah(options, **tasks)
