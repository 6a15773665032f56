"""Histories as they are stored: what they hold, that they go on where they were interrupted, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import Command, assert_refused

import envs
from envs.families.toy.rooms import DarkRoomConfig
from metarl.core.types import Rollout
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.histories import part_path, read_histories
from metarl.sources import QLearningConfig
from metarl.sources import collect as collecting
from metarl.sources.agents import QLearning
from metarl.sources.collect import collect_data
from metarl.training.loop import set_new_tasks

TASKS, R, T = 5, 4, 6
ROOM = DarkRoomConfig(size=4, horizon=T)


def make(out: Path, source: str = "q-learning", **options: Any) -> Path:
    return collect_data("dark-room", source, out, **{"tasks": TASKS, "episodes": R, "env": ROOM, **options})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "TASKS_OF_A_PART", 2)  # 2, 2 and 1 tasks


def test_a_folder_holds_what_the_source_did_in_each_task(tmp_path: Path) -> None:
    found = read_histories(make(tmp_path / "data"))
    env = envs.make("dark-room", TASKS, 1, size=4, horizon=T)
    set_new_tasks(env, Address(0))
    trial = collect(env, QLearning(QLearningConfig(), env), {}, R, Address(0))
    for name, stored in zip(Rollout._fields, found.steps, strict=True):
        played = [getattr(rollout, name)[:, 0] for rollout in trial.rollouts]  # [N, T, ...] each
        for episode, expected in enumerate(played):
            assert stored.dtype == expected.dtype and np.array_equal(stored[:, episode], expected), name
    assert np.array_equal(found.tasks["goal"], env.tasks["goal"])
    assert (found.episodes, found.about["source"], found.about["tasks"]) == (R, "q-learning", TASKS)
    assert found.about["env"]["size"] == 4 and found.about["options"]["epsilon"] == 0.02
    # what who knows the goal had done: to the right or the left until x fits, then up or down, then stay
    assert found.informed is not None
    x, y = (part.argmax(dim=-1).numpy() for part in found.steps.observation.split(4, dim=-1))
    goal_x, goal_y = (found.tasks["goal"][:, axis, None, None] for axis in (0, 1))
    expected = np.select([x < goal_x, x > goal_x, y < goal_y, y > goal_y], [2, 4, 1, 3], 0)
    assert np.array_equal(found.informed, expected)


def test_an_interrupted_collection_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(tmp_path / "whole")
    written = collecting.write_part

    def interrupted(path: Path, *parts: Any) -> None:
        if path.name == "histories-00001.npz":
            raise KeyboardInterrupt
        written(path, *parts)

    monkeypatch.setattr(collecting, "write_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "part")
    with pytest.raises(InputError, match=r"lacks histories-00001.npz, histories-00002.npz — run .* again"):
        read_histories(tmp_path / "part")
    first = part_path(tmp_path / "part", 0).stat().st_mtime_ns
    monkeypatch.setattr(collecting, "write_part", written)
    make(tmp_path / "part")
    assert part_path(tmp_path / "part", 0).stat().st_mtime_ns == first
    assert sorted(path.name for path in whole.iterdir()) == sorted(path.name for path in (tmp_path / "part").iterdir())
    ours, theirs = read_histories(whole), read_histories(tmp_path / "part")
    assert all(np.array_equal(a, b) for a, b in zip(ours.steps, theirs.steps, strict=True))


def test_the_command_takes_options_of_environment_and_source(tmp_path: Path, metarl: Command) -> None:
    sizes = ("--tasks", "2", "--episodes", "3")
    options = ("--env.size", "5", "--env.start", "anywhere", "--source.epsilon", "0.5", "--seed", "4")
    result = metarl("collect-data", "dark-room", "q-learning", "--out", "data", *sizes, *options)
    assert result.code == 0 and "written: data" in result.out
    about = json.loads((tmp_path / "data" / "about.json").read_text())
    assert about["env"]["size"] == 5 and about["env"]["start"] == "anywhere" and about["options"]["epsilon"] == 0.5
    assert (about["seed"], about["tasks"], about["episodes"], about["horizon"]) == (4, 2, 3, 20)
    assert metarl("collect-data", "point-nav", "random", "--out", "others", *sizes).code == 0
    others = read_histories(tmp_path / "others")
    assert others.informed is None and others.steps.action.shape == (2, 3, 100, 2)


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, metarl: Command) -> None:
    sizes = ("--tasks", "2", "--episodes", "3")
    assert metarl("collect-data", "bandit", "ucb", "--out", "data", *sizes).code == 0
    for words, told in (
        (("bandit", "ucb", "--out", "data", *sizes, "--seed", "1"), ("holds other histories (seed differs)", "--out")),
        (("bandit", "ubc", "--out", "x"), ("unknown source 'ubc'", "did you mean 'ucb'?")),
        (("bandits", "ucb", "--out", "x"), ("unknown environment 'bandits'",)),
        (("sinusoid", "ucb", "--out", "x"), ("labelled data",)),
        (("bandit", "ucb", "--out", "x", "--tasks", "0"), ("--tasks is 0", "at least 1")),
        (("bandit", "ucb", "--out", "x", "--source.width", "-1"), ("source.width is -1",)),
        (("--out", "x", "bandit", "ucb"), ("names come first",)),
        (("point-nav", "ucb", "--out", "x"), ("ucb is for discrete actions",)),
        (("bandit", "json:loads", "--out", "x"), ("'json:loads' is no source",)),
    ):
        assert_refused(metarl("collect-data", *words), *told)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("")
    assert_refused(metarl("collect-data", "bandit", "ucb", "--out", "full", *sizes), "is there already")


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "data")
    path = part_path(folder, 1)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"histories-00001.npz is damaged .* — remove it, and collect again"):
        read_histories(folder)
    path.unlink()
    make(folder)
    assert len(read_histories(folder).steps.mask) == TASKS
    with pytest.raises(InputError, match=r"there are no histories in .* — make some: metarl collect-data"):
        read_histories(tmp_path)
