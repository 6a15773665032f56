"""Multi-armed bandits (Duan et al. 2016, RL2): the task is the mean reward of each arm, and it is never seen.

An arm's mean is uniform in [0, 1]; it pays 1 with that probability and otherwise 0 ("bernoulli"), or normally around
it ("gaussian"). In RL2's bandit an episode is n pulls, and a policy with memory learns within it; in Deleu's every
pull is an episode, and a gradient step follows n of them.

Letters: N tasks, E lanes per task, K arms, T pulls; num_envs = N * E.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete

from envs.contract import sources
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig, option
from envs.contract.definition import Outcome, states
from envs.contract.errors import InputError
from envs.contract.sources import Variant
from envs.contract.tasks import TaskDistribution, Tasks, Uniform


@dataclass(frozen=True)
class BanditConfig(FamilyConfig):
    """The options of Bandit; what is None comes from the variant."""

    variant: str = "rl2"
    arms: int | None = option(above=0)
    """Number of arms K; the papers have 5, 10 and 50."""
    rewards: Literal["bernoulli", "gaussian"] | None = option()
    """Law of a pull's reward around the arm's mean."""
    reward_std: float | None = option(least=0)
    """Standard deviation of gaussian rewards."""
    ends: Literal["each-pull", "never"] | None = option()
    """What ends an episode before the horizon."""


RL2: dict[str, Any] = {"horizon": 10, "arms": 5, "rewards": "bernoulli", "reward_std": 1.0, "ends": "never"}
DELEU = RL2 | {"horizon": 1, "ends": "each-pull"}
DELEUS = sources.DELEU / "bandit.py"
VARIANTS = {
    "rl2": Variant(RL2, sources.RL2),
    "deleu": Variant(DELEU, DELEUS),
    "deleu-gaussian": Variant(DELEU | {"rewards": "gaussian"}, DELEUS),
}
PAYS = {"bernoulli": "1 with probability means[arm], else 0", "gaussian": "N(means[arm], {reward_std:g}²)"}


class Bandit(TaskEnv):
    """An action is the number of an arm. Task parameter: `means` [K]. Observation: 0, always (1)."""

    Config, variants = BanditConfig, VARIANTS
    summary = states(
        lambda options: PAYS[options.rewards], lambda options: "never" if options.ends == "never" else "each pull"
    )

    def define(self, options: Any) -> dict[str, Any]:
        means = Uniform(0.0, 1.0, (options.arms,))
        return {"task_distribution": TaskDistribution(means=means), "action_space": Discrete(options.arms)}

    def build(self) -> None:
        self.noise = np.zeros((self.num_envs, self.horizon))
        """An episode's chances, drawn at its reset: no other lane's resets can shift them."""

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Raises: InputError on a Bernoulli mean that is no probability."""
        means = tasks["means"]
        bad = (means < 0) | (means > 1)
        if self.config.rewards == "bernoulli" and bad.any():
            task, arm = np.argwhere(bad)[0]
            raise InputError(f"task parameter 'means' of task {task} has {means[task, arm]} — give numbers from 0 to 1")

    def reset_lanes(self, mask: np.ndarray) -> None:
        shape = (self.lanes_per_task, self.horizon)
        for lanes, copies, rng in self.tasks_to_reset(mask):
            noise = rng.random(shape) if self.config.rewards == "bernoulli" else rng.standard_normal(shape)
            self.noise[lanes] = noise[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        lanes, pull = np.arange(self.num_envs), np.minimum(self._steps, self.horizon - 1)
        mean, noise = self.lane_tasks["means"][lanes, actions], self.noise[lanes, pull]
        gaussian = self.config.rewards == "gaussian"
        reward = mean + self.config.reward_std * noise if gaussian else (noise < mean).astype(np.float64)
        return Outcome(reward, terminated=self.config.ends == "each-pull")

    def observe(self) -> np.ndarray:
        return np.zeros((self.num_envs, 1))

    def informed_action(self) -> np.ndarray:
        """The best arm."""
        return self.lane_tasks["means"].argmax(axis=1)

    def informed_return(self, tasks: Tasks) -> np.ndarray:
        """What pulling the best arm is worth on average, `[N]`."""
        pulls = 1 if self.config.ends == "each-pull" else self.horizon
        return pulls * tasks["means"].max(axis=1)
