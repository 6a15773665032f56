"""Every learner with its parameters on a GPU (a pretended one): devices never meet, and how often the CPU waits."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from support.pretended_gpu import GPU, PretendedGPU
from torch.utils._pytree import tree_leaves

from metarl.algorithms import config_class, make_algorithm, names_for
from metarl.fewshot.problem import Problem, stacked
from metarl.fewshot.sources import Examples, Task
from metarl.runtime.randomness import Address

CPU = torch.device("cpu")
PROBLEMS = {
    "regression": Problem((2,), 3, False),
    "classes": Problem((2,), 3, True),
    "images": Problem((8, 8, 1), 3, True),
}
ONE_STEP = ("imaml", "inner_steps")
READS = {"reptile": 3}  # beside whether all is finite, and what was measured, the length of the direction
# Options that set how long the loops of an update are.
LONG = {"inner_steps": 3, "proximal_steps": 3, "implicit_iterations": 3}


def drawn(problem: Problem) -> list[Task]:
    """Three tasks of random numbers."""
    random = np.random.default_rng(0)

    def examples(count: int) -> Examples:
        inputs = random.normal(size=(count, *problem.input_shape)).astype(np.float32)
        targets = random.integers(3, size=count) if problem.classification else random.normal(size=(count, 3))
        return Examples(inputs, targets if problem.classification else targets.astype(np.float32))

    return [Task(examples(4), examples(5)) for _ in range(3)]


def learn(name: str, problem: Problem, device: torch.device, long: bool = False) -> tuple[list[torch.Tensor], int, int]:
    """All tensors that an update and an evaluation make, on the CPU; how often they read, and how often they sent."""
    kind: Any = config_class(name, labelled=True)
    options: dict[str, Any] = {"hidden": (5,), "filters": 4}
    if long:
        options |= {
            option: length for option, length in LONG.items() if hasattr(kind(), option) and (name, option) != ONE_STEP
        }
    gpu = PretendedGPU()
    with gpu if device == GPU else nullcontext():
        learner = make_algorithm(name, kind(**options), problem, device)
        state, tasks = learner.initial_state(Address(0)), stacked(drawn(problem), device)
        updated, metrics = learner.update(state, tasks, Address(2))
        evaluated = learner.scores(updated, tasks, 3)
        reads = len(gpu.reads)
        made = [*tree_leaves((updated, evaluated)), torch.tensor(list(metrics.values()))]
        assert {tensor.device for tensor in tree_leaves((updated["model"], evaluated))} == {device}
        return [tensor.cpu() for tensor in made], reads, len(gpu.sends)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", names_for("labels"))
def test_an_update_on_a_gpu_waits_a_known_number_of_times_and_makes_the_same_numbers(name: str, problem: str) -> None:
    found, reads, sends = learn(name, PROBLEMS[problem], GPU)
    assert (reads, sends) == (READS.get(name, 2), 0)
    theirs, _, _ = learn(name, PROBLEMS[problem], CPU)
    torch.testing.assert_close(found, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", names_for("labels"))
def test_longer_loops_read_nothing_more(name: str) -> None:
    _, reads, sends = learn(name, PROBLEMS["regression"], GPU, long=True)
    assert (reads, sends) == (READS.get(name, 2), 0)
