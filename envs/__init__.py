"""Task distributions for meta-reinforcement learning, as vector environments on numpy, MuJoCo and Gymnasium.

`envs.make("half-cheetah-vel", num_tasks=40, lanes_per_task=20)` is a `gymnasium.vector.VectorEnv` with 800
lanes; `gymnasium.make("metarl/HalfCheetahVel-v0")` is one of them as a plain `gymnasium.Env`, and `make_vec` many of
them that reset themselves.
"""

import importlib
from typing import TYPE_CHECKING, Any

from envs.adapters.gymnasium_tasks import gymnasium_tasks
from envs.adapters.single import SingleTask
from envs.adapters.vector import VectorTasks
from envs.contract.base import TaskEnv
from envs.contract.definition import Outcome
from envs.contract.errors import InputError, NonFiniteError
from envs.contract.tasks import Choice, Dirichlet, LogUniform, Normal, TaskDistribution, TaskList, Tasks, Uniform
from envs.registry import make, names, register_all

if TYPE_CHECKING:
    from envs.engine.disturbances import Bias, Delay, Noise, PacketLoss, Push
    from envs.engine.dynamics import Scale, Set, Shift
    from envs.engine.models import Servos, load_model
    from envs.engine.mujoco_tasks import MujocoTasks
    from envs.engine.schedule import Becomes

__all__ = [
    "Becomes", "Bias", "Choice", "Delay", "Dirichlet", "InputError", "LogUniform", "MujocoTasks", "Noise",
    "NonFiniteError", "Normal", "Outcome", "PacketLoss", "Push", "Scale", "Servos", "Set", "Shift", "SingleTask",
    "TaskDistribution", "TaskEnv", "TaskList", "Tasks", "Uniform", "VectorTasks", "gymnasium_tasks", "load_model",
    "make", "names",
]  # fmt: skip
SIMULATION = dict.fromkeys(("Scale", "Set", "Shift"), "dynamics") | {
    "MujocoTasks": "mujoco_tasks",
    "Becomes": "schedule",
}
SIMULATION |= dict.fromkeys(("Bias", "Delay", "Noise", "PacketLoss", "Push"), "disturbances")
SIMULATION |= dict.fromkeys(("Servos", "load_model"), "models") | {"MujocoTasks": "mujoco_tasks", "Becomes": "schedule"}


def __getattr__(name: str) -> Any:
    """Import the simulator when one of its names is first asked for: listing environments stays quick."""
    if name in SIMULATION:
        return getattr(importlib.import_module(f"envs.engine.{SIMULATION[name]}"), name)
    raise AttributeError(f"module 'envs' has no attribute '{name}'")


register_all()
