"""Random tabular Markov decision processes (Duan et al. 2016, RL2): the task is the whole table.

In state s, action a pays normally around mean_reward[s, a] with standard deviation 1, and leads to state s' with
probability transition[s, a, s']. Mean rewards are normal (mean 1, deviation 1), and each row of transitions is uniform
among all distributions. An episode starts in state 0 and lasts 10 steps.

Letters: N tasks, E lanes per task, S states, A actions, T steps; num_envs = N * E.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from envs.contract import sources
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig, option
from envs.contract.definition import Outcome, states
from envs.contract.sources import Variant
from envs.contract.tasks import Dirichlet, Normal, TaskDistribution, Tasks


@dataclass(frozen=True)
class TabularConfig(FamilyConfig):
    """The options of TabularMDP; what is None comes from the variant."""

    variant: str = "rl2"
    states: int | None = option(above=0)
    """Number of states S."""
    actions: int | None = option(above=0)
    """Number of actions A."""


RL2: dict[str, Any] = {"horizon": 10, "states": 10, "actions": 5}
VARIANTS = {"rl2": Variant(RL2, sources.RL2), "deleu": Variant(RL2, sources.DELEU / "mdp.py")}


class TabularMDP(TaskEnv):
    """Task parameters: `mean_reward` [S, A], `transition` [S, A, S]. Observation: the state, one-hot (S)."""

    Config, variants = TabularConfig, VARIANTS
    summary = states("N(mean_reward[state, action], 1²)")

    def define(self, options: Any) -> dict[str, Any]:
        S, A = options.states, options.actions
        laws = TaskDistribution(mean_reward=Normal(1.0, 1.0, (S, A)), transition=Dirichlet(1.0, (S, A, S)))
        return {"task_distribution": laws, "action_space": Discrete(A)}

    def build(self) -> None:
        self.state = np.zeros(self.num_envs, np.int64)
        # An episode's chances, drawn at its reset: no other lane's resets can shift them.
        self.reward_noise, self.chance = np.zeros((2, self.num_envs, self.horizon))

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.state[mask] = 0
        shape = (self.lanes_per_task, self.horizon)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.reward_noise[lanes] = rng.standard_normal(shape)[copies]
            self.chance[lanes] = rng.random(shape)[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        lanes, step = np.arange(self.num_envs), np.minimum(self._steps, self.horizon - 1)
        reward = self.lane_tasks["mean_reward"][lanes, self.state, actions] + self.reward_noise[lanes, step]
        # The next state is the number of states whose cumulative probability chance has passed.
        passed = self.lane_tasks["transition"][lanes, self.state, actions, :-1].cumsum(axis=1)  # [num_envs, S - 1]
        following = (self.chance[lanes, step, None] >= passed).sum(axis=1)
        self.state = np.where(live, following, self.state)
        return Outcome(reward)

    def observe(self) -> np.ndarray:
        return np.eye(self.config.states)[self.state]

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """What the best policy is worth on average, `[N]`, by dynamic programming back from the horizon."""
        value = np.zeros((len(tasks["mean_reward"]), self.config.states))
        for _ in range(self.horizon):
            action_value = tasks["mean_reward"] + np.einsum("nsap,np->nsa", tasks["transition"], value)
            value = action_value.max(axis=2)
        return value[:, 0]
