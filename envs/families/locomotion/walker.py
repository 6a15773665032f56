"""Walker2d tasks: walk in a direction (`WalkerDir`), at a velocity (`WalkerVel`), or with random dynamics
(`WalkerParams`).

With v the root's displacement along x in a step over the step's duration (m/s) and a the controls in [-1, 1]^A,
the reward is

    direction * v + bonus - cost * Σ a²      bonus - |v - velocity| - cost * Σ a²      v + bonus - cost * Σ a²

and the episode ends when the walker falls. Sources: ProMP (Rothfuss et al. 2019) for all three, rand_param_envs
for the third, on which PEARL and VariBAD also reported. The model is Gymnasium's older walker2d.xml, whose right
foot has half the friction of its left: the field published on that one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.contract.config import OTHER_TASKS, RAW_COST, RobotConfig, resolve
from envs.contract.tasks import Choice, TaskDistribution, Uniform
from envs.engine.dynamics import RandomParametersConfig, random_parameters
from envs.engine.mujoco_tasks import MujocoTasks, load_model

ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"


@dataclass(frozen=True)
class WalkerConfig(RobotConfig):
    """The options of every walker; what is None comes from the variant."""

    bonus: float | None = None
    """What every step adds to the reward."""
    reset_noise: float | None = None
    """Bound of the uniform noise on the initial joint positions (m, rad) and velocities (m/s, rad/s)."""


@dataclass(frozen=True)
class WalkerVelConfig(WalkerConfig):
    """The options of WalkerVel; what is None comes from the variant."""

    min_velocity: float | None = None
    """Lowest velocity of a task (m/s)."""
    max_velocity: float | None = None
    """Highest velocity of a task (m/s)."""


@dataclass(frozen=True)
class WalkerParamsConfig(WalkerConfig, RandomParametersConfig):
    """The options of WalkerParams and HopperParams; what is None comes from the variant."""


PROMP: dict[str, Any] = {
    "horizon": 200,
    "timestep": 0.002,
    "frame_skip": 8,
    "action_scale": 10.0,  # actions in ±10 divided by 10: a policy of standard deviation 1 explores with 0.1
    "control_cost": 0.001,
    "bonus": 1.0,
    "reset_noise": 0.005,
}
DIR_VARIANTS: dict[str, dict[str, Any]] = {"metarl": PROMP, "promp": PROMP}
VEL_VARIANTS: dict[str, dict[str, Any]] = {
    # ProMP's 10 m/s is beyond any walker. The bonus exceeds what standing loses, or else falling would pay.
    "metarl": PROMP | {"bonus": 5.0, "min_velocity": 0.0, "max_velocity": 3.0},
    "promp": PROMP | {"bonus": 15.0, "min_velocity": 0.0, "max_velocity": 10.0},
}
# The same step of 0.016 s, from rand_param_envs' coarser physics.
RAND_PARAMS = PROMP | {"timestep": 0.004, "frame_skip": 4, "largest_exponent": 3.0, "set_const": False}
PARAMS_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": RAND_PARAMS | {"set_const": True},
    "promp": RAND_PARAMS,
    "pearl": RAND_PARAMS | {"action_scale": 1.0, "train_tasks": 40, "test_tasks": 10},
    "varibad": RAND_PARAMS | RAW_COST | {"action_scale": 1.0},
}


class Walker(MujocoTasks):
    """What all families of planar walkers share: all but the tasks and what they reward.

    Observation: joint positions but for x, and joint velocities clipped at 10.
    """

    xml: ClassVar[Path] = ASSETS / "walker2d.xml"

    def __init__(self, num_tasks: int, lanes_per_task: int, options: Any, *, threads: int, **tasks: Any) -> None:
        """`options` is a resolved config; `tasks` are MujocoTasks' arguments that say what tasks are."""
        model = load_model(self.xml, timestep=options.timestep)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            model=model,
            frame_skip=options.frame_skip,
            horizon=options.horizon,
            observation_size=model.nq - 1 + model.nv,
            action_scale=options.action_scale,
            clip_actions=options.clip_actions,
            threads=threads,
            **tasks,
        )

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """The reward but for bonus and control cost, [num_envs], at the given velocities along x: they themselves."""
        return velocity

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Uniform noise around the model's positions, and around rest; nv = nq."""
        noise = self.config.reset_noise
        qpos, qvel = rng.uniform(-noise, noise, (2, self.lanes_per_task, self.model.nq))
        return self.model.qpos0 + qpos, qvel

    def observe(self) -> np.ndarray:
        """Positions and velocities."""
        return np.concatenate([self.qpos[:, 1:], np.clip(self.qvel, -10.0, 10.0)], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The task's reward for the velocity and the bonus, less the cost of the controls."""
        velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
        cost = self.config.control_cost * np.einsum("na,na->n", controls, controls)
        return self.task_reward(velocity) + self.config.bonus - cost, {"velocity": velocity, "control_cost": cost}

    def terminated(self) -> np.ndarray:
        """Whether the torso left its heights or leans over."""
        height, pitch = self.qpos[:, 1], self.qpos[:, 2]
        return ~((height > 0.8) & (height < 2.0) & (np.abs(pitch) < 1.0))


class WalkerDir(Walker):
    """Walk forwards or backwards. Task parameter: `direction`, 1 or -1."""

    Config = WalkerConfig
    variants = DIR_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: WalkerConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_walker(config or WalkerConfig(), DIR_VARIANTS)
        tasks = TaskDistribution(direction=Choice((-1.0, 1.0)))
        super().__init__(num_tasks, lanes_per_task, options, task_distribution=tasks, threads=threads)

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Velocity in the task's direction."""
        return self.lane_tasks["direction"] * velocity


class WalkerVel(Walker):
    """Walk at a velocity. Task parameter: `velocity`, m/s."""

    Config = WalkerVelConfig
    variants = VEL_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: WalkerVelConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_walker(config or WalkerVelConfig(), VEL_VARIANTS)
        low, high = options.min_velocity, options.max_velocity
        tasks = TaskDistribution(velocity=Uniform(low, high))
        super().__init__(num_tasks, lanes_per_task, options, task_distribution=tasks, threads=threads)

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """Minus the distance to the task's velocity."""
        return -np.abs(velocity - self.lane_tasks["velocity"])


class WalkerParams(Walker):
    """Walk forwards with mass, inertia, damping and friction of one's own.

    Task parameters: the factors `mass` [8], `inertia` [8, 3], `damping` [9] and `friction` [8, 3], 65 in all; those
    of the world's mass and the root's damping multiply 0.
    """

    Config = WalkerParamsConfig
    variants = PARAMS_VARIANTS
    remarks: ClassVar = {"pearl": OTHER_TASKS}

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: WalkerParamsConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_walker(config or WalkerParamsConfig(), PARAMS_VARIANTS)
        super().__init__(num_tasks, lanes_per_task, options, threads=threads, **random_parameters(options))


def resolve_walker(config: WalkerConfig, variants: dict[str, dict[str, Any]]) -> Any:
    """The config with every option filled. Raises: InputError on an impossible one."""
    return resolve(
        config,
        variants,
        positive=("timestep", "frame_skip", "action_scale"),
        nonnegative=("control_cost", "bonus", "reset_noise", "largest_exponent"),
    )
