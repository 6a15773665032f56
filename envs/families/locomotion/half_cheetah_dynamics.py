"""HalfCheetahs that run forwards with a body, or in a world, of their own.

    HalfCheetahParams    a factor for each number of mass, inertia, damping and friction
    HalfCheetahCripple   one motor is dead                 HalfCheetahFriction  another grip
    HalfCheetahPayload   a denser torso                    HalfCheetahGravity   another planet

The three families with one factor are the simplest there are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract import sources
from envs.contract.config import FamilyConfig
from envs.contract.definition import states
from envs.contract.sources import Variant, after
from envs.contract.tasks import Choice, TaskDistribution, Tasks, Uniform, require_number
from envs.engine.dynamics import Scale
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion.half_cheetah import (
    RLLAB,
    SCALED,
    HalfCheetahConfig,
    HalfCheetahOptions,
    half_cheetah,
    see,
)
from envs.families.locomotion.random_parameters import RandomParametersConfig, random_parameters
from envs.families.locomotion.robot import CONTROLS, RobotConfig, TorsoConfig, earning, forwards, start


@dataclass(frozen=True)
class HalfCheetahParamsConfig(RandomParametersConfig, HalfCheetahOptions, TorsoConfig, RobotConfig, FamilyConfig):
    """The options of HalfCheetahParams; what is None comes from the variant."""


CLAVERAS, LEES = sources.GRBAL / "half_cheetah_env.py", sources.RAND_PARAMS / "base.py"
FACTORS = {"largest_exponent": 3.0, "set_const": True}
FORWARD_VARIANTS = {"metarl": Variant(SCALED, sources.OURS)}
PARAMS_VARIANTS = {"metarl": Variant(SCALED | FACTORS, after(LEES))}
CRIPPLE_VARIANTS = {
    "metarl": Variant(SCALED, after(CLAVERAS)),
    "grbal": Variant(RLLAB | {"horizon": 1000}, CLAVERAS),
}
SUMMARY = states("v" + CONTROLS)


class HalfCheetahParams(MujocoTasks):
    """Task parameters: the factors `mass` [8], `inertia` [8, 3], `damping` [9] and `friction` [9, 3]."""

    Config, variants, summary = HalfCheetahParamsConfig, PARAMS_VARIANTS, SUMMARY
    initial_state, observe, reward = start, see, earning(forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return half_cheetah(options, **random_parameters(options))


class HalfCheetahCripple(MujocoTasks):
    """Task parameter: `joint`, the number of the dead motor's joint; 0, the back thigh, is held out for tests."""

    Config, variants, summary = HalfCheetahConfig, CRIPPLE_VARIANTS, SUMMARY
    initial_state, observe, reward = start, see, earning(forwards)

    def define(self, options: Any) -> dict[str, Any]:
        train, test = TaskDistribution(joint=Choice((1, 2, 3, 4, 5))), TaskDistribution(joint=Choice((0,)))
        return half_cheetah(options, task_distribution=train, test_distribution=test)

    def prepare_tasks(self, tasks: Tasks) -> None:
        super().prepare_tasks(tasks)
        require_number("joint", tasks["joint"], self.model.nu)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """The controls, 0 for the dead motor."""
        dead = np.arange(self.model.nu) == self.lane_tasks["joint"][:, None]  # [num_envs, A]
        return np.where(dead, 0.0, super().controls(actions))


def with_factor(options: Any, name: str, scale: Scale, beyond: Uniform) -> dict[str, Any]:
    """A cheetah whose only task parameter is a factor, by another law outside of training."""
    return half_cheetah(options, dynamics={name: scale}, outside_distribution=TaskDistribution({name: beyond}))


class HalfCheetahPayload(MujocoTasks):
    """Task parameter: `payload`, the factor of the torso's density: of its mass and, about its centre, of its inertia.

    So the load is spread over the torso as its own mass is.
    """

    Config, variants, summary = HalfCheetahConfig, FORWARD_VARIANTS, SUMMARY
    initial_state, observe, reward = start, see, earning(forwards)

    def define(self, options: Any) -> dict[str, Any]:
        load = Scale(("body_mass", "body_inertia"), Uniform(1.0, 3.0), names=("torso",))
        return with_factor(options, "payload", load, beyond=Uniform(3.0, 4.0))


class HalfCheetahFriction(MujocoTasks):
    """Task parameter: `friction`, the factor of all friction; beyond the training range it is slippery."""

    Config, variants, summary = HalfCheetahConfig, FORWARD_VARIANTS, SUMMARY
    initial_state, observe, reward = start, see, earning(forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return with_factor(options, "friction", Scale("geom_friction", Uniform(0.5, 2.0)), beyond=Uniform(0.25, 0.5))


class HalfCheetahGravity(MujocoTasks):
    """Task parameter: `gravity`, in units of the Earth's."""

    Config, variants, summary = HalfCheetahConfig, FORWARD_VARIANTS, SUMMARY
    initial_state, observe, reward = start, see, earning(forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return with_factor(options, "gravity", Scale("opt.gravity", Uniform(0.5, 1.5)), beyond=Uniform(1.5, 2.0))
