"""The options of the Ant families, and their published definitions.

Sources: `maml` Finn et al. 2017 (its repository maml_rl, on rllab); `deleu` pytorch-maml-rl; `promp` Rothfuss et al.
2019; `pearl` Rakelly et al. 2019 (its repository oyster); `varibad` Zintgraf et al. 2020; `l2l` learn2learn. `metarl`
is ours: their ant without contact forces. What the letters of the reward mean stands in `ant.py`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from envs.contract.config import FamilyConfig, option
from envs.families.locomotion.random_parameters import RandomParametersConfig
from envs.families.locomotion.robot import RAW_COST, RobotConfig, SurvivalConfig, TorsoConfig, VelocityConfig


@dataclass(frozen=True)
class AntOptions:
    """What an Ant sees, and how it stands at first."""

    observe_place: bool | None = option()
    """Whether the observation begins with the torso's x and y."""
    observe_contacts: bool | None = option()
    """Whether the observation has the clipped contact forces."""
    observe_frame: bool | None = option()
    """Whether the observation ends with the torso's rotation matrix and place (x, y, z)."""
    bent_legs: bool | None = option()
    """Whether an episode starts from the file's `init_qpos` (torso at 0.55 m, legs bent) and not from its bodies'
    places (0.75 m, legs straight)."""


@dataclass(frozen=True)
class AntConfig(AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of most Ants; what is None comes from the variant."""


@dataclass(frozen=True)
class AntDirConfig(AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of AntDir; what is None comes from the variant."""

    direction_in_radians: bool | None = option()
    """Whether the direction ±1 is an angle of ±1 rad from the x axis, as VariBAD's code has it."""


@dataclass(frozen=True)
class AntVelConfig(VelocityConfig, AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of AntVel; what is None comes from the variant."""


@dataclass(frozen=True)
class AntGoalConfig(AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of AntGoal; what is None comes from the variant."""

    goal_reward: float | None = option()
    """Reward of a step on the goal, from which the distance is subtracted."""
    goal_shape: Literal["disk", "square"] | None = option()
    """Where goals are uniform."""
    goal_range: float | None = option(above=0)
    """Radius of the disk, or half the side of the square, of the goals (m)."""


@dataclass(frozen=True)
class AntParamsConfig(RandomParametersConfig, AntOptions, SurvivalConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of AntParams; what is None comes from the variant."""


GYM: dict[str, Any] = {"horizon": 200, "timestep": 0.01, "frame_skip": 5, "action_scale": 1.0}
GYM |= {"survive_bonus": 1.0, "control_cost": 0.5, "contact_cost": 0.0005}
GYM |= {"terminates": True, "min_height": 0.2, "max_height": 1.0}
GYM |= {"observe_place": False, "observe_contacts": True, "observe_frame": False, "mass_center": False}
GYM |= {"bent_legs": False, "reset_law": "uniform", "reset_position": 0.1, "reset_velocity": 0.1}
MAML_REWARD: dict[str, Any] = {"survive_bonus": 0.05, "control_cost": 0.005}
GOAL_REWARD: dict[str, Any] = {"survive_bonus": 0.0, "control_cost": 0.1, "terminates": False, "observe_place": True}
# Actions in ±10 divided by 10: a policy with standard deviation 1 then explores with 0.1.
SCALED = GYM | {"action_scale": 10.0}
DEFAULT = SCALED | {"contact_cost": 0.0, "observe_contacts": False}
DELEU = SCALED | MAML_REWARD | {"horizon": 100, "observe_place": True, "observe_frame": True}
# rllab's simulation: a step is 0.02 s.
RLLAB = GYM | MAML_REWARD | {"timestep": 0.02, "frame_skip": 1, "observe_place": True, "observe_frame": True}
RLLAB |= {"mass_center": True, "bent_legs": True, "reset_law": "normal", "reset_position": 0.01}
PROMP = SCALED | {"horizon": 100, "min_height": 0.0}
PEARL = GYM | {"observe_contacts": False}

ANGLE_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": DEFAULT,
    "promp": PROMP,
    # As its file ant-dir.json trains and tests. The paper's Ant-Fwd-Back is AntDir.
    "pearl": PEARL | {"train_tasks": 2, "shared_tasks": True},
    "l2l": PROMP | {"action_scale": 1.0},
}
AS_SIGN, AS_RADIANS = {"direction_in_radians": False}, {"direction_in_radians": True}
DIR_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": DEFAULT | AS_SIGN,
    "maml": RLLAB | AS_SIGN,
    "deleu": DELEU | AS_SIGN,
    "promp": PROMP | AS_SIGN,
    "pearl": PEARL | AS_SIGN | {"shared_tasks": True},
    # Another task: two directions 115 degrees apart, which share a part along x.
    "varibad": PEARL | AS_RADIANS | RAW_COST,
    "l2l": PROMP | AS_SIGN | {"action_scale": 1.0},
}
UP_TO_3: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 3.0}
VEL_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": DEFAULT | MAML_REWARD | UP_TO_3,
    "maml": RLLAB | UP_TO_3,
    "deleu": DELEU | UP_TO_3,
}
DISK: dict[str, Any] = {"goal_shape": "disk", "goal_range": 3.0, "goal_reward": 0.0}
SQUARE: dict[str, Any] = {"goal_shape": "square", "goal_range": 3.0, "goal_reward": 4.0}
GOAL_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": DEFAULT | GOAL_REWARD | DISK,
    "maml": RLLAB | SQUARE,
    "deleu": DELEU | SQUARE,
    "promp": SCALED | GOAL_REWARD | DISK,
    "pearl": GYM | GOAL_REWARD | DISK | {"train_tasks": 150, "test_tasks": 30},
    "varibad": GYM | GOAL_REWARD | DISK | RAW_COST,
}
# MAML's small bonus: with the usual one of 1, an ant learns first of all to stand still.
FORWARD = DEFAULT | MAML_REWARD
PARAMS_VARIANTS: dict[str, dict[str, Any]] = {"metarl": FORWARD | {"largest_exponent": 3.0, "set_const": True}}
CRIPPLE_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": FORWARD,
    "grbal": RLLAB
    | {"horizon": 1000, "control_cost": 0.0, "contact_cost": 0.0, "observe_contacts": False, "terminates": False},
}
