"""Task distributions for meta-reinforcement learning, as vector environments on numpy, MuJoCo and Gymnasium.

`envs.make("half-cheetah-vel", num_tasks=40, lanes_per_task=20)` is a `gymnasium.vector.VectorEnv` with 800
lanes.
"""

from typing import TYPE_CHECKING, Any

from envs.base import TaskEnv
from envs.errors import InputError, NonFiniteError
from envs.registry import make, names
from envs.tasks import Choice, LogUniform, TaskDistribution, Tasks, Uniform

if TYPE_CHECKING:
    from envs.mujoco_tasks import MujocoTasks, load_model

__all__ = [
    "Choice",
    "InputError",
    "LogUniform",
    "MujocoTasks",
    "NonFiniteError",
    "TaskDistribution",
    "TaskEnv",
    "Tasks",
    "Uniform",
    "load_model",
    "make",
    "names",
]


def __getattr__(name: str) -> Any:
    """Import the simulator when one of its names is first asked for: listing environments stays quick."""
    if name in ("MujocoTasks", "load_model"):
        from envs import mujoco_tasks

        return getattr(mujoco_tasks, name)
    raise AttributeError(f"module 'envs' has no attribute '{name}'")
