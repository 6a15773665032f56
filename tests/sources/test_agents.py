"""The source algorithms against their equations by hand, and what they reach."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import envs
from metarl.core.types import Transition
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sources import NoOptions, QLearningConfig, UCBConfig
from metarl.sources import agents as sources
from metarl.sources.posterior_sampling import PosteriorSampling


def bandit(arms: int) -> envs.TaskEnv:
    return envs.make("bandit", 1, 1, arms=arms)


def step(
    observation: float, action: int, reward: float, following: float, ended: bool = False, played: bool = True
) -> Transition:
    """One of a single lane that sees one number."""
    flag = torch.tensor([[False]])
    return Transition(
        observation=torch.tensor([[[observation]]]),
        action=torch.tensor([[action]]),
        log_probability=torch.zeros(1, 1),
        reward=torch.tensor([[reward]]),
        terminated=torch.tensor([[ended]]),
        truncated=flag,
        first=flag,
        mask=torch.tensor([[float(played)]]),
        next_observation=torch.tensor([[[following]]]),
    )


def probability(agent: Any, memory: Any, observation: float) -> list[float]:
    """Of each action, from the log-probabilities of what all kinds of noise choose."""
    found = {}
    for noise in np.linspace(0.001, 0.999, 200):
        seen = torch.tensor([[[observation]]]), torch.ones(1, 1, dtype=torch.bool), torch.tensor([[noise]]).float()
        (action, log_probability), _ = agent.act(None, memory, *seen)
        found[int(action)] = math.exp(float(log_probability))
    return [round(found.get(action, 0.0), 5) for action in range(agent.actions)]


def test_q_learning_moves_values_to_their_targets_and_takes_the_best() -> None:
    agent = sources.QLearning(QLearningConfig(rate=0.5, discount=0.8, epsilon=0.3, first_value=1.0), bandit(3))
    memory = agent.begin(None, [Address(0)], 1)
    assert probability(agent, memory, 7.0) == [round(1 / 3, 5)] * 3  # nothing is known: all alike
    # Q(7, 0) = 1 + 0.5 (0 + 0.8 · 1 − 1) = 0.9; an unplayed step changes nothing.
    memory = agent.observe(None, memory, step(7.0, 0, 0.0, 8.0))
    memory = agent.observe(None, memory, step(7.0, 1, 5.0, 8.0, played=False))
    # The best two share 1 − ε, and each has ε / 3: 0.35 + 0.1.
    assert probability(agent, memory, 7.0) == [0.1, 0.45, 0.45]
    # Q(8, 2) = 1 + 0.5 (3 + 0 − 1) = 2: it ended there. From then on the episode has paid, and all is as new.
    memory = agent.observe(None, memory, step(8.0, 2, 3.0, 7.0, ended=True))
    assert probability(agent, memory, 8.0) == [round(1 / 3, 5)] * 3
    memory = agent.adapt({}, memory, step(8.0, 2, 3.0, 7.0))
    assert probability(agent, memory, 8.0) == [0.1, 0.1, 0.8]
    # Q(7, 1) = 1 + 0.5 (0 + 0.8 · 2 − 1) = 1.3
    memory = agent.observe(None, memory, step(7.0, 1, 0.0, 8.0))
    values = memory.value[0, 0, memory.numbers[torch.tensor([7.0]).numpy().tobytes()]]
    assert values.tolist() == pytest.approx([0.9, 1.3, 1.0])


def test_ucb_pulls_each_arm_and_then_that_of_the_greatest_bound() -> None:
    agent = sources.UCB(UCBConfig(), bandit(3))
    memory = agent.begin(None, [Address(0)], 1)
    for arm, reward, others in ((1, 1.0, [0.5, 0.0, 0.5]), (0, 0.0, [0.0, 0.0, 1.0]), (2, 0.5, [0.0, 1.0, 0.0])):
        memory = agent.observe(None, memory, step(0.0, arm, reward, 0.0))
        memory = agent.observe(None, memory, step(0.0, 0, 9.0, 0.0, played=False))
        assert probability(agent, memory, 0.0) == others
    pulls, total = np.ones(3), np.array([0.0, 1.0, 0.5])
    rng = np.random.default_rng(0)
    for _ in range(50):  # Auer et al. 2002, figure 1
        arm = int(np.argmax(total / pulls + np.sqrt(2 * np.log(pulls.sum()) / pulls)))
        assert probability(agent, memory, 0.0)[arm] == 1.0
        reward = float(rng.integers(2))
        pulls[arm], total[arm] = pulls[arm] + 1, total[arm] + reward
        memory = agent.observe(None, memory, step(0.0, arm, reward, 0.0))


def test_q_learning_learns_a_dark_room_and_key_and_door() -> None:
    for name, episodes in (("dark-room", 60), ("key-to-door", 120)):
        env = envs.make(name, 20, 1, size=4, horizon=12, start="corner")
        env.set_tasks(env.sample_tasks(3))
        trial = collect(env, sources.QLearning(QLearningConfig(), env), {}, episodes, Address(1))
        best = env.informed_return(env.tasks)
        assert best is not None
        assert trial.returns[:, :3].mean() < 0.5 * best.mean() and trial.returns[:, -20:].mean() > 0.9 * best.mean()


def test_posterior_sampling_seeks_where_a_goal_may_still_be_and_then_stays() -> None:
    env = envs.make("dark-room", 25, 1, size=5, horizon=12)
    env.set_tasks(env.define(env.config)["task_distribution"].members())  # every goal once
    trial = collect(env, PosteriorSampling(NoOptions(), env), {}, 6, Address(1))
    best = env.informed_return(env.tasks)
    for task, rounds in enumerate(zip(*(rollout.reward[:, 0] for rollout in trial.rollouts), strict=True)):
        found = [bool(reward.any()) for reward in rounds]
        first = found.index(True)
        # What was found is known: the best from then on; and who finds it stays until the episode ends.
        assert all(found[first:])
        assert all(float(reward.sum()) == best[task] for reward in rounds[first + 1 :])
        assert rounds[first][int(rounds[first].argmax()) :].all()
    # No cell is entered twice on purpose: 24 others, at least three new ones in twelve steps, and more at first.
    assert (trial.returns[:, 5] == torch.from_numpy(best)).float().mean() > 0.9
    with pytest.raises(InputError, match="episodes start at random"):
        other = envs.make("dark-room", 2, 1, size=5, start="anywhere")
        collect(other, PosteriorSampling(NoOptions(), other), {}, 1, Address(1))
    with pytest.raises(InputError, match="Bandit has no list of tasks"):
        PosteriorSampling(NoOptions(), bandit(3))


def test_what_a_source_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match=r"q-learning is for discrete actions, .* — name another source"):
        sources.QLearning(QLearningConfig(), envs.make("point-nav", 1, 1))
    agent = sources.UCB(UCBConfig(), bandit(2))
    assert agent.begin(None, [Address(0)] * 3, 2).pulls.shape == (6, 2)
    table = sources.QLearning(QLearningConfig(), bandit(2))
    many = torch.arange(10_001.0)[None, :, None]
    with pytest.raises(InputError, match="more than 10000 different observations"):
        table.numbered(table.begin(None, [Address(0)], 10_001), many)
