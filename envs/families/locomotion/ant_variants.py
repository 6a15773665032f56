"""The options of the Ant families, and their definitions. `metarl` is ours: their ant without contact forces."""

from dataclasses import dataclass
from typing import Any, Literal

from envs.contract import sources
from envs.contract.config import OTHER_TASKS, SAME_TASKS, FamilyConfig, option
from envs.contract.sources import Variant, after
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

L2L = PROMP | {"action_scale": 1.0}
FINN, DELEUS, ROTHFUSS = sources.MAML, sources.DELEU / "mujoco/ant.py", sources.PROMP / "mujoco_envs"
ZINTGRAFS, ARNOLDS = sources.VARIBAD / "mujoco", sources.L2L / "mujoco"
CLAVERAS, LEES = sources.GRBAL / "ant_env.py", sources.RAND_PARAMS / "base.py"
TWO_TASKS = {"train_tasks": 2, "shared_tasks": True}

ANGLE_VARIANTS = {
    "metarl": Variant(DEFAULT, after(ROTHFUSS / "ant_rand_direc_2d.py")),
    "promp": Variant(PROMP, ROTHFUSS / "ant_rand_direc_2d.py"),
    # As its file ant-dir.json trains and tests. The paper's Ant-Fwd-Back is AntDir.
    "pearl": Variant(PEARL | TWO_TASKS, sources.PEARL / "ant_dir.py", f"{SAME_TASKS}; {OTHER_TASKS}"),
    "l2l": Variant(L2L, ARNOLDS / "ant_direction.py"),
}
AS_SIGN, AS_RADIANS = {"direction_in_radians": False}, {"direction_in_radians": True}
DIR_VARIANTS = {
    "metarl": Variant(DEFAULT | AS_SIGN, after(ROTHFUSS / "ant_rand_direc.py")),
    "maml": Variant(RLLAB | AS_SIGN, FINN / "ant_env_rand_direc.py"),
    "deleu": Variant(DELEU | AS_SIGN, DELEUS),
    "promp": Variant(PROMP | AS_SIGN, ROTHFUSS / "ant_rand_direc.py"),
    "pearl": Variant(PEARL | AS_SIGN | {"shared_tasks": True}, sources.PEARL / "ant_dir.py", SAME_TASKS),
    # Another task: two directions 115 degrees apart, which share a part along x.
    "varibad": Variant(PEARL | AS_RADIANS | RAW_COST, ZINTGRAFS / "ant_dir.py"),
    "l2l": Variant(L2L | AS_SIGN, ARNOLDS / "ant_forward_backward.py"),
}
UP_TO_3: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 3.0}
VEL_VARIANTS = {
    "metarl": Variant(DEFAULT | MAML_REWARD | UP_TO_3, after(DELEUS)),
    "maml": Variant(RLLAB | UP_TO_3, FINN / "ant_env_rand.py"),
    "deleu": Variant(DELEU | UP_TO_3, DELEUS),
}
DISK: dict[str, Any] = {"goal_shape": "disk", "goal_range": 3.0, "goal_reward": 0.0}
SQUARE: dict[str, Any] = {"goal_shape": "square", "goal_range": 3.0, "goal_reward": 4.0}
LISTED = {"train_tasks": 150, "test_tasks": 30}
GOAL_VARIANTS = {
    "metarl": Variant(DEFAULT | GOAL_REWARD | DISK, after(ROTHFUSS / "ant_rand_goal.py")),
    "maml": Variant(RLLAB | SQUARE, FINN / "ant_env_rand_goal.py"),
    "deleu": Variant(DELEU | SQUARE, DELEUS),
    "promp": Variant(SCALED | GOAL_REWARD | DISK, ROTHFUSS / "ant_rand_goal.py"),
    "pearl": Variant(GYM | GOAL_REWARD | DISK | LISTED, sources.PEARL / "ant_goal.py", OTHER_TASKS),
    "varibad": Variant(GYM | GOAL_REWARD | DISK | RAW_COST, ZINTGRAFS / "ant_goal.py"),
}
# MAML's small bonus: with the usual one of 1, an ant learns first of all to stand still.
FORWARD = DEFAULT | MAML_REWARD
UNCHARGED = {"control_cost": 0.0, "contact_cost": 0.0, "observe_contacts": False, "terminates": False}
PARAMS_VARIANTS = {"metarl": Variant(FORWARD | {"largest_exponent": 3.0, "set_const": True}, after(LEES))}
CRIPPLE_VARIANTS = {
    "metarl": Variant(FORWARD, after(CLAVERAS)),
    "grbal": Variant(RLLAB | UNCHARGED | {"horizon": 1000}, CLAVERAS),
}
