"""Tasks in groups, each met in a thread of its own: while one group acts and adapts, another's physics goes on.

Native physics and a GPU hold no lock of Python's, so that neither waits for the other, nor for the policies. Exact:
every draw is addressed by its task, and what a task computes does not depend on the tasks computed beside it.
"""

import copy
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import torch

from envs.contract.base import TaskEnv
from metarl.core.types import Rollout, State, Trial
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address
from metarl.sampling.collect import Agent, collect

TRIALS = 2  # of each way to divide the tasks that count, after one that warms up


class Divisions:
    """Ways to divide an iteration's tasks into groups: taken in turns until each is timed, then the fastest is kept,
    which depends on the machine, the robot and the policy. What is sampled is the same in all.

    Args:
        ways: the groups of each way, every group an environment of its own.
    """

    def __init__(self, *ways: tuple[TaskEnv, ...]) -> None:
        self._ways = [(envs, list[float]()) for envs in ways]

    @property
    def settled(self) -> bool:
        """Whether there is one way left."""
        return len(self._ways) == 1

    @property
    def envs(self) -> tuple[TaskEnv, ...]:
        """The groups that are to be met next."""
        return self._ways[0][0]

    def took(self, seconds: float) -> None:
        """Meeting `envs` took so long, for an amount of work that is always the same."""
        if self.settled:
            return
        envs, times = self._ways.pop(0)
        self._ways.append((envs, [*times, seconds]))
        if all(len(times) > TRIALS for _, times in self._ways):
            self._ways.sort(key=lambda way: min(way[1][1:]))
            for envs, _ in self._ways[1:]:
                for env in envs:
                    env.close()
            del self._ways[1:]


def first_tasks(envs: Sequence[TaskEnv], first_task: int = 0) -> list[int]:
    """The number of each group's first task within the meta-batch, where the first group's is `first_task`."""
    return list(itertools.accumulate((env.num_tasks for env in envs[:-1]), initial=first_task))


def collect_in_groups(
    envs: Sequence[TaskEnv], agent: Agent, state: State, rounds: int, address: Address, first_task: int = 0
) -> Trial:
    """As `collect`, for groups of consecutive tasks side by side: the trial of all of them, in order."""
    starts = first_tasks(envs, first_task)
    if len(envs) == 1:
        return collect(envs[0], agent, state, rounds, address, first_task)
    with ThreadPoolExecutor(len(envs)) as pool:
        meetings = [
            # A copy each: a module holds its parameters as long as `functional_call` runs.
            pool.submit(copy_context().run, collect, env, copy.deepcopy(agent), state, rounds, address, start)
            for env, start in zip(envs, starts, strict=True)
        ]
    interruption_point()  # what made the threads stop early, if anything did, is for the main one to raise
    trials = [meeting.result() for meeting in meetings]
    rollouts = [
        Rollout(*(torch.cat(fields) for fields in zip(*groups, strict=True)))
        for groups in zip(*(trial.rollouts for trial in trials), strict=True)
    ]
    tasks = [trial.tasks for trial in trials if trial.tasks is not None]
    said = {name: torch.cat([trial.diagnostics[name] for trial in trials]) for name in trials[0].diagnostics}
    return Trial(rollouts, sum(trial.diverged for trial in trials), torch.cat(tasks), said)
