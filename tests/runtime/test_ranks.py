"""Ranks agree: sums, gathered tasks and copies against what one process computes, and messages against a count."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
from gymnasium.spaces import Box
from support.processes import CONTEXT
from support.rank_programs import report, share, shares
from support.ranked import free_port

from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.core.types import Rollout, Trial
from metarl.runtime import ranks
from metarl.runtime.randomness import Address, Purpose

WORLD = 2


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks found."""
    port, folder, processes = free_port(), tmp_path_factory.mktemp("ranks"), []
    for rank in range(WORLD):
        job = (rank, port, WORLD, str(folder / f"{rank}.pt"))
        processes.append(CONTEXT.Process(target=report, args=job, daemon=True))
        processes[-1].start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


def test_alone_there_is_nothing_to_do() -> None:
    tree = {"a": torch.ones(3), "b": (torch.zeros(()),)}
    assert (ranks.rank(), ranks.world_size()) == (0, 1)
    assert ranks.sum_over_ranks(tree) is tree
    assert ranks.gather(tree["a"]) is tree["a"]
    assert ranks.tensors_of_first(tree) is tree and ranks.value_of_first(tree) is tree


def test_every_rank_gets_the_same_sums_and_copies(answers: list[dict[str, Any]]) -> None:
    for rank, found in enumerate(answers):
        assert found["rank"] == (rank, WORLD)
        # 0.5 + 1.5, in the tensors' own precision; 0 + 1
        torch.testing.assert_close(found["sum"]["single"], torch.full((2, 3), 2.0), rtol=0, atol=0)
        torch.testing.assert_close(found["sum"]["nested"][0], torch.tensor(1.0).double(), rtol=0, atol=0)
        assert found["gathered"].tolist() == [[0, 1], [2, 3], [10, 11], [12, 13]]
        assert torch.equal(found["tensors"]["bits"], share(0, WORLD))
        assert found["tensors"]["count"] == 7 and found["tensors"]["count"].dtype == torch.int64
        assert found["value"] == {"of": 0}


def test_a_mean_over_tasks_depends_neither_on_ranks_nor_on_order(answers: list[dict[str, Any]]) -> None:
    tasks = shares()
    backwards = ranks.mean_over_tasks(tasks.flip(0))
    for mean in (answers[0]["mean"], answers[1]["mean"], backwards):
        assert torch.equal(mean, ranks.mean_over_tasks(tasks))
    torch.testing.assert_close(backwards.numpy(), tasks.numpy().astype("f8").mean(0).astype("f4"), rtol=0, atol=0)
    assert not torch.equal(tasks.flip(0).mean(0), tasks.mean(0))  # as single precision would have it


def test_who_is_left_alone_learns_of_it(answers: list[dict[str, Any]]) -> None:
    assert answers[0]["end"] == "another rank has ended — see what it said"


N, E, T = 4, 4, 5


def imagined(algorithm: Any) -> Trial:
    """Rounds of random facts."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(N, E, T, *shape, generator=random)

    def rollout() -> Rollout:
        never = torch.zeros(N, E, T, dtype=torch.bool)
        ends, starts = never.clone(), never.clone()
        ends[..., -1], starts[..., 0] = True, True
        facts = (normal(3), normal(2), normal() - 3, normal())
        return Rollout(*facts, never, ends, starts, torch.ones(N, E, T), normal(3))

    return Trial([rollout() for _ in range(algorithm.rounds)], 0)


@pytest.mark.parametrize("name", ["maml-trpo", "e-maml", "imaml", "promp", "maml-ppo", "maml-vpg", "reptile"])
def test_two_equal_ranks_update_like_one_and_send_what_the_cost_model_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sum over two ranks with the same tasks is twice that of one: exact, so that no bit may change.
    config = config_class(name)(hidden=(6,))
    spaces = (Box(-1, 1, (3,)), Box(-1, 1, (2,)))
    algorithm = make_algorithm(name, config, Spaces(*spaces), torch.device("cpu"))
    state, trial = algorithm.initial_state(Address(0)), imagined(algorithm)
    alone, metrics = algorithm.update(state, trial, Address(0).at(Purpose.UPDATE))
    sent = []

    def all_reduce(tensor: torch.Tensor) -> None:
        sent.append(tensor.numel())
        tensor *= 2

    def all_gather(blocks: list[torch.Tensor], mine: torch.Tensor) -> None:
        for block in blocks:
            block.copy_(mine)

    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(dist, "all_gather", all_gather)
    doubled, same = algorithm.update(state, trial, Address(0).at(Purpose.UPDATE))
    assert metrics == same
    assert all(torch.equal(alone["policy"][key], doubled["policy"][key]) for key in alone["policy"])

    parameters = sum(value.numel() for value in state["policy"].values())
    vectors = sum(numel >= parameters for numel in sent)
    if "cg_iterations" in vars(config):  # a gradient (E-MAML: and what it owes), and Fisher products
        assert vectors == 1 + (name == "e-maml") + config.cg_iterations + 1
    else:
        assert vectors == getattr(config, "epochs", 1)
    assert sum(sent) - vectors * parameters < 60  # what is left are scalars
