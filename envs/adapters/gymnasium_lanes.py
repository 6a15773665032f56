"""The lanes of a Gymnasium family: shares of them, and the worker processes that each run one.

A share is a `gymnasium.Env` whose observation holds what happened to each of its lanes, so that Gymnasium's vector
environments can run it: `SyncVectorEnv` one share with all lanes, `AsyncVectorEnv` a share in each process. It builds
its lanes at their first reset, hence in its worker.

Letters: L lanes of a share, P shares, O observation, A action.
"""

import contextlib
import faulthandler
import mmap
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Space
from gymnasium.spaces.utils import flatdim, flatten
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.utils import batch_space

AnyEnv = gymnasium.Env[Any, Any]
CONSTRUCTOR_KEYWORDS, RESET_OPTIONS = "constructor-keywords", "reset-options"
IDLE = -1  # in `Share.current`: no lane is being reset or stepped
GRACE = 5.0  # seconds that workers get to close their environments


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


class Share(gymnasium.Env[Any, Any]):
    """L lanes as one environment. Whatever a lane raises is told in `info["failure"]`: row, sentence, traceback.

    Its reset takes everything from `options`, arrays `[P, L, ...]` of which it reads its own part: `lanes` (whether to
    reset), `changed` (whether the task is new), `seeds` and `tasks`, a dict of task parameters.
    """

    def __init__(self, blueprint: Blueprint, spaces: LaneSpaces, index: int, size: int, current: np.ndarray) -> None:
        """`current`, int64 `[P]`, is where share `index` notes the row of the lane that it is at."""
        self.blueprint, self.spaces, self.index, self.current = blueprint, spaces, index, current
        self.lanes: list[AnyEnv | None] = [None] * size
        flags = MultiBinary(size)
        self.action_space = Dict(live=flags, actions=batch_space(policy_action_space(spaces.action), size))
        seen = Dict(
            observation=Box(-np.inf, np.inf, (size, spaces.observation_size), np.float64),
            reward=Box(-np.inf, np.inf, (size,), np.float64),
            terminated=flags,
            truncated=flags,
        )
        self.observation_space = seen
        self.outcome = {name: np.zeros(space.shape or (), space.dtype) for name, space in seen.items()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode in some lanes, with their tasks and seeds."""
        orders = {name: value[self.index] for name, value in (options or {}).items() if name != "tasks"}
        tasks = {name: values[self.index] for name, values in (options or {})["tasks"].items()}

        def start(row: int) -> None:
            task = one_task(tasks, row)
            env = self.lanes[row]
            if orders["changed"][row]:
                env = self.lanes[row] = self.blueprint.fit(env, task)
            assert env is not None
            observation = self.blueprint.reset(env, task, int(orders["seeds"][row]))
            self.outcome["observation"][row] = self.spaces.flat(observation)

        return self.outcome, self._for_each(orders["lanes"], start)

    def step(self, action: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One step of the lanes that are `live`."""
        for name in ("reward", "terminated", "truncated"):
            self.outcome[name][:] = 0

        def advance(row: int) -> None:
            env = self.lanes[row]
            assert env is not None
            observation, reward, terminated, truncated, _ = env.step(self.spaces.legal(action["actions"][row]))
            self.outcome["observation"][row] = self.spaces.flat(observation)
            self.outcome["reward"][row] = reward
            self.outcome["terminated"][row] = bool(terminated)
            self.outcome["truncated"][row] = bool(truncated)

        return self.outcome, 0.0, False, False, self._for_each(action["live"], advance)

    def close_lanes(self) -> None:
        """Close the lanes' environments; one that fails at it does not keep the others open."""
        for env in self.lanes:
            with contextlib.suppress(Exception):
                if env is not None:
                    env.close()
        self.lanes = [None] * len(self.lanes)

    close = close_lanes

    def _for_each(self, lanes: np.ndarray, act: Callable[[int], None]) -> dict[str, Any]:
        """Act on some lanes, one after the other; the info tells of the first that raised."""
        row = IDLE
        try:
            for row in np.flatnonzero(lanes).tolist():
                self.current[self.index] = row
                act(row)
        except (Exception, SystemExit) as error:
            # as text, because not every exception can be sent from a worker
            sentence = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return {"failure": (row, sentence, traceback.format_exc())}
        finally:
            self.current[self.index] = IDLE
        return {}


class Workers(AsyncVectorEnv[dict[str, np.ndarray], dict[str, np.ndarray]]):
    """Shares in processes of their own, each of which answers within `timeout` seconds or counts as lost."""

    def __init__(self, shares: Sequence[Share], timeout: float) -> None:
        self.timeout, self.owner = timeout, os.getpid()
        makers = [partial(_enter, share, self.owner) for share in shares]
        try:
            # forked, so that environments and functions of the user's own script need not be importable
            super().__init__(makers, copy=False, context="fork", autoreset_mode=AutoresetMode.DISABLED)
        except BaseException:
            self._kill()
            raise

    def reset_wait(self, timeout: float | None = None) -> Any:
        return super().reset_wait(timeout or self.timeout)

    def step_wait(self, timeout: float | None = None) -> Any:
        return super().step_wait(timeout or self.timeout)

    def find_lost(self, dead: bool) -> tuple[int, str]:
        """Which worker is lost, and what it did; `dead` where one is known to have ended, not to hang."""
        gone = wait([process.sentinel for process in self.processes], GRACE if dead else 0.0)
        for index, process in enumerate(self.processes):
            if process.sentinel in gone:
                process.join(GRACE)
                return index, f"ended its worker process ({_manner(process.exitcode)})"
        index = next((index for index, pipe in enumerate(self.parent_pipes) if not pipe.poll()), 0)
        hanging = self.processes[index].pid
        if hanging is not None:
            os.kill(hanging, signal.SIGUSR1)  # it prints where it hangs
            time.sleep(0.2)
        return index, f"took more than {self.timeout:g} s"

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Close the environments within `timeout` seconds (default GRACE), then end the processes come what may.

        Gymnasium's own would wait for ever on a worker that hangs or is gone.
        """
        if os.getpid() != self.owner:  # a fork of the owner must leave its workers alone
            return
        try:
            if not terminate:
                with contextlib.suppress(Exception):
                    self.call_async("close_lanes")
                    self.call_wait(GRACE if timeout is None else timeout)
        finally:
            self._kill()

    def _kill(self) -> None:
        processes = getattr(self, "processes", [])
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        for pipe in getattr(self, "parent_pipes", []):
            if pipe is not None:
                pipe.close()


def one_task(tasks: dict[str, np.ndarray], row: int) -> dict[str, Any]:
    """The parameters of one of many tasks, as users get them: numbers, and arrays where a law has a shape."""
    return {name: values[row].item() if values.ndim == 1 else values[row].copy() for name, values in tasks.items()}


def policy_action_space(space: Space[Any]) -> Space[Any]:
    """What a policy chooses from for an environment with actions in `space`: `Discrete` from 0, or the same Box."""
    return Discrete(int(space.n)) if isinstance(space, Discrete) else space


def shared_integers(count: int) -> np.ndarray:
    """int64 `[count]`, IDLE each, that forked processes share."""
    integers = np.frombuffer(mmap.mmap(-1, 8 * count), np.int64)
    integers[:] = IDLE
    return integers


def _enter(share: Share, owner: int) -> Share:
    """The share; in a worker also its manners: it ends when and only when its owner does or wants it to."""
    if os.getpid() != owner:
        # Ctrl-C reaches the whole group of processes, and the owner decides what to do about it. A handler, because
        # processes that the environment starts would inherit SIG_IGN.
        signal.signal(signal.SIGINT, _ignore)
        signal.signal(signal.SIGTERM, _ignore)
        signal.signal(signal.SIGHUP, _ignore)
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR1, 2, all_threads=False)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    return share


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _manner(code: int | None) -> str:
    """How a process ended, in words."""
    return f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
