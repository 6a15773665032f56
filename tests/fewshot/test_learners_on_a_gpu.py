"""Every learner with its parameters on a GPU (a pretended one): devices never meet, and how often the CPU waits."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from metarl.fewshot.learner import Problem, stacked
from support.pretended_gpu import GPU, PretendedGPU
from torch.utils._pytree import tree_leaves

from metarl.fewshot import LEARNERS
from metarl.fewshot.sources import Examples, Task
from metarl.runs.worlds import learner_class
from metarl.runtime.randomness import Address

CPU = torch.device("cpu")
PROBLEMS = {
    "regression": Problem((2,), 3, False),
    "classes": Problem((2,), 3, True),
    "images": Problem((8, 8, 1), 3, True),
}
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
    options: dict[str, Any] = {"hidden": (5,), "filters": 4}
    if long:
        options |= {option: length for option, length in LONG.items() if hasattr(LEARNERS[name].config(), option)}
    gpu = PretendedGPU()
    with gpu if device == GPU else nullcontext():
        learner = learner_class(name)(LEARNERS[name].config(**options), problem, device)
        state, tasks = learner.initial_state(Address(0)), stacked(drawn(problem), device)
        updated, scores = learner.update(state, tasks)
        evaluated = learner.evaluate(updated, tasks, 3)
        reads = len(gpu.reads)
        made = tree_leaves((updated, scores, evaluated))
        assert {tensor.device for tensor in tree_leaves((updated["model"], scores, evaluated))} == {device}
        return [tensor.cpu() for tensor in made], reads, len(gpu.sends)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", LEARNERS)
def test_an_update_on_a_gpu_waits_once_and_makes_the_same_numbers(name: str, problem: str) -> None:
    found, reads, sends = learn(name, PROBLEMS[problem], GPU)
    assert (reads, sends) == (1, 0)  # whether all is finite
    theirs, _, _ = learn(name, PROBLEMS[problem], CPU)
    torch.testing.assert_close(found, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LEARNERS)
def test_longer_loops_read_nothing_more(name: str) -> None:
    _, reads, sends = learn(name, PROBLEMS["regression"], GPU, long=True)
    assert (reads, sends) == (1, 0)
