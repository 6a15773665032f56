"""Task distributions for meta-reinforcement learning, as vector environments: numpy, MuJoCo and Gymnasium, no torch.

env = envs.make("half-cheetah-vel", num_tasks=40, lanes_per_task=20)     # a gymnasium.vector.VectorEnv, 800 lanes
"""

from typing import TYPE_CHECKING, Any

from envs.base import InputError, NonFiniteError, TaskEnv, Tasks
from envs.registry import make, names

if TYPE_CHECKING:
    from envs.mujoco_tasks import MujocoTasks

__all__ = ["InputError", "MujocoTasks", "NonFiniteError", "TaskEnv", "Tasks", "make", "names"]


def __getattr__(name: str) -> Any:
    """`envs.MujocoTasks` imports the simulator when it is first asked for, so that listing names stays quick."""
    if name == "MujocoTasks":
        from envs.mujoco_tasks import MujocoTasks

        return MujocoTasks
    raise AttributeError(f"module 'envs' has no attribute '{name}'")
