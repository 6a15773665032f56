"""A GPU that is none: tensors that say they lie on another device, while their numbers are the CPU's.

Within `PretendedGPU()` every operation passes through `PretendedGPU.__torch_dispatch__`, below autograd and vmap. It
holds code to what CUDA holds it to, and notes what CUDA would do without a word:

* tensors of two devices meet: `DevicesMet` (but for what CUDA takes as well, a scalar on the CPU in elementwise
  mathematics);
* a value is read back, for which the CPU waits until the GPU has done all it was given: noted in `reads`;
* a tensor is sent from memory that is not pinned, which waits as well: noted in `sends`.

Both hold the lines of ours that asked for it. The device is called `meta`, since a torch without CUDA lets autograd
work on that one, and not on `cuda`.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("meta")
CPU = torch.device("cpu")
OURS = str(Path(__file__).parents[2])

aten = torch.ops.aten
READ_BACK = {  # what has to know values before it can return: the shape of its result, or what it says, depend on them
    aten._local_scalar_dense.default,
    aten._unique2.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.repeat_interleave.Tensor,
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class DevicesMet(RuntimeError):
    """An operation was given tensors of two devices."""


class OnGPU(torch.Tensor):
    """A tensor that says it is on the GPU; its numbers are in `held`."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "OnGPU":
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=GPU
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of PretendedGPU")

    def tolist(self) -> Any:  # torch's own reads the memory itself
        return self.detach().cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnGPU({self.held})"


class PretendedGPU(TorchDispatchMode):
    """Within it there is a GPU, the device `GPU`."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.sends: list[str] = []
        self.pinned: dict[int, torch.Tensor] = {}  # by where their memory starts, and kept, so that none else does
        self.within = ExitStack()

    def __enter__(self) -> "PretendedGPU":
        enter = self.within.enter_context
        # What torch does by a device's name, as on CUDA.
        enter(
            mock.patch.object(
                sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices", lambda: [GPU.type, "cpu"]
            )
        )
        enter(mock.patch.object(torch.nn.functional, "one_hot", one_hot))
        enter(mock.patch.object(torch, "gru", gru))
        enter(mock.patch.object(torch, "tensor", tensor))
        enter(torch.autograd.set_multithreading_enabled(False))  # it has no thread for this device
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.within.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        on_gpu = [tensor for tensor in tensors if isinstance(tensor, OnGPU)]
        asked = kwargs.get("device")
        if func is aten.is_pinned.default:
            return tensors[0].data_ptr() in self.pinned
        if func is aten._pin_memory.default:
            copy = torch.empty_strided(args[0].shape, args[0].stride(), dtype=args[0].dtype).copy_(
                args[0]
            )  # as torch does it
            self.pinned[copy.data_ptr()] = copy
            return copy
        if not on_gpu and (asked is None or asked.type != GPU.type):
            return func(*args, **kwargs)
        if func is aten._to_copy.default:
            return self.moved(args[0], kwargs)
        if func is aten.copy_.default:
            return self.copied(*args, **kwargs)
        if func in INDEXING:
            self.index(args[1])
        elif func in READ_BACK:
            self.reads.append(line())
        else:
            self.check(func, tensors, args)
        if asked is not None:
            kwargs = {**kwargs, "device": CPU}
        result = func(*held(args), **held(kwargs))
        if asked is not None and asked.type == CPU.type:
            return result  # made like a tensor on the GPU, but on the CPU
        if torch.Tag.inplace_view in func.tags:
            with no_dispatch():
                func(*args, **kwargs)  # what the tensor says of itself changes as well
        known = {id(tensor.held): tensor for tensor in on_gpu}  # what an operation wrote to is the tensor that it was
        return tree_map(lambda x: known.get(id(x), OnGPU(x)) if isinstance(x, torch.Tensor) else x, result)

    def moved(self, tensor: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
        """`tensor.to(…)`, where that copies."""
        options = {name: value for name, value in kwargs.items() if name not in ("device", "non_blocking")}
        target = kwargs.get("device") or tensor.device
        if target.type == CPU.type:
            self.reads.append(line())
        elif not isinstance(tensor, OnGPU):
            self.note_send(tensor, kwargs.get("non_blocking", False))
        copy = aten._to_copy.default(held(tensor), **options)
        return copy if target.type == CPU.type else OnGPU(copy)

    def copied(self, to: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        """`to.copy_(source)`."""
        if not isinstance(to, OnGPU):
            self.reads.append(line())
        elif not isinstance(source, OnGPU):
            self.note_send(source, non_blocking)
        held(to).copy_(held(source))
        return to

    def note_send(self, source: torch.Tensor, non_blocking: bool) -> None:
        """A copy from pinned memory goes on beside the CPU, if it is asked to."""
        if not (non_blocking and source.untyped_storage().data_ptr() in self.pinned):
            self.sends.append(line())

    def index(self, indices: Any) -> None:
        """A mask's true places have to be counted; numbers on the CPU are sent."""
        for index in tree_leaves(list(indices)):
            if index is not None and index.dtype in (torch.bool, torch.uint8):
                self.reads.append(line())
            elif index is not None and not isinstance(index, OnGPU):
                self.sends.append(line())

    def check(self, func: Any, tensors: list[torch.Tensor], args: Any) -> None:
        """Refuse tensors of two devices.

        Raises:
            DevicesMet: where CUDA would refuse them.
        """
        others = [tensor for tensor in tensors if not isinstance(tensor, OnGPU)]
        if not others or len(others) == len(tensors):
            return
        writes_to_cpu = func._schema.is_mutable and args[0] is others[0]
        if writes_to_cpu or torch.Tag.pointwise not in func.tags or any(tensor.dim() for tensor in others):
            raise DevicesMet(f"{func} was given tensors on {GPU} and on the CPU, at {line()}")
        if func is aten.where.self:  # which takes none on the CPU
            self.sends.append(line())


def held(tree: Any) -> Any:
    """The same with the numbers of its tensors."""
    return tree_map(lambda leaf: leaf.held if isinstance(leaf, OnGPU) else leaf, tree)


def line() -> str:
    """The innermost line of ours that runs now."""
    return next((f"{place(frame)}:{frame.f_lineno}" for frame in frames() if place(frame)), "?")


def frames() -> Iterator[Any]:
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def place(frame: Any) -> str:
    """The file that a frame runs, where it is one of ours."""
    path = frame.f_code.co_filename
    return str(Path(path).relative_to(OURS)) if path.startswith(OURS) and path != __file__ else ""


def one_hot(index: torch.Tensor, count: int) -> torch.Tensor:
    """torch's own looks whether all numbers are below `count`, though not on CUDA."""
    return (index[..., None] == torch.arange(count, device=index.device)).long()


its_tensor, its_gru = torch.tensor, torch.gru


def tensor(data: Any, *, device: torch.device | None = None, **options: Any) -> torch.Tensor:
    """torch's own, which sends what it has made of Python's numbers."""
    made = its_tensor(data, **options)
    return made if device is None else made.to(device)


def gru(x: torch.Tensor, start: torch.Tensor, weights: Any, *options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """torch's own, of which cuDNN differentiates only what was called for training.

    Raises:
        RuntimeError: a derivative will be asked for what was called without.
    """
    *_, train, _, _ = options
    if not train and torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, start, *weights)):
        raise RuntimeError("cudnn RNN backward can only be called in training mode")
    return its_gru(x, start, weights, *options)
