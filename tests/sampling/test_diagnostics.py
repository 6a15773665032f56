"""What environments say beside the reward: means over steps, events that ever happened, and lanes that do not count."""

from typing import Any

import numpy as np
import torch
from support.trials import CPU, make

import envs
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.diagnostics import Diagnostics
from metarl.sampling.groups import collect_in_groups


def make_for(observations: Any, actions: Any) -> Any:
    """MAML for such lanes."""
    return make_algorithm("maml-trpo", config_class("maml-trpo")(hidden=(8,)), Spaces(observations, actions), CPU)


def test_means_are_over_steps_and_events_over_episodes() -> None:
    env: Any = envs.make("point-nav", num_tasks=2, lanes_per_task=2)
    env.events = ("fell",)
    diagnostics = Diagnostics(env)
    never = np.zeros(4, bool)
    first = {"error": np.array([1.0, 2.0, 3.0, 4.0]), "fell": np.array([0.0, 1.0, 0.0, 0.0]), "diverged": never}
    diagnostics.note(first, np.ones(4, bool))
    # the second lane has fallen: what is said of it from now on does not count; the last one diverged
    then = {"error": np.array([3.0, 100.0, 5.0, 100.0]), "fell": np.array([0.0, 1.0, 1.0, 1.0]), "diverged": never}
    diagnostics.note(then, np.array([True, False, True, True]))
    found = diagnostics.of_tasks(np.array([False, False, False, True]))
    # by hand: lanes 2, 2, 4 of error; of falls 0, 1, 1
    assert found.keys() == {"error", "fell"}
    assert found["error"].tolist() == [2.0, 4.0] and found["fell"].tolist() == [0.5, 1.0]


def test_a_trial_says_them_of_every_round_and_groups_of_tasks_say_the_same() -> None:
    def cheetahs(tasks: int) -> Any:
        return envs.make("half-cheetah-vel", num_tasks=tasks, lanes_per_task=2, horizon=5)

    def played(*made: Any) -> Any:
        for env, first in zip(made, (0, 1), strict=False):
            env.set_tasks(env.sample_tasks([first + task for task in range(env.num_tasks)]))
        return collect_in_groups(made, algorithm, state, 2, Address(1))

    env, velocities = cheetahs(3), list[np.ndarray]()
    spaces = env.single_observation_space, env.single_action_space
    algorithm = make_for(*spaces)
    state, step = algorithm.initial_state(Address(0)), env.step

    def noted(actions: np.ndarray) -> Any:
        outcome = step(actions)
        velocities.append(outcome[4]["velocity"])
        return outcome

    env.step = noted
    trial = played(env)
    said = np.array(velocities).reshape(2, 5, 3, 2).mean(axis=(1, 3)).T  # [K + 1, T, N, E] -> [N, K + 1]
    assert trial.diagnostics.keys() == {"velocity", "control_cost"}
    assert np.allclose(trial.diagnostics["velocity"].numpy(), said, atol=1e-12)
    divided = played(cheetahs(1), cheetahs(2))
    assert all(torch.equal(divided.diagnostics[name], trial.diagnostics[name]) for name in trial.diagnostics)


def test_where_nothing_is_said_there_is_nothing() -> None:
    algorithm = make("maml-trpo")
    env = envs.make("point-nav", num_tasks=2, lanes_per_task=2, horizon=3)
    assert collect(env, algorithm, algorithm.initial_state(Address(0)), 1, Address(1)).diagnostics == {}
