"""HumanoidDir: run forwards or backwards, or along any angle.

The velocity is that of the centre of mass over the step; the controls a are in [-0.4, 0.4]^17. The sources weigh
velocity with 0.25, but divide by the timestep, a fifth of a step's duration: 1.25 per m/s. The model is Gymnasium's
humanoid.xml. Contact forces f (`cfrc_ext`) are those of the state after the step, under its controls; with mujoco-py 2,
as VariBAD ran it, they were 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract import sources
from envs.contract.config import OTHER_TASKS, FamilyConfig, option
from envs.contract.definition import Outcome, states
from envs.contract.sources import Variant, after
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.robot import RAW_COST, Reward, RobotConfig, SurvivalConfig

BODY_FIELDS = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")


@dataclass(frozen=True)
class HumanoidDirConfig(SurvivalConfig, RobotConfig, FamilyConfig):
    """The options; what is None comes from the variant."""

    forward_backward: bool | None = option()
    """Whether angles are 0 or π; otherwise they are uniform in the circle."""
    velocity_weight: float | None = option(least=0)
    """Reward per m/s."""
    contact_limit: float | None = option(least=0)
    """The most that contacts cost in a step."""
    observe_bodies: bool | None = option()
    """Whether the observation goes on after positions and velocities with the bodies' inertias and velocities, the
    joints' torques, and the contact forces."""
    reset_noise: float | None = option(least=0)
    """Bound of the initial positions and velocities around the model's pose at rest, uniform."""


GYM: dict[str, Any] = {"horizon": 200, "timestep": 0.003, "frame_skip": 5, "action_scale": 1.0}
GYM |= {"forward_backward": False, "velocity_weight": 1.25, "survive_bonus": 5.0}
GYM |= {"control_cost": 0.1, "contact_cost": 0.5e-6, "contact_limit": 10.0}
GYM |= {"terminates": True, "min_height": 1.0, "max_height": 2.0, "observe_bodies": True, "reset_noise": 0.01}
# Actions in ±10 divided by 10: a policy with standard deviation 1 then explores with 0.1.
SCALED = GYM | {"action_scale": 10.0}
PROMP, L2L = sources.PROMP / "mujoco_envs", sources.L2L / "mujoco"
BLIND, TWO_WAYS, LISTED = (
    {"contact_cost": 0.0, "observe_bodies": False},
    {"forward_backward": True},
    {"train_tasks": 100, "test_tasks": 30},
)
VARIANTS = {
    "metarl": Variant(SCALED | BLIND, after(PROMP / "humanoid_rand_direc_2d.py")),
    "promp": Variant(SCALED | TWO_WAYS, PROMP / "humanoid_rand_direc.py"),
    "promp-2d": Variant(SCALED, PROMP / "humanoid_rand_direc_2d.py"),
    "pearl": Variant(GYM | LISTED, sources.PEARL / "humanoid_dir.py", OTHER_TASKS),
    "varibad": Variant(GYM | RAW_COST, sources.VARIBAD / "mujoco/humanoid_dir.py"),
    "l2l": Variant(GYM | TWO_WAYS, L2L / "humanoid_forward_backward.py"),
    "l2l-2d": Variant(GYM, L2L / "humanoid_direction.py"),
}


def pays(options: Any) -> str:
    """The reward in words, for the summary."""
    contacts = " − min({contact_cost:g}·Σf², {contact_limit:g})" if options.contact_cost else ""
    return f"{{velocity_weight:g}}·({robot.ALONG.format('angle')}) + {{survive_bonus:g}}{robot.CONTROLS}{contacts}"


class HumanoidDir(MujocoTasks):
    """Run along an angle. Task parameter: `angle` from the x axis, rad.

    Observation: positions but for x and y (22), velocities (23) and, if asked for, the bodies' inertias (14 * 10) and
    velocities (14 * 6), the joints' torques (23) and the contact forces (14 * 6), all of the present state.
    """

    Config, variants, summary = HumanoidDirConfig, VARIANTS, states(pays, robot.heights)
    initial_state, terminated = robot.start_uniform, robot.left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        angle = Choice((0.0, np.pi)) if options.forward_backward else Uniform(0.0, 2 * np.pi)
        return robot.definition(
            options,
            "humanoid.xml",
            forces=options.observe_bodies or options.contact_cost > 0,
            fields=["subtree_com", *BODY_FIELDS[:3] * options.observe_bodies],
            task_distribution=TaskDistribution(angle=angle),
        )

    def build(self) -> None:
        self.mass_center = self.fields["subtree_com"][:, robot.TORSO]  # [num_envs, 3]
        self.mass_center_before = self.mass_center.copy()

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step, remembering where the centres of mass were."""
        self.mass_center_before[...] = self.mass_center
        return super().advance(actions, live)

    def observe(self) -> np.ndarray:
        """Positions, velocities, and the bodies' fields."""
        seen = BODY_FIELDS if self.config.observe_bodies else ()
        bodies = [self.fields[name].reshape(self.num_envs, -1) for name in seen]
        return np.concatenate([self.qpos[:, 2:], self.qvel, *bodies], axis=1)

    def reward(self, controls: np.ndarray) -> Reward:
        """Velocity along the task's angle and the bonus, less the costs of the controls and of the contacts."""
        velocity = robot.along(self.lane_tasks["angle"], (self.mass_center - self.mass_center_before)[:, :2] / self.dt)
        cost = robot.control_cost(self, controls)
        reward = self.config.velocity_weight * velocity + self.config.survive_bonus - cost
        terms = {"velocity": velocity, "control_cost": cost}
        if self.config.contact_cost > 0:
            forces = self.fields["cfrc_ext"].reshape(self.num_envs, -1)
            squares = np.einsum("nf,nf->n", forces, forces)
            terms["contact_cost"] = np.minimum(self.config.contact_cost * squares, self.config.contact_limit)
            reward -= terms["contact_cost"]
        return reward, terms
