"""The base class with a family small enough to know everything about it."""

from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from envs.contract.base import Outcome, TaskEnv
from envs.contract.config import FamilyConfig
from envs.contract.errors import InputError, NonFiniteError
from envs.contract.tasks import Choice, TaskDistribution, Uniform


class Walk(TaskEnv):
    """A walk on the whole numbers: action 0 stays, 1 goes up; the reward is the task's gain times the place.

    Place 3 terminates, place 5 is beyond the simulation: it diverges to NaN. `poison` spoils one quantity.
    """

    clock = 4  # steps after which the family itself stops an episode

    def __init__(self, num_tasks: int, lanes_per_task: int, config: Any = None, *, threads: int = 0) -> None:
        super().__init__(
            num_tasks,
            lanes_per_task,
            config,
            horizon=4,
            task_distribution=TaskDistribution(gain=Uniform(1.0, 2.0)),
            observation_size=1,
            action_space=Discrete(2),
        )
        self.place, self.played = np.zeros((2, self.num_envs))
        self.stride = np.ones(self.num_envs)
        self.poison = ""

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.place[mask], self.played[mask] = 0.0, 0

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        self.place[live] += (actions * self.stride)[live]
        diverged = self.place == 5.0
        reward = self.lane_tasks["gain"] * self.place
        reward[diverged] = np.nan
        if self.poison == "reward":
            reward[2] = np.inf
        self.played += 1
        return Outcome(reward, self.ended(), diverged, {"place": self.place}, self.played >= self.clock)

    def ended(self) -> np.ndarray:
        return self.place == 3.0

    def observe(self) -> np.ndarray:
        observation = np.where(self.place == 5.0, np.nan, self.place)[:, None]
        if self.poison == "observation":
            observation[2] = np.nan
        return observation[:, [0, 0]] if self.poison == "shape" else observation


def walk() -> Walk:
    env = Walk(2, 2)
    env.set_tasks({"gain": [1.0, 2.0]})
    env.reset(seed=0)
    return env


def test_lane_k_belongs_to_task_k_over_lanes_per_task() -> None:
    np.testing.assert_array_equal(walk().step(np.ones(4, int))[1], [1.0, 1.0, 2.0, 2.0])


def test_a_terminated_lane_stands_still_while_the_others_go_on_to_the_horizon() -> None:
    # Lane 0 goes up every step and terminates at place 3 in step 3; lane 3 goes up once; the horizon is 4.
    env = walk()
    env.step(np.array([1, 0, 0, 1]))
    env.step(np.array([1, 0, 0, 0]))
    observation, reward, terminated, truncated, _ = env.step(np.array([1, 0, 0, 0]))
    np.testing.assert_array_equal(reward, [3.0, 0.0, 0.0, 2.0])
    np.testing.assert_array_equal(terminated, [True, False, False, False])
    assert not truncated.any()
    observation, reward, terminated, truncated, info = env.step(np.ones(4, int))
    np.testing.assert_array_equal(observation[:, 0], [3.0, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(reward, [0.0, 1.0, 2.0, 4.0])
    np.testing.assert_array_equal(info["place"], [0.0, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(terminated, [True, False, False, False])
    np.testing.assert_array_equal(truncated, [False, True, True, True])


def test_an_end_at_the_horizon_is_terminated_and_not_truncated() -> None:
    # Up in steps 2, 3 and 4: the place is 3 in the last step.
    env = walk()
    for action in (0, 1, 1):
        env.step(np.full(4, action))
    *_, terminated, truncated, _ = env.step(np.ones(4, int))
    assert terminated.all() and not truncated.any()


def test_a_clock_of_the_family_truncates_before_the_horizon_whom_nothing_terminates() -> None:
    env = walk()
    env.clock, env.place[0] = 2, 1.0
    env.step(np.array([1, 0, 0, 0]))
    *_, terminated, truncated, _ = env.step(np.array([1, 0, 0, 0]))  # lane 0 reaches place 3 as the clock runs out
    np.testing.assert_array_equal(terminated, [True, False, False, False])
    np.testing.assert_array_equal(truncated, [False, True, True, True])


def test_a_diverged_lane_is_truncated_at_its_last_good_observation_without_reward() -> None:
    env = walk()
    env.step(np.ones(4, int))
    env.stride[1] = 4.0  # 1 + 4 = 5: diverges
    observation, reward, terminated, truncated, info = env.step(np.ones(4, int))
    np.testing.assert_array_equal(observation[:, 0], [2.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(reward, [2.0, 0.0, 4.0, 4.0])
    np.testing.assert_array_equal(truncated, [False, True, False, False])
    assert not terminated.any()
    np.testing.assert_array_equal(info["diverged"], [False, True, False, False])
    *_, terminated, truncated, info = env.step(np.zeros(4, int))
    np.testing.assert_array_equal(truncated, [False, True, False, False])
    assert not terminated.any()
    np.testing.assert_array_equal(info["diverged"], [False, True, False, False])
    _, info = env.reset(options={"reset_mask": np.array([False, True, False, False])})
    assert not info["diverged"].any()
    *_, terminated, truncated, _ = env.step(np.zeros(4, int))
    np.testing.assert_array_equal(truncated, [True, False, True, True])  # the horizon, but for the lane just reset


def test_a_lane_that_diverges_where_its_task_would_end_it_is_truncated_alone() -> None:
    env = walk()
    env.place[1] = 2.0
    env.ended = lambda: env.place >= 3.0  # type: ignore[method-assign]  # place 5, where it diverges, included
    env.stride[1] = 3.0
    *_, terminated, truncated, info = env.step(np.ones(4, int))
    np.testing.assert_array_equal(truncated, [False, True, False, False])
    assert info["diverged"][1] and not terminated.any()


@pytest.mark.parametrize("quantity", ["reward", "observation"])
def test_what_is_not_finite_is_named(quantity: str) -> None:
    env = walk()
    env.step(np.zeros(4, int))
    env.poison = quantity
    with pytest.raises(NonFiniteError, match=rf"{quantity}.* at task 1, lane 0, step 1"):
        env.step(np.zeros(4, int))


def test_an_observation_of_another_size_than_announced_is_refused() -> None:
    env = walk()
    env.poison = "shape"
    with pytest.raises(InputError, match=r"observe\(\) gives shape \(4, 2\)"):
        env.step(np.zeros(4, int))


@pytest.mark.parametrize("actions", [np.full(4, 2), np.full(4, -1), np.zeros(4), np.zeros((4, 1), int)])
def test_impossible_discrete_actions_are_refused(actions: np.ndarray) -> None:
    with pytest.raises(InputError, match="action"):
        walk().step(actions)


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (2.0, 1), (True, 1)])
def test_impossible_counts_are_refused(counts: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="give a whole number of 1 or above"):
        Walk(*counts)


def test_a_new_environment_holds_the_tasks_of_seed_0() -> None:
    env = Walk(3, 1)
    np.testing.assert_array_equal(env.tasks["gain"], env.sample_tasks(0)["gain"])


def test_without_a_seed_the_generators_run_on() -> None:
    env = walk()
    before = env.rngs[0].bit_generator.state
    env.reset()
    assert str(env.rngs[0].bit_generator.state) == str(before)  # Walk draws nothing at reset
    env.reset(seed=[0, 1], options={"reset_mask": np.array([False, False, False, True])})
    assert str(env.rngs[0].bit_generator.state) == str(before)  # task 0 has no lane to reset


class Echo(TaskEnv):
    """Says everything in `define`; the observation is three times the same number."""

    variants: ClassVar = {"metarl": {"horizon": 7}}
    Config = FamilyConfig

    def define(self, options: Any) -> dict[str, Any]:
        tasks = TaskDistribution(gain=Uniform(0.0, options.horizon))
        return {"task_distribution": tasks, "action_space": Discrete(2)}

    def build(self) -> None:
        self.place = np.zeros((self.num_envs, 3))

    def observe(self) -> np.ndarray:
        return self.place


def test_a_family_is_built_from_its_definition_at_the_options_of_its_variant() -> None:
    env = Echo(2, 2)
    assert (env.horizon, env.config.horizon, env.observation_size) == (7, 7, 3)
    assert env.single_observation_space.shape == (3,) and env.splits["train"] == {"gain": Uniform(0.0, 7)}
    assert Echo(1, 1, FamilyConfig(horizon=2)).splits["train"] == {"gain": Uniform(0.0, 2)}


def test_what_a_constructor_is_given_counts_instead_of_the_definition() -> None:
    given = TaskDistribution(gain=Choice((1.0, 2.0)))
    env = Echo(2, 2, horizon=3, task_distribution=given)
    assert env.horizon == 3 and env.splits["train"] is given


def test_a_definition_that_lacks_or_adds_something_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="observation_sise"):
        Echo(1, 1, observation_sise=3)
    with pytest.raises(TypeError, match="'task_distribution' and 'action_space'"):
        TaskEnv(1, 1)
