"""HumanoidDir: run forwards or backwards, or along any angle.

With v the velocity of the centre of mass in the plane over the step (m/s), u the controls in [-0.4, 0.4]^17 and f the
forces that contacts exert on the bodies (`cfrc_ext`), the reward is

    velocity_weight * (v_x cos(angle) + v_y sin(angle)) + survive_bonus
        - control_cost * Σ u² - min(contact_cost * Σ f², contact_limit)

(Rothfuss et al. 2019, ProMP; Rakelly et al. 2019, PEARL). The sources weigh velocity with 0.25, but divide by the
timestep, a fifth of a step's duration: 1.25 per m/s. The model is Gymnasium's humanoid.xml. Contact forces are those of
the state after the step, under its controls; with mujoco-py 2, as VariBAD ran it, they were 0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import mujoco
import numpy as np

from envs.contract.base import Outcome
from envs.contract.config import OTHER_TASKS, RAW_COST, RobotConfig, resolve
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks, load_model

XML = Path(gymnasium.__file__).parent / "envs/mujoco/assets/humanoid.xml"
BODY_FIELDS = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")


@dataclass(frozen=True)
class HumanoidDirConfig(RobotConfig):
    """The options; what is None comes from the variant."""

    forward_backward: bool | None = None
    """Whether angles are 0 or π; otherwise they are uniform in the circle."""
    velocity_weight: float | None = None
    """Reward per m/s."""
    survive_bonus: float | None = None
    """Reward of every step."""
    contact_cost: float | None = None
    """Weight of the squared contact forces in the reward."""
    contact_limit: float | None = None
    """The most that contacts cost in a step."""
    terminates: bool | None = None
    """Whether an episode ends where the torso leaves the heights below."""
    min_height: float | None = None
    """Lowest healthy height of the torso (m)."""
    max_height: float | None = None
    """Highest healthy height of the torso (m)."""
    observe_bodies: bool | None = None
    """Whether the observation goes on after positions and velocities with the bodies' inertias and velocities, the
    joints' torques, and the contact forces."""
    reset_noise: float | None = None
    """Bound of the initial positions and velocities around the model's pose at rest, uniform."""


GYM: dict[str, Any] = {
    "horizon": 200,
    "forward_backward": False,
    "timestep": 0.003,
    "frame_skip": 5,
    "action_scale": 1.0,
    "velocity_weight": 1.25,
    "survive_bonus": 5.0,
    "control_cost": 0.1,
    "contact_cost": 0.5e-6,
    "contact_limit": 10.0,
    "terminates": True,
    "min_height": 1.0,
    "max_height": 2.0,
    "observe_bodies": True,
    "reset_noise": 0.01,
}
# Actions in ±10 divided by 10: a policy with standard deviation 1 then explores with 0.1.
SCALED = GYM | {"action_scale": 10.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": SCALED | {"contact_cost": 0.0, "observe_bodies": False},
    "promp": SCALED | {"forward_backward": True},
    "promp-2d": SCALED,
    "pearl": GYM | {"train_tasks": 100, "test_tasks": 30},
    "varibad": GYM | RAW_COST,
    "l2l": GYM | {"forward_backward": True},
    "l2l-2d": GYM,
}


class HumanoidDir(MujocoTasks):
    """Run along an angle. Task parameter: `angle` from the x axis, rad.

    Observation: positions but for x and y (22), velocities (23) and, if asked for, the bodies' inertias (14 * 10) and
    velocities (14 * 6), the joints' torques (23) and the contact forces (14 * 6), all of the present state.
    """

    Config = HumanoidDirConfig
    variants = VARIANTS
    remarks: ClassVar = {"pearl": OTHER_TASKS}

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: HumanoidDirConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = _resolve(config or HumanoidDirConfig())
        self._sees_forces = options.observe_bodies or options.contact_cost > 0
        model = load_model(XML, timestep=options.timestep, edit=_sense_acceleration if self._sees_forces else None)
        angle = Choice((0.0, np.pi)) if options.forward_backward else Uniform(0.0, 2 * np.pi)
        kept = model.nq - 2 + model.nv
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            model=model,
            frame_skip=options.frame_skip,
            horizon=options.horizon,
            task_distribution=TaskDistribution(angle=angle),
            observation_size=kept + ((10 + 6 + 6) * model.nbody + model.nv) * options.observe_bodies,
            action_scale=options.action_scale,
            clip_actions=options.clip_actions,
            threads=threads,
        )
        self._mass_center = self.batch.bind("subtree_com")[:, model.body("torso").id]  # [num_envs, 3]
        self._mass_center_before = self._mass_center.copy()
        if options.observe_bodies:
            self._body_fields = [self.batch.bind(name).reshape(self.num_envs, -1) for name in BODY_FIELDS]
        if self._sees_forces:
            self._forces = self.batch.bind("cfrc_ext").reshape(self.num_envs, -1)  # [num_envs, nbody * 6]

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Uniform noise around the model's pose and around rest."""
        width, copies = self.config.reset_noise, self.lanes_per_task
        qpos = self.model.qpos0 + rng.uniform(-width, width, (copies, self.model.nq))
        return qpos, rng.uniform(-width, width, (copies, self.model.nv))

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step, remembering where the centres of mass were."""
        self._mass_center_before[...] = self._mass_center
        return super().advance(actions, live)

    def observe(self) -> np.ndarray:
        """Positions, velocities, and the bodies' fields."""
        parts = [self.qpos[:, 2:], self.qvel]
        return np.concatenate(parts + self._body_fields if self.config.observe_bodies else parts, axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Velocity along the task's angle and the bonus, less the costs of the controls and of the contacts."""
        velocity = (self._mass_center - self._mass_center_before)[:, :2] / self.dt
        angle = self.lane_tasks["angle"]
        along = np.cos(angle) * velocity[:, 0] + np.sin(angle) * velocity[:, 1]
        control_cost = self.config.control_cost * np.einsum("na,na->n", controls, controls)
        reward = self.config.velocity_weight * along + self.config.survive_bonus - control_cost
        terms = {"velocity": along, "control_cost": control_cost}
        if self.config.contact_cost > 0:
            squares = np.einsum("nf,nf->n", self._forces, self._forces)
            terms["contact_cost"] = np.minimum(self.config.contact_cost * squares, self.config.contact_limit)
            reward -= terms["contact_cost"]
        return reward, terms

    def terminated(self) -> np.ndarray:
        """Whether the torso is too low or too high."""
        if not self.config.terminates:
            return super().terminated()
        height = self.qpos[:, 2]
        return (height < self.config.min_height) | (height > self.config.max_height)


def _resolve(config: HumanoidDirConfig) -> Any:
    return resolve(
        config,
        VARIANTS,
        positive=("timestep", "frame_skip", "action_scale"),
        nonnegative=("velocity_weight", "control_cost", "contact_cost", "contact_limit", "reset_noise"),
    )


def _sense_acceleration(spec: mujoco.MjSpec) -> None:
    """MuJoCo computes cfrc_ext only where a sensor needs what is computed with it."""
    spec.add_sensor(
        name="acceleration",
        type=mujoco.mjtSensor.mjSENS_FRAMELINACC,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname="torso",
    )
