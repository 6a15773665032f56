"""Posterior sampling where nothing is left to chance but the task (Strens 2000; Osband et al. 2013).

There are so many tasks that might be; each that ever said otherwise than what was met is none of those left. At the
start of an episode, and whenever the one at hand falls, a task is drawn from those left, and what is best in it is
done. What would have been met in each is found out in an environment of its own.

Letters: B = N·E lanes · H tasks that might be.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from envs.contract.base import TaskEnv
from metarl.core.types import Action, Rollout, State, Transition
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sources import NoOptions

MOST_LANES = 2_000_000


class Belief(NamedTuple):
    """What is left, and what is thought to be; the environment of all tasks moves with the lanes."""

    everywhere: TaskEnv  # H tasks in B lanes each
    left: np.ndarray  # [H, B], bool: whether nothing has contradicted the task
    drawn: np.ndarray  # [B], int: the task at hand; -1 before an episode


class PosteriorSampling:
    """An agent that knows all tasks that there are, and not which one it is in."""

    Config = NoOptions

    def __init__(self, config: NoOptions, env: TaskEnv) -> None:
        tasks = env.define(env.config)["task_distribution"].members()
        if tasks is None or env.informed_action() is None:
            raise InputError(
                f"{type(env).__name__} has no list of tasks and of what is best in each, which posterior-sampling"
                " asks for — name another source"
            )
        self.env, self.tasks, self.count = env, tasks, len(next(iter(tasks.values())))

    def acting(self, state: State) -> None:
        """There are no meta-parameters."""

    def begin(self, acting: None, addresses: Sequence[Address], lanes_per_task: int) -> Belief:
        """Every task might be."""
        lanes = len(addresses) * lanes_per_task
        if self.count * lanes > MOST_LANES:
            raise InputError(f"{self.count} tasks in {lanes} lanes are too many for posterior-sampling — fewer tasks")
        everywhere = type(self.env)(self.count, lanes, self.env.config)
        everywhere.set_tasks(self.tasks)
        return Belief(everywhere, np.ones((self.count, lanes), bool), np.full(lanes, -1))

    def act(
        self, acting: None, memory: Belief, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, Belief]:
        """What is best in the task at hand, which is drawn where there is none, or it has fallen."""
        everywhere, left, drawn = memory
        lanes = np.arange(left.shape[1])
        if (drawn < 0).all():
            seen, _ = everywhere.reset(seed=0)
            if not np.allclose(seen.reshape(*left.shape, -1), observation.flatten(0, 1).numpy()):
                raise InputError(
                    "episodes start at random, which posterior-sampling does not know — name another source"
                )
        fallen = (drawn < 0) | ~left[drawn, lanes]
        number = (noise.flatten().numpy() * left.sum(axis=0)).astype(int)  # of those left, which is to be next
        chosen = (left.cumsum(axis=0) > number).argmax(axis=0)
        drawn = np.where(fallen, chosen, drawn)
        informed = everywhere.informed_action()
        assert informed is not None
        action = torch.from_numpy(informed.reshape(*left.shape, *informed.shape[1:])[drawn, lanes])
        did = Action(action.unflatten(0, noise.shape[:2]), torch.zeros(noise.shape[:2]))
        return did, memory._replace(drawn=drawn)

    def observe(self, acting: None, memory: Belief, transition: Transition) -> Belief:
        """Tasks fall that would have paid, or shown, something else."""
        everywhere, left, _ = memory
        action = transition.action.flatten(0, 1).numpy()
        seen, reward, *_ = everywhere.step(np.concatenate([action] * len(left)))
        as_met = np.isclose(reward.reshape(left.shape), transition.reward.flatten().numpy())
        shown = np.isclose(seen.reshape(*left.shape, -1), transition.next_observation.flatten(0, 1).numpy()).all(
            axis=-1
        )
        return memory._replace(left=left & (as_met & shown | (transition.mask.flatten().numpy() == 0)))

    def adapt(self, state: State, memory: Belief, rollout: Rollout) -> Belief:
        """The next episode is of a task that is drawn anew."""
        return memory._replace(drawn=np.full_like(memory.drawn, -1))
