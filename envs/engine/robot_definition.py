"""What a robot's family says of itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import mujoco
from gymnasium.spaces import Space

from envs.contract.definition import Definition
from envs.contract.tasks import TaskDistribution
from envs.engine.disturbances import Disturbance
from envs.engine.dynamics import Change
from envs.engine.schedule import Becomes


@dataclass(frozen=True, kw_only=True)
class RobotDefinition(Definition):
    """What a robot's family says of itself; its action space follows from the model's actuators."""

    action_space: Space[Any] = field(init=False)
    task_distribution: TaskDistribution = field(default_factory=TaskDistribution)
    """What training tasks come from, but for the parameters that `dynamics` declares."""
    model: mujoco.MjModel
    """From `load_model`; every actuator needs a control range."""
    frame_skip: int = 1
    """Physics steps in a step of the environment."""
    fields: Collection[str] = ()
    """What MuJoCo derives from the state, by the names of MjData: live arrays in `self.fields`."""
    dynamics: Mapping[str, Change | Sequence[Change]] = field(default_factory=dict)
    """Task parameters that change the model: `Scale`, `Shift`, `Set`."""
    changes: Mapping[str, Becomes] = field(default_factory=dict)
    """Task parameters that are others from some step of an episode on."""
    disturbances: Mapping[str, Disturbance] = field(default_factory=dict)
    """Task parameters of what lies between robot and policy: `Noise`, `Bias`, `Delay`, `PacketLoss`, `Push`."""
    recompute_constants: bool = True
    """Whether MuJoCo's derived constants follow the changes. (The papers with random parameters left them; bodies that
    MuJoCo calls simple then ignore a change of mass.)"""
    action_size: int | None = None
    """How many numbers an action has where `controls` is the robot's own; by default one for each actuator."""
    action_scale: float = 1.0
    """Half the side of the action box, whose border means full control."""
    controls: Literal["range", "around-home"] = "range"
    """What full control is: the border of the actuator's control range, or `control_reach` away from its control in the
    keyframe, which for a position servo is the joint's position there."""
    control_reach: float | Sequence[float] = 0.5
    """How far from home full control is, one number or one for each actuator (rad or m, of position servos)."""
    control_rate: float | None = None
    """The most that a control changes in a second, in its own unit; None: as much as it likes."""
    keyframe: str | None = None
    """The keyframe from which episodes start; by default the model's own pose, or, with controls around home, the
    keyframe `home`."""
    clip_actions: bool = True
    """Whether `reward` sees controls within their range; otherwise as far beyond it as the actions are. The actuators
    never leave it."""
