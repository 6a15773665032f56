"""Splits: tasks for training, held-out tasks, tasks out of range, and fixed lists of tasks."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete

import envs
from envs.base import TaskEnv
from envs.config import FamilyConfig
from envs.tasks import Choice, LogUniform, TaskDistribution, TaskList, Uniform


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
    law = TaskDistribution(goal=Uniform(0.0, 1.0), kind=Choice((0, 1, 2)))
    listed = TaskList(law, 6, first=2)
    drawn = listed.sample([np.random.default_rng(seed) for seed in range(100)])
    pairs = set(zip(listed.tasks["goal"], listed.tasks["kind"], strict=True))
    assert set(zip(drawn["goal"], drawn["kind"], strict=True)) == pairs and len(pairs) == 6
    np.testing.assert_array_equal(TaskList(law, 8).tasks["goal"][2:], listed.tasks["goal"])


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


def test_log_uniform_draws_uniform_exponents() -> None:
    law = LogUniform(1.5, -3.0, 3.0, (4,))
    factors = np.stack([law.draw(np.random.default_rng(seed)) for seed in range(2000)])
    exponents = np.log(factors) / np.log(1.5)
    # 8,000 draws of U(-3, 3): mean 0 and standard deviation √3, each within 5 standard errors.
    assert abs(exponents.mean()) < 5 * np.sqrt(3 / 8000) and abs(exponents.std() - np.sqrt(3)) < 0.05
    assert 1.5**-3 <= factors.min() < 0.31 and 3.2 < factors.max() <= 1.5**3
    for base, low, high in ((0.0, 0.0, 1.0), (2.0, 1.0, 0.0), (2.0, 0.0, np.inf)):
        with pytest.raises(envs.InputError, match="LogUniform"):
            LogUniform(base, low, high)
