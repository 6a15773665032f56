"""Gradient methods whose policy remembers its episode: what acts is what is adapted, and its meta-gradient is right."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from support.command import Command, assert_refused, end_result, train_arguments
from support.problems import central_differences, flatten, relative_difference
from support.trials import ADDRESSES, E, N, T, descended, doubled, make, navigate, same, tensors, wander

import envs
import metarl as library
from metarl.algorithms import config_class
from metarl.core.inner_step import for_tasks
from metarl.core.losses import clipped_loss
from metarl.core.types import Batch, Params, Transition
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.groups import collect_in_groups

START, UPDATE = Address(0), Address(2)
OWN = Path(__file__).parents[1] / "support" / "own"
ATTENTION = {"policy": "attention", "memory_size": 16, "hidden": (4,), "inner_lr": 0.3}
COMMAND = ("--algo.policy", "attention", "--algo.memory-size", "8")


@pytest.mark.parametrize("world", [navigate, wander])
@pytest.mark.parametrize("name", ["maml-trpo", "anil", "cavia"])
def test_rounds_are_played_with_the_probabilities_that_training_finds(name: str, world: Any) -> None:
    # Step by step while acting, and as one sequence afterwards; after 0, 1, 2 inner steps.
    algorithm = make(name, Discrete(5) if world is wander else None, **ATTENTION, inner_steps=2)
    state = algorithm.initial_state(START)
    trial = world(algorithm, state)
    support, query = algorithm.learned.batches(trial, state, 2)
    for steps, batch in enumerate((*support, query)):
        adapted = algorithm.adapted(state["policy"], support[:steps], batch)
        chosen = for_tasks(lambda params, own: algorithm.learned.distribution(params, own).log_probability(own.action))
        difference = (chosen(adapted, batch) - batch.log_probability) * batch.mask
        assert difference.abs().max() < 1e-5
    assert world is wander or not query.mask.all()


def test_a_step_depends_on_those_before_it_in_its_episode_and_on_nothing_else() -> None:
    algorithm = make("maml-trpo", **ATTENTION)
    state = algorithm.initial_state(START)
    acting = algorithm.acting(state)
    begun = algorithm.begin(acting, ADDRESSES, E)
    random = torch.Generator().manual_seed(0)
    first, other, then = (torch.randn(N, E, 2, generator=random) for _ in range(3))
    noise, live = torch.zeros(N, E, 2), torch.arange(E).expand(N, E) > 0  # lane 0 has ended

    def after(*observations: torch.Tensor) -> Any:
        memory = begun
        for observation in observations:
            _, memory = algorithm.act(acting, memory, observation, live, noise)
        return memory

    def mean(memory: Any) -> torch.Tensor:
        action: torch.Tensor = algorithm.act(acting, memory, then, live, noise)[0].action
        return action

    one, two = mean(after(first)), mean(after(other))
    assert torch.equal(one[:, 0], two[:, 0])
    assert ((one - two)[:, 1:].abs() > 1e-4).double().mean() > 0.8  # units that rectify say nothing now and then

    flags = torch.arange(E).expand(N, E)
    nothing = torch.zeros(N, E)
    step = Transition(first, noise, nothing, nothing, flags == 1, flags == 2, flags < 0, live.float(), other)
    ended = mean(algorithm.observe(acting, after(first), step))
    assert same([ended[:, :3]], [mean(begun)[:, :3]])  # terminated, truncated: forgotten
    assert same([ended[:, 3:]], [one[:, 3:]])
    rollout = navigate(algorithm, state).rollouts[0]
    taught = algorithm.adapt(state, after(first), rollout)  # a round begins anew
    assert not taught.hidden.any() and taught.hidden.shape == begun.hidden.shape


def test_a_policy_that_remembers_nothing_carries_no_state() -> None:
    algorithm = make("maml-trpo")
    assert algorithm.begin(algorithm.acting(algorithm.initial_state(START)), ADDRESSES, E).hidden is None


@pytest.mark.parametrize("name", ["maml-trpo", "maml-vpg", "promp"])
@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_meta_gradient_of_a_policy_that_remembers_is_the_slope_of_the_objective(
    name: str, inner_steps: int
) -> None:
    # in double, by central differences, of the mean over tasks of the loss after the inner steps, task after task
    options = {} if name == "promp" else {"inner_objective": "log_likelihood"}
    algorithm = make(name, **ATTENTION, inner_steps=inner_steps, **options)
    state = algorithm.initial_state(START)
    support, query = doubled(algorithm.learned.batches(navigate(algorithm, state), state, inner_steps))
    meta = doubled(state["policy"])

    def loss(meta: Params) -> torch.Tensor:
        losses = []
        for n in range(N):
            *rounds, asked = (Batch(*(field[n] for field in batch)) for batch in (*support, query))
            params = algorithm.inner.trail(meta, rounds)[-1]
            losses.append(
                {
                    "maml-trpo": lambda p, q: algorithm.outer.outer_loss(p, q),
                    "maml-vpg": lambda p, q: algorithm.learned.judge([p], q)[0],
                    "promp": lambda p, q: algorithm.learned.outer_loss(
                        partial(clipped_loss, clip=algorithm.config.clip), p, q
                    ),
                }[name](params, asked)
            )
        return torch.stack(losses).mean()

    gradient = descended(algorithm, meta, support, query, penalty=0.0)
    slope = central_differences(loss, meta)
    assert slope.norm() > 1e-2
    assert relative_difference(flatten(gradient), slope) < 1e-6
    core = [gradient[key].norm() for key in gradient if key.startswith("core.")]
    assert min(core) > 0


def test_what_a_task_plays_does_not_depend_on_the_tasks_beside_it() -> None:
    algorithm = make("maml-trpo", **ATTENTION)
    state = algorithm.initial_state(START)

    def env(tasks: slice) -> Any:
        made = envs.make("point-nav", num_tasks=4, lanes_per_task=E, horizon=T, ends="near-goal")
        own = {name: values[tasks] for name, values in made.tasks.items()}
        part = envs.make("point-nav", num_tasks=len(next(iter(own.values()))), lanes_per_task=E, horizon=T)
        part.set_tasks(own)
        return part

    whole = collect(env(slice(0, 4)), algorithm, state, 2, Address(1))
    parts = collect_in_groups([env(slice(0, 1)), env(slice(1, 4))], algorithm, state, 2, Address(1))
    assert same(tensors(whole.rollouts), tensors(parts.rollouts))


def test_it_trains_resumes_adapts_and_is_exported(metarl: Command, tmp_path: Path) -> None:
    arguments = [*train_arguments("run", 2), *COMMAND]
    position = arguments.index("--iterations") + 1
    assert metarl(*arguments).code == 0
    half = [word if word != "run" else "half" for word in arguments]
    assert metarl(*half[:position], "1", *half[position + 1 :]).code == 0
    assert metarl(*half, "--resume").code == 0
    assert end_result(tmp_path / "run") == end_result(tmp_path / "half")
    assert metarl("evaluate", "run", "--tasks", "2", "--adaptations", "2", "--deterministic").code == 0

    policy = library.load(tmp_path / "run")
    adapted = policy.practise(task=0, adaptations=1)[-1]
    rows = np.random.default_rng(0).standard_normal((3, 2))
    alone = []
    for row in rows:
        adapted.reset()
        alone.append(adapted(row))
    adapted.reset()
    remembered = [adapted(row) for row in rows]
    assert np.array_equal(alone[0], remembered[0]) and not np.allclose(alone[2], remembered[2], atol=1e-7)
    with pytest.raises(InputError, match="remembers each step"):
        adapted(rows)
    exported = metarl("export", "run", "--out", "policy", "--adaptations", "1")
    assert exported.code == 0, exported


def test_a_core_of_ones_own_is_adapted_too(metarl: Command, tmp_path: Path) -> None:
    shutil.copy(OWN / "leaky.py", tmp_path)
    result = metarl(*train_arguments("run", 2), "--algo.policy", "leaky.py:Leaky", "--algo.memory-size", "5")
    assert result.code == 0, result
    assert_refused(metarl("evaluate", "run"), "leaky.py:Leaky", "--trust")
    assert metarl("evaluate", "run", "--tasks", "2", "--adaptations", "1", "--trust").code == 0


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("atention", ("algo.policy is 'atention'", "did you mean 'attention'?")),
        ("metarl.core.networks:Linear", ("is no memory",)),
        # torch.gru is one program for one set of parameters
        ("gru", ("algo.policy is 'gru'", "cannot adapt task by task", "attention")),
        ("transformer", ("algo.policy is 'transformer'", "no task can adapt", "attention")),
    ],
)
def test_what_cannot_be_adapted_is_refused_before_anything_is_written(
    metarl: Command, tmp_path: Path, policy: str, words: tuple[str, ...]
) -> None:
    assert_refused(metarl(*train_arguments("run"), "--algo.policy", policy), *words)
    assert not any(tmp_path.iterdir())


def test_only_experience_has_a_policy(metarl: Command) -> None:
    assert {"policy", "memory_size"} <= {*vars(config_class("maml-trpo")())}
    assert not {"policy", "memory_size"} & {*vars(config_class("maml", labelled=True)())}
