"""Trials: several episodes of a task as one, with what a memory needs in the observation."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics

import envs
from envs.contract.definition import Outcome


class Staircase(envs.TaskEnv):
    """Observation: the steps taken. A step pays 10 times the task and its action; the third terminates if steep."""

    def define(self, options: Any) -> dict[str, Any]:
        return {
            "task_distribution": envs.TaskDistribution(steep=envs.Choice((0, 1))),
            "action_space": Box(-1.0, 1.0, (1,), np.float64),
            "observation_size": 1,
            "horizon": 4,
        }

    def reset_lanes(self, mask: np.ndarray) -> None:
        pass

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        steep = self.lane_tasks["steep"]
        return Outcome(10.0 * steep + actions[:, 0], terminated=(steep == 1) & (self._steps == 2))

    def observe(self) -> np.ndarray:
        return np.zeros((self.num_envs, 1))  # at a beginning; see `step`

    def step(self, actions: np.ndarray) -> Any:
        _, *rest = super().step(actions)
        return self._steps[:, None].astype(float), *rest


def play(env: gymnasium.Env, actions: list[float]) -> list[tuple[list[float], float, bool, bool]]:
    steps = (env.step(np.array([action])) for action in actions)
    return [
        (observation.tolist(), reward, terminated, truncated) for observation, reward, terminated, truncated, _ in steps
    ]


def test_a_trial_goes_through_its_episodes_and_terminates_with_the_last() -> None:
    env = envs.SingleTask(Staircase, task={"steep": 1}, episodes=2)
    observation, info = env.reset(seed=0)
    assert observation.tolist() == [0, 0, 0, 1] and info["task"] == {"steep": 1}
    # [steps taken, last action, last reward, whether an episode begins]; an episode terminates with its third step
    assert play(env, [0.5, -0.5, 0.1]) == [
        ([1, 0.5, 10.5, 0], 10.5, False, False),
        ([2, -0.5, 9.5, 0], 9.5, False, False),
        ([0, 0.1, 10.1, 1], 10.1, False, False),  # the next episode's first observation
    ]
    assert play(env, [0.0, 0.0]) == [([1, 0, 10, 0], 10, False, False), ([2, 0, 10, 0], 10, False, False)]
    observation, reward, terminated, truncated, info = env.step(np.array([1.0]))
    assert (observation.tolist(), reward, terminated, truncated) == ([3, 1, 11, 0], 11, True, False)
    np.testing.assert_allclose(info["returns"], [30.1, 31.0])


def test_a_trial_of_truncated_episodes_terminates_too() -> None:
    env = envs.SingleTask(Staircase, task={"steep": 0}, episodes=2)
    env.reset(seed=0)
    flags = [(observation[-1], terminated, truncated) for observation, _, terminated, truncated in play(env, [0.0] * 8)]
    first = [(0, False, False)] * 3
    assert flags == [*first, (1, False, False), *first, (0, True, False)]
    assert envs.SingleTask(Staircase, episodes=None).reset(seed=0)[0].tolist() == [0]


def test_the_task_stays_for_a_trial_and_the_seed_decides_which() -> None:
    env = gymnasium.make("envs:metarl/PointNavTrial-v0", episodes=3, horizon=2)
    goals = []
    for seed in (4, None, None, 4):
        start, info = env.reset(seed=seed)
        assert start.tolist() == [0, 0, 0, 0, 0, 1]
        for step in range(6):
            *_, terminated, _, _ = env.step(np.ones(2))
            assert terminated == (step == 5)
            np.testing.assert_array_equal(env.unwrapped.task["goal"], info["task"]["goal"])  # type: ignore[attr-defined]
        goals.append(tuple(info["task"]["goal"]))
    assert len(set(goals)) == 3 and goals[0] == goals[3]


def test_discrete_actions_are_shown_one_hot() -> None:
    env = envs.SingleTask("bandit", task={"means": [0.0, 1.0, 1.0]}, arms=3, horizon=2, episodes=1)
    assert env.reset(seed=0)[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert env.step(2)[0].tolist() == [0, 0, 0, 1, 1, 0]
    assert env.step(0)[:3] == (pytest.approx([0, 1, 0, 0, 0, 0]), 0.0, True)


def test_broken_physics_end_an_episode_of_a_trial_and_not_the_trial() -> None:
    env = envs.SingleTask("half-cheetah-vel", episodes=2, horizon=5)
    env.reset(seed=0)
    env.env.qvel[0] = 1e12  # type: ignore[attr-defined]
    observation, reward, terminated, truncated, info = env.step(np.zeros(6))
    assert (reward, terminated, truncated, info["diverged"], observation[-1]) == (0.0, False, False, True, 1.0)
    assert not any(env.step(np.zeros(6))[2] for _ in range(4)) and env.step(np.zeros(6))[2]


def test_the_spec_says_how_long_the_longest_episode_is() -> None:
    for name in envs.names():
        env = envs.make(name, 1, 1)
        for kind, episodes in (("", 1), ("Trial", 2)):
            made = gymnasium.make(envs.registry.gymnasium_id(name, kind))
            assert made.spec and made.spec.max_episode_steps == episodes * env.horizon, name
    again = gymnasium.make(gymnasium.make("metarl/HalfCheetahVelTrial-v0", variant="promp", episodes=3).spec)
    assert again.spec and again.spec.max_episode_steps == 300
    assert gymnasium.make_vec("metarl/HalfCheetahVel-v0", num_envs=2, horizon=7).spec.max_episode_steps == 7  # type: ignore[union-attr]


def test_an_option_may_ask_for_longer_episodes_than_are_registered() -> None:
    env = RecordEpisodeStatistics(gymnasium.make("metarl/Bandit-v0", horizon=30))
    env.reset(seed=0)
    for _ in range(30):
        *_, truncated, info = env.step(0)
    assert truncated and info["episode"]["l"] == 30


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice on unbounded spaces
@pytest.mark.parametrize("name", ["bandit", "point-nav", "walker-dir"])
def test_trials_pass_gymnasiums_checker(name: str) -> None:
    check_env(envs.SingleTask(name, episodes=2, horizon=5), skip_render_check=True)


def test_impossible_trials_are_refused_by_name() -> None:
    with pytest.raises(envs.InputError, match="episodes is 0 — give a whole number of 1 or above"):
        envs.SingleTask("bandit", episodes=0)
    with pytest.raises(envs.InputError, match="'Staircase' has no option env.horison"):
        envs.SingleTask(Staircase, horison=3)
