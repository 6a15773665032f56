"""HalfCheetahs that run forwards with a body, or in a world, of their own.

    HalfCheetahParams    a factor for each number of mass, inertia, damping and friction
    HalfCheetahCripple   one motor is dead                 HalfCheetahFriction  another grip
    HalfCheetahPayload   a denser torso                    HalfCheetahGravity   another planet

The reward is v - control_cost * Σ a², with v the cheetah's velocity along x (m/s) and a its controls in [-1, 1]^6;
an episode never terminates. Sources: rand_param_envs for the factors, GrBAL (Nagabandi et al. 2019) for the dead
motor; the three families with one factor are the simplest there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envs.contract.tasks import Choice, TaskDistribution, Tasks, Uniform
from envs.engine.dynamics import RandomParametersConfig, Scale, random_parameters, require_number
from envs.families.locomotion.half_cheetah import RLLAB, SCALED, HalfCheetah, HalfCheetahConfig, resolve_half_cheetah


@dataclass(frozen=True)
class HalfCheetahParamsConfig(HalfCheetahConfig, RandomParametersConfig):
    """The options of HalfCheetahParams; what is None comes from the variant."""


FORWARD_VARIANTS: dict[str, dict[str, Any]] = {"metarl": SCALED}
PARAMS_VARIANTS: dict[str, dict[str, Any]] = {"metarl": SCALED | {"largest_exponent": 3.0, "set_const": True}}
CRIPPLE_VARIANTS: dict[str, dict[str, Any]] = {"metarl": SCALED, "grbal": RLLAB | {"horizon": 1000}}


class HalfCheetahForward(HalfCheetah):
    """What the families share: the faster, the better."""

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """The velocity."""
        return velocity


class HalfCheetahParams(HalfCheetahForward):
    """Task parameters: the factors `mass` [8], `inertia` [8, 3], `damping` [9] and `friction` [9, 3]."""

    Config = HalfCheetahParamsConfig
    variants = PARAMS_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: HalfCheetahParamsConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_half_cheetah(config or HalfCheetahParamsConfig(), PARAMS_VARIANTS)
        super().__init__(num_tasks, lanes_per_task, options, threads=threads, **random_parameters(options))


class HalfCheetahCripple(HalfCheetahForward):
    """Task parameter: `joint`, the number of the dead motor's joint; 0, the back thigh, is held out for tests."""

    Config = HalfCheetahConfig
    variants = CRIPPLE_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: HalfCheetahConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_half_cheetah(config or HalfCheetahConfig(), CRIPPLE_VARIANTS)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            task_distribution=TaskDistribution(joint=Choice((1, 2, 3, 4, 5))),
            test_distribution=TaskDistribution(joint=Choice((0,))),
            threads=threads,
        )

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse joints that the cheetah does not have."""
        super().prepare_tasks(tasks)
        require_number("joint", tasks["joint"], self.model.nu)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """The controls, 0 for the dead motor."""
        dead = np.arange(self.model.nu) == self.lane_tasks["joint"][:, None]  # [num_envs, A]
        return np.where(dead, 0.0, super().controls(actions))


class HalfCheetahScaled(HalfCheetahForward):
    """What the families with one factor share: `dynamics`, and the factor's law `outside` of the training range."""

    Config = HalfCheetahConfig
    variants = FORWARD_VARIANTS
    dynamics: ClassVar[Mapping[str, Scale]]
    outside: ClassVar[TaskDistribution]

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: HalfCheetahConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_half_cheetah(config or HalfCheetahConfig(), FORWARD_VARIANTS)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            dynamics=self.dynamics,
            outside_distribution=self.outside,
            threads=threads,
        )


class HalfCheetahPayload(HalfCheetahScaled):
    """Task parameter: `payload`, the factor of the torso's density: of its mass and, about its centre, of its inertia.

    So the load is spread over the torso as its own mass is.
    """

    dynamics: ClassVar = {"payload": Scale(("body_mass", "body_inertia"), Uniform(1.0, 3.0), names=("torso",))}
    outside = TaskDistribution(payload=Uniform(3.0, 4.0))


class HalfCheetahFriction(HalfCheetahScaled):
    """Task parameter: `friction`, the factor of all friction; beyond the training range it is slippery."""

    dynamics: ClassVar = {"friction": Scale("geom_friction", Uniform(0.5, 2.0))}
    outside = TaskDistribution(friction=Uniform(0.25, 0.5))


class HalfCheetahGravity(HalfCheetahScaled):
    """Task parameter: `gravity`, in units of the Earth's."""

    dynamics: ClassVar = {"gravity": Scale("opt.gravity", Uniform(0.5, 1.5))}
    outside = TaskDistribution(gravity=Uniform(1.5, 2.0))
