"""Meta-World where its package is installed: beside its own environments, and what any environment promises.

`scripts/compare_metaworld.py` compares more goals and steps. Without the package, one line says how to come by it.
"""

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import Command, assert_refused

import envs
from envs.families.metaworld.environment import TASKS, MetaWorld, MetaWorldConfig
from envs.families.metaworld.suites import ML10, ML10_TEST, ML25, ML25_TEST, ML45, ML45_TEST, MT10, MT50

needs_package = pytest.mark.skipif(importlib.util.find_spec("metaworld") is None, reason="metaworld is not installed")
SCRIPTS = Path(__file__).parents[4] / "scripts"


def test_without_the_package_one_line_says_what_to_install(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("metaworld-ml1", "metaworld-ml10"):
        result = metarl("train", name, "--iterations", "1", "--out", "run")
        assert_refused(result, "pip install --no-deps metaworld==3.1.1")
        assert not (tmp_path / "run").exists()


def test_suites_have_the_tasks_that_they_are_named_for() -> None:
    # McLean et al. 2025, but for basketball, which the release's ML25 both trains and tests on.
    sizes = {10: (ML10, ML10_TEST, 5), 25: (ML25, ML25_TEST, 4), 45: (ML45, ML45_TEST, 5)}
    for count, (train, test, tests) in sizes.items():
        assert (len(set(train)), len(set(test))) == (count, tests) and not set(train) & set(test)
    assert len(set(MT10)) == 10 and len(set(MT50)) == 50
    assert {f"{name}-v3" for name in MT50} == TASKS.keys() >= {f"{name}-v3" for name in (*ML25, *ML25_TEST, *ML45)}


@needs_package
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("task", TASKS)
def test_numbers_are_those_of_the_package(task: str, version: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from compare_metaworld import compare

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worst, _ = compare(task, goals=1, steps=60, goal_shown=task == "push-v3", version=version)
    assert worst < 1e-9


@needs_package
def test_lanes_and_later_episodes_of_a_goal_start_alike_and_play_alike() -> None:
    env = MetaWorld(2, 3, MetaWorldConfig(task="push-v3", horizon=8), threads=2)
    twin = MetaWorld(2, 3, MetaWorldConfig(task="push-v3", horizon=8), threads=1)
    actions = np.repeat(np.random.default_rng(0).uniform(-1, 1, (8, 2, 4)), 3, axis=1)
    first, episodes = env.reset(seed=0)[0], []
    np.testing.assert_array_equal(first, twin.reset(seed=0)[0])
    for _ in range(2):
        episodes.append([env.step(action)[:2] for action in actions])
        np.testing.assert_array_equal(env.reset()[0], first)
    for (seen, reward), (again, repaid), action in zip(*episodes, actions, strict=True):
        np.testing.assert_array_equal(seen, again)
        np.testing.assert_array_equal(reward, repaid)
        np.testing.assert_array_equal(twin.step(action)[0], seen)
        np.testing.assert_array_equal(seen.reshape(2, 3, -1), np.repeat(seen[::3, None], 3, axis=1))
    assert not first[:, 36:].any() and first.shape == (6, 39)


@needs_package
def test_goals_are_lists_of_fifty_and_those_of_tests_are_others() -> None:
    env = envs.make("metaworld-ml10", 2, 1, threads=1)
    goals = env.splits["train"].members()
    assert goals is not None and np.bincount(goals["family"].astype(int)).tolist() == [50] * 10
    tests = env.sample_tasks(0, num_tasks=40, split="test")["family"]
    assert set(tests) == {10, 11, 12, 13, 14} and env.unseen("test")
    one = envs.make("metaworld-ml1", 1, 1, task="peg-insert-side-v3")
    listed = [one.splits[split].members()["places"] for split in ("train", "test")]
    assert [len(places) for places in listed] == [50, 50] and one.unseen("test")
    apart = np.linalg.norm(listed[0][:, :2] - listed[0][:, 3:5], axis=1)
    assert apart.min() >= 0.1


@needs_package
@pytest.mark.parametrize("ends", [False, True])
def test_an_episode_ends_at_success_only_where_it_is_to(ends: bool) -> None:
    # As the package's AutoTerminateOnSuccessWrapper does in evaluations. The hand goes straight to its goal.
    env = MetaWorld(3, 1, MetaWorldConfig(task="reach-v3", ends_at_success=ends, horizon=100), threads=1)
    seen, _ = env.reset(seed=0)
    succeeded = np.zeros(3, bool)
    for _ in range(99):
        action = np.pad(10.0 * (env.lane_tasks["places"][:, 3:6] - seen[:, :3]), ((0, 0), (0, 1)))
        seen, _, terminated, truncated, info = env.step(action)
        succeeded |= info["success"] == 1.0
        np.testing.assert_array_equal(terminated, succeeded & ends)
        assert not truncated.any()
    assert succeeded.all() and env.summary().termination == ("success" if ends else "never")
    whole = envs.make("metaworld-ml10", 1, 1, threads=1, ends_at_success=ends, horizon=5)
    assert all(member.config.ends_at_success == ends for member in whole._members)  # type: ignore[attr-defined]


@needs_package
def test_a_step_lasts_five_of_the_models() -> None:
    env = MetaWorld(1, 1, threads=1)
    assert env.dt == 5 * env.model.opt.timestep == MetaWorld.dt
    assert envs.make("metaworld-ml1", 1, 1, threads=1, variant="beck").horizon == 150


@needs_package
def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(envs.InputError, match="unknown env.task 'pusch-v3' — did you mean 'push-v3'"):
        envs.make("metaworld-ml1", 1, 1, task="pusch-v3")


@needs_package
def test_it_trains_and_tells_of_success(metarl: Command) -> None:
    tiny = ["--tasks", "3", "--lanes", "2", "--iterations", "1", "--env.horizon", "5"]
    assert metarl("train", "metaworld-ml10", "rl2", *tiny, "--out", "run").code == 0
    told = metarl("evaluate", "run", "--tasks", "3", "--json")
    assert told.code == 0 and np.shape(json.loads(told.out)["success"]["per_task"]) == (3, 4)
