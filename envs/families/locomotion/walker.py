"""Walker2d tasks: walk in a direction (`WalkerDir`), at a velocity (`WalkerVel`), or with random dynamics
(`WalkerParams`); and a hopper with random dynamics (`HopperParams`).

An episode ends when the robot falls. The models are Gymnasium's hopper.xml and older walker2d.xml, whose right foot has
half the friction of its left: the field published on that one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract import sources
from envs.contract.config import OTHER_TASKS, FamilyConfig, option
from envs.contract.definition import states
from envs.contract.sources import Variant, after
from envs.contract.tasks import TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.random_parameters import RandomParametersConfig, random_parameters
from envs.families.locomotion.robot import RAW_COST, RobotConfig, TaskReward, VelocityConfig, start_uniform


@dataclass(frozen=True)
class WalkerOptions:
    """What a walker gets, and how it starts."""

    bonus: float | None = option(least=0)
    """What every step adds to the reward."""
    reset_noise: float | None = option(least=0)
    """Bound of the uniform noise on the initial joint positions (m, rad) and velocities (m/s, rad/s)."""


@dataclass(frozen=True)
class WalkerConfig(WalkerOptions, RobotConfig, FamilyConfig):
    """The options of WalkerDir; what is None comes from the variant."""


@dataclass(frozen=True)
class WalkerVelConfig(VelocityConfig, WalkerOptions, RobotConfig, FamilyConfig):
    """The options of WalkerVel; what is None comes from the variant."""


@dataclass(frozen=True)
class WalkerParamsConfig(RandomParametersConfig, WalkerOptions, RobotConfig, FamilyConfig):
    """The options of WalkerParams and HopperParams; what is None comes from the variant."""


PROMP: dict[str, Any] = {"horizon": 200, "timestep": 0.002, "frame_skip": 8}
# Actions in ±10 divided by 10: a policy of standard deviation 1 explores with 0.1.
PROMP |= {"action_scale": 10.0, "control_cost": 0.001, "bonus": 1.0, "reset_noise": 0.005}
ROTHFUSS = sources.PROMP / "mujoco_envs"
DIRECTION, VELOCITY = ROTHFUSS / "walker2d_rand_direc.py", ROTHFUSS / "walker2d_rand_vel.py"
# ProMP's 10 m/s is beyond any walker. The bonus exceeds what standing loses, or else falling would pay.
SLOW = {"bonus": 5.0, "min_velocity": 0.0, "max_velocity": 3.0}
FAST = {"bonus": 15.0, "min_velocity": 0.0, "max_velocity": 10.0}
DIR_VARIANTS = {"metarl": Variant(PROMP, after(DIRECTION)), "promp": Variant(PROMP, DIRECTION)}
VEL_VARIANTS = {"metarl": Variant(PROMP | SLOW, after(VELOCITY)), "promp": Variant(PROMP | FAST, VELOCITY)}
# The same step of 0.016 s, from rand_param_envs' coarser physics.
RAND_PARAMS = PROMP | {"timestep": 0.004, "frame_skip": 4, "largest_exponent": 3.0, "set_const": False}
LISTED = {"action_scale": 1.0, "train_tasks": 40, "test_tasks": 10}


def params_variants(robot: str, wrapper: str) -> dict[str, Variant]:
    """The definitions with random parameters, from each project's files of a robot."""
    file = f"{robot}_rand_params.py"
    return {
        "metarl": Variant(RAND_PARAMS | {"set_const": True}, after(sources.RAND_PARAMS / file)),
        "promp": Variant(RAND_PARAMS, sources.RAND_PARAMS / file, "what ProMP's experiments import"),
        "pearl": Variant(RAND_PARAMS | LISTED, sources.PEARL / f"{wrapper}_rand_params_wrapper.py", OTHER_TASKS),
        "varibad": Variant(
            RAND_PARAMS | RAW_COST | {"action_scale": 1.0}, sources.VARIBAD / "mujoco/rand_param_envs" / file
        ),
    }


def see(env: MujocoTasks) -> np.ndarray:
    """Joint positions but for x, and joint velocities clipped at 10."""
    return np.concatenate([env.qpos[:, 1:], np.clip(env.qvel, -10.0, 10.0)], axis=1)


def earning(task_reward: TaskReward) -> Any:
    """A family's `reward`: that of its task and the bonus, less the cost of the controls."""
    return robot.earning(lambda env, velocity: task_reward(env, velocity) + env.config.bonus)


def paying(task: str, termination: str = "torso outside 0.8 to 2 m, or pitch outside ±1 rad") -> Any:
    """A family's `summary`, by the task's part of the reward."""
    return states(f"{task} + {{bonus:g}}{robot.CONTROLS}", termination)


def has_fallen(env: MujocoTasks) -> np.ndarray:
    """Whether the torso left its heights or leans over."""
    height, pitch = env.qpos[:, 1], env.qpos[:, 2]
    return ~((height > 0.8) & (height < 2.0) & (np.abs(pitch) < 1.0))


class WalkerDir(MujocoTasks):
    """Walk forwards or backwards. Task parameter: `direction`, 1 or -1."""

    Config, variants, summary = WalkerConfig, DIR_VARIANTS, paying("direction·v")
    initial_state, observe, reward, terminated = start_uniform, see, earning(robot.in_direction), has_fallen

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "walker2d.xml", **robot.DIRECTIONS)


class WalkerVel(MujocoTasks):
    """Walk at a velocity. Task parameter: `velocity`, m/s."""

    Config, variants, summary = WalkerVelConfig, VEL_VARIANTS, paying("−|v − velocity|")
    initial_state, observe, reward, terminated = start_uniform, see, earning(robot.at_velocity), has_fallen

    def define(self, options: Any) -> dict[str, Any]:
        velocities = TaskDistribution(velocity=Uniform(options.min_velocity, options.max_velocity))
        return robot.definition(options, "walker2d.xml", task_distribution=velocities)


class WalkerParams(MujocoTasks):
    """Walk forwards with mass, inertia, damping and friction of one's own.

    Task parameters: the factors `mass` [8], `inertia` [8, 3], `damping` [9] and `friction` [8, 3], 65 in all; those
    of the world's mass and the root's damping multiply 0.
    """

    Config, variants, summary = WalkerParamsConfig, params_variants("walker2d", "walker"), paying("v")
    initial_state, observe, reward, terminated = start_uniform, see, earning(robot.forwards), has_fallen

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "walker2d.xml", **random_parameters(options))


class HopperParams(MujocoTasks):
    """Hop forwards with mass, inertia, damping and friction of one's own: the walker's tasks on another body.

    Task parameters: the factors `mass` [5], `inertia` [5, 3], `damping` [6] and `friction` [5, 3], 41 in all; those
    of the world's mass and the root's damping multiply 0.
    """

    Config, variants = WalkerParamsConfig, params_variants("hopper", "hopper")
    summary = paying("v", "torso below 0.7 m, pitch outside ±0.2 rad, or a joint outside ±100")
    initial_state, observe, reward = start_uniform, see, earning(robot.forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "hopper.xml", **random_parameters(options))

    def terminated(self) -> np.ndarray:
        """Whether the torso fell or leans over, or a joint's angle or velocity is beyond all measure."""
        height, pitch = self.qpos[:, 1], self.qpos[:, 2]
        state = np.concatenate([self.qpos[:, 2:], self.qvel], axis=1)
        return ~((height > 0.7) & (np.abs(pitch) < 0.2) & (np.abs(state) < 100.0).all(axis=1))
