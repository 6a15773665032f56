"""What a GPU gains: update and iteration times of four methods on the CPU and on a GPU, and whether the two agree.

python scripts/measure_gpu.py                # under 8 minutes: half-cheetah-dir, 40 tasks × 20 lanes × 100 steps
python scripts/measure_gpu.py --profile      # and where the time of a MAML-TRPO update goes
python scripts/measure_gpu.py --device cpu --tasks 4 --lanes 3 --horizon 10 --threads 1   # where none is

Physics and acting run on the CPU in any case. An update ends in numbers that Python reads, so its time is whole. PEARL
takes 20 gradient steps an iteration here.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from metarl.core.inner_step import for_tasks
from metarl.core.meta_gradient import meta_gradient
from metarl.core.types import Params, State, Trial
from metarl.runs.config import RunConfig
from metarl.runs.presets import default_config
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.runtime.threads import torch_threads
from metarl.training.loop import train_iteration
from metarl.training.setup import Setup, set_up

ALGORITHMS = ("maml-trpo", "promp", "rl2", "pearl")
PEARL_STEPS = 20  # gradient steps of an update


class Measured(NamedTuple):
    """Medians, in seconds, and the last iteration's data."""

    setup: Setup
    update: float
    iteration: float
    state: State
    trial: Trial


def config_of(algorithm: str, device: Literal["cpu", "cuda"], options: argparse.Namespace) -> RunConfig:
    """The method's own preset at the size that was asked for."""
    defaults = default_config(options.environment, algorithm)
    train = replace(
        defaults.train,
        tasks=options.tasks,
        lanes=options.lanes,
        threads=options.threads,
        torch_threads=options.threads,
        device=device,
    )
    algo = defaults.algo
    if algorithm == "pearl":
        steps = options.tasks * options.lanes * options.horizon * algo.rounds
        algo = replace(algo, update_ratio=PEARL_STEPS / steps, replay_size=4 * steps, warmup_iterations=0)
    return RunConfig(options.environment, algorithm, train, replace(defaults.env, horizon=options.horizon), algo)


def measure(algorithm: str, device: Literal["cpu", "cuda"], options: argparse.Namespace) -> Measured:
    """Iterations of a method, one of them to warm up, until the repeats or the seconds are used."""
    setup = set_up(config_of(algorithm, device, options))
    state, updates, iterations = setup.initial_state(Address(0)), list[float](), list[float]()
    with torch_threads(setup.config.train.torch_threads):
        begun = time.perf_counter()
        for repeat in range(options.repeats + 1):
            before = state
            state, trial, metrics = train_iteration(setup, state, Address(repeat + 1))
            updates.append(metrics["time/update"])
            iterations.append(metrics["time/update"] + metrics["time/sampling"])
            if repeat and time.perf_counter() - begun > options.seconds:
                break
    return Measured(setup, statistics.median(updates[1:]), statistics.median(iterations[1:]), before, trial)


def gradient_of(algorithm: Any, state: State, trial: Trial) -> Params | None:
    """The meta-gradient at `state`, on the algorithm's own device; None of a method without one."""
    policy = {name: value.to(algorithm.device) for name, value in state["policy"].items() if torch.is_tensor(value)}
    if hasattr(algorithm, "meta_loss_gradient"):
        support, query = algorithm.batches(trial)
        gradient: Params = algorithm.meta_loss_gradient(policy, algorithm.adaptation(policy, support), support, query)[
            0
        ]
        return gradient
    if hasattr(algorithm, "sampled_from"):
        support, query = algorithm.batches(trial)
        sampled = for_tasks(algorithm.sampled_from, shared=[0])(policy, support)
        no_penalty = torch.zeros(query.mask.shape[0], device=algorithm.device)
        return meta_gradient(algorithm.objective, policy, sampled, query, no_penalty)[0]
    return None


def difference(ours: Params, theirs: Params) -> float:
    """Relative, of all parameters together."""
    a, b = (torch.cat([vector[name].double().cpu().flatten() for name in ours]) for vector in (ours, theirs))
    return float((a - b).norm() / b.norm())


def rows(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """A line for each method."""
    for name in ALGORITHMS:
        on_cpu, on_device = (measure(name, device, options) for device in ("cpu", options.device))
        ours, theirs = (gradient_of(each.setup.algorithm, on_cpu.state, on_cpu.trial) for each in (on_device, on_cpu))
        agreement = f"{difference(ours, theirs):.1e}" if ours and theirs else "–"
        yield (
            name,
            f"{on_cpu.update:.3f}",
            f"{on_device.update:.3f}",
            f"{on_cpu.update / on_device.update:.2f}",
            f"{on_cpu.iteration:.3f}",
            f"{on_device.iteration:.3f}",
            f"{on_cpu.iteration / on_device.iteration:.2f}",
            agreement,
        )
        if options.profile and name == "maml-trpo":
            profile(on_device, options.device)


def profile(measured: Measured, device: str) -> None:
    """Print the operations that an update spends most time in."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        measured.setup.algorithm.update(measured.state, measured.trial, Address(0))
    print(profiler.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=20, max_name_column_width=50))


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda", help="what is compared with the CPU")
    parser.add_argument("--environment", default="half-cheetah-dir")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--lanes", type=int, default=20)
    parser.add_argument("--horizon", type=int, default=100)
    parser.add_argument("--threads", type=int, default=0, help="of physics and of torch (0: one for each core)")
    parser.add_argument("--repeats", type=int, default=5, help="iterations of each row; the median counts")
    parser.add_argument("--seconds", type=float, default=30, help="after these a row repeats no more")
    parser.add_argument("--profile", action="store_true", help="list what a MAML-TRPO update spends its time in")
    options = parser.parse_args()
    keep_freed_memory()  # as training does
    device = options.device
    size = f"{options.environment}, {options.tasks} × {options.lanes} × {options.horizon}"
    where = torch.cuda.get_device_name() if device == "cuda" and torch.cuda.is_available() else device
    headings = [f"{what} s, {on}" for what in ("update", "iteration") for on in ("cpu", where)]
    table = Table("method", *headings[:2], "gain", *headings[2:], "gain", "gradients differ by", title=size)
    try:
        for row in rows(options):
            table.add_row(*row)
    except InputError as error:
        raise SystemExit(f"measure_gpu: error: {error}") from error
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
