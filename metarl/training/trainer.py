"""The training loop of every method: sample tasks, collect, update, log; and what makes it resumable.

    tasks -> env.set_tasks -> collect -> Trial -> algorithm.update -> metrics
      next iteration  <-  new meta-parameters  <-

Every iteration starts from reset and draws from addressed streams, so a run that was interrupted and resumed equals
one that was not. Where several ranks train together (`parallel.py`), each does this with its block of the tasks.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium.spaces import Box
from rich.console import Console

from envs.adapters.seeing_task import seeing_task
from envs.contract.base import TaskEnv
from envs.registry import environment_class
from metarl.algorithms import algorithm_class, make_algorithm
from metarl.algorithms.algorithm import Algorithm, Spaces, Traits
from metarl.core.networks import size_of_action, size_of_observation
from metarl.core.replay import replay_bytes
from metarl.core.types import Metrics, State, Trial
from metarl.runs.checkpoint import Checkpoint, Shapes, shapes_of
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.logger import Charts, MetricsFile, ProgressLine
from metarl.runs.run_directory import RunDirectory
from metarl.runs.worlds import is_few_shot
from metarl.runtime.allocation import keep_freed_memory
from metarl.runtime.devices import placed_like
from metarl.runtime.errors import InputError
from metarl.runtime.interruption import interruptible_at_points
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import gather, rank, sum_over_ranks, tensors_of_first, value_of_first, world_size
from metarl.runtime.tasks_at_once import WithinMemory
from metarl.sampling.collect import blaming_environment, task_rows, torch_threads
from metarl.sampling.groups import Divisions, collect_in_groups, first_tasks
from metarl.sampling.normalisation import MOMENTS, initial_moments, outweighed, updated_moments
from metarl.training.parallel import threads_of_rank, ways_to_group

logger = logging.getLogger("metarl")


@dataclass(frozen=True)
class Setup:
    """Everything that a config says, made real."""

    config: RunConfig
    divisions: Divisions
    """Ways to sample an iteration's tasks, in one group or in several side by side."""
    algorithm: Algorithm
    within_memory: WithinMemory
    """Has parts of the tasks worked on where memory does not hold all."""

    counted = "env_steps"
    """What is counted as the run's experience."""

    @property
    def envs(self) -> tuple[TaskEnv, ...]:
        """The groups that are met next."""
        return self.divisions.envs

    @property
    def env(self) -> TaskEnv:
        """The first group: all tasks, where there is only one."""
        return self.envs[0]

    @property
    def traits(self) -> Traits:
        """What the algorithm does or needs."""
        return self.algorithm.traits(self.config.algo)

    @property
    def device(self) -> torch.device:
        """Where adaptation and updates are computed."""
        return self.algorithm.device

    @property
    def curves(self) -> dict[str, list[str]]:
        """Metrics that belong into one chart, after 0 … K adaptations each."""
        return {"return": [f"return/round_{k}" for k in range(self.algorithm.rounds)]}

    def describe(self) -> str:
        """One line about the work of an iteration."""
        config, env = self.config, self.env
        tasks = sum(group.num_tasks for group in self.envs) * world_size()
        spaces = spaces_of(env)
        sizes = size_of_observation(spaces.observation), size_of_action(spaces.action)
        memory = replay_bytes(self.traits.replay, *sizes) if self.traits.replay else 0
        return (
            f"{config.environment} · {config.algorithm} · {tasks} tasks"
            f" × {env.lanes_per_task} lanes × {env.horizon} steps · {self.device}"
            + (f" · {world_size()} ranks" if world_size() > 1 else "")
            + (f" · replay of {memory / 2**20:,.0f} MiB" if memory else "")
        )

    def initial_state(self, address: Address) -> State:
        """What training starts from: the algorithm's state, with moments of observations if these are normalised."""
        state = self.algorithm.initial_state(address)
        if self.config.train.normalise_observations:
            state = {**state, MOMENTS: initial_moments(self.env.observation_size)}
        return state

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: the new state, what was measured, and the environment steps that it took."""
        before = 0
        if MOMENTS in state and not state[MOMENTS]["count"]:
            state, before = with_first_moments(self, state, address.at(Purpose.MOMENTS))
        state, trial, metrics = train_iteration(self, state, address)
        # ranks on unlike processors would drift apart by last bits
        return tensors_of_first(state), metrics, before + count_steps(trial)


@runtime_checkable
class World(Protocol):
    """What the training loop needs of a run: a `Setup` of an environment, or a `FewShotSetup` of labelled data."""

    @property
    def config(self) -> RunConfig:
        """Everything needed to repeat the run."""

    @property
    def counted(self) -> str:
        """What is counted as the run's experience, e.g. `env_steps`."""

    @property
    def device(self) -> torch.device:
        """Where checkpoints are loaded to."""

    @property
    def curves(self) -> dict[str, list[str]]:
        """Metrics that belong into one chart, by its name."""

    def initial_state(self, address: Address) -> State:
        """What training starts from."""

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: the new state, what was measured, and how much experience it took."""


def set_up(config: RunConfig, num_tasks: int | None = None) -> Setup:
    """Environment and algorithm of a config; nothing is written.

    Args:
        config: what is to be run.
        num_tasks: tasks to meet, in a single group; by default those of a training iteration, in groups.

    Raises:
        InputError: whatever is wrong with the config.
    """
    if is_few_shot(config.environment):
        raise InputError(
            f"'{config.environment}' is labelled data, where nothing acts — it can be trained and evaluated"
        )
    train = resolve_hardware(config.train)
    device = choose_device(train.device)
    family: Any = environment_class(config.environment)
    traits: Traits = algorithm_class(config.algorithm).traits(config.algo)
    if world_size() > 1 and not traits.divides_over_ranks:
        raise InputError(f"{config.algorithm} does not divide its tasks over ranks — train it without torchrun")
    if traits.sees_task:
        family = seeing_task(family)
    ways = [[num_tasks]] if num_tasks else ways_to_group(family, config.algorithm, traits, train)

    def made(groups: list[int]) -> tuple[TaskEnv, ...]:
        threads = -(-threads_of_rank(train.threads) // len(groups))
        return tuple(family(tasks, train.lanes, config.env, threads=threads) for tasks in groups)

    with blaming_environment(config.environment, "when it was made"):
        divisions = Divisions(*map(made, ways))
    envs = divisions.envs
    algorithm = make_algorithm(config.algorithm, config.algo, spaces_of(envs[0]), device)
    within_memory = WithinMemory(sum(ways[0]), train.tasks_at_once)
    return Setup(replace(config, train=train, env=envs[0].config), divisions, algorithm, within_memory)


def spaces_of(env: TaskEnv) -> Spaces:
    """Of one lane of an environment."""
    task = Box(-np.inf, np.inf, task_rows(env).shape[1:], np.float64)
    return Spaces(env.single_observation_space, env.single_action_space, task)


def shapes_of_run(setup: World) -> Shapes:
    """The tensors of a run's checkpoints: those that it starts from, whatever their values have become."""
    return shapes_of(setup.initial_state(Address(setup.config.train.seed).at(Purpose.PARAMETERS)))


def resolve_hardware(train: TrainConfig) -> TrainConfig:
    """The config with its thread counts written out."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return replace(train, threads=train.threads or cores, torch_threads=train.torch_threads or cores)


def choose_device(name: str) -> torch.device:
    """The device that adaptation and updates use.

    Raises:
        InputError: a GPU was asked for, and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda, but torch finds no GPU — use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def train(setup: World, run: RunDirectory | None, console: Console) -> None:
    """Train until the config's last iteration, from the run directory's last checkpoint on.

    Whatever ends it early (Ctrl-C, SIGTERM, SIGHUP, broken numbers, a broken environment, a lost rank), the last
    finished iteration is saved first. Then a signal does what it would have done.

    Args:
        setup: what to train.
        run: where it is written; None on the ranks that do not write.
        console: where progress is shown.

    Raises:
        Interrupted: a signal came, and the program's handler of it has returned.
    """
    config = setup.config.train
    seed = Address(config.seed)
    keep_freed_memory()
    found = value_of_first(run.load(torch.device("cpu"), shapes_of_run(setup)) if run else None)
    done = starting_point(setup, found, seed.at(Purpose.PARAMETERS))
    with (
        interruptible_at_points(),
        recording(setup, run, done, console) as record,
        torch_threads(threads_of_rank(config.torch_threads)),
    ):
        for iteration in range(done.iteration + 1, config.iterations + 1):
            state, metrics, steps = setup.iterate(done.state, seed.at(Purpose.TRAINING, iteration))
            done = Checkpoint(iteration, done.env_steps + steps, state)
            record(done, {"iteration": iteration, setup.counted: done.env_steps, **metrics})


def starting_point(setup: World, found: Checkpoint | None, address: Address) -> Checkpoint:
    """A fresh state, or what was found, with every tensor on the device that a fresh one has it on."""
    fresh = setup.initial_state(address)
    if found is None:
        return Checkpoint(0, 0, fresh)
    return found._replace(state=placed_like(found.state, fresh, setup.device))


@contextmanager
def recording(
    setup: World, run: RunDirectory | None, done: Checkpoint, console: Console
) -> Iterator[Callable[[Checkpoint, Metrics], None]]:
    """A function that writes and shows each finished iteration after `done`; the last is saved when the block ends."""
    if run is None:
        yield lambda done, metrics: None
        return
    config = setup.config.train
    newest, tried = done, done.iteration
    log = MetricsFile(run.metrics_path, done.iteration)
    if log.done_before > done.iteration:
        again = f"iterations {done.iteration + 1} to {log.done_before}, of which there is no sound checkpoint"
        console.out(f"again: {again}, until when their lines wait in {log.again_path.name}", highlight=False)
    charts = Charts(run.path, run.config_text, setup.curves, done.iteration)

    def record(done: Checkpoint, metrics: Metrics) -> None:
        nonlocal newest, tried
        log.append(metrics)
        newest = done
        charts.write(metrics, done.iteration)
        if done.iteration % config.checkpoint_every == 0 or done.iteration == config.iterations:
            tried = done.iteration
            run.save(done, config.keep_checkpoints)
        progress.update(done.iteration, metrics)

    try:
        with ProgressLine(console, config.iterations, done.iteration) as progress:
            yield record
    except BaseException:
        if newest.iteration > tried:
            try:
                run.save(newest, config.keep_checkpoints)
            except Exception as error:  # what ended training is what must be seen
                logger.error("iteration %d could not be saved: %s", newest.iteration, error)
        raise
    finally:
        charts.close()


def train_iteration(setup: Setup, state: State, address: Address) -> tuple[State, Trial, Metrics]:
    """One meta-update: new tasks, a trial on each, an update from all."""
    algorithm, before = setup.algorithm, state
    start = time.perf_counter()
    trial = meet_new_tasks(setup, before, algorithm.rounds, address)
    collected = time.perf_counter()
    steps = count_steps(trial)
    setup.divisions.took((collected - start) / max(1, steps))
    state, metrics = setup.within_memory(lambda: algorithm.update(before, trial, address.at(Purpose.UPDATE)))
    if MOMENTS in state:
        state = {**state, MOMENTS: updated_moments(state[MOMENTS], trial)}
    finished = time.perf_counter()
    returns = gather(trial.returns).mean(dim=0)  # [K + 1]
    metrics = {
        **{f"return/round_{k}": float(value) for k, value in enumerate(returns)},
        **metrics,
        "sampling/diverged": float(sum_over_ranks(torch.tensor(trial.diverged, dtype=torch.float64))),
        "time/sampling": collected - start,
        "time/update": finished - collected,
        "time/steps_per_second": steps / (finished - start),
    }
    return state, trial, metrics


def with_first_moments(setup: Setup, state: State, address: Address) -> tuple[State, int]:
    """The state with moments of observations that its policy has never been without, and the steps that it took.

    Two rounds: the first shows the untrained policy observations as they are, which makes another policy of it; so its
    moments only serve to see the second, and are outweighed by that.
    """
    steps = 0
    for number in range(2):
        trial = meet_new_tasks(setup, state, 1, address.at(number))
        state = {**state, MOMENTS: updated_moments(outweighed(state[MOMENTS]), trial)}
        steps += count_steps(trial)
    return state, steps


def meet_new_tasks(setup: Setup, state: State, rounds: int, address: Address) -> Trial:
    """A trial of so many rounds on a new task for every place of the meta-batch."""
    envs = setup.envs
    first_task = rank() * sum(env.num_tasks for env in envs)
    for env, first in zip(envs, first_tasks(envs, first_task), strict=True):
        set_new_tasks(env, address, first_task=first)
    return setup.within_memory(lambda: collect_in_groups(envs, setup.algorithm, state, rounds, address, first_task))


def set_new_tasks(env: TaskEnv, address: Address, split: str = "train", first_task: int = 0) -> None:
    """Draw tasks `first_task` … of a meta-batch, as many as `env` has, each from its own stream below `address`."""
    numbers = range(first_task, first_task + env.num_tasks)
    with blaming_environment(env, "at its tasks"):
        env.set_tasks(env.sample_tasks(task_seeds(address, numbers), split=split))


def task_seeds(address: Address, tasks: Sequence[int]) -> list[int]:
    """A seed for each task of a meta-batch."""
    return [address.at(Purpose.TASKS, task).seed() for task in tasks]


def count_steps(trial: Trial) -> int:
    """Environment steps of a trial, of all ranks."""
    steps = torch.stack([rollout.mask.sum(dtype=torch.float64) for rollout in trial.rollouts]).sum()
    return int(sum_over_ranks(steps))
