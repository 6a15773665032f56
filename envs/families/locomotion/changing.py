"""Robots that run forwards while their body or ground changes: a motor dies, a load is put on, the ground turns to ice.

The task parameter `motor`, `load` or `ice` becomes `…_then` at step `…_at`.

    HalfCheetahChange, AntChange, WalkerChange, HopperChange
"""

from dataclasses import dataclass
from typing import Any

from envs.contract.config import FamilyConfig
from envs.contract.sources import OURS
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.changes import ChangeConfig, change_variants, changing, of_a_runner
from envs.families.locomotion import ant, half_cheetah, robot, walker
from envs.families.locomotion.ant_variants import CRIPPLE_VARIANTS as ANTS
from envs.families.locomotion.ant_variants import AntOptions
from envs.families.locomotion.half_cheetah import HalfCheetahOptions
from envs.families.locomotion.half_cheetah_dynamics import FORWARD_VARIANTS as CHEETAHS
from envs.families.locomotion.half_cheetah_dynamics import SUMMARY
from envs.families.locomotion.robot import RobotConfig, SurvivalConfig, TorsoConfig
from envs.families.locomotion.walker import PROMP as WALKERS
from envs.families.locomotion.walker import HopperParams, WalkerOptions, has_fallen


@dataclass(frozen=True)
class HalfCheetahChangeConfig(ChangeConfig, HalfCheetahOptions, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of HalfCheetahChange; what is None comes from the variant."""


@dataclass(frozen=True)
class AntChangeConfig(ChangeConfig, AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of AntChange; what is None comes from the variant."""


@dataclass(frozen=True)
class WalkerChangeConfig(ChangeConfig, WalkerOptions, RobotConfig, FamilyConfig):
    """The options of WalkerChange and HopperChange; what is None comes from the variant."""


class HalfCheetahChange(MujocoTasks):
    """Run forwards, on six motors."""

    Config, variants, summary = HalfCheetahChangeConfig, change_variants(CHEETAHS["metarl"], OURS), SUMMARY
    initial_state, observe, reward = robot.start, half_cheetah.see, robot.earning(robot.forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return half_cheetah.half_cheetah(options, **changing(options, of_a_runner(6)))


class AntChange(MujocoTasks):
    """Run forwards, on eight motors."""

    Config, variants, summary = AntChangeConfig, change_variants(ANTS["metarl"], OURS), ant.paying("v_x")
    initial_state, observe, reward = ant.start, ant.see, ant.earning(robot.forwards)
    terminated = robot.left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant.ant(options, **changing(options, of_a_runner(8)))


class WalkerChange(MujocoTasks):
    """Walk forwards, on six motors."""

    Config, variants, summary = WalkerChangeConfig, change_variants(WALKERS, OURS), walker.paying("v")
    initial_state, observe, reward = robot.start_uniform, walker.see, walker.earning(robot.forwards)
    terminated = has_fallen

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "walker2d.xml", **changing(options, of_a_runner(6)))


class HopperChange(MujocoTasks):
    """Hop forwards, on three motors."""

    Config, variants, summary = WalkerChangeConfig, change_variants(WALKERS, OURS), HopperParams.summary
    initial_state, observe, reward = robot.start_uniform, walker.see, walker.earning(robot.forwards)
    terminated = HopperParams.terminated

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "hopper.xml", **changing(options, of_a_runner(3)))
