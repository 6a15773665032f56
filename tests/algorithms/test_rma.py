"""A teacher that is told the task and a student that is not: who acts when, and what each learns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from support.trials import CPU, OBSERVATIONS, E, N, copies, same, tensors, uneven

from envs.adapters.seeing_task import seeing_task
from envs.registry import environment_class
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.core.networks import apply
from metarl.core.parts import part_of
from metarl.core.types import State, Trial
from metarl.runs.checkpoint import shapes_of
from metarl.runs.presets import default_config
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.normalisation import MOMENTS
from metarl.training.setup import fresh_state, set_up, shapes_of_run

START, P = Address(0), 2
METHODS = pytest.mark.parametrize("name", ["rma", "system-id"])


def small(name: str, **options: Any) -> Any:
    """A method with few units, on tasks of two parameters."""
    config = config_class(name)(hidden=(8,), embedding_size=0, memory_size=8, **options)
    task = Box(-np.inf, np.inf, (P,), np.float64)
    return make_algorithm(name, config, Spaces(OBSERVATIONS, Box(-1, 1, (2,), np.float64), task), CPU)


def lively(algorithm: Any) -> State:
    """A state whose policy depends strongly on what it reads."""
    state: State = algorithm.initial_state(START)
    random = torch.Generator().manual_seed(5)
    moved = {
        part: {key: x + 0.4 * torch.randn(x.shape, generator=random) for key, x in state[part].items()}
        for part in ("policy", "student")
    }
    return {**state, **moved}


def navigate(algorithm: Any, state: State) -> Trial:
    """A trial on the plane, of episodes of several lengths, whose two task parameters are shown."""
    family = environment_class("point-nav")
    options = {"horizon": 8, "ends": "near-goal"}
    made = seeing_task(family)(N, E, family.Config(**options))
    return collect(made, algorithm, state, 1, Address(1))


@METHODS
def test_while_the_teacher_acts_training_computes_its_log_probabilities(name: str) -> None:
    algorithm = small(name)
    state = lively(algorithm)
    (rollout,) = navigate(algorithm, state).rollouts
    known = algorithm.known(state["policy"], rollout.observation)
    found = apply(algorithm.actor, part_of(state["policy"], "actor"), known).log_probability(rollout.action)
    assert torch.allclose(found * rollout.mask, rollout.log_probability * rollout.mask, atol=1e-5)


@METHODS
@pytest.mark.parametrize("shown", [True, False])
def test_otherwise_the_student_acts_as_it_is_taught(name: str, shown: bool) -> None:
    # shown: after the teacher's iterations; not shown: wherever else, from the beginning on
    algorithm = small(name, teacher_iterations=1)
    state = {**lively(algorithm), "iteration": torch.tensor(1.0 if shown else 0.0)}
    (rollout,) = uneven(algorithm, state, 1, 7, seen=2 + P * shown).rollouts
    stream = type(rollout)(*(field.flatten(0, 1) for field in rollout))
    encoding = algorithm.estimate(state["student"], algorithm.inputs(stream), stream.mask)
    seen = torch.cat([stream.observation[..., :2], encoding], dim=-1)
    found = apply(algorithm.actor, part_of(state["policy"], "actor"), seen).log_probability(stream.action)
    assert len(set(stream.mask.sum(dim=1).tolist())) > 5  # lanes of many lengths
    assert torch.allclose(found * stream.mask, stream.log_probability * stream.mask, atol=1e-5)


@METHODS
def test_the_teacher_learns_first_and_then_the_student_alone(name: str) -> None:
    algorithm = small(name, teacher_iterations=1)
    start = algorithm.initial_state(START)
    first, metrics = algorithm.update(start, navigate(algorithm, start), START)
    assert "update/kl" in metrics and not same(tensors(first["policy"]), tensors(start["policy"]))
    second, metrics = algorithm.update(first, navigate(algorithm, first), START)
    assert "update/kl" not in metrics and same(tensors(second["policy"]), copies(first["policy"]))
    assert not same(tensors(first["student"]), tensors(start["student"]))
    assert not same(tensors(second["student"]), tensors(first["student"]))


def test_a_student_finds_out_what_its_observations_tell() -> None:
    # The second of two task parameters is what is observed first, plus noise of a tenth: of both parameters' variance,
    # which is 1, the best that one who cannot know the first explains is (0 + 1) / 2.
    algorithm = small("system-id", teacher_iterations=1, student_learning_rate=1e-2)
    state = {**algorithm.initial_state(START), "iteration": torch.tensor(1.0)}
    (rollout,) = uneven(algorithm, state, 1, 7).rollouts
    random, explained = torch.Generator().manual_seed(0), []
    for iteration in range(150):
        task = torch.randn(N, E, 1, P, generator=random).expand(N, E, 7, P)
        told = task[..., 1:] + 0.1 * torch.randn(N, E, 7, 1, generator=random)
        shown = torch.cat([told, rollout.observation[..., 1:2], task], dim=-1)
        trial = Trial([rollout._replace(observation=shown, next_observation=shown)])
        state, metrics = algorithm.update(state, trial, Address(iteration))
        explained.append(metrics["update/student_explained_variance"])
    assert explained[0] < 0.1 and 0.4 < np.mean(explained[-20:]) < 0.55


@METHODS
def test_training_alone_shows_the_task(name: str) -> None:
    config = default_config("point-nav", name)
    train = replace(config.train, tasks=N, lanes=E, threads=1, normalise_observations=True)
    config = replace(config, train=train, env=replace(config.env, horizon=8))
    training, elsewhere = set_up(config, training=True), set_up(config)
    sizes = [setup.env.single_observation_space.shape for setup in (training, training.untold, elsewhere)]
    assert sizes == [(4,), (2,), (2,)]
    state, _, _ = training.iterate(fresh_state(training), Address(1))
    assert state[MOMENTS]["mean"].shape == (4,)  # the task has its units too
    assert shapes_of_run(elsewhere) == shapes_of(state)  # what training saved is found
    assert training.on_unseen_tasks(state).keys() == elsewhere.on_unseen_tasks(state).keys()
