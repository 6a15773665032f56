"""Stable-Baselines3 and sb3-contrib meta-train on our tasks; skipped where the extra `sb3` is not installed."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import envs
from envs.registry import gymnasium_id

pytest.importorskip("stable_baselines3", reason="needs the extra: pip install 'metarl[sb3]'")
pytest.importorskip("sb3_contrib", reason="needs the extra: pip install 'metarl[sb3]'")

from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from envs.adapters.stable_baselines import vec_env

ALGORITHMS = [(PPO, "MlpPolicy"), (RecurrentPPO, "MlpLstmPolicy")]


def learner(algorithm: Any, policy: str, env: Any, **options: Any) -> Any:
    small = {"net_arch": [16], "lstm_hidden_size": 16} if algorithm is RecurrentPPO else {}
    return algorithm(policy, env, seed=0, device="cpu", policy_kwargs=small, **options)


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice on action spaces
@pytest.mark.parametrize("name", envs.names())
def test_every_family_trains_and_its_episodes_are_counted(name: str) -> None:
    env = vec_env(name, 2, episodes=2, horizon=4, threads=1)
    model = learner(RecurrentPPO, "MlpLstmPolicy", env, n_steps=8, batch_size=8, n_epochs=1)
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(32)
    assert any((old != new).any() for old, new in zip(before, model.policy.parameters(), strict=True))
    # Two rollouts of 8 steps in 2 lanes; a trial has 8 steps at the most, and fewer where robots fall.
    assert len(model.ep_info_buffer) >= 4 and all(episode["l"] <= 8 for episode in model.ep_info_buffer)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("algorithm, policy", ALGORITHMS)
@pytest.mark.parametrize("name", ["bandit", "point-nav"])
def test_gymnasiums_ids_train_as_well(name: str, algorithm: Any, policy: str) -> None:
    check_env(gymnasium.make(gymnasium_id(name, "Trial")), skip_render_check=True)
    env = make_vec_env(gymnasium_id(name, "Trial"), n_envs=2, seed=0, env_kwargs={"horizon": 4, "episodes": 3})
    model = learner(algorithm, policy, env, n_steps=24, batch_size=12, n_epochs=1)
    model.learn(48)
    assert {episode["l"] for episode in model.ep_info_buffer} == {12}
    _, lengths = evaluate_policy(model, env, n_eval_episodes=2, return_episode_rewards=True)
    assert lengths == [12, 12]


@pytest.mark.parametrize("name", ["bandit", "walker-dir"])
def test_native_lanes_tell_sb3_what_its_own_loop_over_lanes_does(name: str) -> None:
    keywords: dict[str, Any] = {"episodes": 2, "horizon": 40 if name == "walker-dir" else 5}
    native = vec_env(name, 3, **keywords)
    loop = make_vec_env(gymnasium_id(name), n_envs=3, env_kwargs=keywords)
    native.seed(5), loop.seed(5)
    np.testing.assert_array_equal(native.reset(), loop.reset())
    native.action_space.seed(0)
    ended = 0
    for _ in range(90):
        actions = np.stack([native.action_space.sample() for _ in range(3)])
        (observation, reward, done, infos), expected = native.step(actions), loop.step(actions)
        for array, counterpart in zip((observation, reward, done), expected[:3], strict=True):
            np.testing.assert_array_equal(array, counterpart)
        for lane in np.flatnonzero(done):
            for key in ("terminal_observation", "TimeLimit.truncated", "returns"):
                np.testing.assert_array_equal(infos[lane][key], expected[3][lane][key])
            assert infos[lane]["episode"]["r"] == pytest.approx(infos[lane]["returns"].sum(), abs=1e-4)
            ended += 1
    assert ended >= 3


@pytest.mark.parametrize(("algorithm", "policy", "rate"), [(*ALGORITHMS[0], 3e-3), (*ALGORITHMS[1], 1e-2)])
def test_they_learn_to_find_the_arm_that_pays(algorithm: Any, policy: str, rate: float, tmp_path: Path) -> None:
    """One of two arms always pays, the other never. In the first of two episodes of five pulls, the first pull is a
    guess, and tells all: 4.5 of 5; the second episode then pays 5 of 5. Without a memory both pay 2.5."""
    (tmp_path / "arms.json").write_text(json.dumps({"means": [[0, 1], [1, 0]]}))
    keywords = {"arms": 2, "horizon": 5, "episodes": 2, "train_list": str(tmp_path / "arms.json")}
    options = {"n_steps": 20, "batch_size": 640, "n_epochs": 5, "learning_rate": rate, "gamma": 1.0, "ent_coef": 0.01}
    model = learner(algorithm, policy, vec_env("bandit", 64, **keywords), **options)
    model.learn(25600)
    env = envs.VectorTasks("bandit", 200, autoreset_mode="SameStep", **keywords)  # type: ignore[arg-type]
    (observation, _), state, begins = env.reset(seed=1), None, np.ones(200, bool)
    for _ in range(10):
        action, state = model.predict(observation, state=state, episode_start=begins, deterministic=True)
        observation, _, begins, _, info = env.step(action)
    first, second = info["returns"].mean(axis=0)
    assert begins.all() and first > 4.2 and second > 4.9
