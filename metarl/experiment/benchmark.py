"""How fast: environments, sampling, updates and whole iterations, in units of bare physics measured in the same run.

*Bare physics* is a `Batch.step` loop that replays the very controls of the row it is compared with, over the same lanes
and threads: contacts make some controls dearer than others. Each repeat measures a row and its physics back to back,
and the median of their ratios counts, since machines are shared and their speed drifts.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

from envs.mujoco_tasks import MujocoTasks, silent
from envs.registry import environment_class
from metarl.core.errors import InputError
from metarl.core.randomness import Address, Purpose
from metarl.core.types import State, Trial
from metarl.experiment.presets import default_config
from metarl.experiment.trainer import Setup, set_up, task_seeds, train_iteration
from metarl.sampling.collect import collect, torch_threads

Row = dict[str, Any]

ITERATIONS_OF = ("maml-trpo", "promp")
GYMNASIUM_STEPS = 400  # environment steps of each lane in a Gymnasium row


def measure_speed(
    environments: Sequence[str],
    tasks: int,
    episodes: int,
    horizon: int,
    threads: int,
    repeats: int,
    console: Console,
) -> list[Row]:
    """Measure every row for each environment; `console` says what is being measured.

    Returns rows of `what`, `env`, `seconds`, `steps_per_second`, `ratio_to_physics` and `peak_mib`.

    Raises:
        InputError: an environment without MuJoCo physics, or an impossible number.
    """
    for name, value, least in (("horizon", horizon, 1), ("threads", threads, 0), ("repeats", repeats, 1)):
        if value < least:
            raise InputError(f"--{name} is {value} — it must be at least {least}")
    for environment in environments:
        if not issubclass(environment_class(environment), MujocoTasks):
            raise InputError(f"'{environment}' has no MuJoCo physics to compare with — name another one")
    rows = []
    for environment in environments:
        for row in _measure_environment(environment, tasks, episodes, horizon, threads, repeats):
            rate = f"{row['steps_per_second']:,.0f} steps/s" if row["steps_per_second"] else ""
            console.print(f"{environment}: {row['what']}: {row['seconds']:.2f} s  {rate}", highlight=False)
            rows.append(row)
    return rows


def _measure_environment(
    environment: str, tasks: int, episodes: int, horizon: int, threads: int, repeats: int
) -> Iterator[Row]:
    setup = _setup(environment, ITERATIONS_OF[0], tasks, episodes, horizon, threads)
    env = _physics_of(setup)
    state = setup.algorithm.initial_state(Address(0))
    steps = env.num_envs * horizon

    def play(repeat: int) -> tuple[float, Trial, Address]:
        address = Address(repeat)
        env.set_tasks(env.sample_tasks(task_seeds(address, range(tasks))))
        seconds, trial = _timed(lambda: collect(env, setup.algorithm, state, 1, address))
        return seconds, trial, address

    def replay(repeat: int) -> tuple[float, Trial, Address]:
        _, trial, address = play(repeat)
        return _replay(env, trial, address, env.step), trial, address

    yield from _compared("environment stepping", environment, env, replay, repeats, steps, physics_row=True)
    yield from _compared("sampling one round", environment, env, play, repeats, steps)
    yield from _gymnasium_rows(environment, setup)
    for algorithm in ITERATIONS_OF:
        yield from _iteration_rows(_setup(environment, algorithm, tasks, episodes, horizon, threads), repeats)


def _setup(environment: str, algorithm: str, tasks: int, episodes: int, horizon: int, threads: int) -> Setup:
    config = default_config(environment, algorithm)
    train = replace(config.train, tasks=tasks, episodes=episodes, threads=threads)
    return set_up(replace(config, train=train, env=replace(config.env, horizon=horizon)))


def _physics_of(setup: Setup) -> MujocoTasks:
    assert isinstance(setup.env, MujocoTasks)  # refused in measure_speed
    return setup.env


def _compared(
    what: str,
    environment: str,
    env: MujocoTasks,
    work: Callable[[int], tuple[float, Trial, Address]],
    repeats: int,
    steps: int,
    physics_row: bool = False,
) -> Iterator[Row]:
    """A row for `work` (and one for its physics): repeat 0 warms up and does not count."""
    seconds, physics = [], []
    for repeat in range(repeats + 1):
        duration, trial, address = work(repeat)
        seconds.append(duration)
        physics.append(bare_physics(env, trial, address))
    seconds, physics = seconds[1:], physics[1:]
    if physics_row:
        yield _row("bare physics", environment, statistics.median(physics), steps, 1.0)
    ratio = statistics.median(a / b for a, b in zip(seconds, physics, strict=True))
    yield _row(what, environment, statistics.median(seconds), steps, ratio)


def _iteration_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """Rows for an iteration of a method, and its parts."""
    name, env = setup.config.algorithm, _physics_of(setup)
    state: State = setup.algorithm.initial_state(Address(0))
    parts: dict[str, list[float]] = {"sampling with adaptation": [], "update": [], "whole iteration": []}
    physics, steps = [], 0
    for repeat in range(repeats + 1):
        address = Address(repeat)
        with torch_threads(setup.config.train.torch_threads):
            state, trial, metrics = train_iteration(setup.env, setup.algorithm, state, address)
        parts["sampling with adaptation"].append(metrics["time/sampling"])
        parts["update"].append(metrics["time/update"])
        parts["whole iteration"].append(metrics["time/sampling"] + metrics["time/update"])
        physics.append(bare_physics(env, trial, address))
        steps = sum(int(rollout.mask.sum()) for rollout in trial.rollouts)
    for part, seconds in parts.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[1:], physics[1:], strict=True))
        yield _row(
            f"{name}: {part}",
            setup.config.environment,
            statistics.median(seconds[1:]),
            None if part == "update" else steps,
            ratio,
        )


def bare_physics(env: MujocoTasks, trial: Trial, address: Address) -> float:
    """Seconds that `Batch.step` alone needs for the controls of a trial."""
    controls_of = env.batch.bind("ctrl")

    def step(actions: np.ndarray) -> None:
        controls_of[...] = actions
        env.batch.step(nstep=env.frame_skip)

    return _replay(env, trial, address, step, env.controls)


def _replay(
    env: MujocoTasks,
    trial: Trial,
    address: Address,
    step: Callable[[np.ndarray], Any],
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> float:
    """Seconds of `step` over all recorded actions, from the states that the trial started in."""
    env.set_tasks(env.sample_tasks(task_seeds(address, range(env.num_tasks))))
    seconds = 0.0
    for round_, rollout in enumerate(trial.rollouts):
        seeds = [address.at(Purpose.RESET, task, round_).seed() for task in range(env.num_tasks)]
        env.reset(seed=seeds)
        actions = rollout.action.flatten(0, 1).transpose(0, 1).numpy()  # [T, N·E, A]
        prepared = [prepare(action) for action in actions]
        start = time.perf_counter()
        for action in prepared:
            step(action)
        seconds += time.perf_counter() - start
    return seconds


def _gymnasium_rows(environment: str, setup: Setup) -> Iterator[Row]:
    """Gymnasium's own vector environments of the same robot, over the same cores, with controls of the same kind."""
    name = {"half-cheetah": "HalfCheetah-v5"}.get("-".join(environment.split("-")[:2]))
    if name is None:
        return
    cores = setup.config.train.threads
    unit = _physics_rate(setup)
    for what, lanes, kind in (
        ("Gymnasium SyncVectorEnv", 8, gymnasium.vector.SyncVectorEnv),
        ("Gymnasium AsyncVectorEnv", cores, gymnasium.vector.AsyncVectorEnv),
        ("Gymnasium AsyncVectorEnv", 4 * cores, gymnasium.vector.AsyncVectorEnv),
    ):
        vector = kind([partial(_make_quietly, name)] * lanes)
        try:
            rng = np.random.default_rng(0)
            controls = np.clip(rng.normal(0, 1 / _physics_of(setup).action_scale, (GYMNASIUM_STEPS, lanes, 6)), -1, 1)
            vector.reset(seed=0)
            seconds, _ = _timed(partial(_step_all, vector, controls))
        finally:
            vector.close()
        steps = lanes * GYMNASIUM_STEPS
        yield _row(f"{what}, {lanes} lanes", environment, seconds, steps, unit * seconds / steps)


def _make_quietly(name: str) -> gymnasium.Env[Any, Any]:
    """MuJoCo has something to say about the XML of Gymnasium's cheetah at every load."""
    with silent():
        return gymnasium.make(name)


def _step_all(vector: gymnasium.vector.VectorEnv[Any, Any, Any], controls: np.ndarray) -> None:
    for control in controls:
        vector.step(control)


def _physics_rate(setup: Setup) -> float:
    """Steps per second of bare physics, measured now."""
    address, env = Address(0), _physics_of(setup)
    trial = collect(env, setup.algorithm, setup.algorithm.initial_state(address), 1, address)
    return env.num_envs * env.horizon / bare_physics(env, trial, address)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _row(what: str, environment: str, seconds: float, steps: int | None, ratio: float) -> Row:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return {
        "what": what,
        "env": environment,
        "seconds": seconds,
        "steps_per_second": steps / seconds if steps else None,
        "ratio_to_physics": ratio,
        "peak_mib": round(peak),
    }


def speed_table(rows: list[Row]) -> Table:
    """The rows as people read them."""
    table = Table("what", "environment", "seconds", "steps/s", "× bare physics", "peak MiB", title="speed")
    for row in rows:
        rate = f"{row['steps_per_second']:,.0f}" if row["steps_per_second"] else ""
        table.add_row(
            row["what"],
            row["env"],
            f"{row['seconds']:.2f}",
            rate,
            f"{row['ratio_to_physics']:.2f}",
            str(row["peak_mib"]),
        )
    return table
