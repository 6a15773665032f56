"""A run's config made real: the environments, the algorithm, and what the loop needs of both."""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium.spaces import Box

from envs.adapters.seeing_task import seeing_task
from envs.contract.base import TaskEnv
from envs.registry import environment_class
from metarl.algorithms import algorithm_class, make_algorithm
from metarl.algorithms.algorithm import Algorithm, Spaces, Traits
from metarl.core.networks import size_of_action, size_of_observation
from metarl.core.replay import replay_bytes
from metarl.core.types import Metrics, State
from metarl.runs.checkpoint import Shapes, shapes_of
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.until import UNSEEN
from metarl.runs.worlds import is_few_shot
from metarl.runtime.allocation import cores
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.ranks import tensors_of_first, world_size
from metarl.runtime.tasks_at_once import WithinMemory
from metarl.sampling.blame import blaming_environment
from metarl.sampling.collect import task_rows
from metarl.sampling.groups import Divisions
from metarl.sampling.normalisation import (
    MOMENTS,
    REWARDS,
    initial_moments,
    initial_unit,
    outweighed,
    running,
    with_trial,
)
from metarl.training.forecast import forecast
from metarl.training.loop import count_steps, meet_new_tasks, outcome_of, train_iteration
from metarl.training.ranks import threads_of_rank, ways_to_group
from metarl.training.task_sampling import SAMPLING, Sampler, sampler_of


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

    @cached_property
    def sampler(self) -> Sampler | None:
        """How the tasks of training are chosen; None where they are taken as their laws draw them."""
        return sampler_of(self.config.train, self.env.splits["train"])

    @property
    def device(self) -> torch.device:
        """Where adaptation and updates are computed."""
        return self.algorithm.device

    @property
    def curves(self) -> dict[str, list[str]]:
        """Metrics that belong into one chart, after 0 … K adaptations each."""
        told = ("return", "success") if "success" in self.env.events else ("return",)
        return {what: [f"{what}/round_{k}" for k in range(self.algorithm.rounds)] for what in told}

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

    def forecast(self, iterations: int) -> str:
        """One line about how long so many iterations take at least; nothing where that cannot be said."""
        return forecast(self, iterations)

    def initial_state(self, address: Address) -> State:
        """What training starts from: the algorithm's state, with units of what is seen and paid where asked for, and
        what a sampler of tasks keeps."""
        state = self.algorithm.initial_state(address)
        if self.config.train.normalise_observations:
            spaces = spaces_of(self.env, self.traits)
            told = spaces.task.shape[0] if self.traits.teaches else 0
            state = {**state, MOMENTS: initial_moments(size_of_observation(spaces.observation) + told)}
        if (unit := self.config.train.reward_unit) != 1:
            state = {**state, REWARDS: initial_unit(unit)}
        return state if self.sampler is None else {**state, SAMPLING: self.sampler.start()}

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: the new state, what was measured, and the environment steps that it took."""
        before = 0
        if any(not state[name]["count"] for name in running(state)):
            state, before = with_first_moments(self, state, address.at(Purpose.MOMENTS))
        state, trial, metrics = train_iteration(self, state, address)
        state = with_trial(state, trial)
        # Ranks on unlike processors would drift apart by last bits; a replay holds facts, which are the same on all.
        facts = {name: value for name, value in state.items() if name == "replay"}
        state = tensors_of_first({name: value for name, value in state.items() if name not in facts}) | facts
        return state, metrics, before + count_steps(trial)

    @cached_property
    def untold(self) -> "Setup":
        """The same where the task is not shown to an algorithm that is shown it in training alone."""
        return set_up(self.config) if self.traits.teaches else self

    def on_unseen_tasks(self, state: State) -> Metrics:
        """Returns on as many tasks as an iteration has, the same each time, which training never learns from."""
        address = Address(self.config.train.seed).at(Purpose.UNSEEN)
        start = time.perf_counter()
        split = "validation" if "validation" in self.env.splits else "test"
        returns = outcome_of(meet_new_tasks(self.untold, state, self.algorithm.rounds, address, split))
        seconds = time.perf_counter() - start
        return {**{UNSEEN + name: value for name, value in returns.items()}, "time/unseen": seconds}


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

    def describe(self) -> str:
        """One line about the work of an iteration."""

    def forecast(self, iterations: int) -> str:
        """One line about how long so many iterations take at least; nothing where that cannot be said."""

    def initial_state(self, address: Address) -> State:
        """What training starts from."""

    def iterate(self, state: State, address: Address) -> tuple[State, Metrics, int]:
        """One meta-update: the new state, what was measured, and how much experience it took."""

    def on_unseen_tasks(self, state: State) -> Metrics:
        """The curves on tasks that training never learns from, named below `unseen/`; it changes no bit of training."""


def set_up(config: RunConfig, num_tasks: int | None = None, *, training: bool = False) -> Setup:
    """Environment and algorithm of a config; nothing is written.

    Args:
        config: what is to be run.
        num_tasks: tasks to meet, in a single group; by default those of a training iteration, in groups.
        training: whether algorithms that are shown the task in training are shown it.

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
    if world_size() > 1 and not (traits.divides_over_ranks or traits.learns_from_whole_batch):
        raise InputError(f"{config.algorithm} does not divide its tasks over ranks — train it without torchrun")
    if traits.sees_task or (traits.teaches and training):
        family = seeing_task(family)
    ways = [[num_tasks]] if num_tasks else ways_to_group(family, config.algorithm, traits, train)

    def made(groups: list[int]) -> tuple[TaskEnv, ...]:
        threads = -(-threads_of_rank(train.threads) // len(groups))
        return tuple(family(tasks, train.lanes, config.env, threads=threads) for tasks in groups)

    with blaming_environment(config.environment, "when it was made"):
        divisions = Divisions(*map(made, ways))
    envs = divisions.envs
    algorithm = make_algorithm(config.algorithm, config.algo, spaces_of(envs[0], traits), device)
    within_memory = WithinMemory(sum(ways[0]), train.tasks_at_once)
    return Setup(replace(config, train=train, env=envs[0].config), divisions, algorithm, within_memory)


def spaces_of(env: TaskEnv, traits: Traits = Traits()) -> Spaces:  # noqa: B008 - immutable
    """Of one lane of an environment, for an algorithm of such traits: one that teaches has the task besides."""
    task = Box(-np.inf, np.inf, task_rows(env).shape[1:], np.float64)
    seen = Box(-np.inf, np.inf, (env.observation_size,), np.float64) if traits.teaches else env.single_observation_space
    return Spaces(seen, env.single_action_space, task)


def fresh_state(world: World) -> State:
    """What a run starts from."""
    return world.initial_state(Address(world.config.train.seed).at(Purpose.PARAMETERS))


def shapes_of_run(world: World) -> Shapes:
    """The tensors of a run's checkpoints: those that it starts from, whatever their values have become."""
    return shapes_of(fresh_state(world))


def resolve_hardware(train: TrainConfig) -> TrainConfig:
    """The config with its thread counts written out."""
    return replace(train, threads=train.threads or cores(), torch_threads=train.torch_threads or cores())


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


def with_first_moments(setup: Setup, state: State, address: Address) -> tuple[State, int]:
    """The state with moments that its policy has never been without, and the steps that it took.

    Two rounds: the first shows the untrained policy observations as they are, which makes another policy of it; so its
    moments only serve to see the second, and are outweighed by that.
    """
    steps = 0
    for number in range(2):
        trial = meet_new_tasks(setup, state, 1, address.at(number))
        state = with_trial({**state, **{name: outweighed(state[name]) for name in running(state)}}, trial)
        steps += count_steps(trial)
    return state, steps
