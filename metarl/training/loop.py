"""The training loop of every method.

    tasks ──► env.set_tasks ──► collect ──► Trial ──► algorithm.update ──► metrics
      ▲                           ▲                          │
      └────── next iteration ─────┴── new meta-parameters ◄──┘

Every iteration starts from reset and draws from addressed streams, so a run that was interrupted and resumed equals
one that was not. Where several ranks train together (`ranks.py`), each does this with its block of the tasks.
"""

import time
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from rich.console import Console

from envs.contract.base import TaskEnv
from envs.contract.tasks import Tasks
from metarl.core.types import Metrics, Rollout, State, Trial
from metarl.runs.checkpoint import Checkpoint, shapes_of
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.devices import CPU, placed_like
from metarl.runtime.interruption import interruptible_at_points
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import gather, rank, sum_over_ranks, value_of_first, world_size
from metarl.runtime.threads import torch_threads
from metarl.sampling.blame import blaming_environment
from metarl.sampling.groups import collect_in_groups, first_tasks
from metarl.training.ranks import threads_of_rank
from metarl.training.recording import recording
from metarl.training.task_sampling import draw_tasks, learn_from, task_seeds

if TYPE_CHECKING:
    from metarl.training.setup import Setup, World


def iterate(world: "World", run: RunDirectory | None, start: State, console: Console) -> Generator[Metrics]:
    """Train until the config says so, from the run directory's last checkpoint on; yields each iteration's metrics.

    Whatever ends it early (the generator's reader, Ctrl-C, SIGTERM, SIGHUP, broken numbers, a broken environment, a
    lost rank), the last finished iteration is saved first. Signals wait until an iteration's numbers are whole, and
    then do what they would have done.

    Args:
        world: what to train.
        run: where it is written; None on the ranks that do not write.
        start: a fresh state.
        console: where progress is shown.

    Raises:
        Interrupted: a signal came, and the program's handler of it has returned.
    """
    config = world.config.train
    keep_freed_memory()
    found = value_of_first(run.load(CPU, shapes_of(start)) if run else None)
    done = starting_point(found, start, world.device)
    with recording(world, run, done, console) as record:
        ended = value_of_first(record.ended)
        while not ended:
            iteration = done.iteration + 1
            with interruptible_at_points(), torch_threads(threads_of_rank(config.torch_threads)):
                address = Address(config.seed).at(Purpose.TRAINING, iteration)
                state, metrics, steps = world.iterate(done.state, address)
                if config.evaluate_every and iteration % config.evaluate_every == 0:
                    metrics |= world.on_unseen_tasks(state)
            done = Checkpoint(iteration, done.env_steps + steps, state)
            metrics = {"iteration": iteration, world.counted: done.env_steps, **metrics}
            record(done, metrics)
            ended = value_of_first(record.ended)
            yield metrics


def train(world: "World", run: RunDirectory | None, start: State, console: Console) -> None:
    """Train until the config says so; takes and raises what `iterate` does."""
    with interruptible_at_points(), closing(iterate(world, run, start, console)) as iterations:
        for _ in iterations:
            pass


def starting_point(found: Checkpoint | None, start: State, device: torch.device) -> Checkpoint:
    """The start, or what was found, with every tensor on the device that the start has it on."""
    return Checkpoint(0, 0, start) if found is None else found._replace(state=placed_like(found.state, start, device))


def train_iteration(setup: "Setup", state: State, address: Address) -> tuple[State, Trial, Metrics]:
    """One meta-update: new tasks, a trial on each, an update from all."""
    algorithm, start = setup.algorithm, time.perf_counter()
    drawn = draw_tasks(setup.sampler, state, num_tasks(setup), address)
    trial = meet_new_tasks(setup, state, algorithm.rounds, address, tasks=drawn.tasks if drawn else None)
    collected, steps = time.perf_counter(), count_steps(trial)
    setup.divisions.took((collected - start) / max(1, steps))
    taught = of_all_ranks(trial) if setup.traits.learns_from_whole_batch else trial
    updated, measured = setup.within_memory(lambda: algorithm.update(state, taught, address.at(Purpose.UPDATE)))
    chosen, told = learn_from(setup.sampler, state, drawn, trial)
    finished = time.perf_counter()
    metrics = {
        **outcome_of(trial),
        **measured,
        **told,
        "sampling/diverged": float(sum_over_ranks(torch.tensor(trial.diverged, dtype=torch.float64))),
        "time/sampling": collected - start,
        "time/update": finished - collected,
        "time/steps_per_second": steps / (finished - start),
    }
    return updated | chosen, trial, metrics


def num_tasks(setup: "Setup") -> int:
    """Tasks of a meta-batch, on all ranks."""
    return world_size() * sum(env.num_tasks for env in setup.envs)


def of_all_ranks(trial: Trial) -> Trial:
    """The trials of all ranks' tasks as one, in the order of the meta-batch."""
    if world_size() == 1:
        return trial
    tasks = None if trial.tasks is None else gather(trial.tasks)
    return Trial([Rollout(*map(gather, rollout)) for rollout in trial.rollouts], trial.diverged, tasks)


def outcome_of(trial: Trial) -> Metrics:
    """Mean undiscounted episode returns of all ranks' tasks, round by round, and likewise their diagnostics."""
    measured = {"return": trial.returns, **trial.diagnostics}
    means = {name: gather(values).mean(dim=0) for name, values in measured.items()}  # [K + 1]
    return {f"{name}/round_{k}": float(mean) for name, rounds in means.items() for k, mean in enumerate(rounds)}


def meet_new_tasks(
    setup: "Setup", state: State, rounds: int, address: Address, split: str = "train", tasks: Tasks | None = None
) -> Trial:
    """A trial of so many rounds on a new task of a split for every place of the meta-batch, or on these `tasks`."""
    envs, algorithm = setup.envs, setup.algorithm
    first_task = rank() * sum(env.num_tasks for env in envs)
    for env, first in zip(envs, first_tasks(envs, first_task), strict=True):
        if tasks is None:
            set_new_tasks(env, address, split, first)
        else:
            set_block(env, tasks, first)
    return setup.within_memory(lambda: collect_in_groups(envs, algorithm, state, rounds, address, first_task))


def set_new_tasks(env: TaskEnv, address: Address, split: str = "train", first_task: int = 0) -> None:
    """Draw tasks `first_task` … of a meta-batch, as many as `env` has, each from its own stream below `address`."""
    numbers = range(first_task, first_task + env.num_tasks)
    with blaming_environment(env, "at its tasks"):
        env.set_tasks(env.sample_tasks(task_seeds(address, numbers), split=split))


def set_block(env: TaskEnv, tasks: Tasks, first_task: int) -> None:
    """Give `env` its block of a meta-batch's tasks."""
    with blaming_environment(env, "at its tasks"):
        env.set_tasks({name: values[first_task : first_task + env.num_tasks] for name, values in tasks.items()})


def count_steps(trial: Trial) -> int:
    """Environment steps of a trial, of all ranks."""
    steps = torch.stack([rollout.mask.sum(dtype=torch.float64) for rollout in trial.rollouts]).sum()
    return int(sum_over_ranks(steps))
