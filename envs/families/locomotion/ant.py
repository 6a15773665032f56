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
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import mujoco
import numpy as np

from envs.contract.config import OTHER_TASKS, SAME_TASKS
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks, load_model
from envs.families.locomotion.ant_variants import (
    ANGLE_VARIANTS,
    DIR_VARIANTS,
    GOAL_VARIANTS,
    VEL_VARIANTS,
    AntConfig,
    AntDirConfig,
    AntGoalConfig,
    AntVelConfig,
    resolve_ant,
)

XML = Path(gymnasium.__file__).parent / "envs/mujoco/assets/ant.xml"


class Ant(MujocoTasks):
    """What the families share: all but the tasks and what they reward.

    Observation: the torso's x and y (2), the other positions (13), velocities (14), clipped contact forces (84), and
    the torso's rotation matrix (9) and place (3); the first and the last two only if asked for.
    """

    def __init__(
        self,
        num_tasks: int,
        lanes_per_task: int,
        options: Any,
        *,
        threads: int,
        **tasks: Any,
    ) -> None:
        """`options` is a config from `resolve_ant`; `tasks` are MujocoTasks' arguments that say what tasks are."""
        self._sees_forces = options.observe_contacts or options.contact_cost > 0

        def add_sensors(spec: mujoco.MjSpec) -> None:
            torso = {"objtype": mujoco.mjtObj.mjOBJ_BODY, "objname": "torso"}
            if options.mass_center:
                spec.add_sensor(name="velocity", type=mujoco.mjtSensor.mjSENS_SUBTREELINVEL, **torso)
            if self._sees_forces:  # MuJoCo computes cfrc_ext only where a sensor needs what is computed with it
                spec.add_sensor(name="acceleration", type=mujoco.mjtSensor.mjSENS_FRAMELINACC, **torso)

        model = load_model(XML, timestep=options.timestep, edit=add_sensors)
        kept_positions = model.nq if options.observe_place else model.nq - 2
        size = kept_positions + model.nv + 6 * model.nbody * options.observe_contacts + 12 * options.observe_frame
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            model=model,
            frame_skip=options.frame_skip,
            horizon=options.horizon,
            observation_size=size,
            action_scale=options.action_scale,
            clip_actions=options.clip_actions,
            threads=threads,
            **tasks,
        )
        torso = model.body("torso").id
        self._start = model.numeric("init_qpos").data if options.bent_legs else model.qpos0
        if options.mass_center:
            self._mass_center = self.batch.bind("subtree_com")[:, torso]  # [num_envs, 3]
            self._mass_center_velocity = self.batch.bind("sensordata")[:, :3]  # the first sensor
        if options.observe_frame:
            self._rotation = self.batch.bind("xmat").reshape(self.num_envs, model.nbody, 9)[:, torso]
        if self._sees_forces:
            self._forces = self.batch.bind("cfrc_ext").reshape(self.num_envs, -1)  # [num_envs, nbody * 6]

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """The task's part of the reward, [num_envs], at the given velocities in the plane, [num_envs, 2]."""
        raise NotImplementedError

    def place(self) -> np.ndarray:
        """Where the ants are, [num_envs, 3] (m)."""
        return self._mass_center if self.config.mass_center else self.qpos[:, :3]

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Noise around the first pose, and around rest."""
        width, shape = self.config.reset_position, (self.lanes_per_task, self.model.nq)
        uniform = self.config.reset_law == "uniform"
        noise = rng.uniform(-width, width, shape) if uniform else rng.normal(0.0, width, shape)
        return self._start + noise, rng.normal(0.0, self.config.reset_velocity, (self.lanes_per_task, self.model.nv))

    def observe(self) -> np.ndarray:
        """Positions, velocities, contact forces, and the torso's frame."""
        parts = [self.qpos if self.config.observe_place else self.qpos[:, 2:], self.qvel]
        if self.config.observe_contacts:
            parts.append(np.clip(self._forces, -1.0, 1.0))
        if self.config.observe_frame:
            parts += [self._rotation, self.place()]
        return np.concatenate(parts, axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The task's reward and the bonus, less the costs of the controls and of the contacts."""
        if self.config.mass_center:
            velocity = self._mass_center_velocity[:, :2]
        else:
            velocity = (self.qpos[:, :2] - self.qpos_before[:, :2]) / self.dt
        task_reward = self.task_reward(velocity)
        control_cost = self.config.control_cost * np.einsum("na,na->n", controls, controls)
        reward = task_reward + self.config.survive_bonus - control_cost
        terms = {"x_velocity": velocity[:, 0], "y_velocity": velocity[:, 1]}
        terms |= {"task_reward": task_reward, "control_cost": control_cost}
        if self.config.contact_cost > 0:
            forces = np.clip(self._forces, -1.0, 1.0)
            terms["contact_cost"] = self.config.contact_cost * np.einsum("nf,nf->n", forces, forces)
            reward -= terms["contact_cost"]
        return reward, terms

    def terminated(self) -> np.ndarray:
        """Whether the torso is too low or too high."""
        if not self.config.terminates:
            return super().terminated()
        height = self.qpos[:, 2]
        return (height < self.config.min_height) | (height > self.config.max_height)


class AntDir(Ant):
    """Run forwards or backwards. Task parameter: `direction`, 1 or -1; in the variant `varibad`, an angle in rad."""

    Config = AntDirConfig
    variants = DIR_VARIANTS
    remarks: ClassVar = {"pearl": SAME_TASKS}

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntDirConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntDirConfig(), DIR_VARIANTS)
        tasks = TaskDistribution(direction=Choice((-1.0, 1.0)))
        super().__init__(num_tasks, lanes_per_task, options, task_distribution=tasks, threads=threads)

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Velocity in the task's direction."""
        direction = self.lane_tasks["direction"]
        return _along(direction, velocity) if self.config.direction_in_radians else direction * velocity[:, 0]


class AntAngle(Ant):
    """Run along an angle. Task parameter: `angle` from the x axis, rad."""

    Config = AntConfig
    variants = ANGLE_VARIANTS
    remarks: ClassVar = {"pearl": f"{SAME_TASKS}; {OTHER_TASKS}"}

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntConfig(), ANGLE_VARIANTS)
        tasks = TaskDistribution(angle=Uniform(0.0, 2 * np.pi))
        super().__init__(num_tasks, lanes_per_task, options, task_distribution=tasks, threads=threads)

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Velocity along the task's angle."""
        return _along(self.lane_tasks["angle"], velocity)


class AntVel(Ant):
    """Run along x at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config = AntVelConfig
    variants = VEL_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntVelConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntVelConfig(), VEL_VARIANTS)
        low, high = options.min_velocity, options.max_velocity
        tasks = TaskDistribution(velocity=Uniform(low, high))
        faster = TaskDistribution(velocity=Uniform(high, high + 1.0))
        super().__init__(
            num_tasks, lanes_per_task, options, task_distribution=tasks, outside_distribution=faster, threads=threads
        )

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """1 less the distance to the task's velocity."""
        return 1.0 - np.abs(velocity[:, 0] - self.lane_tasks["velocity"])


class AntGoal(Ant):
    """Run to a place. Task parameter: `goal` [2], m; outside the training range up to 1 m farther than any."""

    Config = AntGoalConfig
    variants = GOAL_VARIANTS
    remarks: ClassVar = {"pearl": OTHER_TASKS}

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntGoalConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntGoalConfig(), GOAL_VARIANTS)
        size, disk = options.goal_range, options.goal_shape == "disk"
        tasks = TaskDistribution(goal=Ring(0.0, size) if disk else Uniform(-size, size, (2,)))
        farthest = size if disk else np.sqrt(2.0) * size
        farther = TaskDistribution(goal=Ring(farthest, farthest + 1.0))
        super().__init__(
            num_tasks, lanes_per_task, options, task_distribution=tasks, outside_distribution=farther, threads=threads
        )

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Minus the distance to the goal: the sum of that along x and that along y."""
        away = np.abs(self.place()[:, :2] - self.lane_tasks["goal"])
        return self.config.goal_reward - away[:, 0] - away[:, 1]


@dataclass(frozen=True)
class Ring:
    """A law: uniform in the plane between two circles around the origin."""

    inner: float
    outer: float

    def __str__(self) -> str:
        return f"in the plane, {self.inner:g} to {self.outer:g} from the origin"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One task's value, [2]."""
        angle, radius = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(self.inner**2, self.outer**2))
        return radius * np.array([np.cos(angle), np.sin(angle)])

    def check(self, name: str, values: Any) -> np.ndarray:
        """Pairs of finite numbers."""
        return Uniform(-self.outer, self.outer, (2,)).check(name, values)


def _along(angle: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    return np.cos(angle) * velocity[:, 0] + np.sin(angle) * velocity[:, 1]
