"""SwimmerVel: swim at a velocity along x.

ProMP's code has the sign of the reward's first term the other way round: it pays for missing the velocity. The variant
`promp` does as that code does, and `promp` with `pays_for_missing=False` as was meant; all others are as meant. The
model is Gymnasium's swimmer.xml, in the variant `maml` too, which takes only time, coefficients and noise from rllab.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract import sources
from envs.contract.config import FamilyConfig, option
from envs.contract.definition import states
from envs.contract.sources import Variant, after
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.robot import RobotConfig, TorsoConfig, VelocityConfig


@dataclass(frozen=True)
class SwimmerVelConfig(VelocityConfig, TorsoConfig, RobotConfig, FamilyConfig):
    """The options; what is None comes from the variant."""

    velocity_weight: float | None = option(least=0)
    """Weight of the distance to the velocity in the reward."""
    pays_for_missing: bool | None = option()
    """Whether that distance is rewarded, as ProMP's code has it, and not charged."""


GYM: dict[str, Any] = {"horizon": 200, "timestep": 0.01, "frame_skip": 4}
GYM |= {"action_scale": 10.0}  # a policy with standard deviation 1 then explores with 0.1
GYM |= {"min_velocity": 0.1, "max_velocity": 0.2, "velocity_weight": 1.0, "pays_for_missing": False}
GYM |= {"control_cost": 0.0001, "mass_center": False}
GYM |= {"reset_law": "uniform", "reset_position": 0.1, "reset_velocity": 0.1}
RLLAB = GYM | {"timestep": 0.001, "frame_skip": 50, "action_scale": 1.0, "velocity_weight": 1.5, "control_cost": 0.005}
RLLAB |= {"mass_center": True, "reset_law": "normal", "reset_position": 0.01}
PROMP = sources.PROMP / "mujoco_envs/swimmer_rand_vel.py"
VARIANTS = {
    "metarl": Variant(GYM, after(PROMP)),
    "maml": Variant(RLLAB, sources.MAML / "swimmer_randgoal_env.py"),
    "promp": Variant(GYM | {"pays_for_missing": True}, PROMP),
}


def at_velocity(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """The distance to the velocity, by its weight and its sign."""
    closeness = env.config.velocity_weight * robot.at_velocity(env, velocity)
    return -closeness if env.config.pays_for_missing else closeness


class SwimmerVel(MujocoTasks):
    """Swim at a velocity. Task parameter: `velocity`, m/s; outside the training range faster, by up to its width.

    Observation: the heading and the two joints (3) and all velocities (5); in the variant `maml`, whose velocity is
    that of the centre of mass, x, y, these (10), and the place of the centre of mass (3).
    """

    Config, variants = SwimmerVelConfig, VARIANTS
    summary = states(
        lambda options: "−" * (not options.pays_for_missing) + "{velocity_weight:g}·|v − velocity|" + robot.CONTROLS
    )
    reward = robot.earning(at_velocity)

    def define(self, options: Any) -> dict[str, Any]:
        tasks = robot.velocities(options, beyond=options.max_velocity - options.min_velocity)
        return robot.definition(options, "swimmer.xml", mass_center=options.mass_center, **tasks)

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Noise around the model's pose, and around rest; nv = nq."""
        law, shape = self.config.reset_law, (self.lanes_per_task, self.model.nq)
        positions = self.model.qpos0 + self.config.reset_position * robot.noise(rng, law, 1.0, shape)
        return positions, self.config.reset_velocity * robot.noise(rng, law, 1.0, shape)

    def observe(self) -> np.ndarray:
        if self.config.mass_center:
            return np.concatenate([self.qpos, self.qvel, self.fields["subtree_com"][:, robot.TORSO]], axis=1)
        return np.concatenate([self.qpos[:, 2:], self.qvel], axis=1)
