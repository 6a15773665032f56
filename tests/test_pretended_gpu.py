"""The GPU that is none notices what it is there to notice: each mistake here is made on purpose."""

from collections.abc import Callable

import pytest
import torch
from support.pretended_gpu import GPU, DevicesMet, OnGPU, PretendedGPU
from torch.func import grad, vmap

from metarl.runtime.devices import sent


def test_what_it_computes_is_what_the_cpu_computes() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def gradients(x: torch.Tensor) -> torch.Tensor:
        return vmap(grad(lambda row: torch.tanh(row @ row[:, None]).sum()))(x)

    with PretendedGPU() as gpu:
        on_gpu = sent(x, GPU)
        assert isinstance(on_gpu, OnGPU) and on_gpu.device == GPU
        found = gradients(on_gpu)
        leaf = on_gpu.clone().requires_grad_()
        (of_leaf,) = torch.autograd.grad(leaf.square().sum(), leaf)
        assert not gpu.reads and not gpu.sends
        assert torch.equal(found.cpu(), gradients(x)) and torch.equal(of_leaf.cpu(), 2 * x)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat([x, torch.ones(1)]),
        lambda x: torch.stack([x.sum(), torch.ones(())]),
        lambda x: torch.ones(()).add_(x.sum()),
        lambda x: vmap(lambda number: number * torch.ones(2))(x),
        lambda x: grad(lambda x: (x @ torch.ones(3)).sum())(x),
    ],
)
def test_tensors_of_two_devices_may_not_meet(wrong: Callable[[torch.Tensor], object]) -> None:
    with PretendedGPU(), pytest.raises(DevicesMet, match=r"test_pretended_gpu.py:\d+"):
        wrong(torch.zeros(3, device=GPU))


def test_scalars_on_the_cpu_and_numbers_may_meet_it() -> None:
    with PretendedGPU() as gpu:
        x = torch.ones(3, device=GPU)
        assert torch.where(x > 0, x * torch.tensor(2.0) + 1, 0.0).tolist() == [3, 3, 3]
        assert len(gpu.reads) == 1 and not gpu.sends


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0]),
        lambda x: bool(x[0] > 0),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.equal(x, x),
        lambda x: torch.zeros(3).copy_(x),
    ],
)
def test_every_value_that_is_read_back_in_a_loop_is_noted(read: Callable[[torch.Tensor], object]) -> None:
    with PretendedGPU() as gpu:
        x = torch.ones(3, device=GPU)
        for _ in range(5):
            read(x)
    assert len(gpu.reads) == 5 and all(line.startswith("tests/test_pretended_gpu.py:") for line in gpu.reads)


@pytest.mark.parametrize(
    "send",
    [
        lambda x: torch.ones(3).to(GPU),
        lambda x: torch.ones(3).pin_memory().to(GPU),
        lambda x: torch.ones(3).to(GPU, non_blocking=True),
        lambda x: torch.tensor([1.0, 2.0], device=GPU),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: torch.where(x > 0, x, torch.tensor(0.0)),
        lambda x: x.copy_(torch.ones(3)),
    ],
)
def test_every_copy_that_is_waited_for_is_noted(send: Callable[[torch.Tensor], object]) -> None:
    with PretendedGPU() as gpu:
        x = torch.ones(3, device=GPU)
        send(x)
    assert len(gpu.sends) == 1 and not gpu.reads


def test_a_recurrent_unit_is_differentiated_only_if_called_for_training() -> None:
    unit = torch.nn.GRU(2, 3)

    def called(train: bool) -> torch.Tensor:
        weights = [sent(weight.detach(), GPU).requires_grad_() for weight in unit.parameters()]
        x, start = torch.ones(4, 1, 2, device=GPU), torch.zeros(1, 1, 3, device=GPU)
        return torch.gru(x, start, weights, True, 1, 0.0, train, False, False)[0]

    with PretendedGPU():
        called(True).sum().backward()
        with pytest.raises(RuntimeError, match="only be called in training mode"):
            called(False)
        with torch.no_grad():
            called(False)


@pytest.mark.parametrize("shape", ["as it is", "repeated", "transposed"])
def test_what_is_sent_from_pinned_memory_is_not_waited_for(shape: str) -> None:
    x = torch.arange(6.0).reshape(2, 3)
    x = {"as it is": x, "repeated": x.expand(4, 2, 3), "transposed": x.mT}[shape]
    with PretendedGPU() as gpu:
        on_gpu = sent(x, GPU)
        assert sent(on_gpu, GPU) is on_gpu and not gpu.sends
        assert torch.equal(on_gpu.cpu(), x)
    assert sent(x, torch.device("cpu")) is x
