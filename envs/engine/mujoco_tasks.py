"""MujocoTasks: tasks for a MuJoCo model, all lanes stepped together by `mujoco.batch` on native threads.

A robot of your own is a subclass that says in `define` what it is, and has small functions over all lanes at once,
which see `self.qpos` [num_envs, nq], `self.qvel` [num_envs, nv], the positions before the step in
`self.qpos_before`, the seconds of a step in `self.dt`, and each lane's task in `self.lane_tasks`; what else there is to
read has names: `self.sensor("gyro")`, `self.body("trunk").velocity`. `define`, `observe` and `reward` must be written.

    class MyRobot(MujocoTasks):
        def define(self, options):
            return {
                "model": load_model("my_robot.xml"),
                "frame_skip": 5,
                "horizon": 200,
                "task_distribution": TaskDistribution(velocity=Uniform(0.0, 2.0)),
                "dynamics": {"load": Scale("mass", Uniform(1.0, 3.0), "torso")},  # or none
            }

        def observe(self):
            return np.concatenate([self.qpos[:, 1:], self.qvel], axis=1)

        def reward(self, controls):
            velocity = (self.qpos[:, 0] - self.qpos_before[:, 0]) / self.dt
            return -np.abs(velocity - self.lane_tasks["velocity"]), {"velocity": velocity}

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np
from gymnasium.spaces import Box

from envs.contract.base import TaskEnv
from envs.contract.definition import Definition, Outcome
from envs.contract.errors import InputError, require_known
from envs.contract.seeding import is_integer
from envs.contract.tasks import Tasks
from envs.engine import acting, sensing, streams
from envs.engine.acting import ControlHistory, Controls
from envs.engine.declared import all_laws, complete, with_laws
from envs.engine.disturbances import OBSERVATION, Disturbances
from envs.engine.dynamics import Dynamics
from envs.engine.lanes import Lanes, silence
from envs.engine.models import load_model
from envs.engine.rendering import SIZE, RobotCamera
from envs.engine.robot_definition import RobotDefinition
from envs.engine.schedule import THEN, Schedule
from envs.engine.sensing import Frame
from envs.engine.streams import Moment

__all__ = ["MujocoTasks", "RobotDefinition", "State", "load_model"]

State = tuple[np.ndarray, np.ndarray] | Mapping[str, np.ndarray]
"""Positions [E, nq] and velocities [E, nv]; or any of `STATE`, by name, [E, ...] each."""
STATE = ("qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat")

# Warnings with which MuJoCo resets a simulation in mid-episode: bad positions, velocities or accelerations.
DIVERGENCE = (
    mujoco.mjtWarning.mjWARN_BADQPOS.value,
    mujoco.mjtWarning.mjWARN_BADQVEL.value,
    mujoco.mjtWarning.mjWARN_BADQACC.value,
)


class MujocoTasks(TaskEnv):
    """Tasks for one MuJoCo model: a task changes the reward and, where it is declared, the dynamics.

    A robot overrides some of these:

        define(options)          must be    once, first: the fields of `RobotDefinition`
        build()                             once, then: `model`, `batch` and `fields` are there, tasks are not
        prepare_tasks(tasks)                at every `set_tasks`; call `super()` first
        apply_tasks(lanes)                  at a reset, where a lane's task is a new one; call `super()` first
        initial_state(rng, task)            at a reset, once for each task that has a lane to reset
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
        self._key = acting.find_keyframe(model, definition.keyframe, definition.controls)
        self.home = (model.qpos0 if self._key < 0 else model.key_qpos[self._key]).copy()
        around = acting.home_controls(model, self._key) if definition.controls == "around-home" else None
        self._full_control = Controls(
            model, self.num_envs, around, definition.control_reach, definition.control_rate, self.dt
        )
        self._dynamics = Dynamics(model, definition.dynamics)
        self._disturbances = Disturbances(model, definition.disturbances)
        self._schedule = Schedule(definition.changes)
        self._changed = np.zeros((len(definition.changes), self.num_envs), bool)  # in this episode
        self._clock, self._keys = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, np.uint64)
        self._draws = self._schedule.hazardous or self._disturbances.random
        self._recompute_constants = definition.recompute_constants
        self.batch = Lanes(model, self.num_envs, threads)
        self._state = {name: self.batch.bind(name) for name in STATE}
        self.qpos, self.qvel, self._ctrl = (self._state[name] for name in ("qpos", "qvel", "ctrl"))
        self.qpos_before = self.qpos.copy()
        action_size = model.nu if definition.action_size is None else definition.action_size
        self.action, self.action_before = np.zeros((2, self.num_envs, action_size))
        self._control_history = ControlHistory(model)
        self._forces = self.batch.bind("xfrc_applied") if self._disturbances.bodies else None
        self._sees_task = len(inspect.signature(self.initial_state).parameters) > 1
        self._frames: dict[tuple[str, str], Frame] = {}
        self._own_state: list[tuple[np.ndarray, float]] = []
        self.fields = {name: self.batch.bind(name) for name in definition.fields}
        self._divergences = self.batch.warning[:, min(DIVERGENCE) : max(DIVERGENCE) + 1, 1]  # counts, [num_envs, 3]
        self._camera: RobotCamera | None = None
        self.picture_size = SIZE, SIZE
        """Width and height in pixels of what `render_lane` draws, until it has drawn."""
        laws, fit = all_laws(self._dynamics, self._disturbances, self._schedule, definition.task_distribution)
        train = with_laws(definition.task_distribution, laws, fit)
        return Definition(
            task_distribution=train,
            test_distribution=complete(definition.test_distribution, train, laws, fit),
            outside_distribution=complete(definition.outside_distribution, train, laws, fit),
            action_space=Box(-self.action_scale, self.action_scale, (action_size,), np.float64),
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

    def initial_state(self, rng: np.random.Generator) -> State:
        """How a task's lanes start: positions [E, nq] and velocities [E, nv], or any of `STATE` by name, [E, ...] each.

        By default, and in what it does not name, all is as in the keyframe or, without one, in the model. Written as
        `initial_state(self, rng, task)`, it also gets the parameters of the task to be reset, by name.
        """
        return {}

    def render_lane(self, lane: int = 0) -> np.ndarray:
        """The robot with its task's body, uint8 `[height, width, 3]`."""
        if self._camera is None:
            self._camera = RobotCamera(self.model, *self.picture_size)
        self.batch.get_model(lane, self._camera.model)
        return self._camera.picture(self.qpos[lane], self.qvel[lane])

    # What a robot reads

    def sensor(self, name: str) -> np.ndarray:
        """What a sensor of the model says, `[num_envs, numbers]`; `load_model` adds those that the file lacks."""
        return sensing.sensor(self.batch, name)

    def body(self, name: str) -> Frame:
        """A body's frame: its place, axes and velocities."""
        return self._frame("body", name)

    def site(self, name: str) -> Frame:
        """A site's frame."""
        return self._frame("site", name)

    def geom(self, name: str) -> Frame:
        """A geom's frame."""
        return self._frame("geom", name)

    def lane_state(self, *shape: int, fill: float = 0.0) -> np.ndarray:
        """An array `[num_envs, *shape]` for what a robot keeps of each lane, made in `build`; a reset refills it."""
        values = np.full((self.num_envs, *shape), fill)
        self._own_state.append((values, fill))
        return values

    def _frame(self, kind: str, name: str) -> Frame:
        if (kind, name) not in self._frames:
            self._frames[kind, name] = Frame(self.batch, kind, name)
        return self._frames[kind, name]

    # The hooks of TaskEnv

    def set_tasks(self, tasks: Mapping[str, Any]) -> None:
        """As any family's; what tasks become in mid-episode must be possible too."""
        if self._schedule.changes:
            self.prepare_tasks(self._schedule.after(self.splits["train"].check(tasks, self.num_tasks)))
        super().set_tasks(tasks)

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse tasks that change the model, or what is known of it, impossibly."""
        self._dynamics.fields(tasks)
        self._disturbances.require_possible(tasks)

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Give the lanes their tasks' models."""
        fields = self._dynamics.fields({name: values[lanes] for name, values in self.lane_tasks.items()})
        for name, values in fields.items():
            self.batch.expand(name)[lanes] = values
        if "actuator_ctrlrange" in fields:
            self._full_control.set_ranges(lanes, fields["actuator_ctrlrange"])
        if fields and self._recompute_constants:
            self.batch.set_const(lanes)

    def _change_tasks(self, live: np.ndarray, now: Moment) -> None:
        """Change what is due in the live lanes before this step."""
        changed = np.zeros(self.num_envs, bool)
        for number, name in enumerate(self._schedule.changes):
            chance = streams.uniform(now, number)[:, 0]
            due = live & ~self._changed[number] & self._schedule.due(name, self.lane_tasks, self._clock, chance)
            self.lane_tasks[name][due] = self.lane_tasks[name + THEN][due]
            self._changed[number] |= due
            changed |= due
        if changed.any():
            self.apply_tasks(changed)
            self._stale |= changed  # a reset brings their task's own parameters back

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Reset the lanes' whole simulation (warm start, warnings, …) to the keyframe, then draw how they start."""
        self.batch.reset(mask, self._key, mujoco.mjtStage.mjSTAGE_NONE.value)
        if self._full_control.home is not None:
            self._ctrl[mask] = self._full_control.home
        for values, fill in [(self.action, 0.0), (self.action_before, 0.0), *self._own_state]:
            values[mask] = fill
        self._clock[mask], self._changed[:, mask] = 0, False
        for lanes, copies, rng in self.tasks_to_reset(mask):
            if self._draws:
                self._keys[lanes] = rng.integers(0, 2**64, self.lanes_per_task, np.uint64)[copies]
            task = [{name: values[lanes[0]] for name, values in self.lane_tasks.items()}] * self._sees_task
            drawn = self.initial_state(rng, *task)
            state = drawn if isinstance(drawn, Mapping) else dict(zip(STATE, drawn, strict=False))
            require_known("initial_state gives unknown", state, STATE)
            for name, values in state.items():
                wanted = (self.lanes_per_task, *self._state[name].shape[1:])
                if np.shape(values) != wanted:
                    raise InputError(f"initial_state gives {name} of shape {np.shape(values)} — give {wanted}")
                self._state[name][lanes] = values[copies]
        if self._control_history.places.size:
            self._control_history.start(self.batch.bind("history"), mask, self._ctrl)
        self.qpos_before[mask] = self.qpos[mask]
        if self.batch.stage:
            self.batch.forward(mask, self.batch.stage)

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step the live lanes' physics `frame_skip` times."""
        now = Moment(self._keys, self._clock)
        if self._schedule.changes:
            self._change_tasks(live, now)
        self.action_before[...], self.action[...] = self.action, actions
        arrived = self._disturbances.command(actions, live, now, self.lane_tasks)
        controls = self._full_control.no_faster(self.controls(arrived), self._ctrl)
        self._ctrl[...] = controls
        self.qpos_before[...] = self.qpos
        if self._forces is not None:
            self._disturbances.push(self._forces, live, now, self.lane_tasks, self.dt)
        with silence:  # divergence is counted, lane by lane
            self.batch.step(None if live.all() else live, self.frame_skip, self.batch.stage)
        self._clock += live
        # A live lane's counters were 0 before the step: resets clear them, and a diverged lane waits for one.
        diverged = self._divergences.any(axis=1)
        reward, terms = self.reward(controls)
        around = self._schedule.around(self._changed, reward)
        return Outcome(reward, self.terminated(), diverged, {**terms, **around})

    def perceive(self, told: np.ndarray) -> np.ndarray:
        """What reaches the policy of what there is to see."""
        observed = self.observe()
        parts = observed if isinstance(observed, Mapping) else {OBSERVATION: observed}
        return self._disturbances.sense(parts, told, Moment(self._keys, self._clock), self.lane_tasks)

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """What drives the actuators, [num_envs, A]: full control where an action is on its box's border.

        MuJoCo itself holds the actuators in their control range.
        """
        fractions = actions / self.action_scale
        if self.clip_actions:
            fractions = np.clip(fractions, -1.0, 1.0)
        return self._full_control.at(fractions)
