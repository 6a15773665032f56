"""Hopper with random dynamics (`HopperParams`), from rand_param_envs; PEARL, VariBAD and ProMP reported on it.

With v the root's displacement along x in a step over the step's duration (m/s) and a the controls in [-1, 1]^3,
the reward is v + 1 - 0.001 Σ a², and the episode ends when the hopper falls. The model is Gymnasium's hopper.xml.
"""

from typing import Any

import numpy as np

from envs.contract.config import OTHER_TASKS
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion import robot
from envs.families.locomotion.random_parameters import random_parameters
from envs.families.locomotion.walker import PARAMS_VARIANTS, WalkerParamsConfig, earning, see


class HopperParams(MujocoTasks):
    """Hop forwards with mass, inertia, damping and friction of one's own: the walker's tasks on another body.

    Task parameters: the factors `mass` [5], `inertia` [5, 3], `damping` [6] and `friction` [5, 3], 41 in all; those
    of the world's mass and the root's damping multiply 0.
    """

    Config, variants, remarks = WalkerParamsConfig, PARAMS_VARIANTS, {"pearl": OTHER_TASKS}
    initial_state, observe, reward = robot.start_uniform, see, earning(robot.forwards)

    def define(self, options: Any) -> dict[str, Any]:
        return robot.definition(options, "hopper.xml", **random_parameters(options))

    def terminated(self) -> np.ndarray:
        """Whether the torso fell or leans over, or a joint's angle or velocity is beyond all measure."""
        height, pitch = self.qpos[:, 1], self.qpos[:, 2]
        state = np.concatenate([self.qpos[:, 2:], self.qvel], axis=1)
        return ~((height > 0.7) & (np.abs(pitch) < 0.2) & (np.abs(state) < 100.0).all(axis=1))
