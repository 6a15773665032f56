"""How fast: environments, sampling, updates and whole iterations, in units of bare physics measured in the same run.

*Bare physics* is a `Batch.step` loop that replays the very controls of the row it is compared with, over the same lanes
and threads: contacts make some controls dearer than others. Each repeat measures a row and its physics back to back,
and the median of their ratios counts, since machines are shared and their speed drifts.
"""

import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from envs.catalogue import ENVIRONMENTS
from envs.engine.mujoco_tasks import MujocoTasks
from envs.registry import environment_class
from metarl.algorithms import names_for
from metarl.core.types import State
from metarl.runs.presets import default_config
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect, torch_threads
from metarl.speed.physics import (
    Row,
    bare_physics,
    gymnasium_rows,
    measured,
    physics_of,
    play,
    replay,
    timed,
    whole_meeting,
)
from metarl.training.loop import set_new_tasks, train_iteration
from metarl.training.setup import Setup, choose_device, set_up

ITERATIONS_OF = ("maml-trpo", "promp")


def measure_speed(
    environments: Sequence[str],
    tasks: int,
    lanes: int,
    horizon: int,
    threads: int,
    repeats: int,
    console: Console,
    only_environments: bool = False,
    every_update: bool = False,
    devices: Sequence[str] = (),
) -> list[Row]:
    """Measure every row for each environment; `console` says what is being measured.

    Args:
        only_environments: leave out sampling, Gymnasium and training; no environment named then means all with physics.
        every_update: measure the update of every method instead, each on its own trial of the same size.
        devices: where adaptation and updates are measured, one after another (physics is the CPU's in any case); none
            named means all there are.

    Returns rows of `what`, `env`, `device`, `seconds`, `steps_per_second`, `ratio_to_physics` and `peak_mib`.

    Raises:
        InputError: an environment without MuJoCo physics, an impossible number, or a device that is not there.
    """
    for name, value, least in (("horizon", horizon, 1), ("threads", threads, 0), ("repeats", repeats, 1)):
        if value < least:
            raise InputError(f"--{name} is {value} — it must be at least {least}")
    if not environments:
        with_physics = [name for name in ENVIRONMENTS if issubclass(environment_class(name), MujocoTasks)]
        environments = with_physics if only_environments else ["half-cheetah-dir"]
    for environment in environments:
        if not issubclass(environment_class(environment), MujocoTasks):
            raise InputError(f"'{environment}' has no MuJoCo physics to compare with — name another one")
    devices = [choose_device(name).type for name in devices or available_devices()]
    keep_freed_memory()  # as training does
    rows = []
    for environment in environments:
        make = partial(_setup, environment, tasks=tasks, lanes=lanes, horizon=horizon, threads=threads)
        parts: list[Iterable[Row]] = []
        if every_update:
            cases = itertools.product(names_for("experience"), devices)
            parts = [_update_rows(whole_meeting(make(algorithm, device)), repeats) for algorithm, device in cases]
        else:
            cases = itertools.product(ITERATIONS_OF[: 1 if only_environments else None], devices)
            setups = [make(algorithm, device) for algorithm, device in cases]
            whole = whole_meeting(setups[0])
            parts = [_environment_rows(whole, repeats)]
        if not (only_environments or every_update):
            setups = [_settled(setup) for setup in setups]
            parts += [_sampling_row(setups[0], repeats), gymnasium_rows(environment, whole)]
            parts += [_iteration_rows(setup, repeats) for setup in setups]
        for row in itertools.chain(*parts):
            rate = f"{row['steps_per_second']:,.0f} steps/s" if row["steps_per_second"] else ""
            what = row["what"] if row["device"] == "cpu" else f"{row['what']} ({row['device']})"
            console.print(f"{environment}: {what}: {row['seconds']:.4g} s  {rate}", highlight=False)
            rows.append(row)
    return rows


def available_devices() -> list[str]:
    """The CPU, and the GPU that `--device auto` would take."""
    return list(dict.fromkeys(["cpu", choose_device("auto").type]))


def _setup(environment: str, algorithm: str, device: Any, tasks: int, lanes: int, horizon: int, threads: int) -> Setup:
    config = default_config(environment, algorithm)
    train = replace(config.train, tasks=tasks, lanes=lanes, threads=threads, device=device)
    return set_up(replace(config, train=train, env=replace(config.env, horizon=horizon)))


def _settled(setup: Setup) -> Setup:
    """The same, when it has found out which division of its tasks is the fastest."""
    state: State = setup.algorithm.initial_state(Address(0))
    with torch_threads(setup.config.train.torch_threads):
        while not setup.divisions.settled:
            train_iteration(setup, state, Address(0))
    return setup


def _environment_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """Stepping without a policy, as long as half of the lanes live; and giving every lane a new task."""
    env, name = physics_of(setup), setup.config.environment
    seconds, physics, switching, steps = [], [], [], 0
    for repeat in range(repeats + 1):  # repeat 0 warms up and does not count
        _, trial, address = play(setup, repeat)
        duration, steps = replay(env, trial, address, lambda actions, live: env.step(actions), least_live=0.5)
        seconds.append(duration)
        physics.append(bare_physics(env, trial, address, least_live=0.5))
        tasks = env.sample_tasks(repeat)
        plain, _ = timed(partial(env.reset, seed=repeat))
        env.set_tasks(tasks)
        fitted, _ = timed(partial(env.reset, seed=repeat))
        switching.append(max(0.0, fitted - plain) + timed(partial(env.set_tasks, tasks))[0])
    yield measured("bare physics", name, statistics.median(physics[1:]), steps, 1.0)
    yield measured("environment stepping", name, statistics.median(seconds[1:]), steps, _median_ratio(seconds, physics))
    # In units of the physics of an iteration: two rounds of all lanes to the horizon.
    iteration = 2 * env.num_envs * env.horizon * statistics.median(physics[1:]) / steps
    switch = statistics.median(switching[1:])
    yield measured("switching all tasks, against an iteration", name, switch, None, switch / iteration)


def _sampling_row(setup: Setup, repeats: int) -> Iterator[Row]:
    env, seconds, physics, steps = physics_of(setup), [], [], 0
    for repeat in range(repeats + 1):
        duration, trial, address = play(setup, repeat)
        seconds.append(duration)
        physics.append(bare_physics(env, trial, address))
        steps = int(trial.rollouts[0].mask.sum())
    ratio = _median_ratio(seconds, physics)
    yield measured("sampling one round", setup.config.environment, statistics.median(seconds[1:]), steps, ratio)


def _median_ratio(seconds: list[float], physics: list[float]) -> float:
    """The median over the repeats that count of work in units of the physics measured right after it."""
    return statistics.median(a / b for a, b in zip(seconds[1:], physics[1:], strict=True))


def _iteration_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """Rows for an iteration of a method, and its parts."""
    name, env = setup.config.algorithm, physics_of(setup)
    state: State = setup.algorithm.initial_state(Address(0))
    parts: dict[str, list[float]] = {"sampling with adaptation": [], "update": [], "whole iteration": []}
    physics, steps = [], 0
    for repeat in range(repeats + 1):
        address = Address(repeat)
        with torch_threads(setup.config.train.torch_threads):
            state, trial, metrics = train_iteration(setup, state, address)
        parts["sampling with adaptation"].append(metrics["time/sampling"])
        parts["update"].append(metrics["time/update"])
        parts["whole iteration"].append(metrics["time/sampling"] + metrics["time/update"])
        physics.append(bare_physics(env, trial, address))
        steps = sum(int(rollout.mask.sum()) for rollout in trial.rollouts)
    for part, seconds in parts.items():
        ratio = _median_ratio(seconds, physics)
        yield measured(
            f"{name}: {part}",
            setup.config.environment,
            statistics.median(seconds[1:]),
            None if part == "update" else steps,
            ratio,
            setup.device.type,
        )


def _update_rows(setup: Setup, repeats: int) -> Iterator[Row]:
    """The update of a method alone, always from the start of training and on the same trial."""
    env, algorithm, address = physics_of(setup), setup.algorithm, Address(0)
    state = algorithm.initial_state(address)
    set_new_tasks(env, address)
    trial = collect(env, algorithm, state, algorithm.rounds, address)
    with torch_threads(setup.config.train.torch_threads):
        seconds = [timed(lambda: algorithm.update(state, trial, address))[0] for _ in range(repeats + 1)]
    update = statistics.median(seconds[1:])
    ratio = update / bare_physics(env, trial, address)
    yield measured(
        f"{setup.config.algorithm}: update", setup.config.environment, update, None, ratio, setup.device.type
    )


def speed_table(rows: list[Row]) -> Table:
    """The rows as people read them."""
    table = Table("what", "environment", "device", "seconds", "steps/s", "× bare physics", "peak MiB", title="speed")
    for row in rows:
        rate = f"{row['steps_per_second']:,.0f}" if row["steps_per_second"] else ""
        table.add_row(
            row["what"],
            row["env"],
            row["device"],
            f"{row['seconds']:.3g}",
            rate,
            f"{row['ratio_to_physics']:.3g}",
            str(row["peak_mib"]),
        )
    return table
