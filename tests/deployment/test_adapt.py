"""Deployment: a loaded policy adapts as training does, and acts as its weights say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from scipy.stats import norm
from support.policies import EPISODES, GOAL, HORIZON, Counting, by_hand, plane, remembering, weights_on_disk

import envs
import metarl as library
from envs.adapters.gymnasium_lanes import lane_spaces
from metarl.deployment.adapt import AdaptedPolicy, AdaptivePolicy, load
from metarl.runtime.errors import EnvironmentBroke, InputError, NonFiniteError
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling import collect as sampling
from metarl.sampling.normalisation import REWARDS


def test_adapting_in_one_environment_equals_collecting_the_same_experience_side_by_side(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plane has one start and no chance: with the same noise, episodes one after the other in a gymnasium.Env are
    # those of as many lanes of the TaskEnv. Products of other batch sizes round differently, by some 1e-7.
    policy, rounds = library.load(finished_run), 2
    adapted = policy.adapt(plane(), episodes=EPISODES, adaptations=rounds, seed=7)

    address = Address(7).at(Purpose.EVALUATION)
    drawn = iter(
        np.concatenate(
            [
                address.at(Purpose.ACTIONS, 0, round_, episode)
                .generator()
                .standard_normal((1, 1, HORIZON, 2), dtype=np.float32)
                for episode in range(EPISODES)
            ],
            axis=1,
        )
        for round_ in range(rounds + 1)
    )
    monkeypatch.setattr(sampling, "draw_noise", lambda env, addresses: next(drawn))
    env = envs.make("point-nav", 1, EPISODES, horizon=HORIZON)
    env.set_tasks({"goal": [GOAL["goal"]]})
    agent = Recorder(policy.setup.algorithm)
    trial = sampling.collect(env, agent, policy.state, rounds + 1, Address(99))
    np.testing.assert_allclose(adapted.returns, trial.returns[0, :rounds], rtol=1e-5)
    start = policy.adapt(plane(), adaptations=0).memory.params
    for name, value in agent.memories[-1].params.items():
        torch.testing.assert_close(adapted.memory.params[name], value, rtol=1e-4, atol=1e-6)
        assert (value - start[name]).abs().max() > 1e-4, name  # the steps were no tiny ones


class Recorder:
    """An agent that remembers what adapting returned."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.memories: list[Any] = []

    def acting(self, state: Any) -> Any:
        return self.agent.acting(state)

    def begin(self, *arguments: Any) -> Any:
        return self.agent.begin(*arguments)

    def act(self, *arguments: Any) -> Any:
        return self.agent.act(*arguments)

    def observe(self, *arguments: Any) -> Any:
        return self.agent.observe(*arguments)

    def adapt(self, *arguments: Any) -> Any:
        self.memories.append(self.agent.adapt(*arguments))
        return self.memories[-1]


def test_the_action_is_the_mean_that_the_checkpoints_weights_give(finished_run: Path) -> None:
    adapted = load(finished_run).adapt(plane(), adaptations=0)
    observations = np.random.default_rng(0).normal(size=(6, 2))
    expected = np.clip(by_hand(weights_on_disk(finished_run), observations), -1, 1)
    np.testing.assert_allclose(adapted(observations), expected, atol=1e-6)
    np.testing.assert_allclose(adapted(observations[2]), expected[2], atol=1e-6)
    assert adapted(observations[2]).shape == (2,) and len(adapted.returns) == 0


def test_actions_stay_within_the_space_of_the_environment(finished_run: Path) -> None:
    adapted = load(finished_run).adapt(plane(), adaptations=0)
    far = np.full(2, 1e6)
    unclipped = by_hand(weights_on_disk(finished_run), far)
    assert (np.abs(unclipped) > 1).any()  # or nothing would be tested
    np.testing.assert_allclose(adapted(far), np.clip(unclipped, -1, 1), atol=1e-5)
    noisy = np.stack([adapted(far, np.random.default_rng(seed)) for seed in range(20)])
    assert (np.abs(noisy) <= 1).all()


def test_sampled_actions_have_the_policys_mean_and_deviation(finished_run: Path) -> None:
    # Normal with the mean and deviation of the checkpoint's weights, cut at ±1: with standardised bounds α, β the
    # share Φ(α) + 1 − Φ(β) is cut, and the mean is −Φ(α) + 1 − Φ(β) + μ (Φ(β) − Φ(α)) − σ (φ(β) − φ(α)). Among 4,000
    # draws three deviations of a share of 0.32 are 2.2 %, and of a mean of draws with deviation 0.72 they are 0.034.
    adapted, weights = load(finished_run).adapt(plane(), adaptations=0), weights_on_disk(finished_run)
    actions = adapted(np.zeros((2000, 2)), np.random.default_rng(0))
    mean, deviation = by_hand(weights, np.zeros(2)), np.exp(weights["log_std"])
    low, high = (-1 - mean) / deviation, (1 - mean) / deviation
    below, above = norm.cdf(low), norm.sf(high)
    expected = above - below + mean * (1 - below - above) - deviation * (norm.pdf(high) - norm.pdf(low))
    assert abs((np.abs(actions) == 1).mean() - (below + above).mean()) < 0.022
    assert abs(actions.mean() - expected.mean()) < 0.034


def test_the_likeliest_of_discrete_actions_is_taken(bandit_run: Path) -> None:
    adapted = load(bandit_run).adapt(gymnasium.make("metarl/Bandit-v0", horizon=5), adaptations=1, episodes=3)
    params = {name: value[0].numpy() for name, value in adapted.memory.params.items()}
    logits = by_hand(params, np.zeros((1, 1)))[0]
    assert adapted(np.zeros(1)) == logits.argmax()
    drawn = adapted(np.zeros((4000, 1)), np.random.default_rng(0))
    odds = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / 4000, odds, atol=0.03)


def test_two_adapted_policies_do_not_disturb_each_other(finished_run: Path) -> None:
    policy, observation = load(finished_run), np.array([0.1, 0.2])
    right, up = ([{"goal": [0.5, 0.0]}, {"goal": [0.0, 0.5]}][k] for k in range(2))

    def adapt(task: dict[str, list[float]]) -> AdaptedPolicy:
        env = gymnasium.make("metarl/PointNav-v0", task=task, horizon=HORIZON)
        return policy.adapt(env, episodes=3, adaptations=2)

    first = adapt(right)
    action = first(observation)
    second = adapt(up)
    assert (second(observation) != action).any()
    np.testing.assert_array_equal(first(observation), action)
    np.testing.assert_array_equal(adapt(right)(observation), action)


def test_a_users_environment_is_played_episode_by_episode_and_left_open(finished_run: Path) -> None:
    env = Counting()
    adapted = load(finished_run).adapt(env, episodes=4, adaptations=2)
    assert (env.resets, env.steps, env.closed) == (8, 24, False)
    assert len(set(env.seeds)) == 8 and adapted.returns.shape == (2,)
    assert adapted(env.reset()[0]).dtype == np.float32


def test_what_an_environment_raises_is_its_own_fault(finished_run: Path) -> None:
    env = Counting()
    env.raises = True
    with pytest.raises(EnvironmentBroke, match="the gripper is stuck"):
        load(finished_run).adapt(env)


def test_a_memory_of_single_steps_lives_through_episodes_and_in_the_adapted_policy_alone(finished_run: Path) -> None:
    policy, agent = remembering(finished_run)
    adapted = policy.adapt(Counting(), episodes=4, adaptations=2)
    assert agent.adapted_on == [(1, 1, HORIZON)] * 8  # after each episode
    assert len(adapted.returns) == 8
    here = np.zeros(2)
    assert adapted(here) == pytest.approx([0.24, 0.24])  # 8 episodes of 3 steps were observed
    adapted.observe(1.0, here)
    assert adapted(here) == pytest.approx([0.25, 0.25])
    adapted.reset()
    assert adapted(here) == pytest.approx([0.24, 0.24])
    with pytest.raises(InputError, match="one at a time"):
        adapted(np.zeros((2, 2)))


def test_rewards_are_told_in_the_unit_of_training(tmp_path: Path) -> None:
    sizes = {"tasks": 2, "lanes": 2, "iterations": 1, "threads": 1, "torch_threads": 1, "reward_unit": 10.0}
    library.train("point-nav", "rl2", out=tmp_path / "run", env={"horizon": HORIZON}, **sizes)
    policy = library.load(tmp_path / "run")
    plain = replace(policy, state={name: value for name, value in policy.state.items() if name != REWARDS})

    def second_action(policy: AdaptivePolicy, reward: float) -> np.ndarray:
        adapted = policy.adapt(plane(), adaptations=0)
        adapted(np.zeros(2))
        adapted.observe(reward, np.zeros(2))
        return np.asarray(adapted(np.zeros(2)))

    np.testing.assert_array_equal(second_action(policy, -5.0), second_action(plain, -0.5))
    assert (second_action(policy, -5.0) != second_action(plain, -5.0)).all()


@pytest.mark.parametrize(
    ("observations", "actions", "words"),
    [
        (3, Box(-1, 1, (2,)), "shows 3 numbers, the policy was trained on 2"),
        (2, Box(-1, 1, (3,)), "trained on Box"),
        (2, Box(-2, 2, (2,)), r"takes actions of Box\(-2.0, 2.0"),
        (2, Discrete(2), r"takes actions of Discrete\(2\)"),
    ],
)
def test_other_spaces_are_refused_before_anything_is_played(
    finished_run: Path, observations: int, actions: Any, words: str
) -> None:
    env = Counting()
    env.observation_space, env.action_space = Box(-1, 1, (observations,)), actions
    with pytest.raises(InputError, match=words) as raised:
        load(finished_run).adapt(env)
    assert " — " in str(raised.value) and "\n" not in str(raised.value) and env.resets == 0


def test_what_cannot_be_played_or_seen_is_refused(finished_run: Path) -> None:
    policy = load(finished_run)
    with pytest.raises(InputError, match="give a single environment"):
        lane_spaces(gymnasium.make_vec("CartPole-v1"), "SyncVectorEnv")  # type: ignore[arg-type]
    for options in ({"episodes": 0}, {"adaptations": -1}, {"seed": -1}):
        with pytest.raises(InputError, match=f"{next(iter(options))} is .* at least"):
            policy.adapt(plane(), **options)
    adapted = policy.adapt(plane(), adaptations=0)
    with pytest.raises(InputError, match=r"shape \(3,\) — give \(2,\)"):
        adapted(np.zeros(3))
    with pytest.raises(NonFiniteError, match="not finite"):
        adapted(np.array([0.0, np.nan]))
    with pytest.raises(InputError, match="follows no action"):
        adapted.observe(0.0, np.zeros(2))


def test_the_documents_script_runs_and_the_policy_ends_with_its_episode(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()
    (script,) = [text.split("```")[0] for text in page.split("```python\n")[1:] if "metarl.load(" in text]
    assert len([line for line in script.splitlines() if line.strip()]) <= 15
    monkeypatch.setattr(library, "load", lambda path: load(finished_run), raising=False)
    namespace: dict[str, Any] = {}
    exec(script.replace("episodes=20", "episodes=2"), namespace)
    assert namespace["done"] and len(namespace["adapted"].returns) == 1
