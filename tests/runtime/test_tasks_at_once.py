"""Parts of the tasks at a time: every number stays, and work that memory does not hold is done in smaller parts."""

import logging
import subprocess
import sys

import pytest
import torch
from support.trials import GRADIENT_BASED, copies, imagine, make, same, tensors

from metarl.runtime.randomness import Address
from metarl.runtime.tasks_at_once import WithinMemory, in_parts, size_of_parts, tasks_at_once

SIZES = [(name, 2) for name in GRADIENT_BASED if name != "random-init"]  # of three tasks: the last part is smaller


@pytest.mark.parametrize(("name", "size"), [*SIZES, ("maml-trpo", 1)])
def test_no_number_of_an_update_depends_on_how_many_tasks_are_worked_on_at_once(name: str, size: int) -> None:
    algorithm = make(name)
    state = algorithm.initial_state(Address(0))
    trial = imagine(algorithm, state)
    whole, metrics = algorithm.update(state, trial, Address(2))
    with tasks_at_once(size):
        parts, others = algorithm.update(state, trial, Address(2))
    for mine, theirs in zip(tensors(whole), tensors(parts), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert metrics.keys() == others.keys()
    assert not same(copies(state), copies(parts))


def test_parts_are_worked_on_one_after_the_other_and_joined() -> None:
    seen = []

    def double(tree: dict[str, torch.Tensor], more: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        seen.append(len(more))
        return 2 * tree["a"], {"b": more + 1}

    values = torch.arange(7.0)
    doubled, rest = in_parts(double, 3)({"a": values}, values)
    assert seen == [3, 3, 1]
    assert doubled.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert rest["b"].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_size_holds_within_its_block_and_only_where_it_divides() -> None:
    tasks = {"a": torch.zeros(4, 2)}
    assert size_of_parts(tasks) is None
    with tasks_at_once(3):
        assert size_of_parts(tasks) == 3
        with tasks_at_once(None):
            assert size_of_parts(tasks) is None
        assert size_of_parts({"a": torch.zeros(3, 9)}) is None
    assert size_of_parts(tasks) is None


def test_work_is_halved_until_memory_holds_it_and_stays_so(caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[int | None] = []

    def work() -> str:
        size = size_of_parts(torch.zeros(20))
        sizes.append(size)
        if size is None or size > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    within_memory = WithinMemory(tasks=20)
    with caplog.at_level(logging.WARNING, "metarl"):
        assert [within_memory(work), within_memory(work)] == ["done", "done"]
    assert sizes == [None, 10, 5, 3, 3]
    assert len(caplog.records) == 3


def test_other_errors_and_a_single_task_that_does_not_fit_are_raised() -> None:
    def fail(error: RuntimeError) -> None:
        raise error

    with pytest.raises(RuntimeError, match="shapes"):
        WithinMemory(tasks=8)(lambda: fail(RuntimeError("shapes")))
    with pytest.raises(torch.OutOfMemoryError):
        WithinMemory(tasks=8)(lambda: fail(torch.OutOfMemoryError("none")))


UPDATE_WITHIN_LIMIT = """
import resource
import torch
from metarl.runtime.randomness import Address
from metarl.runtime.tasks_at_once import WithinMemory
from metarl.core.types import Rollout, Trial
from metarl.runs.presets import default_config
from metarl.training.setup import set_up

torch.set_num_threads(1)
setup = set_up(default_config("point-nav", "maml-trpo"), num_tasks=32)
state = setup.initial_state(Address(0))
random = torch.Generator().manual_seed(0)

def rollout():
    shape = (32, 20, 100)
    normal = lambda *more: torch.randn(*shape, *more, generator=random)
    no = torch.zeros(shape, dtype=torch.bool)
    return Rollout(normal(2), normal(2), normal() - 3, normal(), no, no, no, torch.ones(shape), normal(2))

trial = Trial([rollout(), rollout()])
pages = int(open("/proc/self/statm").read().split()[0])
plenty = resource.getrlimit(resource.RLIMIT_AS)
little = pages * resource.getpagesize() + 250 * 2**20, plenty[1]
for limit in (little, plenty):
    resource.setrlimit(resource.RLIMIT_AS, limit)
    within_memory = WithinMemory(32)
    policy = within_memory(lambda: setup.algorithm.update(state, trial, Address(1)))[0]["policy"]
    print(within_memory.at_once, sum(float(value.double().sum()) for value in policy.values()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's memory is limited as on Linux")
def test_an_update_goes_on_in_parts_where_memory_is_short_and_finds_the_same() -> None:
    command = [sys.executable, "-c", UPDATE_WITHIN_LIMIT]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (fewer, same_total), (all_at_once, total) = (line.split() for line in said.splitlines())
    assert int(all_at_once) == 32 and int(fewer) < 32
    assert float(same_total) == pytest.approx(float(total), rel=1e-6)
