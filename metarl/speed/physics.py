"""The units of the measurements: bare physics, and what Gymnasium makes of the same robots."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch

from envs.engine.mujoco_tasks import MujocoTasks, silence
from metarl.core.types import Trial
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.groups import collect_in_groups, first_tasks
from metarl.training.loop import set_new_tasks, task_seeds
from metarl.training.setup import Setup, set_up

Row = dict[str, Any]

GYMNASIUM_ROBOTS = {
    "half-cheetah": "HalfCheetah-v5",
    "ant": "Ant-v5",
    "humanoid": "Humanoid-v5",
    "walker": "Walker2d-v5",
    "hopper": "Hopper-v5",
    "swimmer": "Swimmer-v5",
}
GYMNASIUM_STEPS = 400  # environment steps of each lane in a Gymnasium row


def whole_meeting(setup: Setup) -> Setup:
    """The same with all tasks in one group, whose physics anything can be compared with."""
    whole = setup.divisions.settled and len(setup.envs) == 1
    return setup if whole else set_up(setup.config, num_tasks=setup.config.train.tasks)


def physics_of(setup: Setup) -> MujocoTasks:
    """The environment whose physics are the unit."""
    env = whole_meeting(setup).env
    assert isinstance(env, MujocoTasks)  # refused in measure_speed
    return env


def play(setup: Setup, repeat: int) -> tuple[float, Trial, Address]:
    """One round of new tasks with the untrained policy: its seconds, what was played, and where its tasks come from."""
    address = Address(repeat)
    state = setup.algorithm.initial_state(Address(0))
    for env, first in zip(setup.envs, first_tasks(setup.envs), strict=True):
        set_new_tasks(env, address, first_task=first)
    seconds, trial = timed(lambda: collect_in_groups(setup.envs, setup.algorithm, state, 1, address))
    return seconds, trial, address


def bare_physics(env: MujocoTasks, trial: Trial, address: Address, least_live: float = 0.0) -> float:
    """Seconds that `Batch.step` alone needs for the controls of a trial, on the lanes that were live."""
    controls_of = env.batch.bind("ctrl")

    def step(controls: np.ndarray, live: np.ndarray | None) -> None:
        controls_of[...] = controls
        env.batch.step(live, env.frame_skip)

    return replay(env, trial, address, step, env.controls, least_live)[0]


def replay(
    env: MujocoTasks,
    trial: Trial,
    address: Address,
    step: Callable[[np.ndarray, np.ndarray | None], Any],
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    least_live: float = 0.0,
) -> tuple[float, int]:
    """Time `step` over all recorded actions, from the states that the trial started in.

    Args:
        step: called with the prepared actions `[N·E, A]` and which lanes are live, `[N·E]`; None where all are.
        least_live: stop a round when no more than this share of the lanes lives.

    Returns: seconds, and the steps of live lanes.
    """
    env.set_tasks(env.sample_tasks(task_seeds(address, range(env.num_tasks))))
    seconds, steps = 0.0, 0
    for round_, rollout in enumerate(trial.rollouts):
        seeds = [address.at(Purpose.RESET, task, round_).seed() for task in range(env.num_tasks)]
        env.reset(seed=seeds)
        actions = rollout.action.flatten(0, 1).transpose(0, 1).numpy()  # [T, N·E, A]
        lives = rollout.mask.flatten(0, 1).T.numpy().astype(bool)  # [T, N·E]
        played = [t for t, live in enumerate(lives) if live.mean() > least_live]
        prepared = [(prepare(actions[t]), None if lives[t].all() else lives[t]) for t in played]
        start = time.perf_counter()
        for action, live in prepared:
            step(action, live)
        seconds += time.perf_counter() - start
        steps += int(lives[played].sum())
    return seconds, steps


def gymnasium_rows(environment: str, setup: Setup) -> Iterator[Row]:
    """Gymnasium's own vector environments of the same robot, over the same cores, with controls of the same kind."""
    robot = next((robot for robot in GYMNASIUM_ROBOTS if environment.startswith(robot)), None)
    if robot is None:
        return
    env, cores, unit = physics_of(setup), setup.config.train.threads, physics_rate(setup)
    for what, lanes, kind in (
        ("Gymnasium SyncVectorEnv", 8, gymnasium.vector.SyncVectorEnv),
        ("Gymnasium AsyncVectorEnv", cores, gymnasium.vector.AsyncVectorEnv),
        ("Gymnasium AsyncVectorEnv", 4 * cores, gymnasium.vector.AsyncVectorEnv),
    ):
        vector = kind([partial(_make_quietly, GYMNASIUM_ROBOTS[robot], env.frame_skip)] * lanes)
        try:
            shape = (GYMNASIUM_STEPS, lanes, env.model.nu)
            controls = np.clip(np.random.default_rng(0).normal(0, 1 / env.action_scale, shape), -1, 1)
            controls = controls * env.model.actuator_ctrlrange[:, 1]
            vector.reset(seed=0)
            seconds, _ = timed(partial(_step_all, vector, controls))
        finally:
            vector.close()
        steps = lanes * GYMNASIUM_STEPS
        yield measured(f"{what}, {lanes} lanes", environment, seconds, steps, unit * seconds / steps)


def _make_quietly(name: str, frame_skip: int) -> gymnasium.Env[Any, Any]:
    """MuJoCo has something to say about the XML of Gymnasium's cheetah at every load."""
    with silence:
        return gymnasium.make(name, frame_skip=frame_skip)


def _step_all(vector: gymnasium.vector.VectorEnv[Any, Any, Any], controls: np.ndarray) -> None:
    for control in controls:
        vector.step(control)


def physics_rate(setup: Setup) -> float:
    """Steps per second of bare physics, measured now."""
    _, trial, address = play(setup, 0)
    return float(trial.rollouts[0].mask.sum()) / bare_physics(physics_of(setup), trial, address)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that some work took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measured(what: str, environment: str, seconds: float, steps: int | None, ratio: float, device: str = "cpu") -> Row:
    """A row: what was measured, where, and how it compares with bare physics."""
    return {
        "what": what,
        "env": environment,
        "device": device,
        "seconds": seconds,
        "steps_per_second": steps / seconds if steps else None,
        "ratio_to_physics": ratio,
        "peak_mib": round(_peak_mib(device)),
    }


def _peak_mib(device: str) -> float:
    """The most memory that the process, or torch on the GPU, has held until now."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
