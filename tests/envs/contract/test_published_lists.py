"""PEARL's tasks: as its code draws them, and what it holds out of training.

Sources: github.com/katerakelly/oyster at 44e20fd. `launch_experiment.py` trains with the first and tests with the last
tasks of those that `rlkit/envs` draws; `configs/*.json` say how many. The numbers below were drawn with numpy 2.4's
RandomState, whose stream numpy guarantees to be that of all versions.
"""

import numpy as np
import pytest

import envs
from envs.contract.tasks import TaskList


def pearl(name: str, variant: str = "pearl") -> tuple[TaskList, TaskList]:
    """Training and test tasks."""
    env = envs.make(name, 1, 1, threads=1, variant=variant)
    train, test = env.splits["train"], env.splits["test"]
    assert isinstance(train, TaskList) and isinstance(test, TaskList) and env.unseen("test")
    return train, test


def test_the_cheetahs_velocities_are_pearls() -> None:
    # half_cheetah_vel.py: np.random.seed(1337), then 130 velocities of U(0, 3) at once
    train, test = pearl("half-cheetah-vel")
    expected = np.random.RandomState(1337).uniform(0.0, 3.0, size=(130,))  # noqa: NPY002
    np.testing.assert_array_equal(train.tasks["velocity"], expected[:100])
    np.testing.assert_array_equal(test.tasks["velocity"], expected[-30:])
    np.testing.assert_allclose(train.tasks["velocity"][:3], [0.78607403, 0.47605192, 0.83437956], rtol=0, atol=1e-8)


def test_the_points_goals_are_pearls() -> None:
    # point_robot.py: np.random.seed(1337), then for each of 100 goals U(-1, 1) twice
    train, test = pearl("point-nav")
    rng = np.random.RandomState(1337)  # noqa: NPY002
    expected = [[rng.uniform(-1.0, 1.0), rng.uniform(-1.0, 1.0)] for _ in range(100)]
    np.testing.assert_array_equal(train.tasks["goal"], expected[:80])
    np.testing.assert_array_equal(test.tasks["goal"], expected[-20:])
    np.testing.assert_allclose(train.tasks["goal"][0], [-0.47595065, -0.68263206], rtol=0, atol=1e-8)


@pytest.mark.parametrize("variant", ["pearl", "pearl-dense"])
def test_the_sparse_points_goals_are_pearls(variant: str) -> None:
    # point_robot.py: 100 goals in the plane, equally spaced on the half circle; seed 1337; their rows shuffled
    train, test = pearl("sparse-point-nav", variant)
    angles = np.linspace(0.0, np.pi, 100)
    goals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.random.RandomState(1337).shuffle(goals)  # noqa: NPY002
    found = np.concatenate([train.tasks["angle"], test.tasks["angle"]])
    assert (train.count, test.count) == (80, 20)
    np.testing.assert_allclose(np.stack([np.cos(found), np.sin(found)], axis=1), goals, rtol=0, atol=1e-12)
    np.testing.assert_allclose(train.tasks["angle"][:2] * 99 / np.pi, [2.0, 48.0], rtol=0, atol=1e-9)


def test_lists_that_pearl_drew_without_a_seed_say_that_they_are_others() -> None:
    sizes = {"ant-goal": (150, 30), "humanoid-dir": (100, 30), "walker-params": (40, 10), "hopper-params": (40, 10)}
    for name, (train, test) in sizes.items():
        assert tuple(tasks.count for tasks in pearl(name)) == (train, test)
        assert (
            "as many tasks as published, but not those"
            in envs.registry.environment_class(name).variants["pearl"].remark
        )


@pytest.mark.parametrize("name", ["half-cheetah-dir", "ant-dir", "ant-angle"])
def test_where_pearl_tests_on_the_two_training_tasks_it_is_said(name: str) -> None:
    # cheetah-dir.json and ant-dir.json: n_tasks 2, the first two to train with and the last two to test with
    env = envs.make(name, 1, 1, threads=1, variant="pearl")
    (train,), (test,) = (env.sample_tasks(0, 200, split=split).values() for split in ("train", "test"))
    assert len(set(train)) == 2 and set(train) == set(test) and not env.unseen("test")
    assert "the same two tasks in both splits" in envs.registry.environment_class(name).variants["pearl"].remark
