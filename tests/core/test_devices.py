"""What goes between the CPU and a GPU, which is a pretended one here."""

import torch
from pretended_gpu import GPU, PretendedGPU

from metarl.core.devices import placed_like, read_back

CPU = torch.device("cpu")


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
