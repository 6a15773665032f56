"""What every registered environment promises: spaces, seeds, resets, ends, tasks.

What a variant's own code can break is asked of every variant; what the base class sees to, of every family's default.
"""

import importlib.util
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import envs
from envs.registry import environment_class
from envs.registry import names as registered

N, E, HORIZON = 3, 2, 6
METAWORLD = ["metaworld-ml1", "metaworld-ml10"] * (importlib.util.find_spec("metaworld") is not None)


def names() -> list[str]:
    """What is registered, and of what needs a package that is here, some."""
    return [*registered(), *METAWORLD]


VARIANTS = [(name, variant) for name in names() for variant in environment_class(name).variants]
DEFAULTS = [(name, environment_class(name).Config().variant) for name in names()]
every_variant, every_family = (
    pytest.mark.parametrize(("name", "variant"), pairs, ids=["/".join(pair) for pair in pairs])
    for pairs in (VARIANTS, DEFAULTS)
)


def make(name: str, variant: str, num_tasks: int = N, **fields: Any) -> envs.TaskEnv:
    return envs.make(name, num_tasks, E, threads=1, variant=variant, **{"horizon": HORIZON, **fields})


def random_actions(env: envs.TaskEnv, steps: int) -> np.ndarray:
    """[steps, num_envs, A], so small that no point leaves its start by chance alone; or [steps, num_envs]."""
    rng, shape, space = np.random.default_rng(7), (steps, *env.action_space.shape), env.single_action_space
    if isinstance(space, Discrete):
        return rng.integers(space.start, space.start + space.n, shape)
    return rng.uniform(-1.0, 1.0, shape) * space.high


def is_discrete(env: envs.TaskEnv) -> bool:
    return isinstance(env.single_action_space, Discrete)


def play(env: envs.TaskEnv, actions: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Observation, reward, terminated, truncated of every step."""
    return [env.step(action)[:4] for action in actions]


def assert_equal(first: list[tuple[np.ndarray, ...]], second: list[tuple[np.ndarray, ...]], lanes: Any) -> None:
    for step, other in zip(first, second, strict=True):
        for array, counterpart in zip(step, other, strict=True):
            np.testing.assert_array_equal(array[lanes], counterpart[lanes])


@every_variant
def test_is_a_vector_environment_that_returns_arrays_of_the_announced_shapes_and_kinds(name: str, variant: str) -> None:
    env = make(name, variant)
    assert isinstance(env, VectorEnv) and env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert (env.num_envs, env.num_tasks, env.lanes_per_task, env.horizon) == (N * E, N, E, HORIZON)
    assert env.observation_space.shape == (N * E, *env.single_observation_space.shape)
    assert env.action_space.shape == (N * E, *env.single_action_space.shape)
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space and observation.dtype == np.float64
    assert not info["diverged"].any()
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert observation in env.observation_space and np.isfinite(observation).all()
    assert reward.shape == (N * E,) and reward.dtype == np.float64 and np.isfinite(reward).all()
    for flags in (terminated, truncated, info["diverged"]):
        assert flags.shape == (N * E,) and flags.dtype == bool
    assert all(values.shape == (N * E,) for values in info.values())


@every_variant
def test_one_seed_gives_one_trajectory(name: str, variant: str) -> None:
    env, twin = make(name, variant), make(name, variant)
    actions = random_actions(env, HORIZON)
    np.testing.assert_array_equal(env.reset(seed=5)[0], twin.reset(seed=5)[0])
    assert_equal(play(env, actions), play(twin, actions), slice(None))
    again = env.reset(seed=5)[0]
    np.testing.assert_array_equal(again, twin.reset(seed=5)[0])


@every_variant
def test_a_task_does_not_depend_on_the_others(name: str, variant: str) -> None:
    """Task 1 of three, task 1 among other companions, and the only task: the same bits."""
    crowd, others, alone = make(name, variant), make(name, variant), make(name, variant, num_tasks=1)
    crowd.set_tasks(crowd.sample_tasks([11, 12, 13]))
    others.set_tasks(others.sample_tasks([90, 12, 91]))
    alone.set_tasks(alone.sample_tasks([12]))
    actions = random_actions(crowd, HORIZON)
    middle = slice(E, 2 * E)
    first = crowd.reset(seed=[1, 2, 3])[0][middle]
    np.testing.assert_array_equal(first, others.reset(seed=[7, 2, 9])[0][middle])
    np.testing.assert_array_equal(first, alone.reset(seed=[2])[0])
    in_crowd = play(crowd, actions)
    assert_equal(in_crowd, play(others, actions), middle)
    by_itself = play(alone, actions[:, middle])
    assert_equal([tuple(array[middle] for array in step) for step in in_crowd], by_itself, slice(None))


@every_family
def test_sampled_tasks_do_not_depend_on_their_number(name: str, variant: str) -> None:
    env = make(name, variant)
    few, many = env.sample_tasks(3, num_tasks=4), env.sample_tasks(3, num_tasks=9)
    by_seed, reordered = env.sample_tasks([5, 6, 7]), env.sample_tasks([7, 6, 5])
    for parameter in few:
        np.testing.assert_array_equal(few[parameter], many[parameter][:4])
        np.testing.assert_array_equal(by_seed[parameter], reordered[parameter][::-1])
        assert len(np.unique(env.sample_tasks(0, num_tasks=50)[parameter], axis=0)) > 1


@every_variant
def test_an_episode_is_truncated_at_the_horizon_and_then_stands_still(name: str, variant: str) -> None:
    env = make(name, variant)
    env.reset(seed=0)
    *before, last = play(env, random_actions(env, HORIZON))
    assert not any(truncated.any() for *_, truncated in before)
    observation, _, terminated, truncated = (array.copy() for array in last)
    np.testing.assert_array_equal(terminated, ~truncated)
    for array in last:
        array[...] = 0  # what the caller does with its arrays does not reach the environment
    # The action of a lane that stands still matters to nobody.
    unused = random_actions(env, 1)[0] if is_discrete(env) else np.full(env.action_space.shape, np.nan)
    frozen, reward, still_terminated, still_truncated, info = env.step(unused)
    np.testing.assert_array_equal(frozen, observation)
    np.testing.assert_array_equal(still_terminated, terminated)
    np.testing.assert_array_equal(still_truncated, truncated)
    assert not reward.any() and not any(values.any() for values in info.values())


@every_variant
def test_a_masked_reset_leaves_the_other_lanes_alone(name: str, variant: str) -> None:
    env, undisturbed = make(name, variant), make(name, variant)
    actions = random_actions(env, HORIZON)
    env.reset(seed=0), undisturbed.reset(seed=0)
    expected = play(undisturbed, actions)
    before = play(env, actions[:2])
    mask = np.array([True, False, False, False, True, True])
    observation, _ = env.reset(seed=8, options={"reset_mask": mask})
    np.testing.assert_array_equal(observation[~mask], expected[1][0][~mask])
    after = play(env, actions[2:])
    assert_equal(before + after, expected, ~mask)
    ended = env.step(actions[0])[3]
    np.testing.assert_array_equal(ended | expected[-1][2], ~mask | expected[-1][2])  # reset lanes have two steps left


@every_variant
def test_a_masked_reset_starts_an_episode_like_any_other(name: str, variant: str) -> None:
    env, fresh = make(name, variant), make(name, variant)
    actions = random_actions(env, HORIZON)
    env.reset(seed=0)
    play(env, actions[:3])
    mask = np.array([True, True, False, False, False, False])
    start = env.reset(seed=4, options={"reset_mask": mask})[0]
    np.testing.assert_array_equal(start[mask], fresh.reset(seed=4)[0][mask])
    assert_equal(play(env, actions), play(fresh, actions), mask)


@every_family
def test_arrays_once_returned_never_change(name: str, variant: str) -> None:
    env = make(name, variant)
    returned = [env.reset(seed=0)[0]]
    for action in random_actions(env, 2):
        *arrays, info = env.step(action)
        returned += [*arrays, *info.values()]
    copies = [array.copy() for array in returned]
    play(env, random_actions(env, HORIZON))
    env.reset(seed=1)
    for array, copy in zip(returned, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@every_family
def test_tasks_round_trip_and_take_effect_at_the_next_reset(name: str, variant: str) -> None:
    env = make(name, variant)
    env.reset(seed=0)
    old, new = env.tasks, env.sample_tasks(99)
    env.set_tasks(new)
    for parameter, values in new.items():
        np.testing.assert_array_equal(env.tasks[parameter], values)
        np.testing.assert_array_equal(env.lane_tasks[parameter], np.repeat(old[parameter], E, axis=0))
        env.tasks[parameter][:] = -1.0  # a copy
        np.testing.assert_array_equal(env.tasks[parameter], values)
    env.reset(options={"reset_mask": np.arange(N * E) == 1})
    env.reset(options={"reset_mask": np.arange(N * E) > 1})
    for parameter, values in new.items():
        expected = np.repeat(values, E, axis=0)
        expected[0] = old[parameter][0]
        np.testing.assert_array_equal(env.lane_tasks[parameter], expected)


@every_family
def test_impossible_tasks_are_refused_by_name(name: str, variant: str) -> None:
    env = make(name, variant)
    tasks = env.tasks
    parameter = next(iter(tasks))
    broken = tasks[parameter].astype(np.float64)
    broken[1] = np.nan
    for refused, message in (
        ({**tasks, parameter + "x": tasks[parameter]}, f"'{parameter}x' — did you mean '{parameter}'"),
        ({}, f"'{parameter}' is missing"),
        ({**tasks, parameter: tasks[parameter][:2]}, f"'{parameter}' has 2 values"),
        ({**tasks, parameter: tasks[parameter][..., None]}, f"'{parameter}' has shape"),
        ({**tasks, parameter: broken}, f"'{parameter}' of task 1 is nan"),
        ({**tasks, parameter: "fast"}, f"'{parameter}' is no array of numbers"),
    ):
        with pytest.raises(envs.InputError, match=message):
            env.set_tasks(refused)
    np.testing.assert_array_equal(env.tasks[parameter], tasks[parameter])


@every_family
def test_an_action_that_is_none_is_refused_by_name(name: str, variant: str) -> None:
    env, untouched = make(name, variant), make(name, variant)
    env.reset(seed=0), untouched.reset(seed=0)
    good, space = random_actions(env, 1)[0], env.single_action_space
    if not is_discrete(env):
        env.step(good)
        good[3, 1] = np.nan
        with pytest.raises(envs.NonFiniteError, match=r"action\[1\] is nan at task 1, lane 1, step 1"):
            env.step(good)
        return
    for wrong in (space.start - 1, space.start + space.n, np.iinfo(np.int64).min):
        actions = good.copy()
        actions[-1] = wrong
        with pytest.raises(envs.InputError, match=f"from {space.start} to {space.start + space.n - 1}"):
            env.step(actions)
    for kind in (float, bool, str, complex, object):
        with pytest.raises(envs.InputError, match="give whole numbers"):
            env.step(good.astype(kind))
    with pytest.raises(envs.InputError, match="give whole numbers"):
        env.step(np.full(N * E, np.nan))
    # A refused step is no step, and any kind of whole number names the same action.
    assert_equal(play(env, good.astype(np.uint8)[None]), play(untouched, good[None]), slice(None))


@every_family
def test_impossible_calls_are_refused(name: str, variant: str) -> None:
    env = make(name, variant)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.reset(options={"reset_mask": np.arange(N * E) > 0})
    for seed in (-1, 1.5, True, [1, 2], [1, 2, -3], "seeds"):
        with pytest.raises(envs.InputError, match="seed"):
            env.reset(seed=seed)  # type: ignore[arg-type]
    env.reset(seed=0)
    for options in ({"reset_mask": np.ones(2, bool)}, {"reset_mask": np.ones(N * E)}, {"reset_maks": None}):
        with pytest.raises(envs.InputError, match="reset_mask"):
            env.reset(options=options)
    kind, shape = env.single_action_space.dtype, env.single_action_space.shape
    per_task, one_more_axis = np.zeros((N, *shape), kind), np.zeros((N * E, *shape, 1), kind)
    one_action_for_all = np.zeros(shape, kind)
    other_rank = np.zeros((N * E, 1), kind) if is_discrete(env) else np.zeros(N * E)
    for actions in (per_task, one_more_axis, one_action_for_all, other_rank):
        with pytest.raises(envs.InputError, match="actions have shape"):
            env.step(actions)
    with pytest.raises(envs.InputError, match="give whole numbers" if is_discrete(env) else "actions are"):
        env.step(np.full(env.action_space.shape, "left"))


@every_family
def test_gymnasium_vector_wrapper_counts_its_episodes(name: str, variant: str) -> None:
    env = make(name, variant)
    wrapped = RecordEpisodeStatistics(env)
    wrapped.reset(seed=0)
    total, before = np.zeros(N * E), np.zeros(N * E, bool)
    for action in random_actions(env, HORIZON):
        _, reward, terminated, truncated, info = wrapped.step(action)
        total += reward
        finished = (terminated | truncated) & ~before
        np.testing.assert_allclose(info.get("episode", {"r": 0 * total})["r"][finished], total[finished], rtol=1e-6)
        before |= finished
    assert before.all()


@every_family
@pytest.mark.filterwarnings("ignore::UserWarning")  # advice on unbounded spaces
def test_passes_gymnasiums_checker(name: str, variant: str) -> None:
    env = envs.make(name, 1, 1, threads=1, variant=variant, horizon=HORIZON)
    check_env(envs.SingleTask(env), skip_render_check=True)
