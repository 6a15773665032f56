"""Ants that run forwards with a body of their own: `AntParams` has a factor for each number of mass, inertia, damping
and friction, `AntCripple` a leg that is dead and short.
"""

from typing import Any

import numpy as np

from envs.contract.tasks import Choice, TaskDistribution, Tasks, require_number
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.locomotion.ant import ant, earning, paying, see, start
from envs.families.locomotion.ant_variants import CRIPPLE_VARIANTS, PARAMS_VARIANTS, AntConfig, AntParamsConfig
from envs.families.locomotion.random_parameters import random_parameters
from envs.families.locomotion.robot import forwards, left_its_heights


class AntParams(MujocoTasks):
    """Task parameters: the factors `mass` [14], `inertia` [14, 3], `damping` [14] and `friction` [14, 3]."""

    Config, variants, summary = AntParamsConfig, PARAMS_VARIANTS, paying("v_x")
    initial_state, observe, reward, terminated = start, see, earning(forwards), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        return ant(options, **random_parameters(options))


class AntCripple(MujocoTasks):
    """Task parameter: `leg`, the number of the crippled one; leg 3 is held out for tests.

    Its two motors are dead; the capsules of its upper and lower part have half their size, and the lower one lies where
    the upper one would in the ankle's frame. Its masses stay.
    """

    Config, variants, summary = AntConfig, CRIPPLE_VARIANTS, paying("v_x")
    initial_state, observe, reward, terminated = start, see, earning(forwards), left_its_heights

    def define(self, options: Any) -> dict[str, Any]:
        train, test = TaskDistribution(leg=Choice((0, 1, 2))), TaskDistribution(leg=Choice((3,)))
        return ant(options, task_distribution=train, test_distribution=test)

    def build(self) -> None:
        """The geometry and the living motors by crippled leg."""
        model = self.model
        self._size, self._place = (np.tile(field, (4, 1, 1)) for field in (model.geom_size, model.geom_pos))
        self._alive = np.ones((4, model.nu))  # factors of the controls
        for leg in range(4):
            joints = [model.joint(f"{joint}_{leg + 1}").id for joint in ("hip", "ankle")]
            upper, lower = model.body_geomadr[model.jnt_bodyid[joints]]
            self._size[leg, [upper, lower]] *= 0.5
            self._place[leg, lower] = model.geom_pos[upper]
            self._alive[leg] = ~np.isin(model.actuator_trnid[:, 0], joints)

    def prepare_tasks(self, tasks: Tasks) -> None:
        super().prepare_tasks(tasks)
        require_number("leg", tasks["leg"], 4)

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Shrink the lanes' crippled legs."""
        super().apply_tasks(lanes)
        legs = self.lane_tasks["leg"][lanes]
        self.batch.expand("geom_size")[lanes] = self._size[legs]
        self.batch.expand("geom_pos")[lanes] = self._place[legs]
        self.batch.set_const(lanes)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """The controls, 0 for the dead motors."""
        return super().controls(actions) * self._alive[self.lane_tasks["leg"]]
