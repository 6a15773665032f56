"""Ant tasks: run forwards or backwards (`AntDir`), along an angle (`AntAngle`), at a velocity (`AntVel`), to a
place (`AntGoal`).

With v the velocity in the plane (m/s), p the place (m), a the controls in [-1, 1]^8 and f the forces that contacts
exert on the bodies (`cfrc_ext`, each clipped to [-1, 1]), the reward is

    task + survive_bonus - control_cost * Σ a² - contact_cost * Σ f²

    task = direction * v_x  |  v_x cos(angle) + v_y sin(angle)  |  1 - |v_x - velocity|  |  goal_reward - ‖p - goal‖₁

(Finn et al. 2017, MAML; Rothfuss et al. 2019, ProMP; Rakelly et al. 2019, PEARL). The sources differ in every
coefficient, in what is seen and in what ends an episode: see `ant_variants.py`. The model is Gymnasium's ant.xml,
in the variant `maml` too, which takes only its timestep, coefficients and first pose from rllab.

Contact forces are those of the state after the step, under its controls. (With mujoco-py 2 they were 0, so in
VariBAD's published AntGoal: `contact_cost=0`, and a blind part of the observation.)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envs.contract.config import OTHER_TASKS, SAME_TASKS
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion.ant_variants import (
    ANGLE_VARIANTS,
    DIR_VARIANTS,
    GOAL_VARIANTS,
    VEL_VARIANTS,
    AntConfig,
    AntDirConfig,
    AntGoalConfig,
    AntVelConfig,
)
from envs.families.locomotion.robot import (
    TORSO,
    Reward,
    along,
    control_cost,
    left_its_heights,
    planar_velocity,
    robot,
    start_around,
)


def ant(options: Any, **tasks: Any) -> dict[str, Any]:
    """The definition of an ant with these tasks."""
    return robot(
        options,
        "ant.xml",
        mass_center=options.mass_center,
        forces=options.observe_contacts or options.contact_cost > 0,
        fields=["xmat"] * options.observe_frame,
        **tasks,
    )


def start(env: MujocoTasks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise around the first pose, and around rest."""
    return start_around(env, rng, env.model.numeric("init_qpos").data if env.config.bent_legs else env.model.qpos0)


def place(env: MujocoTasks) -> np.ndarray:
    """Where the ants are, [num_envs, 3] (m)."""
    return env.fields["subtree_com"][:, TORSO] if env.config.mass_center else env.qpos[:, :3]


def clipped_forces(env: MujocoTasks) -> np.ndarray:
    """What contacts exert on the bodies, [num_envs, 84]."""
    return np.clip(env.fields["cfrc_ext"].reshape(env.num_envs, -1), -1.0, 1.0)


def see(env: MujocoTasks) -> np.ndarray:
    """The torso's x and y (2), the other positions (13), velocities (14), clipped contact forces (84), and the torso's
    rotation matrix (9) and place (3); the first and the last two only if asked for."""
    parts = [env.qpos if env.config.observe_place else env.qpos[:, 2:], env.qvel]
    if env.config.observe_contacts:
        parts.append(clipped_forces(env))
    if env.config.observe_frame:
        parts += [env.fields["xmat"].reshape(env.num_envs, -1, 9)[:, TORSO], place(env)]
    return np.concatenate(parts, axis=1)


def pay(env: MujocoTasks, controls: np.ndarray, task_reward: np.ndarray, velocity: np.ndarray) -> Reward:
    """The task's reward and the bonus, less the costs of the controls and of the contacts."""
    cost = control_cost(env, controls)
    reward = task_reward + env.config.survive_bonus - cost
    terms = {"x_velocity": velocity[:, 0], "y_velocity": velocity[:, 1]}
    terms |= {"task_reward": task_reward, "control_cost": cost}
    if env.config.contact_cost > 0:
        forces = clipped_forces(env)
        terms["contact_cost"] = env.config.contact_cost * np.einsum("nf,nf->n", forces, forces)
        reward -= terms["contact_cost"]
    return reward, terms


class AntDir(MujocoTasks):
    """Run forwards or backwards. Task parameter: `direction`, 1 or -1; in the variant `varibad`, an angle in rad."""

    Config, variants = AntDirConfig, DIR_VARIANTS
    remarks: ClassVar = {"pearl": SAME_TASKS}
    initial_state, observe, terminated = start, see, left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, task_distribution=TaskDistribution(direction=Choice((-1.0, 1.0))))

    def reward(self, controls: np.ndarray) -> Reward:
        direction, velocity = self.lane_tasks["direction"], planar_velocity(self)
        radians = self.config.direction_in_radians
        return pay(self, controls, along(direction, velocity) if radians else direction * velocity[:, 0], velocity)


class AntAngle(MujocoTasks):
    """Run along an angle. Task parameter: `angle` from the x axis, rad."""

    Config, variants = AntConfig, ANGLE_VARIANTS
    remarks: ClassVar = {"pearl": f"{SAME_TASKS}; {OTHER_TASKS}"}
    initial_state, observe, terminated = start, see, left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, task_distribution=TaskDistribution(angle=Uniform(0.0, 2 * np.pi)))

    def reward(self, controls: np.ndarray) -> Reward:
        velocity = planar_velocity(self)
        return pay(self, controls, along(self.lane_tasks["angle"], velocity), velocity)


class AntVel(MujocoTasks):
    """Run along x at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config, variants = AntVelConfig, VEL_VARIANTS
    initial_state, observe, terminated = start, see, left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        low, high = options.min_velocity, options.max_velocity
        inside, faster = (TaskDistribution(velocity=law) for law in (Uniform(low, high), Uniform(high, high + 1.0)))
        return ant(options, task_distribution=inside, outside_distribution=faster)

    def reward(self, controls: np.ndarray) -> Reward:
        velocity = planar_velocity(self)
        return pay(self, controls, 1.0 - np.abs(velocity[:, 0] - self.lane_tasks["velocity"]), velocity)


class AntGoal(MujocoTasks):
    """Run to a place. Task parameter: `goal` [2], m; outside the training range up to 1 m farther than any."""

    Config, variants = AntGoalConfig, GOAL_VARIANTS
    remarks: ClassVar = {"pearl": OTHER_TASKS}
    initial_state, observe, terminated = start, see, left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        size, disk = options.goal_range, options.goal_shape == "disk"
        farthest = size if disk else np.sqrt(2.0) * size
        return ant(
            options,
            task_distribution=TaskDistribution(goal=Ring(0.0, size) if disk else Uniform(-size, size, (2,))),
            outside_distribution=TaskDistribution(goal=Ring(farthest, farthest + 1.0)),
        )

    def reward(self, controls: np.ndarray) -> Reward:
        away = np.abs(place(self)[:, :2] - self.lane_tasks["goal"])
        return pay(self, controls, self.config.goal_reward - away[:, 0] - away[:, 1], planar_velocity(self))


@dataclass(frozen=True)
class Ring:
    """A law: uniform in the plane between two circles around the origin."""

    inner: float
    outer: float

    def __str__(self) -> str:
        return f"in the plane, {self.inner:g} to {self.outer:g} from the origin"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        angle, radius = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(self.inner**2, self.outer**2))
        return radius * np.array([np.cos(angle), np.sin(angle)])

    def check(self, name: str, values: Any) -> np.ndarray:
        return Uniform(-self.outer, self.outer, (2,)).check(name, values)
