"""Where an iteration's time goes, as one table.

    python scripts/profile_iteration.py [--algorithm promp] [--tasks 40] [--lanes 20] [--horizon 200]

Physics, the environment around it, acting, recording, adaptation and update are timed in a single group of tasks, one
after the other; torch's profiler splits the update into matrix products and the rest. Then whole iterations are timed
in two groups too, on the same cores: what one group does beside physics goes on while the other's physics runs.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from envs.engine.mujoco_tasks import MujocoTasks
from metarl.runs.presets import default_config
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.threads import torch_threads
from metarl.training.loop import train_iteration
from metarl.training.setup import Setup, set_up

MATRIX_PRODUCTS = ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm")


@dataclass(frozen=True)
class Options:
    """What to profile."""

    algorithm: str = "maml-trpo"
    environment: str = "half-cheetah-dir"
    tasks: int = 40
    lanes: int = 20
    horizon: int = 200
    threads: int = 0
    """Of physics and of torch (0: one for each core)."""
    repeats: int = 3
    """Iterations of each kind; medians count."""


def setup_in(groups: int, options: Options) -> Setup:
    """The iteration to profile, its tasks in so many groups."""
    config = default_config(options.environment, options.algorithm)
    train = replace(
        config.train,
        tasks=options.tasks,
        lanes=options.lanes,
        threads=options.threads,
        torch_threads=options.threads,
        groups=groups,
    )
    return set_up(replace(config, train=train, env=replace(config.env, horizon=options.horizon)))


def time_calls(owner: Any, name: str, part: str, seconds: defaultdict[str, float]) -> None:
    """Have every call of a method of one object add to the seconds of a part."""
    plain: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **keywords: Any) -> Any:
        start = time.perf_counter()
        try:
            return plain(*arguments, **keywords)
        finally:
            seconds[part] += time.perf_counter() - start

    setattr(owner, name, timed)


class TimedBatch:
    """A batch of simulations whose steps are timed; all else is the batch's."""

    def __init__(self, batch: Any, seconds: defaultdict[str, float]) -> None:
        self.batch, self.seconds = batch, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batch, name)

    def step(self, *arguments: Any) -> None:
        """Step, and add to the seconds of physics."""
        start = time.perf_counter()
        self.batch.step(*arguments)
        self.seconds["physics"] += time.perf_counter() - start


def iterations(setup: Setup, repeats: int, each: Callable[[], None] = lambda: None) -> list[float]:
    """Seconds of whole iterations; the first one warms up and does not count, and `each` is called after it and all."""
    state, durations = setup.initial_state(Address(0)), []
    with torch_threads(setup.config.train.torch_threads):
        for repeat in range(repeats + 1):
            start = time.perf_counter()
            state, _, _ = train_iteration(setup, state, Address(repeat))
            durations.append(time.perf_counter() - start)
            each()
    return durations[1:]


def parts_of_an_iteration(options: Options) -> dict[str, float]:
    """Median seconds of each part in a single group."""
    setup, seconds, seen = setup_in(1, options), defaultdict[str, float](float), list[dict[str, float]]()
    assert isinstance(setup.env, MujocoTasks), "only MuJoCo tasks have physics to tell from the rest"
    env: Any = setup.env
    env.batch = TimedBatch(env.batch, seconds)
    time_calls(env, "step", "environment", seconds)
    for name, part in (("act", "acting"), ("adapt", "adaptation"), ("update", "update")):
        time_calls(setup.algorithm, name, part, seconds)

    def note() -> None:
        seen.append(dict(seconds))
        seconds.clear()

    whole = iterations(setup, options.repeats, note)
    medians = {part: statistics.median(each[part] for each in seen[1:]) for part in seen[0]}
    medians["environment"] -= medians["physics"]
    medians["recording, tasks, resets"] = statistics.median(whole) - sum(medians.values())
    return medians


def share_of_matrix_products(options: Options) -> float:
    """Of the time that an update's operators take."""
    setup = setup_in(1, options)
    state = setup.initial_state(Address(0))
    with torch_threads(setup.config.train.torch_threads):
        _, trial, _ = train_iteration(setup, state, Address(0))
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            setup.algorithm.update(state, trial, Address(0).at(Purpose.UPDATE))
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    return float(sum(times.get(name, 0) for name in MATRIX_PRODUCTS) / sum(times.values()))


def main(options: Options) -> None:
    """Measure, and print one table."""
    keep_freed_memory()  # as training does
    parts = parts_of_an_iteration(options)
    one = sum(parts.values())
    products = share_of_matrix_products(options)
    together = statistics.median(iterations(setup_in(min(2, options.tasks), options), options.repeats))
    size = f"{options.tasks} × {options.lanes} × {options.horizon}"
    table = Table("part", "seconds", "share", title=f"{options.environment}, {options.algorithm}, {size}")
    for part in ("physics", "environment", "acting", "recording, tasks, resets", "adaptation"):
        table.add_row(part, f"{parts[part]:.2f}", f"{parts[part] / one:.1%}")
    for part, share in (("matrix products", products), ("all else", 1 - products)):
        table.add_row(f"update: {part}", f"{share * parts['update']:.2f}", f"{share * parts['update'] / one:.1%}")
    table.add_row("whole iteration, one group", f"{one:.2f}", "100%")
    table.add_row("whole iteration, two groups", f"{together:.2f}", f"{together / one:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Options))
