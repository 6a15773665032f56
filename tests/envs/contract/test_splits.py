"""Splits: tasks for training, held-out tasks, tasks out of range, and fixed lists of tasks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete

import envs
from envs.contract.base import TaskEnv
from envs.contract.config import FamilyConfig
from envs.contract.tasks import Choice, TaskDistribution, TaskList, Uniform


class Goals(TaskEnv):
    """Goals in [0, 1], with goals in [2, 3] outside; held out is the number 7 if it is said so."""

    def __init__(self, config: Any = None, held_out: bool = False) -> None:
        super().__init__(
            5,
            1,
            config,
            horizon=1,
            task_distribution=TaskDistribution(goal=Uniform(0.0, 1.0), kind=Choice((0, 1, 2))),
            test_distribution=TaskDistribution(goal=Uniform(0.0, 1.0), kind=Choice((7,))) if held_out else None,
            outside_distribution=TaskDistribution(goal=Uniform(2.0, 3.0), kind=Choice((0, 1, 2))),
            observation_size=1,
            action_space=Discrete(2),
        )


def lists(train: int, test: int) -> Goals:
    return Goals(FamilyConfig(train_tasks=train, test_tasks=test))


def test_every_split_has_its_own_law_and_a_test_task_is_a_fresh_one_unless_tasks_are_held_out() -> None:
    plain, held_out = Goals(), Goals(held_out=True)
    np.testing.assert_array_equal(plain.sample_tasks(3)["goal"], plain.sample_tasks(3, split="test")["goal"])
    assert (held_out.sample_tasks(3, 50, split="train")["kind"] <= 2).all()
    assert (held_out.sample_tasks(3, 50, split="test")["kind"] == 7).all()
    assert (plain.sample_tasks(3, 50, split="outside")["goal"] >= 2.0).all()
    held_out.set_tasks(held_out.sample_tasks(3, split="test"))
    assert (held_out.tasks["kind"] == 7).all()


def test_training_tasks_come_from_a_fixed_list_and_no_test_task_is_among_them() -> None:
    env, other_sizes = lists(3, 4), lists(3, 2)
    train, test = env.sample_tasks(0, 300)["goal"], env.sample_tasks(0, 300, split="test")["goal"]
    # A task of three is missed by 300 draws with probability (2/3)^300; continuous goals are never equal by chance.
    assert len(set(train)) == 3 and len(set(test)) == 4 and not set(train) & set(test)
    assert set(train) == set(other_sizes.sample_tasks(9, 300)["goal"])
    values, counts = np.unique(train, return_counts=True)
    assert values.tolist() == sorted(set(train)) and counts.min() > 70  # 100 expected, standard deviation 8.2


def test_a_list_holds_the_parameters_of_each_task_together() -> None:
    listed = TaskList({"goal": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "kind": [7, 8, 9]})
    drawn = listed.sample([np.random.default_rng(seed) for seed in range(100)])
    assert drawn["goal"].shape == (100, 2) and set(drawn["kind"]) == {7, 8, 9}
    np.testing.assert_array_equal(drawn["goal"], np.stack([2.0 * drawn["kind"] - 14.0, 2.0 * drawn["kind"] - 13.0], 1))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"goal": []}, "the list of task parameter 'goal' is no array of numbers — give one row per task"),
        ({"goal": [[1.0, 2.0], [3.0]]}, "the list of task parameter 'goal' is no array of numbers — give one row"),
        ({"goal": ["a"]}, "the list of task parameter 'goal' is no array of numbers — give one row per task"),
        ({"goal": 1.0}, "the list of task parameter 'goal' is no array of numbers — give one row per task"),
        ({"goal": [1.0, 2.0], "kind": [1]}, "task parameter 'kind' has 1 values — give 2, one a task"),
        ({"goal": [1.0, np.nan]}, "task parameter 'goal' of task 1 is nan — give a finite number"),
    ],
)
def test_an_impossible_list_of_tasks_is_refused(tasks: Any, message: str) -> None:
    with pytest.raises(envs.InputError, match=message):
        TaskList(tasks)


def drawn(env: TaskEnv, split: str, count: int = 400) -> set[tuple[float, ...]]:
    """The different tasks that a split draws."""
    columns = [values.reshape(count, -1) for values in env.sample_tasks(1, count, split=split).values()]
    return set(map(tuple, np.concatenate(columns, axis=1).tolist()))


def test_lists_of_a_countable_law_are_drawn_without_replacement_and_share_no_task() -> None:
    # 400 draws of 15 leave one out with a probability of 15 (14/15)^400 < 2e-11.
    env = envs.make("grid-navi", 1, 1, train_tasks=15, test_tasks=6)
    train, test = drawn(env, "train"), drawn(env, "test")
    assert (len(train), len(test), len(train | test)) == (15, 6, 21) and env.unseen("test")
    assert drawn(envs.make("grid-navi", 1, 1, train_tasks=15, test_tasks=2), "train") == train


def test_what_one_split_lists_the_other_leaves_out() -> None:
    everything = drawn(envs.make("grid-navi", 1, 1), "train")
    for fields, sizes in (({"train_tasks": 15}, (15, 6)), ({"test_tasks": 4}, (17, 4))):
        env = envs.make("grid-navi", 1, 1, **fields)
        train, test = drawn(env, "train"), drawn(env, "test")
        assert (len(train), len(test)) == sizes and train | test == everything and env.unseen("test")


def test_of_several_countable_parameters_it_is_the_combinations_that_are_listed() -> None:
    class Pairs(TaskEnv):
        def __init__(self, config: Any) -> None:
            laws = TaskDistribution(leg=Choice((0, 1, 2)), load=Choice((1.0, 2.0)))
            super().__init__(
                1, 1, config, horizon=1, task_distribution=laws, observation_size=1, action_space=Discrete(2)
            )

    env = Pairs(FamilyConfig(train_tasks=4, test_tasks=2))
    assert len(drawn(env, "train")) == 4 and len(drawn(env, "train") | drawn(env, "test")) == 6
    with pytest.raises(envs.InputError, match="env.test_tasks is 3, but training leaves 2 of 6 tasks"):
        Pairs(FamilyConfig(train_tasks=4, test_tasks=3))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (
            "half-cheetah-dir",
            {"train_tasks": 2, "test_tasks": 2},
            "env.test_tasks is 2, but training leaves 0 of 2 tasks — ask for fewer, or for env.shared_tasks",
        ),
        ("half-cheetah-dir", {"train_tasks": 3}, "env.train_tasks is 3, but there are 2 tasks — ask for fewer"),
        ("half-cheetah-dir", {"train_tasks": 2}, "one split has all 2 tasks — ask for fewer, or for env.shared_tasks"),
        ("half-cheetah-dir", {"test_tasks": 2}, "one split has all 2 tasks — ask for fewer, or for env.shared_tasks"),
        ("half-cheetah-cripple", {"test_tasks": 2}, "env.test_tasks is 2, but there are 1 tasks — ask for fewer"),
        ("grid-navi", {"train_tasks": 16, "test_tasks": 6}, "env.test_tasks is 6, but training leaves 5 of 21 tasks"),
        (
            "half-cheetah-vel",
            {"min_velocity": 1.0, "max_velocity": 1.0, "train_tasks": 2},
            "env.train_tasks is 2, but the law draws the same tasks again — ask for fewer",
        ),
        (
            "grid-navi",
            {"shared_tasks": True, "test_tasks": 2},
            "env.shared_tasks tests on the training tasks — leave env.test_tasks and env.test_list",
        ),
    ],
)
def test_what_cannot_be_held_out_is_refused(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError, match=message):
        envs.make(name, 1, 1, **fields)


def test_a_family_that_holds_out_what_it_trains_with_is_refused() -> None:
    class Leaking(TaskEnv):
        def __init__(self, test: TaskDistribution) -> None:
            train = TaskDistribution(leg=Choice((0, 1, 2)))
            super().__init__(
                1,
                1,
                None,
                horizon=1,
                task_distribution=train,
                test_distribution=test,
                observation_size=1,
                action_space=Discrete(2),
            )

    assert Leaking(TaskDistribution(leg=Choice((3,)))).unseen("test")
    with pytest.raises(envs.InputError, match="some test tasks are training tasks — hold other tasks out"):
        Leaking(TaskDistribution(leg=Choice((2, 3))))


def test_shared_tasks_are_in_both_splits_and_not_unseen() -> None:
    env = envs.make("grid-navi", 1, 1, train_tasks=5, shared_tasks=True)
    assert drawn(env, "train") == drawn(env, "test") and len(drawn(env, "test")) == 5
    assert not env.unseen("test") and not env.unseen("train")


@pytest.mark.parametrize(
    ("name", "fields", "unseen"),
    [
        ("half-cheetah-vel", {}, {"train": True, "test": True, "outside": True}),  # fresh tasks, always
        ("half-cheetah-vel", {"train_tasks": 9}, {"train": False, "test": True, "outside": True}),
        ("half-cheetah-vel", {"variant": "pearl"}, {"train": False, "test": True, "outside": True}),
        # One velocity, and bodies that are all alike: laws without end that have no other task.
        ("half-cheetah-vel", {"min_velocity": 1.0, "max_velocity": 1.0}, {"train": False, "test": False}),
        ("walker-params", {"largest_exponent": 0.0}, {"train": False, "test": False}),
        ("half-cheetah-dir", {}, {"train": False, "test": False}),
        ("half-cheetah-cripple", {}, {"train": False, "test": True}),
        ("half-cheetah-dir", {"variant": "pearl"}, {"train": False, "test": False}),
        ("ant-dir", {"variant": "pearl"}, {"train": False, "test": False}),
        ("ant-angle", {"variant": "pearl"}, {"train": False, "test": False}),
        ("ant-goal", {"variant": "pearl"}, {"train": False, "test": True, "outside": True}),
    ],
)
def test_an_environment_says_whether_tasks_are_unseen(name: str, fields: Any, unseen: dict[str, bool]) -> None:
    env = envs.make(name, 1, 1, **fields)
    assert {split: env.unseen(split) for split in unseen} == unseen


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_users_list_their_own_tasks_in_files(tmp_path: Path, suffix: str) -> None:
    lists = {"train": [[0, 2], [3, 4]], "test": [[4, 4], [2, 2], [4, 0]]}
    for split, goals in lists.items():
        file = tmp_path / f"{split}{suffix}"
        if suffix == ".npz":
            np.savez(file, goal=goals)
        else:
            file.write_text(json.dumps({"goal": goals}))
    files = {f"{split}_list": str(tmp_path / f"{split}{suffix}") for split in lists}
    env = envs.make("grid-navi", 1, 1, **files)
    for split, goals in lists.items():
        assert drawn(env, split) == set(map(tuple, goals))
    assert env.sample_tasks(0)["goal"].dtype == env.splits["train"].tasks["goal"].dtype == np.int64
    rest = envs.make("grid-navi", 1, 1, train_list=files["train_list"])
    assert len(drawn(rest, "test")) == 19 and rest.unseen("test")
    with pytest.raises(envs.InputError, match="some test tasks are training tasks — hold other tasks out"):
        envs.make("grid-navi", 1, 1, train_list=files["train_list"], test_list=files["train_list"])
    with pytest.raises(envs.InputError, match="env.train_tasks is 3, but there are 2 tasks"):
        envs.make("grid-navi", 1, 1, train_tasks=3, **files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no list of tasks '.*' — check the path"),
        (b"{", "is no list of tasks .* — give arrays by parameter, .npz or .json"),
        (b"[1, 2]", "is no list of tasks — give arrays by parameter"),
        (b'{"gaol": [[1, 2]]}', "list.json': unknown task parameter 'gaol' — did you mean 'goal'"),
        (b'{"goal": [1, 2]}', "list.json': task parameter 'goal' has shape"),
        (b'{"goal": [[1, 2.5]]}', "list.json': task parameter 'goal' of task 0 is 2.5 — give a whole number"),
        (b"\xff\x00", "is no list of tasks"),
    ],
)
def test_a_broken_list_is_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    for name in ("list.json", "list.npz"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(envs.InputError, match=message) as error:
        envs.make("grid-navi", 1, 1, train_list=str(tmp_path / "list.json"))
    assert "\n" not in str(error.value)
    with pytest.raises(envs.InputError, match="list of tasks '.*list.npz'|list.npz' is no list of tasks"):
        envs.make("grid-navi", 1, 1, train_list=str(tmp_path / "list.npz"))


def test_a_list_that_no_file_system_could_hold_is_not_there() -> None:
    with pytest.raises(envs.InputError, match="there is no list of tasks"):
        envs.make("grid-navi", 1, 1, train_list="a" * 5000)


def test_an_unknown_split_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(envs.InputError, match="no split 'tset' here — did you mean 'test'"):
        Goals().sample_tasks(0, split="tset")
    env = envs.make("half-cheetah-dir", 1, 1)
    with pytest.raises(envs.InputError, match="no split 'outside' here — choose one of: train, test"):
        env.sample_tasks(0, split="outside")


@pytest.mark.parametrize("size", [-1, 2.5])
def test_an_impossible_list_is_refused_by_name(size: Any) -> None:
    with pytest.raises(envs.InputError, match=f"env.train_tasks is {size} — give a whole number, 0 or above"):
        envs.make("point-nav", 1, 1, train_tasks=size)
