"""SwimmerVel: swim at a velocity along x.

With v the swimmer's velocity along x (m/s) and a its controls in [-1, 1]^2, the reward is

    -velocity_weight * |v - velocity| - control_cost * Σ a²

(Finn et al. 2017, in rllab, variant `maml`; Rothfuss et al. 2019, variant `promp`). ProMP's code has the sign of the
first term the other way round: it pays for missing the velocity. The variant `promp` does as that code does, and
`promp` with `pays_for_missing=False` as was meant; all others are as meant. An episode never terminates. The model is
Gymnasium's swimmer.xml, in the variant `maml` too, which takes only its time, coefficients and noise from rllab.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract.config import FamilyConfig, option
from envs.contract.tasks import TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion.robot import (
    TORSO,
    Reward,
    RobotConfig,
    TorsoConfig,
    VelocityConfig,
    noise,
    pay,
    planar_velocity,
    robot,
)


@dataclass(frozen=True)
class SwimmerVelConfig(FamilyConfig, RobotConfig, TorsoConfig, VelocityConfig):
    """The options; what is None comes from the variant."""

    velocity_weight: float | None = option(least=0)
    """Weight of the distance to the velocity in the reward."""
    pays_for_missing: bool | None = option()
    """Whether that distance is rewarded, as ProMP's code has it, and not charged."""


GYM: dict[str, Any] = {
    "horizon": 200,
    "min_velocity": 0.1,
    "max_velocity": 0.2,
    "timestep": 0.01,
    "frame_skip": 4,
    "action_scale": 10.0,  # a policy with standard deviation 1 then explores with 0.1
    "velocity_weight": 1.0,
    "pays_for_missing": False,
    "control_cost": 0.0001,
    "mass_center": False,
    "reset_law": "uniform",
    "reset_position": 0.1,
    "reset_velocity": 0.1,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": GYM,
    "maml": GYM
    | {"timestep": 0.001, "frame_skip": 50, "action_scale": 1.0, "velocity_weight": 1.5, "control_cost": 0.005}
    | {"mass_center": True, "reset_law": "normal", "reset_position": 0.01},
    "promp": GYM | {"pays_for_missing": True},
}


class SwimmerVel(MujocoTasks):
    """Swim at a velocity. Task parameter: `velocity`, m/s; outside the training range faster, by up to its width.

    Observation: the heading and the two joints (3) and all velocities (5); in the variant `maml`, whose velocity is
    that of the centre of mass, x, y, these (10), and the place of the centre of mass (3).
    """

    Config, variants = SwimmerVelConfig, VARIANTS

    def define(self, options: Any) -> dict[str, Any]:
        low, high = options.min_velocity, options.max_velocity
        inside, faster = (TaskDistribution(velocity=law) for law in (Uniform(low, high), Uniform(high, 2 * high - low)))
        return robot(
            options,
            "swimmer.xml",
            mass_center=options.mass_center,
            task_distribution=inside,
            outside_distribution=faster,
        )

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Noise around the model's pose, and around rest; nv = nq."""
        law, shape = self.config.reset_law, (self.lanes_per_task, self.model.nq)
        positions = self.model.qpos0 + self.config.reset_position * noise(rng, law, 1.0, shape)
        return positions, self.config.reset_velocity * noise(rng, law, 1.0, shape)

    def observe(self) -> np.ndarray:
        """Positions, velocities, and the place of the centre of mass."""
        if self.config.mass_center:
            return np.concatenate([self.qpos, self.qvel, self.fields["subtree_com"][:, TORSO]], axis=1)
        return np.concatenate([self.qpos[:, 2:], self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> Reward:
        """The distance to the task's velocity and the cost of the controls."""
        velocity = planar_velocity(self)[:, 0]
        distance = self.config.velocity_weight * np.abs(velocity - self.lane_tasks["velocity"])
        return pay(self, controls, distance if self.config.pays_for_missing else -distance, velocity)
