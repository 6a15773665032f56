"""What every registered method must do; and what those that adapt by gradient steps must do besides."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import (
    ADDRESSES,
    GRADIENT_BASED,
    E,
    N,
    T,
    copies,
    counted,
    imagine,
    make,
    navigate,
    same,
    tensors,
    wander,
    with_rewards,
)
from torch.utils._pytree import tree_map

import envs
from metarl.algorithms import ALGORITHMS, config_class, make_algorithm, names_for
from metarl.algorithms.algorithm import Algorithm, Spaces
from metarl.core.inner_step import for_tasks
from metarl.core.types import State, Transition, Trial
from metarl.runtime.errors import InputError, NonFiniteError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.normalisation import MOMENTS, normalised

METHODS = names_for("experience")
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)
LEARNERS = [name for name in METHODS if name != "random-init"]
EVERY_LEARNER = pytest.mark.parametrize("name", LEARNERS)
BY_GRADIENT_STEPS = pytest.mark.parametrize("name", GRADIENT_BASED)
LEARNERS_BY_GRADIENT_STEPS = pytest.mark.parametrize("name", [name for name in LEARNERS if name in GRADIENT_BASED])
WITHOUT_ADAPTATION = ("multitask", "oracle")  # in training
CONTINUOUS_ONLY = ("pearl", "recurrent-sac")
START, UPDATE = Address(0), Address(2)


def assert_updates_well(algorithm: Any, state: State, trial: Trial) -> None:
    """What an update returns; that it repeats bit for bit, changes nothing that it was given, and can go on."""
    before = copies(counted(state, trial)), copies(trial)

    updated, metrics = algorithm.update(state, trial, UPDATE)

    assert metrics and all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())
    assert all(key.startswith(("update/", "policy/")) for key in metrics)
    assert same(before[0], copies(counted(state, trial))) and same(before[1], copies(trial))
    assert [(x.shape, x.dtype) for x in tensors(updated)] == [(x.shape, x.dtype) for x in tensors(state)]
    assert not same(tensors(updated["policy"]), tensors(state["policy"]))
    assert not any(tensor.requires_grad for tensor in tensors(updated))

    again, again_metrics = algorithm.update(state, trial, UPDATE)
    assert same(tensors(again), tensors(updated)) and again_metrics == metrics

    # and what it made can go on
    third, _ = algorithm.update(updated, trial, UPDATE)
    assert not same(tensors(third["policy"]), tensors(updated["policy"]))


@pytest.mark.parametrize("world", ["point-nav", "grid-navi"])
@EVERY_LEARNER
def test_an_update_changes_the_parameters_and_says_what_it_did(name: str, world: str) -> None:
    discrete = world == "grid-navi"
    if discrete and name in CONTINUOUS_ONLY:
        pytest.skip("its actions are continuous")
    gentle = {"inner_lr": 0.1} if name == "cavia" else {}
    algorithm = make(name, Discrete(5) if discrete else None, **gentle)
    assert isinstance(algorithm, Algorithm) and algorithm.rounds >= 1
    state = algorithm.initial_state(START)
    assert_updates_well(algorithm, state, (wander if discrete else navigate)(algorithm, state))


@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("world", ["point-nav", "discrete actions"])
@LEARNERS_BY_GRADIENT_STEPS
def test_an_update_goes_through_every_inner_step(name: str, world: str, inner_steps: int) -> None:
    if name == "imaml" and inner_steps > 1:
        pytest.skip("it solves one problem")
    discrete = world == "discrete actions"
    gentle = {"inner_lr": 0.1} if name == "cavia" else {}
    algorithm = make(name, Discrete(3) if discrete else None, inner_steps=inner_steps, **gentle)
    assert algorithm.rounds == (1 if name in WITHOUT_ADAPTATION else inner_steps + 1)
    state = algorithm.initial_state(START)
    assert_updates_well(algorithm, state, (imagine if discrete else navigate)(algorithm, state))


@EVERY_LEARNER
@pytest.mark.parametrize("round_", [0, 1])
def test_a_broken_reward_is_named_and_leaves_the_state_alone(name: str, round_: int) -> None:
    algorithm = make(name)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    before = copies(state)
    if round_ >= algorithm.rounds:
        pytest.skip("it has no such round")
    trial.rollouts[round_].reward[1, 2, 0] = torch.nan
    by_gradient_steps = r"^the meta-gradient is not finite in .*body\.layers.* — "
    what = by_gradient_steps if name in GRADIENT_BASED else r"^the .* is not finite in .* — "
    with pytest.raises(NonFiniteError, match=what):
        algorithm.update(state, trial, UPDATE)
    assert same(before, copies(state))


@EVERY_LEARNER
def test_an_update_sees_observations_in_the_units_that_they_were_acted_on_in(name: str) -> None:
    # What is learned from raw observations under moments is what is learned from normalised ones without them.
    algorithm = make(name)
    state, spread = algorithm.initial_state(START), torch.tensor([0.1, 3.0]).double()
    moments = {"count": torch.tensor(50.0).double(), "mean": spread + 1, "squares": 50 * spread**2}
    trial = navigate(algorithm, state)
    learned, measured = algorithm.update({**state, MOMENTS: moments}, trial, UPDATE)
    expected, metrics = algorithm.update(state, normalised(trial, {MOMENTS: moments}), UPDATE)
    assert same(tensors(learned["policy"]), tensors(expected["policy"])) and measured == metrics
    other, _ = algorithm.update(state, trial, UPDATE)
    assert not same(tensors(learned["policy"]), tensors(other["policy"]))


@EVERY_METHOD
def test_meeting_tasks_writes_to_nothing_and_repeats_bit_for_bit(name: str) -> None:
    algorithm = make(name)
    state = algorithm.initial_state(START)
    before = copies(state)
    trials = [navigate(algorithm, state) for _ in range(2)]
    assert same(before, copies(state)) and same(tensors(trials[0]), tensors(trials[1]))

    # A memory is a value: acting and adapting make new ones.
    rollout = trials[0].rollouts[0]
    acting = algorithm.acting(state)
    memory = algorithm.begin(acting, ADDRESSES, E)
    start = copies((acting, memory))
    with torch.no_grad():
        live = torch.ones(N, E, dtype=torch.bool)
        action, acted = algorithm.act(acting, memory, rollout.observation[:, :, 0], live, torch.zeros(N, E, 2))
        assert action.action.shape == (N, E, 2) and action.log_probability.shape == (N, E)
        held = copies(acted)
        observed = algorithm.observe(acting, acted, Transition(*(field[:, :, 0] for field in rollout)))
        assert same(held, copies(acted))
    held = copies(observed)
    algorithm.adapt(state, observed, rollout)
    assert same(held, copies(observed)) and same(start, copies((acting, memory)))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "oracle"])
def test_the_likeliest_actions_of_a_policy_are_its_means(name: str) -> None:
    # Parameters of zero have the mean zero: a point that stays where it starts, at the origin, pays minus the goal's
    # distance in each of its steps. With sampled actions it wanders.
    algorithm = make(name)
    env = envs.make("point-nav", num_tasks=N, lanes_per_task=E, horizon=T)
    state = algorithm.initial_state(START)
    state["policy"] = tree_map(torch.zeros_like, state["policy"])
    distance = np.linalg.norm(env.tasks["goal"], axis=1)
    explores = not algorithm.traits(algorithm.config).adapts_after_each_episode
    for likeliest in (True, False):
        trial = collect(env, algorithm, state, 2, Address(1), likeliest=likeliest, explores=explores)
        assert np.allclose(trial.returns[:, 0], -T * distance, rtol=1e-5) == likeliest


@LEARNERS_BY_GRADIENT_STEPS
def test_an_update_makes_rewarded_actions_likelier(name: str) -> None:
    # The first action is the reward, so its mean should rise after adaptation: by the inner step (below), and by what
    # an update changes in the parameters it starts from (here, by taking the same inner step before and after). An
    # action is credited with its own reward alone: what the others of so few episodes bring is noise.
    options = {"learning_rate": 0.01} if hasattr(config_class(name), "learning_rate") else {}
    if name == "e-maml":  # the credit to the sampling is noise where all tasks are alike
        options = {"sampling_credit": 0.01}
    algorithm = make(name, discount=0.0, **options)
    state = algorithm.initial_state(START)
    trial = with_rewards(navigate(algorithm, state), lambda rollout: rollout.action[..., 0] * rollout.mask)
    updated, _ = algorithm.update(state, trial, UPDATE)
    means = []
    for policy in (state["policy"], updated["policy"]):
        support, query = algorithm.learned.batches(trial, state, algorithm.steps)
        adapted = algorithm.adapted(policy, support, query)
        means.append(for_tasks(algorithm.learned.distribution)(adapted, query).mean[..., 0].mean())
    assert means[1] > means[0] + 1e-3


@BY_GRADIENT_STEPS
def test_adapting_makes_rewarded_actions_likelier_in_each_task(name: str) -> None:
    # In task 0 the first action is the reward, in task 1 its negative; task 2 has none and must stay as it was.
    algorithm = make(name, inner_lr=0.5)
    state = algorithm.initial_state(START)
    signs = torch.tensor([1.0, -1.0, 0.0])[:, None, None]
    trial = with_rewards(navigate(algorithm, state), lambda rollout: signs * rollout.action[..., 0] * rollout.mask)
    memory = algorithm.begin(algorithm.acting(state), ADDRESSES, E)
    before = copies(memory.params)
    adapted = algorithm.adapt(state, memory, trial.rollouts[0])
    assert same(before, copies(memory.params))

    batch = algorithm.learned.batch(trial.rollouts[0])
    old, new = (
        for_tasks(algorithm.learned.distribution)(params, batch).mean[..., 0]
        for params in (memory.params, adapted.params)
    )
    change = (new - old).mean(dim=(1, 2))
    assert change[0] > 1e-3 and change[1] < -1e-3 and abs(change[2]) < 1e-7


@EVERY_METHOD
def test_the_start_depends_on_the_address_alone(name: str) -> None:
    torch.manual_seed(0)
    first = make(name).initial_state(START)
    torch.manual_seed(1)
    algorithm = make(name)
    assert same(tensors(first), tensors(algorithm.initial_state(START)))
    assert not same(tensors(first), tensors(algorithm.initial_state(Address(1))))


@pytest.mark.parametrize("name", ["rl2", "pearl", "varibad", "recurrent-sac"])
def test_a_method_may_also_be_named_by_module_and_attribute(name: str) -> None:
    target = ALGORITHMS[name].target
    assert config_class(target) is config_class(name) is ALGORITHMS[name].config
    algorithm = make(name)
    named = make(target)
    assert type(named) is type(algorithm) and named.config == algorithm.config


@pytest.mark.parametrize(
    "target, fault",
    [
        ("maml-trop", "unknown algorithm 'maml-trop' — did you mean 'maml-trpo'?"),
        ("metarl.algorithms.pearl:PERL", "'metarl.algorithms.pearl' has no 'PERL'"),
        ("no_such_module:Method", "module 'no_such_module' does not import"),
        ("metarl.core.networks:MLP", "'metarl.core.networks:MLP' is no algorithm"),
    ],
)
def test_what_is_no_method_is_refused_by_name(target: str, fault: str) -> None:
    with pytest.raises(InputError) as raised:
        config_class(target)
    assert str(raised.value).startswith(fault) and " — " in str(raised.value)
    if ":" in target:
        with pytest.raises(InputError):
            make_algorithm(target, None, Spaces(Discrete(2), Discrete(2)), torch.device("cpu"))
