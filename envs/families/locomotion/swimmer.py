"""SwimmerVel: swim at a velocity along x.

With v the swimmer's velocity along x (m/s) and a its controls in [-1, 1]^2, the reward is

    -velocity_weight * |v - velocity| - control_cost * Σ a²

(Finn et al. 2017, in rllab, variant `maml`; Rothfuss et al. 2019, variant `promp`). ProMP's code has the sign of the
first term the other way round: it pays for missing the velocity. The variant `promp` does as that code does, and
`promp` with `pays_for_missing=False` as was meant; all others are as meant. An episode never terminates. The model is
Gymnasium's swimmer.xml, in the variant `maml` too, which takes only its time, coefficients and noise from rllab.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np

from envs.contract.config import RobotConfig, resolve
from envs.contract.tasks import TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks, load_model, sense_mass_center

XML = Path(gymnasium.__file__).parent / "envs/mujoco/assets/swimmer.xml"


@dataclass(frozen=True)
class SwimmerVelConfig(RobotConfig):
    """The options; what is None comes from the variant."""

    min_velocity: float | None = None
    """Lowest velocity of a task (m/s)."""
    max_velocity: float | None = None
    """Highest velocity of a task (m/s)."""
    velocity_weight: float | None = None
    """Weight of the distance to the velocity in the reward."""
    pays_for_missing: bool | None = None
    """Whether that distance is rewarded, as ProMP's code has it, and not charged."""
    mass_center: bool | None = None
    """Whether velocity is that of the centre of mass, whose place (x, y, z) then ends the observation, which begins
    with all positions; otherwise it is the front's, whose velocity is its displacement in the step over the step's
    duration, and x and y are not seen."""
    reset_law: Literal["uniform", "normal"] | None = None
    """Law of the initial positions and velocities around the model's pose at rest."""
    reset_position: float | None = None
    """Bound, or standard deviation, of the initial positions (m, rad)."""
    reset_velocity: float | None = None
    """Bound, or standard deviation, of the initial velocities (m/s, rad/s)."""


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

    Observation: the heading and the two joints (3) and all velocities (5); in the variant `maml` x, y, these (10), and
    the centre of mass (3).
    """

    Config = SwimmerVelConfig
    variants = VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: SwimmerVelConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = _resolve(config or SwimmerVelConfig())
        low, high = options.min_velocity, options.max_velocity
        model = load_model(XML, timestep=options.timestep, edit=sense_mass_center if options.mass_center else None)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            model=model,
            frame_skip=options.frame_skip,
            horizon=options.horizon,
            task_distribution=TaskDistribution(velocity=Uniform(low, high)),
            outside_distribution=TaskDistribution(velocity=Uniform(high, 2 * high - low)),
            observation_size=13 if options.mass_center else 8,
            action_scale=options.action_scale,
            clip_actions=options.clip_actions,
            threads=threads,
        )
        if options.mass_center:
            self._mass_center = self.batch.bind("subtree_com")[:, model.body("torso").id]  # [num_envs, 3]
            self._mass_center_velocity = self.batch.bind("sensordata")  # [num_envs, 3]

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Noise around the model's pose, and around rest; nv = nq."""
        shape = (self.lanes_per_task, self.model.nq)
        noise = (
            rng.uniform(-1.0, 1.0, (2, *shape)) if self.config.reset_law == "uniform" else rng.normal(size=(2, *shape))
        )
        return self.model.qpos0 + self.config.reset_position * noise[0], self.config.reset_velocity * noise[1]

    def observe(self) -> np.ndarray:
        """Positions, velocities, and the place of the centre of mass."""
        if self.config.mass_center:
            return np.concatenate([self.qpos, self.qvel, self._mass_center], axis=1)
        return np.concatenate([self.qpos[:, 2:], self.qvel], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The distance to the task's velocity and the cost of the controls."""
        if self.config.mass_center:
            velocity = self._mass_center_velocity[:, 0]
        else:
            velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
        distance = self.config.velocity_weight * np.abs(velocity - self.lane_tasks["velocity"])
        cost = self.config.control_cost * np.einsum("na,na->n", controls, controls)
        reward = (distance if self.config.pays_for_missing else -distance) - cost
        return reward, {"velocity": velocity, "control_cost": cost}


def _resolve(config: SwimmerVelConfig) -> Any:
    return resolve(
        config,
        VARIANTS,
        positive=("timestep", "frame_skip", "action_scale"),
        nonnegative=("velocity_weight", "control_cost", "reset_position", "reset_velocity"),
    )
