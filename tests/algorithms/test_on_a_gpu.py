"""Every method with its parameters on a GPU (a pretended one): devices never meet, and how often the CPU waits.

A GPU is fast as long as the CPU runs ahead of it. So an update sends what it needs without waiting, and the values that
it reads back are few: those that stand in `READS`, however long its loops are.
"""

from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from support.pretended_gpu import GPU, PretendedGPU
from support.trials import CPU, OBSERVATIONS, navigate, tensors, wander
from torch.utils._pytree import tree_map

from metarl.algorithms import config_class, make_algorithm, names_for
from metarl.algorithms.algorithm import Spaces
from metarl.core.types import Metrics, State, Trial
from metarl.runs.checkpoint import Checkpoint
from metarl.runs.presets import default_config
from metarl.runtime.randomness import Address
from metarl.runtime.tasks_at_once import WithinMemory, tasks_at_once
from metarl.sampling.groups import Divisions
from metarl.training.loop import starting_point
from metarl.training.setup import Setup

START, UPDATE = Address(0), Address(2)

# Beside one for each try of a line search, which has to know whether it succeeded.
TRUST_REGION = 4  # the loss before, one flag of finiteness, the gradient's norm, what the policy is like
PROXIMAL = 4  # a flag before the epochs and the explained variance, a flag after them with the losses
READS = {
    **dict.fromkeys(
        ["maml-trpo", "fomaml", "anil", "cavia", "imaml", "multitask", "oracle", "meta-sgd", "lslr"], TRUST_REGION
    ),
    "e-maml": TRUST_REGION + 1,  # the value of the credit
    "maml-ppo": 3,  # a flag, the losses with the divergence, what the policy is like
    "promp": 3,
    "maml-vpg": 2,  # a flag, what the policy is like and the loss
    "reptile": 3,
    "rl2": PROXIMAL + 1,  # the standard deviation
    "varibad": PROXIMAL + 4,  # that, flags of the trial and of the belief model, what that has learned
    "recurrent": PROXIMAL + 1,
    "randomised": PROXIMAL + 2,  # that, and which steps were played
    **dict.fromkeys(["rma", "system-id"], PROXIMAL + 4),  # and of the student a flag and its errors
    "recurrent-sac": 2,  # a flag, and what was measured
    "pearl": 3,  # which tasks the replay holds, a flag, and what was measured
    "random-init": 1,
}

BY_PPO = ("rl2", "varibad", "recurrent", "randomised", "rma", "system-id")

# Options that set how long the loops of an update are: (short, long).
EPOCHS = {"epochs": (1, 4)}
LOOPS: dict[str, dict[str, tuple[Any, Any]]] = {
    **{
        name: {"cg_iterations": (2, 6)}
        for name in names_for("experience")
        if hasattr(config_class(name)(), "cg_iterations")
    },
    "imaml": {"cg_iterations": (2, 3), "proximal_steps": (1, 3), "implicit_iterations": (1, 3)},
    "maml-ppo": EPOCHS,
    "promp": EPOCHS,
    "rl2": {**EPOCHS, "minibatches": (1, 3)},
    "recurrent": {**EPOCHS, "minibatches": (1, 3)},
    "randomised": {**EPOCHS, "minibatches": (1, 3)},
    "rma": {**EPOCHS, "minibatches": (1, 3), "student_epochs": (1, 3)},
    "varibad": {**EPOCHS, "minibatches": (1, 3), "model_updates": (1, 4)},
    "recurrent-sac": {"update_ratio": (0.01, 0.05)},
    "pearl": {"update_ratio": (0.01, 0.05)},
}
SMALL = {
    **dict.fromkeys(["rl2", "recurrent", "rma", "system-id"], {"memory_size": 8}),
    "varibad": {"memory_size": 8, "decoder_hidden": (8,)},
}


class Iteration(NamedTuple):
    """What an iteration did, and how often it waited."""

    trial: Trial
    state: State
    metrics: Metrics
    reads: list[str]  # during the update
    sends: list[str]  # in all


def on(device: torch.device, name: str, discrete: bool = False, long: bool = False, **options: Any) -> Any:
    """A small method with its parameters on a device."""
    actions = Discrete(5) if discrete else Box(-1, 1, (2,), np.float64)
    loops = {option: lengths[long] for option, lengths in LOOPS.get(name, {}).items()}
    gentle = {"inner_lr": 0.1} if name == "cavia" else {}
    config = config_class(name)(**{"hidden": (8,), **gentle, **SMALL.get(name, {}), **loops, **options})
    return make_algorithm(name, config, Spaces(OBSERVATIONS, actions), device)


def iterate(device: torch.device, name: str, discrete: bool = False, long: bool = False, **options: Any) -> Iteration:
    """A trial and the update on it, parameters and updates being on a device."""
    gpu = PretendedGPU()
    with gpu if device == GPU else nullcontext():
        algorithm = on(device, name, discrete, long, **options)
        state = algorithm.initial_state(START)
        trial = (wander if discrete else navigate)(algorithm, state)
        assert all(tensor.device == CPU for tensor in tensors(trial))
        before = len(gpu.reads)
        updated, metrics = algorithm.update(state, trial, UPDATE)
        assert devices(updated) == devices(state)
    return Iteration(trial, updated, metrics, gpu.reads[before:], gpu.sends)


def devices(state: State) -> list[str]:
    return [tensor.device.type for tensor in tensors(state)]


def numbers(state: State) -> list[torch.Tensor]:
    with PretendedGPU():
        return [tensor.cpu() for tensor in tensors(state)]


@pytest.mark.parametrize("world", ["continuous", "discrete"])
@pytest.mark.parametrize("name", names_for("experience"))
def test_an_iteration_on_a_gpu_waits_a_known_number_of_times_and_makes_the_same_numbers(name: str, world: str) -> None:
    discrete = world == "discrete"
    if discrete and name in ("pearl", "recurrent-sac"):
        pytest.skip("its actions are continuous")
    found = iterate(GPU, name, discrete)
    assert GPU.type in devices(found.state)
    tries = int(found.metrics.get("update/line_search", 0))
    expected = READS[name] - (discrete and name in BY_PPO)  # no standard deviation
    assert len(found.reads) == expected + tries, found.reads
    assert found.sends == []
    theirs = iterate(CPU, name, discrete)
    torch.testing.assert_close(tensors(found.trial), tensors(theirs.trial))
    torch.testing.assert_close(numbers(found.state), tensors(theirs.state), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LOOPS)
def test_longer_loops_read_nothing_more(name: str) -> None:
    found = iterate(GPU, name, long=True)
    assert len(found.reads) - found.metrics.get("update/line_search", 0) == READS[name], found.reads
    assert found.sends == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "maml-trpo",
            {"inner_objective": "dice", "inner_steps": 2, "entropy_bonus": 0.01, "state_dependent_std": True},
        ),
        ("promp", {"max_gradient_norm": 0.5, "adaptive_kl": True}),
        ("rl2", {"memory": "attention", "previous_observation": True}),
        ("rl2", {"embedding_size": 4}),
        ("pearl", {"learned_temperature": True, "context_with_next_observation": True}),
        ("varibad", {"transition_weight": 1.0, "reward_from_action": True}),
    ],
)
def test_options_do_not_change_how_often_it_waits(name: str, options: dict[str, Any]) -> None:
    found = iterate(GPU, name, **options)
    assert len(found.reads) - found.metrics.get("update/line_search", 0) == READS[name], found.reads
    assert found.sends == []


@pytest.mark.parametrize("name", ["maml-trpo", "promp"])
def test_parts_of_the_tasks_make_the_same_numbers(name: str) -> None:
    with tasks_at_once(2):
        found, theirs = (iterate(device, name) for device in (GPU, CPU))
    assert found.sends == []
    torch.testing.assert_close(numbers(found.state), tensors(theirs.state), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["promp", "rl2", "pearl", "varibad"])
def test_a_resumed_state_lies_where_a_fresh_one_lies(name: str) -> None:
    # What a checkpoint gives back is all on one device: the CPU, or wherever it was asked for.
    state = iterate(GPU, name).state
    with PretendedGPU() as gpu:
        algorithm = on(GPU, name)
        setup = Setup(default_config("point-nav", name), Divisions(()), algorithm, WithinMemory(1))
        fresh = algorithm.initial_state(START)
        for loaded in (CPU, GPU):
            found = Checkpoint(1, 100, tree_map(lambda x, to=loaded: x.to(to), state))
            resumed = starting_point(found, fresh, setup.device).state
            assert devices(resumed) == devices(fresh) == devices(state)
        trial = navigate(algorithm, state)
        gpu.reads.clear()
        whole, resumed = (algorithm.update(start, trial, UPDATE)[0] for start in (state, resumed))
        assert len(gpu.reads) == 2 * READS[name]
    assert all(torch.equal(x, y) for x, y in zip(numbers(whole), numbers(resumed), strict=True))
