"""Bare physics, the unit of all speeds: a `Batch.step` loop that replays the very controls of the work it is compared
with, over the same lanes and threads, since contacts make some controls dearer than others.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from envs.contract.base import TaskEnv
from envs.contract.mixed import Mixed
from envs.engine.mujoco_tasks import MujocoTasks
from metarl.core.types import Trial
from metarl.runtime.randomness import Address, Purpose
from metarl.training.task_sampling import task_seeds


def has_physics(family: type[TaskEnv]) -> bool:
    """Whether a family is of MuJoCo, or a mixture of such families."""
    return issubclass(family, MujocoTasks) or (issubclass(family, Mixed) and family.native_steps)


def bare_physics(env: TaskEnv, trial: Trial, address: Address, least_live: float = 0.0) -> float:
    """Seconds that `Batch.step` alone needs for the controls of a trial, on the lanes that were live."""
    if not isinstance(env, MujocoTasks) or env.model.nmocap:  # what drags a mocap body goes from place to place

        def drive(actions: np.ndarray, live: np.ndarray | None) -> None:
            for part, lanes in env.parts() if isinstance(env, Mixed) else [(env, slice(None))]:
                assert isinstance(part, MujocoTasks)  # `has_physics`
                part.batch.bind("ctrl")[...] = part.controls(actions[lanes])
                part.batch.step(None if live is None else live[lanes], part.frame_skip)

        return replay(env, trial, address, drive, least_live=least_live)[0]
    controls_of = env.batch.bind("ctrl")

    def step(controls: np.ndarray, live: np.ndarray | None) -> None:
        controls_of[...] = controls
        env.batch.step(live, env.frame_skip)

    return replay(env, trial, address, step, env.controls, least_live)[0]


def replay(
    env: TaskEnv,
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
        env.reset(seed=[address.at(Purpose.RESET, task, round_).seed() for task in range(env.num_tasks)])
        actions = rollout.action.flatten(0, 1).transpose(0, 1).numpy()  # [T, N·E, A]
        lives = rollout.mask.flatten(0, 1).T.numpy().astype(bool)  # [T, N·E]
        played = [t for t, live in enumerate(lives) if live.mean() > least_live]
        prepared = [(prepare(actions[t]), None if lives[t].all() else lives[t]) for t in played]
        seconds += time_of(step, prepared)
        steps += int(lives[played].sum())
    return seconds, steps


def time_of(step: Callable[..., Any], each: Iterable[tuple[Any, ...]]) -> float:
    """Seconds that calls of `step` take, one after the other."""
    start = time.perf_counter()
    for arguments in each:
        step(*arguments)
    return time.perf_counter() - start


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that some work takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
