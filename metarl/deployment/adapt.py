"""A trained policy, away from where it was trained: it adapts to one environment, and is then a function.

    policy = metarl.load("runs/half-cheetah-dir/maml-trpo/seed-0")
    adapted = policy.adapt(env, episodes=20)  # any gymnasium.Env with the same spaces: a simulation, a real robot
    action = adapted(observation)  # numpy in, numpy out

There is one environment and so one lane: the E episodes of a round are played one after the other, by the same
`play_round` as in training. Letters: K rounds, E episodes of a round, O observation, A action, B observations at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from envs.adapters.gymnasium_lanes import AnyEnv, LaneSpaces
from envs.adapters.one_lane import OneLane
from envs.contract.base import TaskEnv
from envs.contract.tasks import TaskList
from metarl.core.types import Action, Rollout, State, Transition
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import InputError, NonFiniteError
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.collect import Acting, Memory, draw_noise, play_round, single_precision, torch_threads
from metarl.sampling.normalisation import Normaliser
from metarl.training.loop import task_seeds
from metarl.training.setup import Setup, set_up, shapes_of_run


def load(run: str | Path, *, trust: bool = False) -> "AdaptivePolicy":
    """The policy of a run's last checkpoint.

    Args:
        run: the run's folder.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one without a checkpoint, or one that names code and is not trusted.
        StorageError: all checkpoints are damaged or gone.
    """
    directory = RunDirectory.existing(Path(run))
    config = load_config(directory, trust)
    # this machine need not be the one that trained: it may have no GPU, and one lane needs no threads
    device = "auto" if config.train.device == "cuda" else config.train.device
    train = replace(config.train, device=device, threads=1)
    setup = set_up(replace(config, train=replace(train, lanes=1)), num_tasks=1)
    checkpoint = directory.require_checkpoint(setup.algorithm.device, shapes_of_run(setup))
    return AdaptivePolicy(
        replace(setup, config=replace(setup.config, train=train)), checkpoint.state, checkpoint.iteration
    )


@dataclass(frozen=True)
class AdaptivePolicy:
    """What was learned across tasks; it changes by nothing that is done with it."""

    setup: Setup
    """Its algorithm; and the run's environment, with one task and one lane."""
    state: State
    """Its meta-parameters."""
    iteration: int
    """Meta-updates that it was trained for."""

    @property
    def episodes(self) -> int:
        """Episodes E of a round in training; 1 for methods that adapt after each episode."""
        return 1 if self.setup.traits.adapts_after_each_episode else self.setup.config.train.lanes

    @property
    def rounds(self) -> int:
        """Adaptations K in training, and at least one."""
        return max(1, self.setup.algorithm.rounds - 1)

    def adapt(self, env: AnyEnv, episodes: int = 20, rounds: int = 1, seed: int = 0) -> "AdaptedPolicy":
        """The policy after it has played in `env`, which stays open.

        Args:
            env: a single environment with the spaces of the run's. An episode lasts as long as in training, or ends
                before if the environment ends it.
            episodes: how many to play before each adaptation. A method that learns from single episodes adapts after
                each one: to it, 20 episodes of 2 rounds are 40 rounds.
            rounds: adaptations K; 0: the policy as it was trained.
            seed: where the randomness of actions and resets starts.

        Raises:
            InputError: other spaces, no single environment, or impossible numbers.
            EnvironmentBroke: the environment raised.
            NonFiniteError: an observation or a reward was not finite.
        """
        for name, value, least in (("episodes", episodes, 1), ("rounds", rounds, 0), ("seed", seed, 0)):
            if value < least:
                raise InputError(f"{name} is {value} — it must be at least {least}")
        lane = OneLane(env, self.setup.env.horizon)
        require_same_spaces(self.setup.env, lane.spaces)
        if self.setup.traits.adapts_after_each_episode:
            episodes, rounds = 1, episodes * rounds
        return list(self.meet(lane, lane.spaces, episodes, rounds, Address(seed).at(Purpose.EVALUATION)))[-1]

    def practise(self, task: int, rounds: int, seed: int = 0, split: str = "test") -> "list[AdaptedPolicy]":
        """The policy after 0, 1, …, K rounds in a task of the run's own environment, which then holds that task.

        Args:
            task: its number: with the same seed it is the task that `metarl evaluate` meets.
            rounds: adaptations K, of `self.episodes` episodes each.
            seed: where tasks, resets and actions come from.
            split: "train", "test" or "outside".

        Raises:
            InputError: the environment has no such task.
        """
        env, address = self.setup.env, Address(seed).at(Purpose.EVALUATION)
        law = env.splits.get(split)
        if isinstance(law, TaskList):
            if task >= law.count:
                raise InputError(f"there are {law.count} {split} tasks — ask for no more")
            env.set_tasks({name: values[task : task + 1] for name, values in law.tasks.items()})
        else:
            env.set_tasks(env.sample_tasks(task_seeds(address, [task]), split=split))
        spaces = LaneSpaces(env.single_observation_space, env.single_action_space)
        return list(self.meet(env, spaces, self.episodes, rounds, address.at(task)))

    def meet(
        self, env: TaskEnv, spaces: LaneSpaces, episodes: int, rounds: int, address: Address
    ) -> "Iterator[AdaptedPolicy]":
        """The policy before and after each of `rounds` rounds of `episodes` episodes in the only lane of `env`."""
        agent, acting, normalise = self.setup.algorithm, self.acting, Normaliser(self.state)
        memory = agent.begin(acting, [address.at(Purpose.AGENT, 0)], 1)
        returns: list[float] = []
        yield AdaptedPolicy(self, memory, np.array(returns), spaces)
        for round_ in range(rounds):
            played = []
            for episode in range(episodes):
                seeds = [address.at(Purpose.RESET, 0, round_, episode).seed()]
                noise = draw_noise(env, [address.at(Purpose.ACTIONS, 0, round_, episode)])
                with torch_threads(1):
                    rollout, memory, _ = play_round(env, agent, acting, normalise, memory, seeds, noise)
                played.append(rollout)
            # what was played one after the other, as if side by side: [1, E, T, ...]
            joined = Rollout(*(torch.cat(fields, dim=1) for fields in zip(*played, strict=True)))
            memory = agent.adapt(self.state, memory, normalise.seen(joined))
            returns.append(float(joined.returns))
            yield AdaptedPolicy(self, memory, np.array(returns), spaces)

    @cached_property
    def acting(self) -> Acting:
        """What its algorithm acts with."""
        return self.setup.algorithm.acting(self.state)


class AdaptedPolicy:
    """A function from observations to actions. All that it remembers is its own.

    `returns` [K] are those of the rounds it was adapted in: mean undiscounted episode returns, each before its
    adaptation.
    """

    def __init__(self, policy: AdaptivePolicy, memory: Memory, returns: np.ndarray, spaces: LaneSpaces) -> None:
        self.policy, self.returns, self.spaces = policy, returns, spaces
        self.start = memory
        """The memory as adaptation left it."""
        self.normalise = Normaliser(policy.state)
        self.reset()

    def reset(self) -> None:
        """Before an episode: forget what was seen since adaptation. Without memory there is nothing to forget."""
        self.memory = self.start
        self._last: tuple[torch.Tensor, Action] | None = None
        self._first = True

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
        noise, live = self.noise(len(rows), rng), torch.ones(1, len(rows), dtype=torch.bool)
        agent, acting = self.policy.setup.algorithm, self.policy.acting
        with torch_threads(1):
            seen = self.normalise(single_precision(rows, 1, len(rows)))
            action, self.memory = agent.act(acting, self.memory, seen, live, noise)
        self._last = seen, action
        actions = self.spaces.legal(action.action[0].numpy())
        return actions if np.ndim(observation) == 2 and self.sees_vectors else actions[0]

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
        agent, acting = self.policy.setup.algorithm, self.policy.acting
        transition = Transition(
            observation=seen,
            action=action.action,
            log_probability=action.log_probability,
            reward=torch.tensor([[float(reward)]]),
            terminated=torch.tensor([[bool(terminated)]]),
            truncated=torch.tensor([[bool(truncated)]]),
            first=torch.tensor([[self._first]]),
            mask=torch.ones(1, 1),
            next_observation=self.normalise(single_precision(self._rows(observation), 1, 1)),
        )
        with torch.no_grad(), torch_threads(1):
            self.memory = agent.observe(acting, self.memory, transition)
        self._last, self._first = None, False

    @property
    def takes_batches(self) -> bool:
        """Whether its memory serves any number of lanes."""
        traits = self.policy.setup.traits
        return not (traits.adapts_after_each_episode or traits.remembers_steps)

    @property
    def sees_vectors(self) -> bool:
        """Whether an observation is a vector already."""
        return isinstance(self.spaces.observation, Box) and len(self.spaces.observation.shape) == 1

    def noise(self, lanes: int, rng: np.random.Generator | None = None) -> torch.Tensor:
        """What actions are sampled with in B lanes, `[1, B, A]` or `[1, B]`; without `rng`, for the likeliest one."""
        if isinstance(self.spaces.action, Discrete):
            return torch.ones(1, lanes) if rng is None else torch.from_numpy(rng.random((1, lanes), np.float32))
        shape = (1, lanes, *(self.spaces.action.shape or ()))
        return torch.zeros(shape) if rng is None else torch.from_numpy(rng.standard_normal(shape, np.float32))

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
    wanted, given = trained.single_observation_space.shape, (spaces.observation_size,)
    if wanted != given:
        raise InputError(
            f"the environment shows {given[0]} numbers, the policy was trained on {(wanted or (0,))[0]} — wrap it"
        )
    mine, theirs = trained.single_action_space, spaces.action
    if isinstance(mine, Box) and isinstance(theirs, Box) and mine.shape == theirs.shape:
        if np.allclose(mine.low, theirs.low) and np.allclose(mine.high, theirs.high):
            return
    elif isinstance(mine, Discrete) and isinstance(theirs, Discrete) and mine.n == theirs.n:
        return
    raise InputError(
        f"the environment takes actions of {_line(theirs)}, the policy was trained on {_line(mine)} — "
        "wrap it (gymnasium.wrappers.RescaleAction, …)"
    )


def _line(space: gymnasium.Space[Any]) -> str:
    return " ".join(str(space).split())
