"""How fast: environments, sampling, updates and whole iterations, in units of bare physics measured in the same run.

Each repeat measures a row and its bare physics (`physics.py`) back to back, and the median of their ratios counts,
since machines are shared and their speed drifts.
"""

import itertools
import resource
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from envs.contract.base import TaskEnv
from envs.engine.lanes import silence
from envs.engine.mujoco_tasks import MujocoTasks
from envs.registry import environment_class, names
from metarl.algorithms import algorithm_class, names_for
from metarl.core.types import State, Trial
from metarl.runs.presets import default_config
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.errors import InputError
from metarl.runtime.options import check_number
from metarl.runtime.randomness import Address
from metarl.runtime.threads import torch_threads
from metarl.sampling.collect import collect
from metarl.sampling.groups import collect_in_groups, first_tasks
from metarl.speed.physics import bare_physics, has_physics, replay, time_of, timed
from metarl.training.loop import count_steps, set_new_tasks, train_iteration
from metarl.training.setup import Setup, choose_device, set_up

Row = dict[str, Any]
Pairs = list[tuple[float, float]]
"""Seconds of some work, and of the bare physics that was measured right after it: a pair for each repeat."""

ITERATIONS_OF = ("maml-trpo", "promp")
GYMNASIUM_ROBOTS = {
    "half-cheetah": "HalfCheetah-v5",
    "ant": "Ant-v5",
    "humanoid": "Humanoid-v5",
    "walker": "Walker2d-v5",
    "hopper": "Hopper-v5",
    "swimmer": "Swimmer-v5",
}
GYMNASIUM_STEPS = 400  # environment steps of each lane in a Gymnasium row


def measure_speed(
    environments: Sequence[str] = (),
    tasks: int = 40,
    lanes: int = 20,
    horizon: int = 100,
    threads: int = 0,
    repeats: int = 3,
    only_environments: bool = False,
    every_update: bool = False,
    devices: Sequence[str] = (),
    *,
    quiet: bool = True,
) -> list[Row]:
    """Measure every row for each environment; the same as `metarl speed`.

    Args:
        only_environments: leave out sampling, Gymnasium and training; no environment named then means all with physics.
        every_update: measure the update of every method instead, each on its own trial of the same size.
        devices: where adaptation and updates are measured, one after another (physics is the CPU's in any case); none
            named means all there are.
        quiet: do not show what is being measured.

    Returns rows of `what`, `env`, `device`, `seconds`, `steps_per_second`, `ratio_to_physics` and `peak_mib`.

    Raises:
        InputError: an environment without MuJoCo physics, an impossible number, or a device that is not there.
    """
    console = Console(stderr=True, quiet=quiet)
    for name, value, least in (("horizon", horizon, 1), ("threads", threads, 0), ("repeats", repeats, 1)):
        check_number(f"--{name}", value, least=least)
    if not environments:
        with_physics = [name for name in names() if has_physics(environment_class(name))]
        environments = with_physics if only_environments else ["half-cheetah-dir"]
    for environment in environments:
        if not has_physics(environment_class(environment)):
            raise InputError(f"'{environment}' has no MuJoCo physics to compare with — name another one")
    # the CPU, and the GPU that `--device auto` would take
    devices = [choose_device(name).type for name in devices or dict.fromkeys(["cpu", choose_device("auto").type])]
    keep_freed_memory()  # as training does
    rows = []
    for environment in environments:
        make = partial(_setup, environment, tasks=tasks, lanes=lanes, horizon=horizon, threads=threads)
        parts: list[Iterable[Row]]
        if every_update:
            cases = itertools.product(names_for("experience"), devices)
            parts = [_update_row(_whole(make(*case)), repeats) for case in cases]
        else:
            cases = itertools.product(ITERATIONS_OF[: 1 if only_environments else None], devices)
            setups = [make(*case) for case in cases]
            whole = _whole(setups[0])
            parts = [_environment_rows(whole, repeats)]
        if not (only_environments or every_update):
            setups = [_settled(setup) for setup in setups]
            parts += [_sampling_row(setups[0], repeats), _gymnasium_rows(environment, whole)]
            parts += [_iteration_rows(setup, repeats) for setup in setups]
        for row in itertools.chain(*parts):
            what = row["what"] if row["device"] == "cpu" else f"{row['what']} ({row['device']})"
            console.print(f"{environment}: {what}: {row['seconds']:.4g} s  {_rate(row, ' steps/s')}", highlight=False)
            rows.append(row)
    return rows


def _setup(environment: str, algorithm: str, device: Any, tasks: int, lanes: int, horizon: int, threads: int) -> Setup:
    config = default_config(environment, algorithm)
    if algorithm_class(algorithm).traits(config.algo).replay:  # room for two trials, one of which is kept free
        room = 2 * tasks * lanes * horizon * config.algo.rounds
        config = replace(config, algo=replace(config.algo, replay_size=max(room, config.algo.replay_size)))
    train = replace(config.train, tasks=tasks, lanes=lanes, threads=threads, device=device)
    return set_up(replace(config, train=train, env=replace(config.env, horizon=horizon)), training=True)


def _whole(setup: Setup) -> Setup:
    """The same with all tasks in one group, whose physics anything can be compared with."""
    whole = setup.divisions.settled and len(setup.envs) == 1
    return setup if whole else set_up(setup.config, num_tasks=setup.config.train.tasks, training=True)


def _physics_of(setup: Setup) -> TaskEnv:
    return _whole(setup).env


def _settled(setup: Setup) -> Setup:
    """The same, when it has found out which division of its tasks is the fastest."""
    state: State = setup.algorithm.initial_state(Address(0))
    with torch_threads(setup.config.train.torch_threads):
        while not setup.divisions.settled:
            train_iteration(setup, state, Address(0))
    return setup


def _play(setup: Setup, repeat: int) -> tuple[float, Trial, Address]:
    """One round of new tasks with the untrained policy: its seconds, what was played, and where its tasks come from."""
    address = Address(repeat)
    state = setup.algorithm.initial_state(Address(0))
    for env, first in zip(setup.envs, first_tasks(setup.envs), strict=True):
        set_new_tasks(env, address, first_task=first)
    seconds, trial = timed(lambda: collect_in_groups(setup.envs, setup.algorithm, state, 1, address))
    return seconds, trial, address


def _environment_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """Stepping without a policy, as long as half of the lanes live; and giving every lane a new task."""
    env, name = _physics_of(setup), setup.config.environment
    stepping, switching, steps = [], [], 0
    for repeat in range(repeats + 1):
        _, trial, address = _play(setup, repeat)
        seconds, steps = replay(env, trial, address, lambda actions, live: env.step(actions), least_live=0.5)
        physics = bare_physics(env, trial, address, least_live=0.5)
        stepping.append((seconds, physics))
        tasks = env.sample_tasks(repeat)
        plain, _ = timed(partial(env.reset, seed=repeat))
        env.set_tasks(tasks)
        fitted, _ = timed(partial(env.reset, seed=repeat))
        # in units of the physics of an iteration: two rounds of all lanes to the horizon
        switch = max(0.0, fitted - plain) + timed(partial(env.set_tasks, tasks))[0]
        switching.append((switch, 2 * env.num_envs * env.horizon * physics / steps))
    yield _row("bare physics", name, [(physics, physics) for _, physics in stepping], steps)
    yield _row("environment stepping", name, stepping, steps)
    yield _row("switching all tasks, against an iteration", name, switching)


def _sampling_row(setup: Setup, repeats: int) -> Iterator[Row]:
    pairs, steps = [], 0
    for repeat in range(repeats + 1):
        seconds, trial, address = _play(setup, repeat)
        pairs.append((seconds, bare_physics(_physics_of(setup), trial, address)))
        steps = count_steps(trial)
    yield _row("sampling one round", setup.config.environment, pairs, steps)


def _iteration_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """Rows for an iteration of a method, and its parts."""
    env, state = _physics_of(setup), setup.algorithm.initial_state(Address(0))
    parts: dict[str, Pairs] = {"sampling with adaptation": [], "update": [], "whole iteration": []}
    steps = 0
    for repeat in range(repeats + 1):
        with torch_threads(setup.config.train.torch_threads):
            state, trial, metrics = train_iteration(setup, state, Address(repeat))
        sampling, update, steps = metrics["time/sampling"], metrics["time/update"], count_steps(trial)
        physics = bare_physics(env, trial, Address(repeat))
        for pairs, seconds in zip(parts.values(), (sampling, update, sampling + update), strict=True):
            pairs.append((seconds, physics))
    for part, pairs in parts.items():
        what, played = f"{setup.config.algorithm}: {part}", 0 if part == "update" else steps
        yield _row(what, setup.config.environment, pairs, played, setup.device.type)


def _update_row(setup: Setup, repeats: int) -> Iterator[Row]:
    """The update of a method alone, always from the start of training and on the same trial."""
    env, algorithm, address = _physics_of(setup), setup.algorithm, Address(0)
    state = algorithm.initial_state(address)
    set_new_tasks(env, address)
    trial = collect(env, algorithm, state, algorithm.rounds, address)
    with torch_threads(setup.config.train.torch_threads):
        seconds = [timed(lambda: algorithm.update(state, trial, address))[0] for _ in range(repeats + 1)]
    physics = bare_physics(env, trial, address)
    pairs = [(each, physics) for each in seconds]
    yield _row(f"{setup.config.algorithm}: update", setup.config.environment, pairs, device=setup.device.type)


def _gymnasium_rows(environment: str, setup: Setup) -> Iterator[Row]:
    """Gymnasium's own vector environments of the same robot, over the same cores, with controls of the same kind."""
    robot = next((robot for robot in GYMNASIUM_ROBOTS if environment.startswith(robot)), None)
    if robot is None:
        return
    env, cores = _physics_of(setup), setup.config.train.threads
    assert isinstance(env, MujocoTasks)  # one of those robots
    _, trial, address = _play(setup, 0)
    seconds_a_step = bare_physics(env, trial, address) / count_steps(trial)
    for kind, lanes in (("Sync", 8), ("Async", cores), ("Async", 4 * cores)):
        make = partial(_make_quietly, GYMNASIUM_ROBOTS[robot], env.frame_skip)
        vector = getattr(gymnasium.vector, f"{kind}VectorEnv")([make] * lanes)
        try:
            shape = (GYMNASIUM_STEPS, lanes, env.model.nu)
            controls = np.clip(np.random.default_rng(0).normal(0, 1 / env.action_scale, shape), -1, 1)
            controls = controls * env.model.actuator_ctrlrange[:, 1]
            vector.reset(seed=0)
            seconds = time_of(vector.step, zip(controls))
        finally:
            vector.close()
        steps = lanes * GYMNASIUM_STEPS
        pairs = [(seconds, steps * seconds_a_step)] * 2
        yield _row(f"Gymnasium {kind}VectorEnv, {lanes} lanes", environment, pairs, steps)


def _make_quietly(name: str, frame_skip: int) -> gymnasium.Env[Any, Any]:
    """MuJoCo has something to say about the XML of Gymnasium's cheetah at every load."""
    with silence:
        return gymnasium.make(name, frame_skip=frame_skip)


def _row(what: str, environment: str, pairs: Pairs, steps: int = 0, device: str = "cpu") -> Row:
    """Medians over the repeats, but for the first, which warmed up; `steps` were played in each."""
    seconds = statistics.median(seconds for seconds, _ in pairs[1:])
    on_gpu = device == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "what": what,
        "env": environment,
        "device": device,
        "seconds": seconds,
        "steps_per_second": steps / seconds if steps else None,
        "ratio_to_physics": statistics.median(seconds / physics for seconds, physics in pairs[1:]),
        "peak_mib": round(peak / (2**20 if on_gpu or sys.platform == "darwin" else 2**10)),  # held until now
    }


def _rate(row: Row, unit: str = "") -> str:
    return f"{row['steps_per_second']:,.0f}{unit}" if row["steps_per_second"] else ""


def speed_table(rows: list[Row]) -> Table:
    """The rows as people read them."""
    table = Table("what", "environment", "device", "seconds", "steps/s", "× bare physics", "peak MiB", title="speed")
    for row in rows:
        numbers = f"{row['seconds']:.3g}", _rate(row), f"{row['ratio_to_physics']:.3g}", str(row["peak_mib"])
        table.add_row(row["what"], row["env"], row["device"], *numbers)
    return table
