"""A trained policy, away from where it was trained: it adapts to one environment, and is then a function.

    policy = metarl.load("runs/half-cheetah-dir/maml-trpo/seed-0")
    adapted = policy.adapt(env, episodes=20)  # any gymnasium.Env with the same spaces: a simulation, a real robot
    action = adapted(observation)  # numpy in, numpy out

There is one environment and so one lane: the E episodes of a round are played one after the other, by the same
`play_round` as in training. Letters: K adaptations, E episodes of a round, O observation, A action, B observations at
once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from envs.adapters.gymnasium_lanes import AnyEnv, LaneSpaces
from envs.adapters.one_lane import OneLane
from envs.contract.base import TaskEnv
from metarl.core.types import Action, Rollout, State, Transition
from metarl.deployment.meeting import on_this_machine, set_tasks_of
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import InputError, NonFiniteError
from metarl.runtime.options import check_number
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.threads import torch_threads
from metarl.sampling.collect import Acting, Memory, play_round, single_precision
from metarl.sampling.noise import draw_noise, likeliest_noise
from metarl.sampling.normalisation import Normaliser
from metarl.training.setup import Setup, set_up, shapes_of_run


def load(run: str | Path, *, checkpoint: str | int = "last", trust: bool = False) -> "AdaptivePolicy":
    """The policy of a run's checkpoint.

    Args:
        run: the run's folder.
        checkpoint: "last"; "best", by unseen tasks (`--evaluate-every`); or the iteration of one that is kept.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one without a checkpoint, or one that names code and is not trusted.
        StorageError: all checkpoints are damaged or gone.
    """
    directory = RunDirectory.existing(Path(run))
    config = on_this_machine(load_config(directory, trust), threads=1)
    setup = set_up(replace(config, train=replace(config.train, lanes=1)), num_tasks=1)
    found = directory.require_checkpoint(setup.device, shapes_of_run(setup), str(checkpoint))
    return AdaptivePolicy(replace(setup, config=config), found.state, found.iteration)


@dataclass(frozen=True)
class AdaptivePolicy:
    """What was learned across tasks; it changes by nothing that is done with it."""

    setup: Setup
    """Its algorithm; and the run's environment, with one task and one lane."""
    state: State
    """Its meta-parameters."""
    iteration: int
    """Meta-updates that it was trained for."""

    @cached_property
    def acting(self) -> Acting:
        """What its algorithm acts with."""
        return self.setup.algorithm.acting(self.state)

    @property
    def episodes(self) -> int:
        """Episodes E of a round in training; 1 for methods that adapt after each episode."""
        return 1 if self.setup.traits.adapts_after_each_episode else self.setup.config.train.lanes

    @property
    def adaptations(self) -> int:
        """Adaptations K in training, and at least one."""
        return max(1, self.setup.algorithm.rounds - 1)

    @cached_property
    def practice(self) -> TaskEnv:
        """Where it practises: the run's environment with one task, and lanes for all episodes of a round side by side,
        unless single steps are remembered, and so lane by lane."""
        lanes = 1 if self.setup.traits.remembers_steps else self.episodes
        return self.setup.env if lanes == 1 else self._another(lanes)

    @cached_property
    def beside(self) -> TaskEnv:
        """Another environment like that of `setup`, with one task and one lane."""
        return self._another(1)

    def _another(self, lanes: int) -> TaskEnv:
        config = self.setup.config
        return set_up(replace(config, train=replace(config.train, lanes=lanes)), num_tasks=1).env

    def adapt(self, env: AnyEnv, episodes: int = 20, adaptations: int = 1, seed: int = 0) -> "AdaptedPolicy":
        """The policy after it has played in `env`, which stays open.

        Args:
            env: a single environment with the spaces of the run's. An episode lasts as long as in training, or ends
                before if the environment ends it.
            episodes: how many to play before each adaptation. A method that learns from single episodes adapts after
                each one: to it, 2 adaptations to 20 episodes are 40 to one.
            adaptations: K; 0: the policy as it was trained.
            seed: where the randomness of actions and resets starts.

        Raises:
            InputError: other spaces, no single environment, or impossible numbers.
            EnvironmentBroke: the environment raised.
            NonFiniteError: an observation or a reward was not finite.
        """
        for name, value, least in (("episodes", episodes, 1), ("adaptations", adaptations, 0), ("seed", seed, 0)):
            check_number(name, value, least=least)
        lane = OneLane(env, self.setup.env.horizon)
        require_same_spaces(self.setup.env, lane.spaces)
        if self.setup.traits.adapts_after_each_episode:
            episodes, adaptations = 1, episodes * adaptations
        return list(self.meet(lane, lane.spaces, episodes, adaptations, Address(seed).at(Purpose.EVALUATION)))[-1]

    def practise(self, task: int, adaptations: int, seed: int = 0, split: str = "test") -> "list[AdaptedPolicy]":
        """The policy after 0, 1, …, K adaptations in a task of the run's own environment, which then holds that task.

        It meets what it meets in an evaluation with as many lanes.

        Args:
            task: its number: with the same seed it is the task that `metarl evaluate` meets.
            adaptations: K, each to `self.episodes` episodes.
            seed: where tasks, resets and actions come from.
            split: "train", "test" or "outside".

        Raises:
            InputError: the environment has no such task.
        """
        env, address = self.setup.env, Address(seed).at(Purpose.EVALUATION)
        for each in {id(each): each for each in (env, self.practice)}.values():
            set_tasks_of(each, split, address, task)
        spaces = LaneSpaces(env.single_observation_space, env.single_action_space)
        episodes = self.episodes // self.practice.lanes_per_task
        return list(self.meet(self.practice, spaces, episodes, adaptations, address, task))

    def meet(
        self, env: TaskEnv, spaces: LaneSpaces, episodes: int, adaptations: int, address: Address, task: int = 0
    ) -> "Iterator[AdaptedPolicy]":
        """The policy before and after each adaptation to a round of `episodes` episodes in each lane of `env`, whose
        only task has this number."""
        agent, acting, normalise = self.setup.algorithm, self.acting, Normaliser(self.state)
        memory = agent.begin(acting, [address.at(Purpose.AGENT, task)], env.lanes_per_task)
        returns: list[float] = []
        yield AdaptedPolicy(self, memory, np.array(returns), spaces)
        for round_ in range(adaptations):
            played = []
            for episode in range(episodes):
                key = (task, round_, episode) if episodes > 1 else (task, round_)
                seeds = [address.at(Purpose.RESET, *key).seed()]
                noise = draw_noise(env, [address.at(Purpose.ACTIONS, *key)])
                with torch_threads(1):
                    rollout, memory, *_ = play_round(env, agent, acting, normalise, memory, seeds, noise)
                played.append(rollout)
            # what was played one after the other, as if side by side: [1, E, T, ...]
            joined = Rollout(*(torch.cat(fields, dim=1) for fields in zip(*played, strict=True)))
            memory = agent.adapt(self.state, memory, normalise.seen(joined))
            returns.append(float(joined.returns))
            yield AdaptedPolicy(self, memory, np.array(returns), spaces)


class AdaptedPolicy:
    """A function from observations to actions. All that it remembers is its own.

    `returns` [K] are those of the rounds it was adapted to: mean undiscounted episode returns, each before its
    adaptation; `start` is the memory as adaptation left it.
    """

    def __init__(self, policy: AdaptivePolicy, memory: Memory, returns: np.ndarray, spaces: LaneSpaces) -> None:
        self.policy, self.start, self.returns, self.spaces = policy, memory, returns, spaces
        self.agent, self.normalise = policy.setup.algorithm, Normaliser(policy.state)
        traits = policy.setup.traits
        self.takes_batches = not (traits.adapts_after_each_episode or traits.remembers_steps)
        """Whether its memory serves any number of lanes."""
        self.sees_vectors = isinstance(spaces.observation, Box) and len(spaces.observation.shape) == 1
        """Whether an observation is a vector already."""
        self.reset()

    def reset(self) -> None:
        """Before an episode: forget what was seen since adaptation. Without memory there is nothing to forget."""
        self.memory, self._first = self.start, True
        self._last: tuple[torch.Tensor, Action] | None = None

    @torch.no_grad()
    def __call__(self, observation: Any, rng: np.random.Generator | None = None) -> Any:
        """The likeliest action, or one that is sampled with `rng`; within the action space, and of its type.

        A call is a step: a recurrent memory moves with it.

        Args:
            observation: as the environment gives it. Where it is a vector `[O]` and the policy does not remember
                single steps, `[B, O]` asks for B actions at once.

        Returns: `[A]` or, of discrete actions, a whole number; of a batch, `[B, A]` or `[B]`.

        Raises:
            InputError: an observation of another shape, or a batch where steps are remembered.
            NonFiniteError: an observation is not finite.
        """
        rows = self._rows(observation)
        noise, live = self._noise(len(rows), rng), torch.ones(1, len(rows), dtype=torch.bool)
        with torch_threads(1):
            seen = self.normalise(single_precision(rows, 1, len(rows)))
            action, self.memory = self.agent.act(self.policy.acting, self.memory, seen, live, noise)
        self._last = seen, action
        actions = self.spaces.legal(action.action[0].numpy())
        return actions if np.ndim(observation) == 2 and self.sees_vectors else actions[0]

    @torch.no_grad()
    def observe(self, reward: Any, observation: Any, terminated: Any = False, truncated: Any = False) -> None:
        """Say what the last action led to. Who goes on learning within an episode needs it, others ignore it.

        Args:
            reward: a number, as `env.step` returns it.
            observation: what was seen after it.
            terminated: a truth value, and `truncated` alike.

        Raises:
            InputError: there was no single last action.
        """
        if self._last is None or self._last[0].shape[1] != 1:
            raise InputError("observe() follows no action — call the policy with one observation first")
        seen, action = self._last
        transition = Transition(
            observation=seen,
            action=action.action,
            log_probability=action.log_probability,
            reward=self.normalise.reward(torch.tensor([[float(reward)]])),
            terminated=torch.tensor([[bool(terminated)]]),
            truncated=torch.tensor([[bool(truncated)]]),
            first=torch.tensor([[self._first]]),
            mask=torch.ones(1, 1),
            next_observation=self.normalise(single_precision(self._rows(observation), 1, 1)),
        )
        with torch_threads(1):
            self.memory = self.agent.observe(self.policy.acting, self.memory, transition)
        self._last, self._first = None, False

    def _noise(self, lanes: int, rng: np.random.Generator | None) -> torch.Tensor:
        """What actions are sampled with in B lanes, `[1, B, A]` or `[1, B]`; without `rng`, for the likeliest one."""
        space = self.spaces.action
        shape = (1, lanes, *(space.shape or ()))
        if rng is None:
            return torch.full(shape, likeliest_noise(space))
        drawn = rng.random if isinstance(space, Discrete) else rng.standard_normal
        return torch.from_numpy(drawn(shape, np.float32))

    def _rows(self, observation: Any) -> np.ndarray:
        """Observations as float64 `[B, O]`."""
        size = self.spaces.observation_size
        rows = np.asarray(observation, np.float64) if self.sees_vectors else self.spaces.flat(observation)
        if rows.ndim == 2 and not self.takes_batches:
            raise InputError("a batch of observations, but the policy remembers each step — give one at a time")
        if rows.shape[-1:] != (size,) or rows.ndim not in (1, 2):
            raise InputError(f"an observation of shape {rows.shape} — give ({size},), or a batch of such")
        if not np.isfinite(rows).all():
            raise NonFiniteError("an observation is not finite — find its origin")
        return rows.reshape(-1, size)


def require_same_spaces(trained: TaskEnv, spaces: LaneSpaces) -> None:
    """Raises: InputError naming how an environment's spaces differ from those that were trained on."""
    (wanted,), given = trained.single_observation_space.shape or (0,), spaces.observation_size
    if wanted != given:
        raise InputError(f"the environment shows {given} numbers, the policy was trained on {wanted} — wrap it")
    mine, theirs = trained.single_action_space, spaces.action
    if not _alike(mine, theirs):
        mine_in_words, theirs_in_words = (" ".join(str(space).split()) for space in (mine, theirs))
        raise InputError(
            f"the environment takes actions of {theirs_in_words}, the policy was trained on {mine_in_words} — "
            "wrap it (gymnasium.wrappers.RescaleAction, …)"
        )


def _alike(mine: Any, theirs: Any) -> bool:
    """Whether actions of one space are those of another; whole numbers may start elsewhere."""
    if isinstance(mine, Discrete) and isinstance(theirs, Discrete):
        return bool(mine.n == theirs.n)
    if not (isinstance(mine, Box) and isinstance(theirs, Box) and mine.shape == theirs.shape):
        return False
    return np.allclose(mine.low, theirs.low) and np.allclose(mine.high, theirs.high)
