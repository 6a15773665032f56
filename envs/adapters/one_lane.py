"""A live Gymnasium environment, such as a real robot, as the only lane of the only task.

Unlike the lanes of `gymnasium_tasks`, it is somebody else's: it is neither built nor closed here.
"""

import numpy as np

from envs.adapters.gymnasium_lanes import AnyEnv, lane_spaces, policy_action_space
from envs.contract.base import TaskEnv
from envs.contract.definition import Outcome
from envs.contract.tasks import TaskDistribution


class OneLane(TaskEnv):
    """N = E = 1. Observations are flattened, actions put into the environment's own space; the task has no data."""

    def __init__(self, env: AnyEnv, horizon: int) -> None:
        """`horizon` ends an episode, where the environment's own limit does not end it before.

        Raises: InputError on observations without a fixed size.
        """
        self.env, self.spaces = env, lane_spaces(env, type(env).__name__)
        super().__init__(
            1,
            1,
            horizon=horizon,
            task_distribution=TaskDistribution(),
            observation_size=self.spaces.observation_size,
            action_space=policy_action_space(env.action_space),
        )
        self.seen = np.zeros((1, self.observation_size))

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Reset the environment, with a seed."""
        for _, _, rng in self.tasks_to_reset(mask):
            observation, _ = self.env.reset(seed=int(rng.integers(2**31)))
            self.seen = self.spaces.flat(observation)[None]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step the environment; it may truncate its episodes itself."""
        if not live[0]:
            return Outcome(np.zeros(1))
        observation, reward, terminated, truncated, _ = self.env.step(self.spaces.legal(actions[0]))
        self.seen = self.spaces.flat(observation)[None]
        return Outcome(np.array([float(reward)]), bool(terminated), truncated=bool(truncated))

    def observe(self) -> np.ndarray:
        """The last observation, flat."""
        return self.seen
