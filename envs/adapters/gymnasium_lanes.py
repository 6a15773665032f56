"""The lanes of a Gymnasium family, in shares, which this process or workers (`workers.py`) step.

All lanes have their rows in one table, which worker processes share: a share is told "reset" or "step", reads its rows
and writes what happened into them. It builds its lanes at their first reset, hence in its worker.

Letters: L lanes, O observation.
"""

import contextlib
import mmap
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.spaces.utils import flatdim, flatten

from envs.contract.errors import InputError

AnyEnv = gymnasium.Env[Any, Any]
CONSTRUCTOR_KEYWORDS, RESET_OPTIONS = "constructor-keywords", "reset-options"
Failure = tuple[int, str, str]
"""Of a lane: its number, what it raised, and the traceback."""


@dataclass(frozen=True)
class Blueprint:
    """How to build an environment and to give it a task."""

    environment: str | Callable[..., AnyEnv]
    """An id for `gymnasium.make`, or what builds the environment."""
    set_task: str | Callable[[Any, dict[str, Any]], object]
    """A function, the name of a method, CONSTRUCTOR_KEYWORDS or RESET_OPTIONS."""

    @property
    def name(self) -> str:
        """What messages call the environment."""
        given = self.environment
        return given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)

    def build(self, task: dict[str, Any]) -> AnyEnv:
        """A new environment, with the task."""
        keywords = task if self.set_task == CONSTRUCTOR_KEYWORDS else {}
        if isinstance(self.environment, str):
            return self._told(gymnasium.make(self.environment, disable_env_checker=True, **keywords), task)
        return self._told(self.environment(**keywords), task)

    def fit(self, env: AnyEnv | None, task: dict[str, Any]) -> AnyEnv:
        """The environment with the task: `env` itself, unless only a new one can have it."""
        if env is not None and self.set_task != CONSTRUCTOR_KEYWORDS:
            return self._told(env, task)
        if env is not None:
            env.close()
        return self.build(task)

    def _told(self, env: AnyEnv, task: dict[str, Any]) -> AnyEnv:
        """The environment, after its function or method was called that sets the task, if it has one."""
        if callable(self.set_task):
            self.set_task(env.unwrapped, task)
        elif self.set_task not in (CONSTRUCTOR_KEYWORDS, RESET_OPTIONS):
            env.get_wrapper_attr(self.set_task)(**task)
        return env

    def reset(self, env: AnyEnv, task: dict[str, Any], seed: int) -> Any:
        """The first observation of an episode."""
        observation, _ = env.reset(seed=seed, options=task if self.set_task == RESET_OPTIONS else None)
        return observation


@dataclass(frozen=True)
class LaneSpaces:
    """What one lane sees and does."""

    observation: Space[Any]
    action: Space[Any]

    @cached_property
    def observation_size(self) -> int:
        """O: numbers in a flat observation."""
        return flatdim(self.observation)

    def flat(self, observation: Any) -> np.ndarray:
        """An observation as float64 `[O]`."""
        numbers = np.asarray(flatten(self.observation, observation), np.float64)
        if numbers.shape != (self.observation_size,):
            raise ValueError(f"an observation has {numbers.size} numbers, its space {self.observation_size}")
        return numbers

    def legal(self, action: Any) -> Any:
        """An action as the environment expects it: in its Box, or one of its whole numbers."""
        if isinstance(self.action, Discrete):
            return np.int64(self.action.start + action)
        assert isinstance(self.action, Box)
        return np.clip(action, self.action.low, self.action.high).astype(self.action.dtype)


def lane_spaces(env: AnyEnv, name: str) -> LaneSpaces:
    """What an environment shows and takes.

    Raises: InputError where it is no single Gymnasium environment, or shows what has no fixed size.
    """
    if not isinstance(env, gymnasium.Env):
        raise InputError(f"{name} is no gymnasium.Env — give a single environment")
    spaces = LaneSpaces(env.observation_space, env.action_space)
    try:
        flatdim(spaces.observation)
    except (ValueError, NotImplementedError):
        shown = " ".join(str(spaces.observation).split())
        raise InputError(f"observations of {name} are {shown}, of no fixed size — wrap it") from None
    return spaces


def shared_table(lanes: int, spaces: LaneSpaces, tasks: dict[str, np.ndarray]) -> np.ndarray:
    """A row of zeros for each lane with tasks like `tasks` `[L, ...]`, in memory that forked processes share."""
    action = policy_action_space(spaces.action)
    row = np.dtype(
        [
            ("due", np.bool_),  # whether the lane is to be reset, or stepped
            ("busy", np.bool_),  # whether that is being done
            ("changed", np.bool_),  # whether its task is new
            ("task", [(name, values.dtype, values.shape[1:]) for name, values in tasks.items()]),
            ("seed", np.int64),  # of its episode
            ("action", action.dtype, action.shape or ()),
            ("observation", np.float64, (spaces.observation_size,)),
            ("reward", np.float64),
            ("terminated", np.bool_),
            ("truncated", np.bool_),
        ],
        align=True,
    )
    return np.frombuffer(mmap.mmap(-1, lanes * row.itemsize), row)


class Share:
    """The lanes of these rows of the table, from number `first` on."""

    def __init__(self, blueprint: Blueprint, spaces: LaneSpaces, rows: np.ndarray, first: int) -> None:
        self.blueprint, self.spaces, self.rows, self.first = blueprint, spaces, rows, first
        self.lanes: list[AnyEnv | None] = [None] * len(rows)
        self.tasks = {name: rows["task"][name] for name in rows["task"].dtype.names or ()}

    def reset(self) -> Failure | None:
        """Start an episode in the lanes that are due, with their tasks and seeds."""
        return self._for_each(self._reset)

    def step(self) -> Failure | None:
        """One step of the lanes that are due."""
        return self._for_each(self._step)

    def close(self) -> None:
        """Close the lanes' environments; one that fails at it does not keep the others open."""
        for env in self.lanes:
            with contextlib.suppress(Exception):
                if env is not None:
                    env.close()
        self.lanes = [None] * len(self.lanes)

    def _reset(self, lane: int, row: Any) -> None:
        task, env = one_task(self.tasks, lane), self.lanes[lane]
        if env is None or row["changed"]:
            env = self.lanes[lane] = self.blueprint.fit(env, task)
        row["observation"] = self.spaces.flat(self.blueprint.reset(env, task, int(row["seed"])))

    def _step(self, lane: int, row: Any) -> None:
        env = self.lanes[lane]
        assert env is not None
        observation, reward, terminated, truncated, _ = env.step(self.spaces.legal(row["action"]))
        row["observation"], row["reward"] = self.spaces.flat(observation), reward
        row["terminated"], row["truncated"] = terminated, truncated

    def _for_each(self, act: Callable[[int, Any], None]) -> Failure | None:
        """Act on the lanes that are due, one after the other, up to the first that raises."""
        for lane in np.flatnonzero(self.rows["due"]).tolist():
            row = self.rows[lane]
            row["busy"] = True
            try:
                act(lane, row)
            except (Exception, SystemExit) as error:
                # as text, because not every exception can be sent from a worker
                sentence = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                return self.first + lane, sentence, traceback.format_exc()
            finally:
                row["busy"] = False
        return None


def one_task(tasks: dict[str, np.ndarray], row: int) -> dict[str, Any]:
    """The parameters of one of many tasks, as users get them: numbers, and arrays where a law has a shape."""
    return {name: values[row].item() if values.ndim == 1 else values[row].copy() for name, values in tasks.items()}


def policy_action_space(space: Space[Any]) -> Space[Any]:
    """What a policy chooses from for an environment with actions in `space`: `Discrete` from 0, or the same Box."""
    return Discrete(int(space.n)) if isinstance(space, Discrete) else space
