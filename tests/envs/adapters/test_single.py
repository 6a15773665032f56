"""One lane as a plain Gymnasium environment: the same numbers, tasks, pictures."""

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics

import envs
from envs.registry import environment_class, gymnasium_id

HORIZON = 6


def make(name: str, **fields: Any) -> gymnasium.Env:
    return gymnasium.make(gymnasium_id(name), **{"horizon": HORIZON, **fields})


def test_it_plays_as_the_lane_of_a_vector_environment_does() -> None:
    single = make("half-cheetah-vel", task={"velocity": 1.5}, variant="promp")
    lanes = envs.make("half-cheetah-vel", 1, 1, variant="promp", horizon=HORIZON)
    lanes.set_tasks({"velocity": [1.5]})
    observation, info = single.reset(seed=3)
    assert info["task"] == {"velocity": 1.5}
    # The lane's seed is the second number that a fresh generator of seed 3 gives.
    seed = int(np.random.default_rng(3).integers(2**32, size=2)[1])
    np.testing.assert_array_equal(observation, lanes.reset(seed=[seed])[0][0])
    for step in range(HORIZON):
        action = np.sin(step + np.arange(6.0))
        observation, reward, terminated, truncated, _ = single.step(action)
        expected = lanes.step(action[None])
        np.testing.assert_array_equal(observation, expected[0][0])
        assert (reward, terminated, truncated) == tuple(array[0] for array in expected[1:4])
    assert truncated


def test_a_class_a_name_and_an_environment_are_all_one() -> None:
    lanes = envs.make("point-nav", 1, 1, horizon=HORIZON)
    for family in (lanes, type(lanes), "point-nav", "envs.families.point.navigation:PointNav"):
        env = envs.SingleTask(family, task={"goal": [0.3, 0.4]}, **({} if family is lanes else {"horizon": HORIZON}))
        env.reset(seed=0)
        assert env.step(np.zeros(2))[1] == -0.5 and env.env.horizon == HORIZON


def test_broken_physics_truncate_the_episode_and_say_so() -> None:
    env = make("half-cheetah-vel").unwrapped
    assert isinstance(env, envs.SingleTask)
    before, _ = env.reset(seed=0)
    env.env.qvel[0] = 1e12  # type: ignore[attr-defined]
    observation, reward, terminated, truncated, info = env.step(np.zeros(6))
    assert (reward, terminated, truncated, info["diverged"]) == (0.0, False, True, True)
    np.testing.assert_array_equal(observation, before)


def test_without_a_task_every_episode_has_a_new_one_and_the_seed_decides_which() -> None:
    env = make("half-cheetah-vel")
    first, second = env.reset(seed=1)[1]["task"], env.reset()[1]["task"]
    assert first != second and 0.0 <= first["velocity"] <= 3.0
    assert env.reset(seed=1)[1]["task"] == first
    assert env.reset(options={"task": {"velocity": 2.0}})[1]["task"] == {"velocity": 2.0}
    assert env.reset()[1]["task"] == {"velocity": 2.0}
    assert make("half-cheetah-vel", split="outside").reset(seed=0)[1]["task"]["velocity"] > 3.0


def test_gymnasiums_wrappers_take_it() -> None:
    env = RecordEpisodeStatistics(FlattenObservation(make("point-nav", task={"goal": [0.3, 0.4]})))
    env.reset(seed=0)
    for _ in range(HORIZON):
        *_, info = env.step(np.zeros(2))
    assert np.isclose(info["episode"]["r"], -0.5 * HORIZON)  # it stands at the origin, 0.5 from the goal


def test_naming_the_module_registers_it() -> None:
    program = "import gymnasium; print(gymnasium.make('envs:metarl/PointNav-v0').reset(seed=0)[0].shape)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(2,)"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": {"speed": 1.0}}, "unknown task parameter 'speed'"),
        ({"task": {"velocity": np.nan}}, "'velocity' of task 0 is nan"),
        ({"variant": "pear"}, "unknown env.variant 'pear' — did you mean 'pearl'"),
        ({"horison": 3}, "no option env.horison — did you mean 'horizon'"),
        ({"split": "tests"}, "no split 'tests' here — did you mean 'test'"),
    ],
)
def test_what_is_impossible_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError, match=message):
        make("half-cheetah-vel", **fields)


def test_an_unknown_reset_option_and_render_mode_are_refused() -> None:
    with pytest.raises(envs.InputError, match="unknown reset option 'tsak' — did you mean 'task'"):
        make("point-nav").reset(options={"tsak": {}})
    with pytest.raises(envs.InputError, match="unknown render_mode 'human' — choose one of: rgb_array"):
        envs.SingleTask(envs.make("point-nav", 1, 1), render_mode="human")
    for lanes, fields in ((2, {}), (1, {"horizon": 3})):
        with pytest.raises(envs.InputError, match="takes an environment of one lane as it is"):
            envs.SingleTask(envs.make("point-nav", 1, lanes), **fields)


# Every way of drawing: each kind of plane, and the renderer of all robots with a body that stands and one that lies.
DRAWN = ("point-nav", "sparse-point-nav", "point-corners", "grid-navi", "humanoid-dir", "swimmer-vel")


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_show_what_happens(name: str) -> None:
    env = make(name, render_mode="rgb_array")
    assert env.metadata["render_modes"] == ["rgb_array"] and env.metadata["render_fps"] >= 1
    env.reset(seed=0)
    try:
        before = env.render()
    except envs.InputError as error:
        pytest.skip(str(error))  # this machine has no OpenGL
    assert before.dtype == np.uint8 and before.shape == (480, 480, 3)
    assert before.std() > 5  # it is no empty page
    for _ in range(3):
        env.step(env.action_space.high if hasattr(env.action_space, "high") else 1)
    after = env.render()
    assert (before != after).any()
    np.testing.assert_array_equal(after, env.render())
    env.close()


def test_all_families_but_the_numbers_are_drawn_and_only_for_who_asks() -> None:
    undrawn = [name for name in envs.names() if environment_class(name).render_lane is envs.TaskEnv.render_lane]
    assert undrawn == ["bandit", "tabular-mdp"]
    env = make("point-nav")
    env.reset(seed=0)
    assert env.render() is None
