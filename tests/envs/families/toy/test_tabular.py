"""Tabular MDPs against exact probabilities, every policy of small ones, and the literature's levels."""

import itertools
from typing import Any

import numpy as np
import pytest

import envs


def make(num_tasks: int = 1, lanes: int = 1, **fields: Any) -> envs.TaskEnv:
    return envs.make("tabular-mdp", num_tasks, lanes, **fields)


def assert_means(samples: np.ndarray, expected: np.ndarray | float) -> None:
    """The means over axis 0 are the expected ones, within 4.5 standard errors."""
    error = 4.5 * samples.std(axis=0) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(samples.mean(axis=0) - expected), error)


@pytest.mark.parametrize("variant", ["rl2", "deleu"])
def test_a_variant_is_as_published(variant: str) -> None:
    env = make(variant=variant)
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, np.eye(10)[:1])
    assert (env.horizon, env.single_action_space.n) == (10, 5)
    tasks = env.sample_tasks(0, num_tasks=400)
    # Mean rewards are N(1, 1): 20,000 of them. A uniform distribution over 10 states has marginals of mean 1/10 and
    # variance 9 / (100 * 11).
    rewards, transition = tasks["mean_reward"].ravel(), tasks["transition"].reshape(-1, 10)
    assert_means(rewards, 1.0)
    assert_means((rewards - 1.0) ** 2, 1.0)
    assert_means(transition, 0.1)
    assert_means((transition - 0.1) ** 2, 9 / 1100)
    np.testing.assert_allclose(transition.sum(axis=1), 1.0)
    assert set(env.variants) == {"rl2", "deleu"}


def test_rewards_are_normal_around_their_mean_and_states_follow_the_table() -> None:
    E = 20000
    env = make(2, E, states=3, actions=2, horizon=3)
    env.reset(seed=0)
    state, noise = np.zeros(2 * E, int), []
    for action in (1, 0, 1):
        observation, reward, *_ = env.step(np.full(2 * E, action))
        noise.append(reward - env.lane_tasks["mean_reward"][np.arange(2 * E), state, action])
        following = observation.argmax(axis=1)
        np.testing.assert_array_equal(observation, np.eye(3)[following])
        for task, start in itertools.product(range(2), range(3)):
            here = (np.arange(2 * E) // E == task) & (state == start)
            if here.any():
                assert_means(np.eye(3)[following[here]], env.tasks["transition"][task, start, action])
        state = following
    assert len(np.unique(state)) == 3
    assert_means(np.stack(noise, axis=1), 0.0)
    assert_means(np.stack(noise, axis=1) ** 2, 1.0)
    # Steps do not share their noise: the product of two has mean 0.
    assert_means(noise[0] * noise[1], 0.0)


def test_certain_transitions_are_certain() -> None:
    """A ring of four states that action 0 walks forwards and action 1 backwards."""
    env = make(1, 300, states=4, actions=2, horizon=6)
    ring = np.stack([np.roll(np.eye(4), 1, axis=1), np.roll(np.eye(4), -1, axis=1)], axis=1)
    env.set_tasks({"mean_reward": np.zeros((1, 4, 2)), "transition": ring[None]})
    env.reset(seed=0)
    state = 0
    for action in (0, 0, 0, 0, 1, 1):
        state = (state + 1 - 2 * action) % 4
        np.testing.assert_array_equal(env.step(np.full(300, action))[0], np.tile(np.eye(4)[state], (300, 1)))


def test_a_table_that_holds_no_probabilities_is_refused() -> None:
    env = make(2)
    good = env.tasks
    for change, place in (((1, 3, 2), "row [3, 2] of task 1"), ((0, 0, 4), "row [0, 4] of task 0")):
        for values in (0.2, [-0.1, 1.1] + [0.0] * 8):  # sums to 2; sums to 1
            broken = good["transition"].copy()
            broken[change] = values
            with pytest.raises(envs.InputError) as caught:
                env.set_tasks(good | {"transition": broken})
            assert str(caught.value) == (
                f"task parameter 'transition' has no probabilities in {place} — give 0 or above, summing to 1"
            )
    np.testing.assert_array_equal(env.tasks["transition"], good["transition"])


def value_of(policy: tuple[int, ...], mean_reward: np.ndarray, transition: np.ndarray, horizon: int) -> float:
    """The mean return of `policy[step * S + state]`, summed over all sequences of states."""
    states = len(mean_reward)
    total = 0.0
    for path in itertools.product(range(states), repeat=horizon):  # the states at steps 0 .. horizon - 1
        probability, reward = float(path[0] == 0), 0.0
        for step, state in enumerate(path):
            action = policy[step * states + state]
            reward += mean_reward[state, action]
            if step + 1 < horizon:
                probability *= transition[state, action, path[step + 1]]
        total += probability * reward
    return total


@pytest.mark.parametrize(("states", "actions", "horizon"), [(2, 2, 3), (3, 2, 2), (2, 3, 2), (4, 3, 1)])
def test_no_policy_beats_the_oracle_and_one_reaches_it(states: int, actions: int, horizon: int) -> None:
    env = make(3, 1, states=states, actions=actions, horizon=horizon)
    best = [
        max(
            value_of(policy, mean_reward, transition, horizon)
            for policy in itertools.product(range(actions), repeat=states * horizon)
        )
        for mean_reward, transition in zip(env.tasks["mean_reward"], env.tasks["transition"], strict=True)
    ]
    np.testing.assert_allclose(env.informed_return(env.tasks), best)


def test_the_oracles_policy_earns_the_oracles_return() -> None:
    env, E = make(3, 4000), 4000
    mean_reward, transition = env.tasks["mean_reward"], env.tasks["transition"]
    plan, value = [], np.zeros((3, 10))
    for _ in range(10):
        action_value = mean_reward + (transition * value[:, None, None]).sum(axis=3)
        plan.insert(0, action_value.argmax(axis=2))
        value = action_value.max(axis=2)
    observation, _ = env.reset(seed=0)
    total = np.zeros(3 * E)
    for actions in plan:
        observation, reward, *_ = env.step(np.repeat(actions, E, axis=0)[np.arange(3 * E), observation.argmax(axis=1)])
        total += reward
    assert_means(total.reshape(3, E).T, env.informed_return(env.tasks))


def test_random_actions_and_the_oracle_have_their_known_mean_returns() -> None:
    # A random episode earns 10 (mean rewards have mean 1); dynamic programming over many such processes, apart from
    # this code, gave 21.9.
    env, rng = make(3000), np.random.default_rng(0)
    env.reset(seed=0)
    assert_means(sum(env.step(rng.integers(0, 5, 3000))[1] for _ in range(10)), 10.0)
    oracle = make().informed_return(env.tasks)
    assert abs(oracle.mean() - 21.9) < 0.05 + 4 * np.sqrt(2) * oracle.std() / np.sqrt(3000)
