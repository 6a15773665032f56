"""Lanes that reset themselves: the same numbers as single lanes side by side, whatever Gymnasium's API asks."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import envs
from envs.registry import gymnasium_id

L, HORIZON = 3, 5


def both(name: str, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **fields: Any) -> tuple[VectorEnv, VectorEnv]:
    """Our lanes, and Gymnasium's loop over single ones."""
    fields = {"horizon": HORIZON, **fields}
    lanes = gymnasium.make_vec(name, num_envs=L, autoreset_mode=mode, **fields)
    assert isinstance(lanes, envs.VectorTasks)
    loop = gymnasium.make_vec(name, L, "sync", vector_kwargs={"autoreset_mode": mode}, **fields)
    return lanes, loop


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("kind", ["", "Trial"])
@pytest.mark.parametrize("name", ["bandit", "point-nav", "walker-dir"])
def test_they_play_as_single_lanes_do(name: str, kind: str, mode: AutoresetMode) -> None:
    # A walker falls within 100 steps of strong actions, each lane at a time of its own.
    lanes, loop = both(gymnasium_id(name, kind), mode, horizon=100 if name == "walker-dir" else HORIZON)
    for attribute in ("single_observation_space", "observation_space", "action_space"):
        assert getattr(lanes, attribute) == getattr(loop, attribute)
    assert lanes.metadata["autoreset_mode"] is mode
    (observation, info), (expected, expected_info) = lanes.reset(seed=7), loop.reset(seed=7)
    np.testing.assert_array_equal(observation, expected)
    for parameter, values in info["task"].items():
        np.testing.assert_array_equal(values, expected_info["task"][parameter])
    loop.action_space.seed(0)
    ended = np.zeros(L, int)
    for _ in range(230):
        action = loop.action_space.sample()
        ours, theirs = lanes.step(action), loop.step(action)
        for array, counterpart in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(array, counterpart)
        if kind:
            begun = ours[4]["_task"] if mode is AutoresetMode.NEXT_STEP and "_task" in ours[4] else np.zeros(L, bool)
            assert (ours[4]["returns"][begun] == 0).all()
        over = ours[2] | ours[3]
        if mode is AutoresetMode.SAME_STEP and over.any():
            np.testing.assert_array_equal(ours[4]["_final_obs"], over)
            for lane in np.flatnonzero(over):
                np.testing.assert_array_equal(ours[4]["final_obs"][lane], theirs[4]["final_obs"][lane])
        ended += over
    assert (ended >= 2).all()


def test_a_task_that_is_given_is_every_lanes() -> None:
    env = gymnasium.make_vec("metarl/PointNav-v0", num_envs=2, task={"goal": [0.3, 0.4]}, horizon=2)
    env.reset(seed=0)
    np.testing.assert_allclose(env.step(np.zeros((2, 2)))[1], [-0.5, -0.5])
    info = env.reset(options={"task": {"goal": [0.0, 0.1]}})[1]
    np.testing.assert_array_equal(info["task"]["goal"], [[0.0, 0.1]] * 2)
    np.testing.assert_allclose(env.step(np.zeros((2, 2)))[1], [-0.1, -0.1])


def test_gymnasiums_wrapper_counts_their_episodes() -> None:
    env = RecordEpisodeStatistics(
        gymnasium.make_vec("metarl/PointNav-v0", num_envs=2, task={"goal": [0.3, 0.4]}, horizon=4)
    )
    env.reset(seed=0)
    for _ in range(9):  # 4 steps, a reset, 4 steps
        *_, info = env.step(np.zeros((2, 2)))
    np.testing.assert_allclose(info["episode"]["r"], [-2.0, -2.0])


def test_pictures_are_one_of_each_lane() -> None:
    env = gymnasium.make_vec("metarl/PointNav-v0", num_envs=2, render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert frames is not None and [frame.shape for frame in frames] == [(480, 480, 3)] * 2  # type: ignore[union-attr]
    assert (frames[0] != frames[1]).any()  # their goals differ
    assert gymnasium.make_vec("metarl/PointNav-v0", num_envs=2).render() is None


def test_a_users_own_family_in_worker_processes_is_a_vector_environment_too() -> None:
    law = envs.TaskDistribution(length=envs.Uniform(0.25, 1.0))
    family = envs.gymnasium_tasks("CartPole-v1", law, set_task=lambda env, task: setattr(env, "length", task["length"]))
    alone, workers = (envs.VectorTasks(family, L, episodes=2, horizon=4, processes=count) for count in (0, 2))
    np.testing.assert_array_equal(alone.reset(seed=1)[0], workers.reset(seed=1)[0])
    for _ in range(20):
        for ours, theirs in zip(alone.step(np.ones(L, int))[:4], workers.step(np.ones(L, int))[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    alone.close(), workers.close()


def test_what_is_impossible_is_refused_by_name() -> None:
    env = envs.VectorTasks("bandit", 2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2, int))
    with pytest.raises(envs.InputError, match="unknown reset option 'tsak' — did you mean 'task'"):
        env.reset(options={"tsak": {}})
    with pytest.raises(envs.InputError, match="there are 3 seeds for 2 lanes"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(envs.InputError, match="unknown autoreset_mode 'Disabled' — choose one of: NextStep, SameStep"):
        envs.VectorTasks("bandit", 2, autoreset_mode="Disabled")
    with pytest.raises(envs.InputError, match="num_tasks is 0 — give a whole number of 1 or above"):
        envs.VectorTasks("bandit", 0)
