"""MujocoTasks: tasks for a MuJoCo model, all lanes stepped together by `mujoco.batch` on native threads.

A robot of your own is a subclass: a model, a task distribution, and small functions over all lanes at once,
which see `self.qpos` [num_envs, nq], `self.qvel` [num_envs, nv], the positions before the step in
`self.qpos_before`, the seconds of a step in `self.dt`, and each lane's task in `self.lane_tasks`; what MuJoCo derives
from the state is there for the asking (`self.batch.bind("xpos")`). Only `observe` and `reward` must be written.

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

Tasks change the model itself by declaration (`envs.engine.dynamics`):

                dynamics={"load": Scale("body_mass", Uniform(1.0, 3.0), names=("torso",))},

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from gymnasium.spaces import Box

from envs.contract.base import Outcome, TaskEnv
from envs.contract.errors import InputError
from envs.contract.seeding import is_integer
from envs.contract.tasks import TaskDistribution, Tasks
from envs.engine.dynamics import Dynamics, Scale
from envs.engine.lanes import Lanes
from envs.engine.rendering import RobotCamera

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


def sense_mass_center(spec: mujoco.MjSpec) -> None:
    """An `edit` for `load_model`: the velocity of the whole torso's centre of mass as a sensor."""
    spec.add_sensor(
        name="mass_center_velocity",
        type=mujoco.mjtSensor.mjSENS_SUBTREELINVEL,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname="torso",
    )


class MujocoTasks(TaskEnv):
    """Tasks for one MuJoCo model: a task changes the reward and, where it is declared, the dynamics."""

    native_steps = True

    def __init__(
        self,
        num_tasks: int,
        lanes_per_task: int,
        config: Any,
        *,
        model: mujoco.MjModel,
        frame_skip: int,
        horizon: int,
        observation_size: int,
        task_distribution: TaskDistribution | None = None,
        test_distribution: TaskDistribution | None = None,
        outside_distribution: TaskDistribution | None = None,
        dynamics: Mapping[str, Scale] | None = None,
        recompute_constants: bool = True,
        action_scale: float = 1.0,
        clip_actions: bool = True,
        threads: int = 0,
    ) -> None:
        """Build the lanes.

        Args:
            model: from `load_model`; every actuator needs a control range.
            frame_skip: physics steps in a step of the environment.
            task_distribution: what training tasks come from, but for the parameters that `dynamics` declares.
            test_distribution, outside_distribution: the laws of these splits that differ from training.
            dynamics: task parameters that scale the model.
            recompute_constants: whether MuJoCo's derived constants follow the scaled fields. (The papers with
                random parameters left them; bodies that MuJoCo calls simple then ignore a change of mass.)
            action_scale: half the side of the action box, whose border means full control.
            clip_actions: whether `reward` sees controls within their range; otherwise as far beyond it as the
                actions are. The actuators never leave it.
            threads: physics threads, 0 for one per CPU; no bit of the results depends on it.

        Raises: InputError on an impossible count, an actuator without control range, and a scale of an unknown
        field or element.
        """
        if not is_integer(threads) or threads < 0:
            raise InputError(f"threads is {threads!r} — give a whole number, 0 for one per CPU")
        if not model.actuator_ctrllimited.all():
            actuator = int(np.argmin(model.actuator_ctrllimited))
            raise InputError(f"actuator {actuator} has no control range — give it a ctrlrange in the XML")
        self.model, self.frame_skip = model, frame_skip
        self.action_scale, self.clip_actions = action_scale, clip_actions
        self.dt = frame_skip * model.opt.timestep
        self._dynamics, self._recompute_constants = Dynamics(model, dynamics or {}), recompute_constants
        train = self._dynamics.with_laws(task_distribution or TaskDistribution())
        super().__init__(
            num_tasks,
            lanes_per_task,
            config,
            horizon=horizon,
            task_distribution=train,
            test_distribution=self._dynamics.complete(test_distribution, train),
            outside_distribution=self._dynamics.complete(outside_distribution, train),
            observation_size=observation_size,
            action_space=Box(-action_scale, action_scale, (model.nu,), np.float64),
        )
        self.batch = Lanes(model, self.num_envs, threads)
        self.qpos, self.qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.qpos_before = self.qpos.copy()
        # For each lane, as a task may scale the range.
        self._control_center, self._control_radius = np.zeros((2, self.num_envs, model.nu))
        self._set_control_ranges(np.ones(self.num_envs, bool), model.actuator_ctrlrange)
        self._divergences = self.batch.warning[:, min(DIVERGENCE) : max(DIVERGENCE) + 1, 1]  # counts, [num_envs, 3]
        self._camera: RobotCamera | None = None

    # Hooks of a robot

    def observe(self) -> np.ndarray:
        """What every lane sees now, [num_envs, O]."""
        raise NotImplementedError

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
            self._camera = RobotCamera(self.model)
        self.batch.get_model(lane, self._camera.model)
        return self._camera.picture(self.qpos[lane], self.qvel[lane])

    # The hooks of TaskEnv

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse tasks that scale the model impossibly."""
        self._scaled_fields = self._dynamics.scaled(tasks)

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Give the lanes their tasks' models."""
        tasks = np.flatnonzero(lanes) // self.lanes_per_task
        for field, values in self._scaled_fields.items():
            self.batch.expand(field)[lanes] = values[tasks]
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
