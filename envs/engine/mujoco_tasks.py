"""MujocoTasks: tasks for a MuJoCo model, all lanes stepped together by `mujoco.batch` on native threads.

A robot of your own is a subclass that says in `define` what it is, and has small functions over all lanes at once,
which see `self.qpos` [num_envs, nq], `self.qvel` [num_envs, nv], the positions before the step in
`self.qpos_before`, the seconds of a step in `self.dt`, and each lane's task in `self.lane_tasks`; what MuJoCo derives
from the state is there for the asking (`fields`). Only `define`, `observe` and `reward` must be written.

    class MyRobot(MujocoTasks):
        def define(self, options):
            return {
                "model": load_model("my_robot.xml"),
                "frame_skip": 5,
                "horizon": 200,
                "task_distribution": TaskDistribution(velocity=Uniform(0.0, 2.0)),
                "dynamics": {"load": Scale("body_mass", Uniform(1.0, 3.0), names=("torso",))},  # or none
            }

        def observe(self):
            return np.concatenate([self.qpos[:, 1:], self.qvel], axis=1)

        def reward(self, controls):
            velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
            return -np.abs(velocity - self.lane_tasks["velocity"]), {"velocity": velocity}

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import mujoco
import numpy as np
from gymnasium.spaces import Box, Space

from envs.contract.base import TaskEnv
from envs.contract.definition import Definition, Outcome
from envs.contract.errors import InputError
from envs.contract.seeding import is_integer
from envs.contract.tasks import TaskDistribution, Tasks
from envs.engine.dynamics import Dynamics, Scale
from envs.engine.lanes import Lanes
from envs.engine.rendering import SIZE, RobotCamera

# Warnings with which MuJoCo resets a simulation in mid-episode: bad positions, velocities or accelerations.
DIVERGENCE = (
    mujoco.mjtWarning.mjWARN_BADQPOS.value,
    mujoco.mjtWarning.mjWARN_BADQVEL.value,
    mujoco.mjtWarning.mjWARN_BADQACC.value,
)


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


@dataclass(frozen=True, kw_only=True)
class RobotDefinition(Definition):
    """What a robot's family says of itself; its action space follows from the model's actuators."""

    action_space: Space[Any] = field(init=False)
    task_distribution: TaskDistribution = field(default_factory=TaskDistribution)
    """What training tasks come from, but for the parameters that `dynamics` declares."""
    model: mujoco.MjModel
    """From `load_model`; every actuator needs a control range."""
    frame_skip: int = 1
    """Physics steps in a step of the environment."""
    fields: Collection[str] = ()
    """What MuJoCo derives from the state, by the names of MjData: live arrays in `self.fields`."""
    dynamics: Mapping[str, Scale] = field(default_factory=dict)
    """Task parameters that scale the model."""
    recompute_constants: bool = True
    """Whether MuJoCo's derived constants follow the scaled fields. (The papers with random parameters left them; bodies
    that MuJoCo calls simple then ignore a change of mass.)"""
    action_scale: float = 1.0
    """Half the side of the action box, whose border means full control."""
    clip_actions: bool = True
    """Whether `reward` sees controls within their range; otherwise as far beyond it as the actions are. The actuators
    never leave it."""


class MujocoTasks(TaskEnv):
    """Tasks for one MuJoCo model: a task changes the reward and, where it is declared, the dynamics.

    A robot overrides some of these:

        define(options)          must be    once, first: the fields of `RobotDefinition`
        build()                             once, then: `model`, `batch` and `fields` are there, tasks are not
        prepare_tasks(tasks)                at every `set_tasks`; call `super()` first
        apply_tasks(lanes)                  at a reset, where a lane's task is a new one; call `super()` first
        initial_state(rng)                  at a reset, once for each task that has a lane to reset
        controls(actions)                   at every step, before the physics
        reward(controls)         must be    at every step, after the physics
        terminated()                        at every step, after `reward`
        observe()                must be    after every reset and step, and once before
        render_lane, informed_return, summary    as in `TaskEnv`

    The physics broke (`diverged`) where MuJoCo says so: then what these say of the lane is not used.
    """

    defines: ClassVar[type[Any]] = RobotDefinition
    native_steps = True

    def assemble(self, definition: RobotDefinition, threads: int) -> Definition:
        """Start the simulations, on `threads` threads (0: one per CPU; no bit of the results depends on it).

        Raises: InputError on an impossible number of threads, an actuator without control range, and a scale of an
        unknown field or element.
        """
        if not is_integer(threads) or threads < 0:
            raise InputError(f"threads is {threads!r} — give a whole number, 0 for one per CPU")
        self.model = model = definition.model
        if not model.actuator_ctrllimited.all():
            actuator = int(np.argmin(model.actuator_ctrllimited))
            raise InputError(f"actuator {actuator} has no control range — give it a ctrlrange in the XML")
        self.frame_skip, self.dt = definition.frame_skip, definition.frame_skip * model.opt.timestep
        self.action_scale, self.clip_actions = definition.action_scale, definition.clip_actions
        self._dynamics = Dynamics(model, definition.dynamics)
        self._recompute_constants = definition.recompute_constants
        self.batch = Lanes(model, self.num_envs, threads)
        self.qpos, self.qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.qpos_before = self.qpos.copy()
        self.fields = {name: self.batch.bind(name) for name in definition.fields}
        # For each lane, as a task may scale the range.
        self._control_center, self._control_radius = np.zeros((2, self.num_envs, model.nu))
        self._set_control_ranges(np.ones(self.num_envs, bool), model.actuator_ctrlrange)
        self._divergences = self.batch.warning[:, min(DIVERGENCE) : max(DIVERGENCE) + 1, 1]  # counts, [num_envs, 3]
        self._camera: RobotCamera | None = None
        self.picture_size = SIZE, SIZE
        """Width and height in pixels of what `render_lane` draws, until it has drawn."""
        train = self._dynamics.with_laws(definition.task_distribution)
        return Definition(
            task_distribution=train,
            test_distribution=self._dynamics.complete(definition.test_distribution, train),
            outside_distribution=self._dynamics.complete(definition.outside_distribution, train),
            action_space=Box(-self.action_scale, self.action_scale, (model.nu,), np.float64),
            observation_size=definition.observation_size,
            horizon=definition.horizon,
        )

    # Hooks of a robot

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The reward of the step just made, [num_envs], and diagnostics by name, [num_envs] each.

        Args:
            controls: what drove the actuators, [num_envs, A]; without `clip_actions`, what was asked of them.
        """
        raise NotImplementedError

    def terminated(self) -> np.ndarray:
        """Whether the step just made ended the episode, bool [num_envs]; by default it never does."""
        return np.zeros(self.num_envs, bool)

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions [E, nq] and velocities [E, nv] in which a task's lanes start; by default the model's."""
        qpos = np.tile(self.model.qpos0, (self.lanes_per_task, 1))
        return qpos, np.zeros((self.lanes_per_task, self.model.nv))

    def render_lane(self, lane: int = 0) -> np.ndarray:
        """The robot with its task's body, uint8 `[height, width, 3]`."""
        if self._camera is None:
            self._camera = RobotCamera(self.model, *self.picture_size)
        self.batch.get_model(lane, self._camera.model)
        return self._camera.picture(self.qpos[lane], self.qvel[lane])

    # The hooks of TaskEnv

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse tasks that scale the model impossibly."""
        self._scaled_fields = self._dynamics.scaled(tasks)

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Give the lanes their tasks' models."""
        tasks = np.flatnonzero(lanes) // self.lanes_per_task
        for name, values in self._scaled_fields.items():
            self.batch.expand(name)[lanes] = values[tasks]
        if "actuator_ctrlrange" in self._scaled_fields:
            self._set_control_ranges(lanes, self._scaled_fields["actuator_ctrlrange"][tasks])
        if self._scaled_fields and self._recompute_constants:
            self.batch.set_const(lanes)

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Reset the lanes' whole simulation (warm start, warnings, …), then draw positions and velocities."""
        self.batch.reset(mask, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            qpos, qvel = self.initial_state(rng)
            self.qpos[lanes], self.qvel[lanes] = qpos[copies], qvel[copies]
        if self.batch.stage:
            self.batch.forward(mask, self.batch.stage)

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step the live lanes' physics `frame_skip` times."""
        controls = self.controls(actions)
        self._ctrl[...] = controls
        self.qpos_before[...] = self.qpos
        with silence:  # divergence is counted, lane by lane
            self.batch.step(None if live.all() else live, self.frame_skip, self.batch.stage)
        # A live lane's counters were 0 before the step: resets clear them, and a diverged lane waits for one.
        diverged = self._divergences.any(axis=1)
        reward, terms = self.reward(controls)
        return Outcome(reward, self.terminated(), diverged, terms)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """What drives the actuators, [num_envs, A]: full control where an action is on its box's border.

        MuJoCo itself holds the actuators in their control range.
        """
        fractions = actions / self.action_scale
        if self.clip_actions:
            fractions = np.clip(fractions, -1.0, 1.0)
        return self._control_center + self._control_radius * fractions

    def _set_control_ranges(self, lanes: np.ndarray, ranges: np.ndarray) -> None:
        """Take `ranges` `[..., A, 2]` as full control of `lanes` (bool `[num_envs]`)."""
        low, high = ranges[..., 0], ranges[..., 1]
        self._control_center[lanes], self._control_radius[lanes] = (low + high) / 2, (high - low) / 2


class Silence:
    """Keeps MuJoCo's warnings off the console and out of a log file, as long as any thread is within."""

    def __init__(self) -> None:
        self.lock, self.within = threading.Lock(), 0
        self.loud = mujoco.MjLogConfig.get()

    def __enter__(self) -> None:
        with self.lock:  # the settings are the whole process's
            if self.within == 0:
                self.loud, quiet = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
                quiet.logto_console = quiet.logto_file = False
                quiet.set()
            self.within += 1

    def __exit__(self, *raised: object) -> None:
        with self.lock:
            self.within -= 1
            if self.within == 0:
                self.loud.set()


silence = Silence()
