"""What an oracle sees: the family's observation, then the task; everything else is the family's, bit for bit."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from envs.adapters.seeing_task import seeing_task
from envs.contract.base import TaskEnv
from envs.families.point.navigation import PointNav
from envs.families.toy.bandit import Bandit
from envs.registry import environment_class, names

N, E, HORIZON = 3, 2, 6
# Options of a family, and its task parameters in the order of their names with how many numbers each has.
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "point-nav": ({"ends": "near-goal", "start_range": 0.5, "goal_range": 0.3}, {"goal": 2}),
    "bandit": ({}, {"means": 5}),
    "tabular-mdp": ({}, {"mean_reward": 10 * 5, "transition": 10 * 5 * 10}),
    "half-cheetah-vel": ({}, {"velocity": 1}),
    "half-cheetah-params": ({}, {"damping": 9, "friction": 9 * 3, "inertia": 8 * 3, "mass": 8}),
    "ant-cripple": ({}, {"leg": 1}),  # whole numbers, others in the test split
}
EVERY_FAMILY = pytest.mark.parametrize("name", FAMILIES)


def pair(name: str) -> tuple[TaskEnv, TaskEnv]:
    """The plain family and the one that sees the task."""
    family: Any = environment_class(name)
    config = family.Config(horizon=HORIZON, **FAMILIES[name][0])
    return family(N, E, config, threads=1), seeing_task(family)(N, E, config, threads=1)


def seen(name: str, observation: np.ndarray) -> np.ndarray:
    """What stands behind the family's own observation, `[num_envs, P]`."""
    return observation[:, -sum(FAMILIES[name][1].values()) :]


def of_lane(name: str, tasks: dict[str, np.ndarray], lane: int) -> list[float]:
    """The numbers of the task that a lane belongs to, parameter by parameter, first index first."""
    return [float(x) for parameter in FAMILIES[name][1] for x in tasks[parameter][lane // E].flatten()]


def random_actions(env: TaskEnv, rng: np.random.Generator) -> np.ndarray:
    space = env.single_action_space
    if isinstance(space, Discrete):
        return rng.integers(space.n, size=env.num_envs)
    return rng.uniform(-1.0, 1.0, env.action_space.shape) * space.high


@EVERY_FAMILY
def test_the_observation_ends_with_the_task_in_the_order_of_its_parameters_names(name: str) -> None:
    plain, env = pair(name)
    size = plain.observation_size + sum(FAMILIES[name][1].values())
    assert env.single_observation_space.shape == (size,) and env.single_observation_space.dtype == np.float64
    assert env.observation_space.shape == (N * E, size)
    assert env.single_action_space == plain.single_action_space and env.action_space == plain.action_space
    tasks = env.sample_tasks(3)
    env.set_tasks(tasks)
    rng = np.random.default_rng(0)
    expected = np.array([of_lane(name, tasks, lane) for lane in range(N * E)])
    assert len(np.unique(expected, axis=0)) > 1
    observations = [env.reset(seed=0)[0]] + [env.step(random_actions(env, rng))[0] for _ in range(HORIZON + 1)]
    for observation in observations:
        assert observation in env.observation_space
        np.testing.assert_array_equal(seen(name, observation), expected)


@pytest.mark.parametrize("name", names())
def test_every_registered_family_can_show_its_task(name: str) -> None:
    env = seeing_task(environment_class(name))(2, 1)
    own = env.observation_size
    assert env.reset(seed=0)[0] in env.observation_space
    observation = env.step(env.action_space.sample())[0]
    assert observation in env.observation_space
    assert observation.shape[1] == own + sum(values[0].size for values in env.tasks.values())


@EVERY_FAMILY
def test_all_but_the_end_of_the_observation_is_the_plain_familys_to_the_bit(name: str) -> None:
    # Two episodes; before the second one other tasks are set, some lanes are reset early, and others late.
    plain, env = pair(name)
    own = slice(plain.observation_size)
    rng = np.random.default_rng(1)
    some = np.arange(N * E) % 3 == 0

    def assert_same(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
        np.testing.assert_array_equal(ours[0][:, own], theirs[0])
        for mine, other in zip(ours[1:-1], theirs[1:-1], strict=True):
            np.testing.assert_array_equal(mine, other)
        assert ours[-1].keys() == theirs[-1].keys()
        for key in ours[-1]:
            np.testing.assert_array_equal(ours[-1][key], theirs[-1][key])

    for episode, mask in enumerate((np.ones(N * E, bool), some, ~some)):
        if episode < 2:
            for both in (env, plain):
                both.set_tasks(plain.sample_tasks([episode, 8, 9]))
        seeds = [episode, 5, 6]
        assert_same(*(both.reset(seed=seeds, options={"reset_mask": mask}) for both in (env, plain)))
        for _ in range(HORIZON if episode != 1 else 2):
            actions = random_actions(env, rng)
            assert_same(env.step(actions), plain.step(actions))


@EVERY_FAMILY
def test_splits_tasks_options_and_the_best_return_are_the_plain_familys(name: str) -> None:
    plain, env = pair(name)
    assert env.config == plain.config and env.horizon == plain.horizon == HORIZON
    assert env.splits == plain.splits
    for split in plain.splits:
        ours, theirs = (both.sample_tasks([4, 5, 6], split=split) for both in (env, plain))
        assert ours.keys() == theirs.keys() == FAMILIES[name][1].keys()
        for parameter in theirs:
            np.testing.assert_array_equal(ours[parameter], theirs[parameter])
        best = plain.informed_return(theirs)
        assert (best is None) == (env.informed_return(theirs) is None)
        if best is not None:
            np.testing.assert_array_equal(env.informed_return(theirs), best)


@EVERY_FAMILY
def test_a_lane_sees_its_old_task_until_it_is_reset(name: str) -> None:
    _, env = pair(name)
    old, new = env.sample_tasks([1, 2, 3]), env.sample_tasks([7, 8, 9], split="test")
    before, after = (np.array([of_lane(name, tasks, lane) for lane in range(N * E)]) for tasks in (old, new))
    changed = [bool((before[lane] != after[lane]).any()) for lane in range(N * E)]
    assert any(changed)
    rng = np.random.default_rng(2)
    env.set_tasks(old)
    env.reset(seed=0)
    env.set_tasks(new)
    np.testing.assert_array_equal(seen(name, env.step(random_actions(env, rng))[0]), before)

    mask = np.arange(N * E) % E == 0  # the first copy of every task
    expected = np.where(mask[:, None], after, before)
    for observation in (
        env.reset(options={"reset_mask": mask})[0],
        env.step(random_actions(env, rng))[0],
    ):
        np.testing.assert_array_equal(seen(name, observation), expected)
    np.testing.assert_array_equal(seen(name, env.reset()[0]), after)


def test_the_family_stays_what_it_was_and_two_such_classes_do_not_interfere() -> None:
    first, second, third = seeing_task(PointNav), seeing_task(Bandit), seeing_task(PointNav)
    assert issubclass(first, PointNav) and issubclass(second, Bandit) and not issubclass(second, PointNav)
    assert first is not third and not issubclass(third, first)
    assert first.Config is PointNav.Config and first.variants is PointNav.variants
    assert first.__name__ == "PointNav" and second.__name__ == "Bandit"  # by which faults name it
    environments = [family(N, E) for family in (first, second, third, PointNav, Bandit)]
    widths = [env.reset(seed=0)[0].shape[1] for env in environments]
    assert widths == [4, 6, 4, 2, 1]  # two numbers of a position and two of a goal; nothing and five arms
    assert isinstance(environments[0], PointNav) and isinstance(environments[1], Bandit)
    environments[0].set_tasks({"goal": np.full((N, 2), 0.25)})
    assert (environments[0].reset()[0][:, 2:] == 0.25).all()
    assert not (environments[2].reset()[0][:, 2:] == 0.25).any()
