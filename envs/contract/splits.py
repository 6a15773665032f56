"""What tasks are drawn from in each split, and that those held out from training are none of its tasks.

A law without end never draws a task twice; one that does, as it has but one value, shows it within a few draws. Where
tasks can be counted, lists are drawn without replacement, and what one split has the other leaves out; where there are
not enough of them, that is refused.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from envs.contract.config import FamilyConfig
from envs.contract.definition import Definition
from envs.contract.errors import InputError
from envs.contract.seeding import LIST_TASKS, generators
from envs.contract.tasks import TaskDistribution, TaskList, Tasks

DRAWS = 16


def make_splits(config: Any, definition: Definition) -> dict[str, TaskDistribution]:
    """The distributions by split: the family's own, or the lists that its config asks for (only a FamilyConfig does).

    Raises: InputError on a list that cannot be read, on more tasks than there are, and on test tasks that were to be
    held out but are training tasks.
    """
    train, test, outside = definition.task_distribution, definition.test_distribution, definition.outside_distribution
    held_out, shared = test is not None, False
    test = train if test is None else test
    if isinstance(config, FamilyConfig):
        shared = bool(config.shared_tasks)
        if shared or config.train_tasks or config.test_tasks or config.train_list or config.test_list:
            held_out = True
            train, test = _listed(config, train, test)
    if held_out and not shared and overlap(train, test):
        raise InputError("some test tasks are training tasks — hold other tasks out")
    return {"train": train, "test": test} | ({} if outside is None else {"outside": outside})


def overlap(first: TaskDistribution, second: TaskDistribution) -> bool:
    """Whether a task of one may be a task of the other: one that both have, or of laws without end, one they draw."""
    return not set(_keys(_some(first, seed=1))).isdisjoint(_keys(_some(second, seed=2)))


def _some(law: TaskDistribution, seed: int) -> Tasks:
    """All tasks where these can be counted, else a few; lists are drawn with another seed."""
    members = law.members()
    return law.sample(generators(seed, DRAWS, LIST_TASKS)) if members is None else members


def _listed(
    config: FamilyConfig, train: TaskDistribution, test: TaskDistribution
) -> tuple[TaskDistribution, TaskDistribution]:
    """Training and test tasks as the config lists them; where it lists those of one split, the other has the rest."""
    if config.train_list:
        train = read_list(config.train_list, train)
    if config.train_tasks:
        train = _draw_list(train, config.train_tasks, "env.train_tasks")
    if config.shared_tasks:
        if config.test_tasks or config.test_list:
            raise InputError("env.shared_tasks tests on the training tasks — leave env.test_tasks and env.test_list")
        return train, train
    listed = bool(config.train_list or config.train_tasks)
    if config.test_list:
        test = read_list(config.test_list, test)
    if config.test_tasks:
        taken = train.members() if listed else None
        test = _draw_list(test, config.test_tasks, "env.test_tasks", first=config.train_tasks or 0, taken=taken)
    if not listed:
        return _without(train, test), test
    return train, test if config.test_list or config.test_tasks else _without(test, train)


def _draw_list(law: TaskDistribution, count: int, option: str, first: int = 0, taken: Tasks | None = None) -> TaskList:
    """`count` different tasks, none of them `taken`; of a law without end, those from number `first` on.

    They belong to the law (its seed is 0), so that every run and every user of the project has the same ones.

    Raises: InputError on more tasks than there are.
    """
    members = law.members()
    if members is None:
        tasks = law.sample(generators(0, first + count, LIST_TASKS)[first:])
        if len(set(_keys(tasks))) < count:
            raise InputError(f"{option} is {count}, but the law draws the same tasks again — ask for fewer")
        return TaskList(tasks, law)
    keys, lost = _keys(members), set(_keys(taken))
    (rng,) = generators(0, 1, LIST_TASKS)
    rows = [row for row in rng.permutation(len(keys)) if keys[row] not in lost]
    if len(rows) < count:
        there = f"training leaves {len(rows)} of {len(keys)} tasks" if lost else f"there are {len(rows)} tasks"
        raise InputError(f"{option} is {count}, but {there} — ask for fewer" + ", or for env.shared_tasks" * bool(lost))
    return TaskList({name: values[rows[:count]] for name, values in members.items()}, law)


def _without(law: TaskDistribution, other: TaskDistribution) -> TaskDistribution:
    """What the law has and the other does not.

    Raises: InputError where that is nothing.
    """
    members, lost = law.members(), set(_keys(other.members()))
    rows = [row for row, key in enumerate(_keys(members)) if key not in lost]
    if members is None or len(rows) == len(_keys(members)):
        return law
    if not rows:
        raise InputError(f"one split has all {len(_keys(members))} tasks — ask for fewer, or for env.shared_tasks")
    return TaskList({name: values[rows] for name, values in members.items()}, law)


def _keys(tasks: Tasks | None) -> list[bytes]:
    """What tells the tasks apart, one key each; no keys for what has no end."""
    if tasks is None:
        return []
    columns = [np.asarray(tasks[name], np.float64) + 0.0 for name in sorted(tasks)]  # no -0
    return [b"".join(row.tobytes() for row in rows) for rows in zip(*columns, strict=True)]


def read_list(path: str, law: TaskDistribution) -> TaskList:
    """The tasks that a file lists: one array by parameter, `[count, ...]` each, in .npz or .json.

    Raises: InputError on a file that is missing or broken, and on tasks that the law's parameters cannot be.
    """
    file = Path(path)
    if not os.path.isfile(path):  # false, too, of a name that is too long
        raise InputError(f"there is no list of tasks '{path}' — check the path")
    try:
        tasks = _arrays(file) if file.suffix == ".npz" else json.loads(file.read_text())
    except Exception as error:  # whatever a file can be broken like
        reason = " ".join(str(error).split())
        raise InputError(
            f"'{path}' is no list of tasks ({reason}) — give arrays by parameter, .npz or .json"
        ) from error
    if not isinstance(tasks, dict) or not tasks:
        raise InputError(f"'{path}' is no list of tasks — give arrays by parameter, such as {{\"mass\": [1.0, 2.0]}}")
    try:
        return TaskList(tasks, law)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from None


def _arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
