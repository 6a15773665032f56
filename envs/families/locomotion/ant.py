"""Ant tasks: run forwards or backwards (`AntDir`), along an angle (`AntAngle`), at a velocity (`AntVel`), to a
place (`AntGoal`).

The sources differ in every coefficient of the reward, in what is seen and in what ends an episode: see
`ant_variants.py`. The model is Gymnasium's ant.xml, in the variant `maml` too, which takes only its timestep,
coefficients and first pose from rllab.

The forces f that contacts exert on the bodies (`cfrc_ext`, each clipped to [-1, 1]) are those of the state after the
step, under its controls. (With mujoco-py 2 they were 0, so in VariBAD's published AntGoal: `contact_cost=0`, and a
blind part of the observation.)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract.definition import Text, states
from envs.contract.tasks import TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import ant_variants, robot
from envs.families.locomotion.robot import Reward, TaskReward, left_its_heights, planar_velocity


def ant(options: Any, **tasks: Any) -> dict[str, Any]:
    """The definition of an ant with these tasks."""
    return robot.definition(
        options,
        "ant.xml",
        mass_center=options.mass_center,
        forces=options.observe_contacts or options.contact_cost > 0,
        fields=["xmat"] * options.observe_frame,
        **tasks,
    )


def start(env: MujocoTasks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise around the first pose, and around rest."""
    return robot.start_around(
        env, rng, env.model.numeric("init_qpos").data if env.config.bent_legs else env.model.qpos0
    )


def place(env: MujocoTasks) -> np.ndarray:
    """Where the ants are, [num_envs, 3] (m)."""
    return env.fields["subtree_com"][:, robot.TORSO] if env.config.mass_center else env.qpos[:, :3]


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
        parts += [env.fields["xmat"].reshape(env.num_envs, -1, 9)[:, robot.TORSO], place(env)]
    return np.concatenate(parts, axis=1)


def earning(task_reward: TaskReward) -> Any:
    """A family's `reward`: that of its task and the bonus, less the costs of the controls and of the contacts."""

    def reward(env: MujocoTasks, controls: np.ndarray) -> Reward:
        velocity, cost = planar_velocity(env), robot.control_cost(env, controls)
        earned = task_reward(env, velocity)
        terms = {"x_velocity": velocity[:, 0], "y_velocity": velocity[:, 1]}
        terms |= {"task_reward": earned, "control_cost": cost}
        total = earned + env.config.survive_bonus - cost
        if env.config.contact_cost > 0:
            forces = clipped_forces(env)
            terms["contact_cost"] = env.config.contact_cost * np.einsum("nf,nf->n", forces, forces)
            total -= terms["contact_cost"]
        return total, terms

    return reward


def in_direction(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """The velocity in the task's direction."""
    radians = env.config.direction_in_radians
    return robot.along(env.lane_tasks["direction"], velocity) if radians else robot.in_direction(env, velocity)


def along_angle(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """The velocity along the task's angle."""
    return robot.along(env.lane_tasks["angle"], velocity)


def at_velocity(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """1 less the distance to the task's velocity."""
    return 1.0 + robot.at_velocity(env, velocity)


def near_goal(env: MujocoTasks, velocity: np.ndarray) -> np.ndarray:
    """Minus the distance to the goal: the sum of that along x and that along y."""
    away = np.abs(place(env)[:, :2] - env.lane_tasks["goal"])
    return env.config.goal_reward - away[:, 0] - away[:, 1]


def paying(task: Text) -> Any:
    """A family's `summary`, by the task's part of the reward."""
    rest = f" + {{survive_bonus:g}}{robot.CONTROLS} − {{contact_cost:g}}·Σf²"
    return states(lambda options: (task if isinstance(task, str) else task(options)) + rest, robot.heights)


class AntDir(MujocoTasks):
    """Run forwards or backwards. Task parameter: `direction`, 1 or -1; in the variant `varibad`, an angle in rad."""

    Config, variants = ant_variants.AntDirConfig, ant_variants.DIR_VARIANTS
    summary = paying(
        lambda options: robot.ALONG.format("direction") if options.direction_in_radians else "direction·v_x"
    )
    initial_state, observe, reward, terminated = start, see, earning(in_direction), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, **robot.DIRECTIONS)


class AntAngle(MujocoTasks):
    """Run along an angle. Task parameter: `angle` from the x axis, rad."""

    Config, variants, summary = ant_variants.AntConfig, ant_variants.ANGLE_VARIANTS, paying(robot.ALONG.format("angle"))
    initial_state, observe, reward, terminated = start, see, earning(along_angle), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, task_distribution=TaskDistribution(angle=Uniform(0.0, 2 * np.pi)))


class AntVel(MujocoTasks):
    """Run along x at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config, variants, summary = ant_variants.AntVelConfig, ant_variants.VEL_VARIANTS, paying("1 − |v_x − velocity|")
    initial_state, observe, reward, terminated = start, see, earning(at_velocity), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, **robot.velocities(options))


class AntGoal(MujocoTasks):
    """Run to a place. Task parameter: `goal` [2], m; outside the training range up to 1 m farther than any."""

    Config, variants = ant_variants.AntGoalConfig, ant_variants.GOAL_VARIANTS
    summary = paying("−‖p − goal‖₁ + {goal_reward:g}")
    initial_state, observe, reward, terminated = start, see, earning(near_goal), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        size, disk = options.goal_range, options.goal_shape == "disk"
        farthest = size if disk else np.sqrt(2.0) * size
        return ant(
            options,
            task_distribution=TaskDistribution(goal=Ring(0.0, size) if disk else Uniform(-size, size, (2,))),
            outside_distribution=TaskDistribution(goal=Ring(farthest, farthest + 1.0)),
        )


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
