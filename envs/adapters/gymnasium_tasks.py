"""Any Gymnasium environment as a family of tasks.

    def set_length(env, task):  # env is the unwrapped environment, task a dict of its parameters
        env.length = task["length"]

    CartPoleLengths = gymnasium_tasks(
        "CartPole-v1", TaskDistribution(length=Uniform(0.25, 1.0)), set_task=set_length, horizon=200
    )

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.error import ClosedEnvironmentError
from gymnasium.spaces import Box, Discrete

from envs.adapters import gymnasium_lanes
from envs.adapters.gymnasium_lanes import AnyEnv, Blueprint, LaneSpaces, Share, shared_table
from envs.adapters.workers import ShareLost, Workers
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig, option, resolve
from envs.contract.definition import Outcome
from envs.contract.errors import InputError, nearest
from envs.contract.seeding import SAMPLE_TASKS, generators
from envs.contract.tasks import TaskDistribution


class LaneFailed(RuntimeError):
    """A lane's environment raised, ended its process or hung; names the task, the lane and the step."""


@dataclass(frozen=True)
class GymnasiumConfig(FamilyConfig):
    """The options of a Gymnasium family."""

    processes: int = option(0, least=0)
    """Worker processes that divide the lanes between them, 0: this process steps them all. Never changes a result.
    Handing a step to workers and back costs some tenths of a millisecond: they pay where stepping all lanes takes
    longer (heavy physics, pictures, hundreds of lanes) and cores are free, one worker for each."""
    timeout: float = option(60.0, above=0)
    """Seconds that a worker may take to reset or to step its lanes, the building of them included. Without workers
    (processes 0) nobody watches."""


def gymnasium_tasks(
    environment: str | Callable[..., AnyEnv],
    tasks: TaskDistribution,
    *,
    set_task: str | Callable[[Any, dict[str, Any]], object],
    horizon: int | None = None,
) -> "type[GymnasiumTasks]":
    """A TaskEnv class: `environment` with tasks drawn from `tasks`.

    Args:
        environment: an id for `gymnasium.make`, such as "CartPole-v1" or "module:Name-v0", or a class or function
            that builds an environment. Observations are flattened; actions must be a one-dimensional Box of
            floating-point numbers (to which they are clipped) or Discrete (counted from 0).
        tasks: the law of each task parameter.
        set_task: how a lane gets its task, before the first reset with it:
            a function `set_task(env, task)`, called with the unwrapped environment and a dict of the parameters
            (numbers, or arrays where a law has a shape);
            the name of a method of the environment, called with the parameters as keywords;
            "constructor-keywords": the environment is built anew with the parameters as keywords;
            "reset-options": `env.reset(options=task)`.
        horizon: steps of an episode; by default the environment's own `max_episode_steps`, which holds anyway.

    A lane's reset is seeded (`env.reset(seed=...)`), and its randomness must come from that alone. An environment that
    raises, ends its process or does not answer within `timeout` is reported as LaneFailed, and the lanes are closed.

    Raises: InputError on an impossible way to set a task and on tasks without a parameter.
    """
    if not isinstance(tasks, TaskDistribution) or not tasks:
        raise InputError(f"tasks are {tasks!r} — give TaskDistribution(name=Uniform(low, high), ...)")
    if not callable(set_task) and not (isinstance(set_task, str) and set_task.isidentifier()):
        ways = (gymnasium_lanes.CONSTRUCTOR_KEYWORDS, gymnasium_lanes.RESET_OPTIONS)
        if set_task not in ways:
            raise InputError(f"set_task is {set_task!r}" + nearest(str(set_task), ["a function", "a method", *ways]))
    blueprint = Blueprint(environment, set_task)
    stem = blueprint.name.rpartition(":")[2].rpartition("/")[2].partition("-v")[0]
    members = {
        "__doc__": f"{blueprint.name} with tasks that differ in: {', '.join(tasks)}.",
        # As NamedTuple does it: the class belongs to the file that asks for it.
        "__module__": sys._getframe(1).f_globals.get("__name__", "__main__"),
        "blueprint": blueprint,
        "law": tasks,
        "variants": {"metarl": {"horizon": horizon}},
    }
    return type(f"{stem if stem.isidentifier() else 'Gymnasium'}Tasks", (GymnasiumTasks,), members)


class GymnasiumTasks(TaskEnv):
    """What `gymnasium_tasks` makes classes of. Observation: the environment's, flat."""

    Config = GymnasiumConfig
    blueprint: ClassVar[Blueprint]
    law: ClassVar[TaskDistribution]
    lane_seeds: np.ndarray
    """int64 `[num_envs]`: what each lane's environment was last reset with."""

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: GymnasiumConfig | None = None, *, threads: int = 0
    ) -> None:
        """Instead of `threads` there is `config.processes`.

        Raises: InputError on an unknown environment, on spaces that cannot be used, and on an unknown horizon.
        """
        spaces, limit = _examine(self.blueprint, self.law)
        config, declared = config or GymnasiumConfig(), self.variants["metarl"]["horizon"]
        horizon = limit if declared is None else declared
        if horizon is None and config.horizon is None:
            raise InputError(f"{self.blueprint.name} sets no max_episode_steps — give horizon=")
        super().__init__(
            num_tasks,
            lanes_per_task,
            resolve(config, {"metarl": {"horizon": horizon}}),
            task_distribution=self.law,
            observation_size=spaces.observation_size,
            action_space=gymnasium_lanes.policy_action_space(spaces.action),
        )
        self._start(spaces)

    def _start(self, spaces: LaneSpaces) -> None:
        """Deal out the lanes, and start the processes."""
        processes = min(self.config.processes, self.num_envs)
        size = -(-self.num_envs // max(processes, 1))
        self._table = shared_table(self.num_envs, spaces, self.lane_tasks)
        self.lane_seeds = self._table["seed"]
        self._shares = [
            Share(self.blueprint, spaces, self._table[first : first + size], first)
            for first in range(0, self.num_envs, size)
        ]
        if processes and "fork" not in multiprocessing.get_all_start_methods():
            raise InputError("env.processes needs a system that can fork — use env.processes=0 here")
        self._workers = Workers(self._shares, self.config.timeout) if processes else None
        # Unlike weakref.finalize, it runs at the end of every process, and before multiprocessing waits for workers.
        Finalize(self, (self._workers or self._shares[0]).close, exitpriority=0)

    # Hooks of a family

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Note which lanes need their new task."""
        self._table["changed"][lanes] = True
        for name, values in self.lane_tasks.items():
            self._table["task"][name] = values

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Reset each lane's environment with a seed of its own."""
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.lane_seeds[lanes] = rng.integers(2**31, size=self.lanes_per_task)[copies]
        self._table["due"] = mask
        self._call("reset")
        self._table["changed"] = False

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step the live lanes; a lane that its environment truncates ends as it would at the horizon."""
        table = self._table
        table["due"], table["action"] = live, actions
        table["reward"], table["terminated"], table["truncated"] = 0.0, False, False
        self._call("step")
        return Outcome(table["reward"], table["terminated"], truncated=table["truncated"])

    def observe(self) -> np.ndarray:
        """The last observation of each lane, flat."""
        return self._table["observation"]

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments and end the workers."""
        (self._workers or self._shares[0]).close()

    def _call(self, function: str) -> None:
        """Have the shares "reset" or "step".

        Raises: LaneFailed, after closing everything.
        """
        if self.closed:
            raise ClosedEnvironmentError("the environment was closed — make a new one")
        try:
            failures = self._workers.call(function) if self._workers else [getattr(self._shares[0], function)()]
        except BaseException as error:
            # also at Ctrl-C: answers that are still on their way would be taken for those to the next call
            if self._workers:
                self._workers.kill()
            self.close()
            if not isinstance(error, ShareLost):
                raise
            index, deed = error.args
            share = self._shares[index]
            busy = np.flatnonzero(share.rows["busy"])
            if not len(busy):
                last = share.first + len(share.rows) - 1
                raise LaneFailed(
                    f"{self.blueprint.name} {deed} between steps of lanes {share.first} to {last}"
                ) from None
            raise self._failure(share.first + int(busy[0]), function, deed) from None
        for lane, sentence, trace in filter(None, failures):
            self.close()
            raise self._failure(lane, function, f"raised {sentence}", trace)

    def _failure(self, lane: int, function: str, deed: str, trace: str = "") -> LaneFailed:
        task, copy = divmod(lane, self.lanes_per_task)
        when = "its reset" if function == "reset" else f"step {self._steps[lane]}"
        failure = LaneFailed(f"{self.blueprint.name} {deed} at task {task}, lane {copy}, {when}")
        parameters = {parameter: values[lane].tolist() for parameter, values in self.lane_tasks.items()}
        failure.add_note(f"{trace}The lane's task: {parameters}; it was reset with seed={self.lane_seeds[lane]}.")
        return failure


def _examine(blueprint: Blueprint, law: TaskDistribution) -> tuple[LaneSpaces, int | None]:
    """The spaces of an environment and its own limit of steps, from one that is built with a task and closed again."""
    task = gymnasium_lanes.one_task(law.sample(generators(0, 1, SAMPLE_TASKS)), 0)
    try:
        env = blueprint.build(task)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise InputError(
            f"gymnasium cannot make '{blueprint.name}' ({' '.join(str(error).split())}) — repair it"
        ) from error
    limit, space = env.spec.max_episode_steps if env.spec else None, env.action_space
    env.close()
    spaces = gymnasium_lanes.lane_spaces(env, blueprint.name)
    vector = isinstance(space, Box) and len(space.shape) == 1 and space.dtype.kind == "f"
    if not vector and not isinstance(space, Discrete):
        taken = " ".join(str(space).split())
        raise InputError(
            f"actions of {blueprint.name} are {taken} — wrap it: one-dimensional Box of floats, or Discrete"
        )
    return spaces, limit
