"""HalfCheetah tasks: run forwards or backwards (`HalfCheetahDir`), or at a velocity (`HalfCheetahVel`).

With v the cheetah's velocity along x (m/s) and a its controls in [-1, 1]^6, the reward is

    direction * v - control_cost * Σ a²         or         -|v - velocity| - control_cost * Σ a²

(Finn et al. 2017, MAML) and an episode never terminates. Every project simulates its own cheetah under these
names: `DIR_VARIANTS` and `VEL_VARIANTS` hold the published definitions. The model is Gymnasium's
half_cheetah.xml.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium
import mujoco
import numpy as np

from envs.contract.config import RAW_COST, SAME_TASKS, RobotConfig, resolve
from envs.contract.published_lists import pearl_uniform
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.mujoco_tasks import MujocoTasks, load_model, sense_mass_center

XML = Path(gymnasium.__file__).parent / "envs/mujoco/assets/half_cheetah.xml"


@dataclass(frozen=True)
class HalfCheetahConfig(RobotConfig):
    """The options of every HalfCheetah; what is None comes from the variant."""

    torso_position: bool | None = None
    """Whether the observation ends with the torso's place (x, y, z); x reveals the distance run."""
    mass_center: bool | None = None
    """Whether velocity and torso place are those of the centre of mass; otherwise they are the root's, whose
    velocity is its displacement in the step over the step's duration."""
    reset_law: Literal["uniform", "normal"] | None = None
    """Law of the initial joint positions around those of the model."""
    reset_position: float | None = None
    """Bound, or standard deviation, of the initial joint positions (m, rad)."""
    reset_velocity: float | None = None
    """Standard deviation of the initial joint velocities (m/s, rad/s), which are normal."""


@dataclass(frozen=True)
class HalfCheetahVelConfig(HalfCheetahConfig):
    """The options of HalfCheetahVel; what is None comes from the variant."""

    min_velocity: float | None = None
    """Lowest velocity of a task (m/s)."""
    max_velocity: float | None = None
    """Highest velocity of a task (m/s)."""
    velocities: Literal["uniform", "pearl"] | None = None
    """Law of the velocities between these two: uniform, or one of the 130 that PEARL's code draws from it, 100 to train
    with and the other 30 to test with."""


GYM: dict[str, Any] = {
    "horizon": 200,
    "timestep": 0.01,
    "frame_skip": 5,
    "action_scale": 1.0,
    "control_cost": 0.05,
    "torso_position": True,
    "mass_center": False,
    "reset_law": "uniform",
    "reset_position": 0.1,
    "reset_velocity": 0.1,
}
# rllab's simulation: a step is 0.01 s, so that an episode is 2 s of running instead of 5 or 10.
RLLAB = GYM | {"frame_skip": 1, "mass_center": True, "reset_law": "normal", "reset_position": 0.01}
# Actions in ±10 divided by 10: a policy with standard deviation 1 then explores with 0.1.
SCALED = GYM | {"action_scale": 10.0}

DIR_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": SCALED,
    "maml": RLLAB,
    "deleu": SCALED | {"horizon": 100},
    "promp": SCALED | {"horizon": 100, "torso_position": False},
    "pearl": GYM | {"shared_tasks": True},
    "varibad": GYM | RAW_COST,
    "l2l": GYM | {"horizon": 100},
    "garage": SCALED | {"horizon": 100},
}
UP_TO_2: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 2.0, "velocities": "uniform"}
UP_TO_3: dict[str, Any] = {"min_velocity": 0.0, "max_velocity": 3.0, "velocities": "uniform"}
VEL_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": SCALED | UP_TO_3,
    "maml": RLLAB | UP_TO_2,
    "deleu": SCALED | UP_TO_2 | {"horizon": 100},
    "promp": SCALED | UP_TO_3 | {"horizon": 100, "torso_position": False},
    "pearl": GYM | UP_TO_3 | {"velocities": "pearl"},
    "varibad": GYM | UP_TO_3 | RAW_COST,
    "garage": SCALED | UP_TO_2,
    "amago": GYM | UP_TO_3 | {"horizon": 1000, "torso_position": False},
}


class HalfCheetah(MujocoTasks):
    """What both families share: all but the tasks and what they reward.

    Observation: joint positions but for x (8), joint velocities (9) and, if asked for, the torso's place (3).
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
        """`options` is a resolved config; `tasks` are MujocoTasks' arguments that say what tasks are."""
        edit = sense_mass_center if options.mass_center else None
        model = load_model(XML, timestep=options.timestep, edit=edit)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            model=model,
            frame_skip=options.frame_skip,
            horizon=options.horizon,
            observation_size=20 if options.torso_position else 17,
            action_scale=options.action_scale,
            clip_actions=options.clip_actions,
            threads=threads,
            **tasks,
        )
        torso = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, "torso")
        self._torso_height = model.body_pos[torso, 2]  # where the root joints are at 0
        if options.mass_center:
            self._mass_center = self.batch.bind("subtree_com")[:, torso]  # [num_envs, 3]
            self._mass_center_velocity = self.batch.bind("sensordata")  # [num_envs, 3]

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """The reward but for the control cost, [num_envs], at the given velocities along x."""
        raise NotImplementedError

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Noise around the model's positions, and around rest; nv = nq."""
        width, shape = self.config.reset_position, (self.lanes_per_task, self.model.nq)
        uniform = self.config.reset_law == "uniform"
        noise = rng.uniform(-width, width, shape) if uniform else rng.normal(0.0, width, shape)
        return self.model.qpos0 + noise, rng.normal(0.0, self.config.reset_velocity, shape)

    def observe(self) -> np.ndarray:
        """Positions, velocities, and the torso's place."""
        observation = np.zeros((self.num_envs, self.observation_size))
        observation[:, :8], observation[:, 8:17] = self.qpos[:, 1:], self.qvel
        if self.config.torso_position and self.config.mass_center:
            observation[:, 17:] = self._mass_center
        elif self.config.torso_position:
            # The root slides move the torso itself. MuJoCo's xpos would lag by a physics step.
            observation[:, 17] = self.qpos[:, 0]
            observation[:, 19] = self._torso_height + self.qpos[:, 1]
        return observation

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The task's reward for the velocity, less the cost of the controls."""
        if self.config.mass_center:
            velocity = self._mass_center_velocity[:, 0]
        else:
            velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
        cost = self.config.control_cost * np.einsum("na,na->n", controls, controls)
        return self.task_reward(velocity) - cost, {"velocity": velocity, "control_cost": cost}


class HalfCheetahDir(HalfCheetah):
    """Run forwards or backwards. Task parameter: `direction`, 1 or -1."""

    Config = HalfCheetahConfig
    variants = DIR_VARIANTS
    remarks: ClassVar = {"pearl": SAME_TASKS}

    def __init__(
        self,
        num_tasks: int,
        lanes_per_task: int,
        config: HalfCheetahConfig | None = None,
        *,
        threads: int = 0,
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_half_cheetah(config or HalfCheetahConfig(), DIR_VARIANTS)
        tasks = TaskDistribution(direction=Choice((-1.0, 1.0)))
        super().__init__(num_tasks, lanes_per_task, options, task_distribution=tasks, threads=threads)

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Velocity in the task's direction."""
        return self.lane_tasks["direction"] * velocity


class HalfCheetahVel(HalfCheetah):
    """Run at a velocity. Task parameter: `velocity`, m/s; outside the training range up to 1 m/s faster."""

    Config = HalfCheetahVelConfig
    variants = VEL_VARIANTS

    def __init__(
        self,
        num_tasks: int,
        lanes_per_task: int,
        config: HalfCheetahVelConfig | None = None,
        *,
        threads: int = 0,
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_half_cheetah(config or HalfCheetahVelConfig(), VEL_VARIANTS)
        low, high = options.min_velocity, options.max_velocity
        law = Uniform(low, high)
        train: TaskDistribution = TaskDistribution(velocity=law)
        test: TaskDistribution | None = None
        if options.velocities == "pearl":
            train, test = pearl_uniform("velocity", law, train=100, test=30)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            task_distribution=train,
            test_distribution=test,
            outside_distribution=TaskDistribution(velocity=Uniform(high, high + 1.0)),
            threads=threads,
        )

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Minus the distance to the task's velocity."""
        return -np.abs(velocity - self.lane_tasks["velocity"])


def resolve_half_cheetah(config: HalfCheetahConfig, variants: dict[str, dict[str, Any]]) -> Any:
    """The config with every option filled. Raises: InputError on an impossible one."""
    return resolve(
        config,
        variants,
        positive=("timestep", "frame_skip", "action_scale"),
        nonnegative=("control_cost", "reset_position", "reset_velocity", "largest_exponent"),
    )
