"""What goes between the CPU and a GPU, which is a pretended one here."""

import pytest
import torch
from support.pretended_gpu import GPU, PretendedGPU

from metarl.runtime.devices import placed_like, read_back, sent

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3),
        torch.arange(6.0).reshape(2, 3).T,
        torch.arange(12.0).reshape(2, 6)[:, 1::2],
        torch.arange(3.0)[:, None].expand(3, 4),  # of memory that many numbers share, none can be pinned
        torch.tensor(3.0),
        torch.zeros(0, 2),
    ],
    ids=["plain", "transposed", "strided", "expanded", "scalar", "empty"],
)
def test_whatever_lies_in_memory_is_sent_without_waiting(tensor: torch.Tensor) -> None:
    with PretendedGPU() as gpu:
        there = sent(tensor, GPU)
        assert there.device == GPU and gpu.sends == [] and gpu.reads == []
        assert torch.equal(there.cpu(), tensor)
        assert sent(there, GPU) is there
    assert sent(tensor, CPU) is tensor


def test_scalars_are_read_back_in_one_transfer() -> None:
    with PretendedGPU() as gpu:
        found = read_back({"a": torch.tensor(0.1, device=GPU), "b": torch.full((), 3, device=GPU)})
    # as `float` reads them: 0.1 in single precision
    assert found == {"a": float(torch.tensor(0.1)), "b": 3.0} and all(type(value) is float for value in found.values())
    assert len(gpu.reads) == 1


def test_a_state_is_placed_as_a_fresh_one_is() -> None:
    with PretendedGPU():
        fresh = {"policy": {"w": torch.zeros(2, device=GPU)}, "optimiser": {"step": torch.zeros(())}}
        loaded = {
            "policy": {"w": torch.ones(2)},
            "optimiser": {"step": torch.tensor(7.0).to(GPU)},
            "later": {"x": torch.ones(1)},  # that a fresh state does not have
        }
        placed = placed_like(loaded, fresh, GPU)
        assert placed["policy"]["w"].device == placed["later"]["x"].device == GPU
        assert placed["optimiser"]["step"].device == CPU and placed["optimiser"]["step"] == 7
