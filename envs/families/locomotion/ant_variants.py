"""The options of the Ant families, and their published definitions.

Sources: `maml` Finn et al. 2017 (its repository maml_rl, on rllab); `deleu` pytorch-maml-rl; `promp` Rothfuss et al.
2019; `pearl` Rakelly et al. 2019 (its repository oyster); `varibad` Zintgraf et al. 2020; `l2l` learn2learn. `metarl`
is ours: their ant without contact forces. What the letters of the reward mean stands in `ant.py`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from envs.contract.config import RAW_COST, RobotConfig, resolve


@dataclass(frozen=True)
class AntConfig(RobotConfig):
    """The options of every Ant; what is None comes from the variant."""

    survive_bonus: float | None = None
    """Reward of every step."""
    contact_cost: float | None = None
    """Weight of the squared contact forces in the reward."""
    terminates: bool | None = None
    """Whether an episode ends where the torso leaves the heights below."""
    min_height: float | None = None
    """Lowest healthy height of the torso (m)."""
    max_height: float | None = None
    """Highest healthy height of the torso (m)."""
    observe_place: bool | None = None
    """Whether the observation begins with the torso's x and y."""
    observe_contacts: bool | None = None
    """Whether the observation has the clipped contact forces."""
    observe_frame: bool | None = None
    """Whether the observation ends with the torso's rotation matrix and place (x, y, z)."""
    mass_center: bool | None = None
    """Whether velocity and place are those of the centre of mass; otherwise they are the torso's, whose velocity is
    its displacement in the step over the step's duration."""
    bent_legs: bool | None = None
    """Whether an episode starts from the file's `init_qpos` (torso at 0.55 m, legs bent) and not from its bodies'
    places (0.75 m, legs straight)."""
    reset_law: Literal["uniform", "normal"] | None = None
    """Law of the initial positions around that pose."""
    reset_position: float | None = None
    """Bound, or standard deviation, of the initial positions (m, rad, parts of a quaternion)."""
    reset_velocity: float | None = None
    """Standard deviation of the initial velocities (m/s, rad/s), which are normal."""


@dataclass(frozen=True)
class AntDirConfig(AntConfig):
    """The options of AntDir; what is None comes from the variant."""

    direction_in_radians: bool | None = None
    """Whether the direction ±1 is an angle of ±1 rad from the x axis, as VariBAD's code has it."""


@dataclass(frozen=True)
class AntVelConfig(AntConfig):
    """The options of AntVel; what is None comes from the variant."""

    min_velocity: float | None = None
    """Lowest velocity of a task (m/s)."""
    max_velocity: float | None = None
    """Highest velocity of a task (m/s)."""


@dataclass(frozen=True)
class AntGoalConfig(AntConfig):
    """The options of AntGoal; what is None comes from the variant."""

    goal_reward: float | None = None
    """Reward of a step on the goal, from which the distance is subtracted."""
    goal_shape: Literal["disk", "square"] | None = None
    """Where goals are uniform."""
    goal_range: float | None = None
    """Radius of the disk, or half the side of the square, of the goals (m)."""


GYM: dict[str, Any] = {
    "horizon": 200,
    "timestep": 0.01,
    "frame_skip": 5,
    "action_scale": 1.0,
    "survive_bonus": 1.0,
    "control_cost": 0.5,
    "contact_cost": 0.0005,
    "terminates": True,
    "min_height": 0.2,
    "max_height": 1.0,
    "observe_place": False,
    "observe_contacts": True,
    "observe_frame": False,
    "mass_center": False,
    "bent_legs": False,
    "reset_law": "uniform",
    "reset_position": 0.1,
    "reset_velocity": 0.1,
}
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


def resolve_ant(config: AntConfig, variants: dict[str, dict[str, Any]]) -> Any:
    """The config with every option filled. Raises: InputError on an impossible one."""
    return resolve(
        config,
        variants,
        positive=("timestep", "frame_skip", "action_scale", "goal_range"),
        nonnegative=("control_cost", "contact_cost", "reset_position", "reset_velocity"),
    )
