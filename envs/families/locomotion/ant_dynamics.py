"""Ants that run forwards with a body of their own: `AntParams` has a factor for each number of mass, inertia, damping
and friction, `AntCripple` a leg that is dead and short.

With v the velocity along x (m/s), a the controls in [-1, 1]^8 and f the contact forces, the reward is

    v + survive_bonus - control_cost * Σ a² - contact_cost * Σ f²

Sources: rand_param_envs for the factors, GrBAL (Nagabandi et al. 2019) for the leg, on rllab's simulation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract.tasks import Choice, TaskDistribution, Tasks
from envs.engine.dynamics import RandomParametersConfig, random_parameters, require_number
from envs.families.locomotion.ant import Ant
from envs.families.locomotion.ant_variants import DEFAULT, MAML_REWARD, RLLAB, AntConfig, resolve_ant


@dataclass(frozen=True)
class AntParamsConfig(AntConfig, RandomParametersConfig):
    """The options of AntParams; what is None comes from the variant."""


# MAML's small bonus: with the usual one of 1, an ant learns first of all to stand still.
FORWARD = DEFAULT | MAML_REWARD
PARAMS_VARIANTS: dict[str, dict[str, Any]] = {"metarl": FORWARD | {"largest_exponent": 3.0, "set_const": True}}
CRIPPLE_VARIANTS: dict[str, dict[str, Any]] = {
    "metarl": FORWARD,
    "grbal": RLLAB
    | {"horizon": 1000, "control_cost": 0.0, "contact_cost": 0.0, "observe_contacts": False, "terminates": False},
}


class AntForward(Ant):
    """What both families share: the faster, the better."""

    def task_reward(self, velocity: np.ndarray) -> np.ndarray:
        """The velocity along x."""
        return velocity[:, 0]


class AntParams(AntForward):
    """Task parameters: the factors `mass` [14], `inertia` [14, 3], `damping` [14] and `friction` [14, 3]."""

    Config = AntParamsConfig
    variants = PARAMS_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntParamsConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntParamsConfig(), PARAMS_VARIANTS)
        super().__init__(num_tasks, lanes_per_task, options, threads=threads, **random_parameters(options))


class AntCripple(AntForward):
    """Task parameter: `leg`, the number of the crippled one; leg 3 is held out for tests.

    Its two motors are dead; the capsules of its upper and lower part have half their size, and the lower one lies where
    the upper one would in the ankle's frame. Its masses stay.
    """

    Config = AntConfig
    variants = CRIPPLE_VARIANTS

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: AntConfig | None = None, *, threads: int = 0
    ) -> None:
        """Raises: InputError on an impossible option."""
        options = resolve_ant(config or AntConfig(), CRIPPLE_VARIANTS)
        super().__init__(
            num_tasks,
            lanes_per_task,
            options,
            task_distribution=TaskDistribution(leg=Choice((0, 1, 2))),
            test_distribution=TaskDistribution(leg=Choice((3,))),
            threads=threads,
        )
        model = self.model
        self._size, self._place = (np.tile(field, (4, 1, 1)) for field in (model.geom_size, model.geom_pos))
        self._alive = np.ones((4, model.nu))  # factors of the controls by crippled leg
        for leg in range(4):
            joints = [model.joint(f"{joint}_{leg + 1}").id for joint in ("hip", "ankle")]
            upper, lower = model.body_geomadr[model.jnt_bodyid[joints]]
            self._size[leg, [upper, lower]] *= 0.5
            self._place[leg, lower] = model.geom_pos[upper]
            self._alive[leg] = ~np.isin(model.actuator_trnid[:, 0], joints)

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse legs that the ant does not have."""
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
