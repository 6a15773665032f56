"""Any Gymnasium environment as tasks: each lane equals the plain environment, and what cannot be is refused."""
# ruff: noqa: F811 (a fixture is imported, and asked for by its name)

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import test_every_environment as contract
from support.gymnasium_families import family, folder, lane_seed  # noqa: F401

import envs
from envs import Choice, TaskDistribution, Uniform, gymnasium_tasks
from envs.adapters.gymnasium_tasks import GymnasiumConfig
from envs.registry import environment_class

PROCESSES = pytest.mark.parametrize("processes", [0, 1, 2])


def assert_equals_plain(env: envs.TaskEnv, lane: int, plain: Any, actions: np.ndarray, see: Callable[..., Any]) -> int:
    """One episode of a lane equals the plain environment's, bit for bit. Returns its number of steps."""
    observation, _ = env.reset(seed=5)
    expected, _ = plain.reset(seed=lane_seed(5, env, lane))
    np.testing.assert_array_equal(observation[lane], see(expected))
    for step, action in enumerate(actions):
        observation, reward, terminated, truncated, _ = env.step(action)
        expected, expected_reward, over, cut, _ = plain.step(action[lane])
        np.testing.assert_array_equal(observation[lane], see(expected))
        assert (reward[lane], terminated[lane]) == (expected_reward, over)
        assert truncated[lane] == (not over and (cut or step + 1 == env.horizon))
        if over or cut:
            return step + 1
    return len(actions)


def as_vector(observation: np.ndarray) -> np.ndarray:
    return observation.astype(np.float64)


# Lanes are the plain environment's


@PROCESSES
def test_a_cart_pole_with_its_own_pole_equals_a_plain_one(processes: int) -> None:
    env = family("CartPoleLengths")(3, 2, GymnasiumConfig(processes=processes))
    env.set_tasks({"length": [0.3, 0.5, 0.9]})
    actions = np.random.default_rng(1).integers(2, size=(200, 6))
    lengths = []
    for lane, length in enumerate(np.repeat([0.3, 0.5, 0.9], 2)):
        plain = gymnasium.make("CartPole-v1")
        plain.unwrapped.length, plain.unwrapped.polemass_length = length, 0.1 * length  # the pole weighs 0.1 kg
        lengths.append(assert_equals_plain(env, lane, plain, actions, as_vector))
    assert len(set(lengths)) > 1
    env.close()


def test_a_mountain_car_built_with_its_goal_velocity_equals_a_plain_one() -> None:
    """Pushing along the velocity reaches the flag, at about 0.03: only a goal velocity below that ends the episode."""
    law = TaskDistribution(goal_velocity=Choice((0.0, 0.07)))
    env = gymnasium_tasks("MountainCar-v0", law, set_task="constructor-keywords")(2, 1)
    assert env.horizon == 200  # of the environment's own specification
    env.set_tasks({"goal_velocity": [0.0, 0.07]})
    steps = []
    for lane, goal_velocity in enumerate((0.0, 0.07)):
        plain = gymnasium.make("MountainCar-v0", goal_velocity=goal_velocity)
        (velocity,) = plain.reset(seed=lane_seed(5, env, lane))[0][1:]
        actions = np.zeros((200, 2), int)
        for step in range(200):
            actions[step] = 2 if velocity >= 0 else 0
            observation, _, over, cut, _ = plain.step(actions[step, lane])
            velocity = observation[1]
            if over or cut:
                break
        steps.append(assert_equals_plain(env, lane, plain, actions, as_vector))
    assert steps[0] < steps[1]


@pytest.mark.parametrize("way", ["function", "set_wind", "constructor-keywords", "reset-options"])
def test_every_way_of_setting_a_task_gives_the_plain_environment_with_it(way: str) -> None:
    def blow(env: Any, task: dict[str, Any]) -> None:
        env.wind = task["wind"]

    law = TaskDistribution(wind=Uniform(-0.1, 0.1, (2,)))
    env = gymnasium_tasks("drifting:Drift-v0", law, set_task=blow if way == "function" else way)(2, 2)
    actions = np.random.default_rng(2).uniform(-1.0, 1.0, (8, 4, 2)).astype(np.float32)
    for winds in ([[0.1, 0.0], [0.0, -0.1]], [[-0.1, 0.1], [0.05, 0.0]]):
        env.set_tasks({"wind": winds})
        for lane in range(4):
            plain = gymnasium.make("drifting:Drift-v0", wind=winds[lane // 2])
            # a dict in the order of its keys: the mode as one of three, then the position
            assert_equals_plain(
                env, lane, plain, actions, lambda seen: np.array([*np.eye(3)[seen["mode"]], *seen["position"]])
            )


@pytest.mark.parametrize("name", ["Drift", "DriftInWorkers"])
@pytest.mark.parametrize("promise", [name for name in vars(contract) if name.startswith("test_")])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium's checker advises on unbounded spaces
def test_keeps_what_every_environment_promises(promise: str, name: str) -> None:
    getattr(contract, promise)(f"families:{name}", "metarl")


def test_the_environments_own_time_limit_truncates() -> None:
    env = family("Drift")(1, 2, GymnasiumConfig(horizon=20))  # the package says 8
    env.set_tasks({"wind": np.zeros((1, 2))})
    env.reset(seed=0)
    for step in range(1, 11):  # a lane that is stepped after its end would raise
        _, _, terminated, truncated, _ = env.step(np.zeros((2, 2)))
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (step >= 8)


def test_discrete_actions_count_from_zero_and_arrive_as_the_environment_counts() -> None:
    class Echo(gymnasium.Env[Any, Any]):
        observation_space, action_space = gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(3, start=5)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return 3, {}

        def step(self, action: Any) -> Any:
            assert action in self.action_space
            return action - 5, float(action), False, False, {}

    env = gymnasium_tasks(Echo, TaskDistribution(x=Uniform(0, 1)), set_task=lambda env, task: None, horizon=3)(3, 1)
    assert env.single_action_space == gymnasium.spaces.Discrete(3)
    np.testing.assert_array_equal(env.reset(seed=0)[0], np.eye(4)[[3, 3, 3]])
    observation, reward, *_ = env.step(np.array([0, 2, 1]))
    np.testing.assert_array_equal(observation, np.eye(4)[[0, 2, 1]])
    np.testing.assert_array_equal(reward, [5, 7, 6])


# Refusals


class Shaped(gymnasium.Env[Any, Any]):
    """An environment with the spaces that it is given."""

    def __init__(self, observation: Any, action: Any) -> None:
        self.observation_space, self.action_space = observation, action


def shaped(**spaces: Any) -> Any:
    vector = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    given = {"observation": vector, "action": vector} | spaces
    return gymnasium_tasks(
        lambda: Shaped(**given), TaskDistribution(x=Uniform(0, 1)), set_task=lambda env, task: None, horizon=5
    )


def cart_pole(environment: str = "CartPole-v1", **changes: Any) -> Any:
    arguments = {"tasks": TaskDistribution(length=Uniform(0.25, 1.0)), "set_task": lambda env, task: None} | changes
    return gymnasium_tasks(environment, **arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: shaped(action=gymnasium.spaces.MultiDiscrete([2, 3]))(1, 1), r"MultiDiscrete\(\[2 3\]\) — wrap"),
        (lambda: shaped(action=gymnasium.spaces.Box(-1, 1, (2, 3)))(1, 1), r"Box\(.*\(2, 3\).*\) — wrap"),
        (lambda: shaped(action=gymnasium.spaces.Box(0, 9, (2,), np.int64))(1, 1), r"Box\(.*int64\) — wrap"),
        (
            lambda: shaped(observation=gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2)))(1, 1),
            r"observations .* Sequence\(Discrete\(2\).*\), of no fixed size — wrap",
        ),
        (lambda: cart_pole("CartPol-v1")(1, 1), r"cannot make 'CartPol-v1' \(.*CartPole"),
        (lambda: cart_pole("no_such_package:X-v0")(1, 1), "cannot make 'no_such_package:X-v0'"),
        (lambda: cart_pole(lambda: gymnasium.make("CartPole-v1").unwrapped.__class__())(1, 1), "give horizon="),
        (lambda: cart_pole(horizon=0)(1, 1), "env.horizon is 0"),
        (lambda: cart_pole()(1, 1, GymnasiumConfig(processes=-1)), "env.processes is -1"),
        (lambda: cart_pole()(1, 1, GymnasiumConfig(timeout=0.0)), "env.timeout is 0.0"),
        (lambda: cart_pole(set_task="constructor-keyword"), "did you mean 'constructor-keywords'"),
        (lambda: cart_pole(set_task=3), "set_task is 3"),
        (lambda: cart_pole(tasks=TaskDistribution()), r"tasks are \{\} — give"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(envs.InputError, match=words) as refusal:
        make()
    assert " — " in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_misspelt_family_gets_a_hint(folder: Path) -> None:
    with pytest.raises(envs.InputError, match="did you mean 'CartPoleLengths'"):
        environment_class(f"{folder / 'families.py'}:CartPoleLenghts")
