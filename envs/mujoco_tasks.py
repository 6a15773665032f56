"""MujocoTasks: tasks for a MuJoCo model, all lanes stepped together by `mujoco.batch` on native threads.

A robot of your own is a subclass: a model, a task distribution, and small functions over all lanes at once,
which see `self.qpos` [num_envs, nq], `self.qvel` [num_envs, nv], the positions before the step in
`self.qpos_before`, the seconds of a step in `self.dt`, and each lane's task in `self.lane_tasks`. Only
`observe` and `reward` must be written.

    class MyRobot(MujocoTasks):
        def __init__(self, num_tasks, lanes_per_task, config=None, *, threads=0):
            super().__init__(
                num_tasks, lanes_per_task, config, threads=threads, observation_size=17,
                model=load_model("my_robot.xml"), frame_skip=5, horizon=200,
                task_distribution=TaskDistribution(velocity=Uniform(0.0, 2.0)),
            )

        def observe(self):
            return np.concatenate([self.qpos[:, 1:], self.qvel], axis=1)

        def reward(self, controls):
            velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
            return -np.abs(velocity - self.lane_tasks["velocity"]), {"velocity": velocity}

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from gymnasium.spaces import Box
from mujoco.batch import MODEL_FIELDS, Batch

from envs.base import Outcome, TaskEnv
from envs.errors import InputError, nearest
from envs.seeding import is_integer
from envs.tasks import TaskDistribution, Tasks

# Warnings with which MuJoCo resets a simulation in mid-episode: bad positions, velocities or accelerations.
DIVERGENCE = (
    mujoco.mjtWarning.mjWARN_BADQPOS.value,
    mujoco.mjtWarning.mjWARN_BADQVEL.value,
    mujoco.mjtWarning.mjWARN_BADQACC.value,
)

# Model fields that mean nothing below 0, or at 0.
POSITIVE_FIELDS = ("body_mass", "body_inertia")
NONNEGATIVE_FIELDS = ("dof_armature", "dof_damping", "dof_frictionloss", "geom_friction", "jnt_stiffness")


def load_model(
    path: str | Path, *, timestep: float | None = None, edit: Callable[[mujoco.MjSpec], None] | None = None
) -> mujoco.MjModel:
    """Compile an MJCF file, after setting the timestep (seconds) and letting `edit` add to it.

    The `settotalmass` of older files, which MuJoCo is about to drop, is applied to the compiled model.

    Raises: InputError on a file that is missing or that MuJoCo refuses.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no model file '{path}' — check the path")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        if timestep is not None:
            spec.option.timestep = timestep
        if edit is not None:
            edit(spec)
        total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1.0
        model = spec.compile()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"MuJoCo refuses '{path}' ({reason}) — repair the XML") from error
    if total_mass > 0:
        mujoco.mj_setTotalmass(model, total_mass)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


class MujocoTasks(TaskEnv):
    """Tasks for one MuJoCo model: a task changes the reward and, through `field_factors`, the dynamics."""

    recompute_constants = True
    """Whether MuJoCo's derived constants follow the model fields that a task scales. (The papers with random
    parameters left them; bodies that MuJoCo calls simple then ignore a change of mass.)"""

    def __init__(
        self,
        num_tasks: int,
        lanes_per_task: int,
        config: Any,
        *,
        model: mujoco.MjModel,
        frame_skip: int,
        horizon: int,
        task_distribution: TaskDistribution,
        observation_size: int,
        test_distribution: TaskDistribution | None = None,
        outside_distribution: TaskDistribution | None = None,
        action_scale: float = 1.0,
        stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_NONE,
        threads: int = 0,
    ) -> None:
        """Build the lanes.

        Args:
            model: from `load_model`; every actuator needs a control range.
            frame_skip: physics steps in a step of the environment.
            action_scale: half the side of the action box, whose border means full control.
            stage: what MuJoCo computes after a reset and a step, so that the derived fields which the
                constructor bound (`self.batch.bind("xpos")`) are those of the new state; by default they lag
                by a physics step.
            threads: physics threads, 0 for one per CPU; no bit of the results depends on it.

        Raises: InputError on an impossible count or an actuator without control range.
        """
        if not is_integer(threads) or threads < 0:
            raise InputError(f"threads is {threads!r} — give a whole number, 0 for one per CPU")
        if not model.actuator_ctrllimited.all():
            actuator = int(np.argmin(model.actuator_ctrllimited))
            raise InputError(f"actuator {actuator} has no control range — give it a ctrlrange in the XML")
        self.model, self.frame_skip, self.action_scale = model, frame_skip, action_scale
        self.dt = frame_skip * model.opt.timestep
        self._defaults: dict[str, np.ndarray] = {}  # of the model fields that tasks scale
        super().__init__(
            num_tasks,
            lanes_per_task,
            config,
            horizon=horizon,
            task_distribution=task_distribution,
            test_distribution=test_distribution,
            outside_distribution=outside_distribution,
            observation_size=observation_size,
            action_space=Box(-action_scale, action_scale, (model.nu,), np.float64),
        )
        self.batch = Batch(model, self.num_envs, threads)
        self.qpos, self.qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.qpos_before = self.qpos.copy()
        # For all lanes: numpy is slower at broadcasting a few numbers over many rows.
        low, high = np.tile(model.actuator_ctrlrange.T[:, None], (1, self.num_envs, 1))
        self._control_center, self._control_radius = (low + high) / 2, (high - low) / 2  # [num_envs, A]
        self._divergences = self.batch.warning[:, min(DIVERGENCE) : max(DIVERGENCE) + 1, 1]  # counts, [num_envs, 3]
        self._stage = stage.value

    # Hooks of a robot

    def observe(self) -> np.ndarray:
        """What every lane sees now, [num_envs, O]."""
        raise NotImplementedError

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The reward of the step just made, [num_envs], and diagnostics by name, [num_envs] each.

        Args:
            controls: what drove the actuators, [num_envs, A].
        """
        raise NotImplementedError

    def terminated(self) -> np.ndarray:
        """Whether the step just made ended the episode, bool [num_envs]; by default it never does."""
        return np.zeros(self.num_envs, bool)

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions [E, nq] and velocities [E, nv] in which a task's lanes start; by default the model's."""
        qpos = np.tile(self.model.qpos0, (self.lanes_per_task, 1))
        return qpos, np.zeros((self.lanes_per_task, self.model.nv))

    def field_factors(self, tasks: Tasks) -> Mapping[str, np.ndarray]:
        """How tasks scale the model: field name -> factors [N, *field shape] of its default values."""
        return {}

    # The hooks of TaskEnv

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse tasks that scale the model impossibly."""
        self._factors = self._check_factors(self.field_factors(tasks))

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Scale the lanes' models."""
        self.scale_fields(self._factors, lanes, set_const=self.recompute_constants)

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Reset the lanes' whole simulation (warm start, warnings, …), then draw positions and velocities."""
        self.batch.reset(mask, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            qpos, qvel = self.initial_state(rng)
            self.qpos[lanes], self.qvel[lanes] = qpos[copies], qvel[copies]
        if self._stage:
            self.batch.forward(mask, self._stage)

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step the live lanes' physics `frame_skip` times."""
        controls = self.controls(actions)
        self._ctrl[...] = controls
        self.qpos_before[...] = self.qpos
        with silent():
            self.batch.step(None if live.all() else live, self.frame_skip, self._stage)
        # A live lane's counters were 0 before the step: resets clear them, and a diverged lane waits for one.
        diverged = self._divergences.any(axis=1)
        reward, terms = self.reward(controls)
        return Outcome(reward, self.terminated(), diverged, terms)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """What drives the actuators, [num_envs, A]: full control where an action is on its box's border."""
        return self._control_center + self._control_radius * np.clip(actions / self.action_scale, -1.0, 1.0)

    # Dynamics

    def scale_fields(
        self, factors: Mapping[str, np.ndarray], lanes: np.ndarray | None = None, *, set_const: bool = True
    ) -> None:
        """Give lanes the default model with the named fields scaled; fields not named are the default.

        Args:
            factors: name of an MjModel field, or `opt.` and that of an MjOption field -> [N, *field shape].
            lanes: bool [num_envs]; None for all.
            set_const: recompute MuJoCo's derived constants.

        Raises: InputError on an unknown field, and on factors of wrong shape or sign or that are not finite.
        """
        factors = self._check_factors(factors)
        lanes = np.ones(self.num_envs, bool) if lanes is None else lanes
        for name, default in self._defaults.items():
            scaled = np.broadcast_to(default * factors.get(name, 1.0), (self.num_tasks, *default.shape))
            self.batch.expand(name)[lanes] = np.repeat(scaled, self.lanes_per_task, axis=0)[lanes]
        if set_const and self._defaults:
            self.batch.set_const(lanes)

    def _check_factors(self, factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        checked: dict[str, np.ndarray] = {}
        for name, values in factors.items():
            default = self._default(name)
            checked[name] = factor = np.array(values, np.float64)
            if factor.shape != (self.num_tasks, *default.shape):
                wanted = (self.num_tasks, *default.shape)
                raise InputError(f"the factors of {name} have shape {factor.shape} — give {wanted}")
            good, wanted_sign = np.isfinite(factor), "finite factors"
            if name in POSITIVE_FIELDS:
                good, wanted_sign = good & (factor > 0), "finite factors above 0"
            elif name in NONNEGATIVE_FIELDS:
                good, wanted_sign = good & (factor >= 0), "finite factors of 0 or above"
            if not good.all():
                index = tuple(np.argwhere(~good)[0])
                raise InputError(f"task {index[0]} scales {name} by {factor[index]} — give {wanted_sign}")
        return checked

    def _default(self, name: str) -> np.ndarray:
        """The model's own values of a field, copied: in a live view, factors compound from task to task."""
        if name not in self._defaults:
            holder, field = (self.model.opt, name[4:]) if name.startswith("opt.") else (self.model, name)
            values = np.array(getattr(holder, field, None))
            if name not in MODEL_FIELDS:
                raise InputError(f"unknown model field '{name}'" + nearest(name, MODEL_FIELDS))
            if values.dtype.kind != "f" or name == "opt.timestep":
                raise InputError(f"model field '{name}' cannot be scaled — name a physical quantity")
            self._defaults[name] = values
        return self._defaults[name]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep MuJoCo's warnings off the console and out of a log file: divergence is counted, lane by lane."""
    before, quiet = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    quiet.logto_console = quiet.logto_file = False
    quiet.set()
    try:
        yield
    finally:
        before.set()
