"""The source algorithms: agents that learn one task, in each lane for itself.

Letters: B = N·E lanes · A actions · S states, numbered as they are met.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from gymnasium.spaces import Discrete

from envs.contract.base import TaskEnv
from metarl.core.distributions import Categorical
from metarl.core.types import Action, Rollout, State, Transition
from metarl.evaluation.random_policy import RandomPolicy
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sources import NoOptions, QLearningConfig, UCBConfig

MOST_STATES = 10_000


class Random(RandomPolicy):
    """Uniformly random actions."""

    Config = NoOptions

    def __init__(self, config: NoOptions, env: TaskEnv) -> None:
        super().__init__(env.single_action_space)


def count_of_actions(env: TaskEnv, source: str) -> int:
    """How many discrete actions there are.

    Raises:
        InputError: they are not discrete.
    """
    space = env.single_action_space
    if not isinstance(space, Discrete):
        raise InputError(f"{source} is for discrete actions, these are {space} — name another source")
    return int(space.n)


def greedy(values: torch.Tensor, epsilon: float, noise: torch.Tensor) -> Action:
    """An action of the greatest value `[B, A]`, any of these alike, or with a probability of `epsilon` any at all;
    noise `[N, E]`."""
    best = (values == values.amax(dim=1, keepdim=True)).to(torch.float32)
    probability = (1 - epsilon) * best / best.sum(dim=1, keepdim=True) + epsilon / values.shape[1]
    distribution = Categorical(probability.log().unflatten(0, noise.shape))
    action = distribution.sample(noise)
    return Action(action, distribution.log_probability(action))


class Table(NamedTuple):
    """What Q-learning knows."""

    numbers: dict[bytes, int]  # of observations
    value: torch.Tensor  # [B, 2, S, A]: before and after an episode's first reward
    paid: torch.Tensor  # [B], int64: whether the episode has paid yet


class QLearning:
    """Q ← Q + α (r + γ max Q′ − Q), over observations and whether the episode has paid yet: in the dark, what was found
    is not seen, but it was paid for."""

    Config = QLearningConfig

    def __init__(self, config: QLearningConfig, env: TaskEnv) -> None:
        self.config, self.actions = config, count_of_actions(env, "q-learning")

    def acting(self, state: State) -> None:
        """There are no meta-parameters."""

    def begin(self, acting: None, addresses: Sequence[Address], lanes_per_task: int) -> Table:
        """Nothing was met."""
        lanes = len(addresses) * lanes_per_task
        return Table({}, torch.zeros(lanes, 2, 0, self.actions), torch.zeros(lanes, dtype=torch.int64))

    def act(
        self, acting: None, memory: Table, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, Table]:
        """The best action so far, or with probability ε any."""
        memory, state = self.numbered(memory, observation)
        lanes = torch.arange(len(state))
        return greedy(memory.value[lanes, memory.paid, state], self.config.epsilon, noise), memory

    def observe(self, acting: None, memory: Table, transition: Transition) -> Table:
        """A step of learning in the lanes that played it."""
        memory, before = self.numbered(memory, transition.observation)
        memory, after = self.numbered(memory, transition.next_observation)
        reward, action, ended = (x.flatten() for x in (transition.reward, transition.action, transition.terminated))
        lanes, config = torch.arange(len(before)), self.config
        paid = memory.paid | (reward > 0)
        future = memory.value[lanes, paid, after].amax(dim=1) * ~ended
        here = lanes, memory.paid, before, action
        moved = config.rate * (reward + config.discount * future - memory.value[here]) * transition.mask.flatten()
        value = memory.value.clone()
        value[here] += moved
        return Table(memory.numbers, value, torch.where(transition.mask.flatten() > 0, paid, memory.paid))

    def adapt(self, state: State, memory: Table, rollout: Rollout) -> Table:
        """The next episode has paid nothing yet."""
        return memory._replace(paid=torch.zeros_like(memory.paid))

    def numbered(self, memory: Table, observation: torch.Tensor) -> tuple[Table, torch.Tensor]:
        """The numbers `[B]` of observations `[N, E, O]`, and the table with all of them in it."""
        rows = [row.tobytes() for row in observation.flatten(0, 1).numpy()]
        numbers = memory.numbers
        if unknown := [row for row in dict.fromkeys(rows) if row not in numbers]:
            numbers = numbers | {row: len(numbers) + count for count, row in enumerate(unknown)}
            if len(numbers) > MOST_STATES:
                raise InputError(f"more than {MOST_STATES} different observations — q-learning is for few")
            fresh = memory.value.new_full((len(rows), 2, len(unknown), self.actions), self.config.first_value)
            memory = memory._replace(numbers=numbers, value=torch.cat([memory.value, fresh], dim=2))
        return memory, torch.tensor([numbers[row] for row in rows])


class Counts(NamedTuple):
    """What UCB1 knows: `[B, A]` both."""

    pulls: torch.Tensor
    total: torch.Tensor  # of rewards


class UCB:
    """Any arm that was not pulled yet; then that of the greatest mean + √(2 ln t / n) after t pulls, n of this arm."""

    Config = UCBConfig

    def __init__(self, config: UCBConfig, env: TaskEnv) -> None:
        self.config, self.actions = config, count_of_actions(env, "ucb")

    def acting(self, state: State) -> None:
        """There are no meta-parameters."""

    def begin(self, acting: None, addresses: Sequence[Address], lanes_per_task: int) -> Counts:
        """No arm was pulled."""
        nothing = torch.zeros(len(addresses) * lanes_per_task, self.actions)
        return Counts(nothing, nothing)

    def act(
        self, acting: None, memory: Counts, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, Counts]:
        """The arm of the greatest bound."""
        pulls, total = memory
        width = self.config.width * (2 * pulls.sum(dim=1, keepdim=True).clamp(min=1).log() / pulls).sqrt()
        bound = torch.where(pulls > 0, total / pulls + width, torch.inf)
        return greedy(bound, 0.0, noise), memory

    def observe(self, acting: None, memory: Counts, transition: Transition) -> Counts:
        """Count the pulls, and add up what they paid."""
        pulled = torch.nn.functional.one_hot(transition.action.flatten(), self.actions)
        pulled = pulled * transition.mask.flatten()[:, None]
        return Counts(memory.pulls + pulled, memory.total + pulled * transition.reward.flatten()[:, None])

    def adapt(self, state: State, memory: Counts, rollout: Rollout) -> Counts:
        """Everything was learned step by step."""
        return memory
