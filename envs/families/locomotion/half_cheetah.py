"""HalfCheetah tasks: run forwards or backwards (`HalfCheetahDir`), or at a velocity (`HalfCheetahVel`).

They are MAML's (Finn et al. 2017), but every project simulates its own cheetah under these names: `DIR_VARIANTS` and
`VEL_VARIANTS` hold the published definitions. The model is Gymnasium's half_cheetah.xml.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envs.contract import sources
from envs.contract.config import SAME_TASKS, FamilyConfig, option
from envs.contract.definition import states
from envs.contract.published_lists import pearl_uniform
from envs.contract.sources import Variant, after
from envs.contract.tasks import Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.robot import CONTROLS, RAW_COST, RobotConfig, TorsoConfig, VelocityConfig, earning, start


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

DELEU, PROMP = sources.DELEU / "mujoco/half_cheetah.py", sources.PROMP / "mujoco_envs"
VARIBAD, L2L, GARAGE = sources.VARIBAD / "mujoco", sources.L2L / "mujoco", sources.GARAGE / "mujoco"
WITHOUT_TORSO = {"horizon": 100, "torso_position": False}
DIR_VARIANTS = {
    "metarl": Variant(SCALED, after(DELEU)),
    "maml": Variant(RLLAB, sources.MAML / "half_cheetah_env_rand_direc.py"),
    "deleu": Variant(SCALED | {"horizon": 100}, DELEU),
    "promp": Variant(SCALED | WITHOUT_TORSO, PROMP / "half_cheetah_rand_direc.py"),
    "pearl": Variant(GYM | {"shared_tasks": True}, sources.PEARL / "half_cheetah_dir.py", SAME_TASKS),
    "varibad": Variant(GYM | RAW_COST, VARIBAD / "half_cheetah_dir.py"),
    "l2l": Variant(GYM | {"horizon": 100}, L2L / "halfcheetah_forward_backward.py"),
    "garage": Variant(SCALED | {"horizon": 100}, GARAGE / "half_cheetah_dir_env.py"),
}
UP_TO_2: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 2.0, "velocities": "uniform"}
UP_TO_3: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 3.0, "velocities": "uniform"}
LONG = {"horizon": 1000, "torso_position": False}
VEL_VARIANTS = {
    "metarl": Variant(SCALED | UP_TO_3, after(DELEU)),
    "maml": Variant(RLLAB | UP_TO_2, sources.MAML / "half_cheetah_env_rand.py"),
    "deleu": Variant(SCALED | UP_TO_2 | {"horizon": 100}, DELEU),
    "promp": Variant(SCALED | UP_TO_3 | WITHOUT_TORSO, PROMP / "half_cheetah_rand_vel.py"),
    "pearl": Variant(GYM | UP_TO_3 | {"velocities": "pearl"}, sources.PEARL / "half_cheetah_vel.py"),
    "varibad": Variant(GYM | UP_TO_3 | RAW_COST, VARIBAD / "half_cheetah_vel.py"),
    "garage": Variant(SCALED | UP_TO_2, GARAGE / "half_cheetah_vel_env.py"),
    "amago": Variant(GYM | UP_TO_3 | LONG, sources.AMAGO / "half_cheetah_v4_vel.py"),
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

    Config, variants, summary = HalfCheetahConfig, DIR_VARIANTS, states("direction·v" + CONTROLS)
    initial_state, observe, reward = start, see, earning(robot.in_direction)

    def define(self, options: Any) -> dict[str, Any]:
        return half_cheetah(options, **robot.DIRECTIONS)


class HalfCheetahVel(MujocoTasks):
    """Run at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config, variants, summary = HalfCheetahVelConfig, VEL_VARIANTS, states("−|v − velocity|" + CONTROLS)
    initial_state, observe, reward = start, see, earning(robot.at_velocity)

    def define(self, options: Any) -> dict[str, Any]:
        tasks = robot.velocities(options)
        if options.velocities == "pearl":
            law = Uniform(options.min_velocity, options.max_velocity)
            tasks["task_distribution"], tasks["test_distribution"] = pearl_uniform("velocity", law, train=100, test=30)
        return half_cheetah(options, **tasks)
