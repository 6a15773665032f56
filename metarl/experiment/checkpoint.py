"""Checkpoints: weights without code, a manifest that proves them, and never a half-written file.

A checkpoint is two files, `iteration-000060.safetensors` and `iteration-000060.json`. Each is written aside, synced
and moved into place, the manifest last: whoever finds a manifest finds the weights. The manifest holds a SHA-256 of
itself and the weights, since a flipped bit mostly goes unnoticed otherwise.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch

from metarl.core.errors import StorageError
from metarl.core.types import State

SEPARATOR = "/"
TYPES = {
    **{torch.uint64: "U64", torch.int64: "I64", torch.float64: "F64", torch.complex64: "C64"},
    **{torch.float32: "F32", torch.uint32: "U32", torch.int32: "I32"},
    **{torch.bfloat16: "BF16", torch.float16: "F16", torch.uint16: "U16", torch.int16: "I16"},
    **{torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"},
}
"""What safetensors calls them, in the order in which it puts them."""

Part = bytes | memoryview


class Checkpoint(NamedTuple):
    """What a run continues from."""

    iteration: int  # meta-updates done
    env_steps: int  # environment steps taken
    state: State


def write_atomic(path: Path, *content: Part) -> None:
    """Write a file so that it holds either its old content or all of the new, whatever happens.

    Args:
        path: the file.
        content: what it is to hold, one part after the other.

    Raises:
        StorageError: the file system refused.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        with open(aside, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the new name itself must survive a power cut
        finally:
            os.close(directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()  # a full disk has better use for it
        reason = error.strerror or error
        raise StorageError(f"{path} cannot be written ({reason}) — free space or fix permissions") from error


def save_checkpoint(directory: Path, checkpoint: Checkpoint, keep: int) -> None:
    """Add a checkpoint to `directory` and drop all but the last `keep`.

    Later ones are dropped as well: had they been sound, the run would have gone on from them.

    Raises:
        StorageError: the file system refused.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in _flatten(checkpoint.state).items()}
    weights = as_safetensors(tensors)
    facts = {"iteration": checkpoint.iteration, "env_steps": checkpoint.env_steps, "tensors": list(tensors)}
    manifest = facts | {"sha256": _digest(facts, weights)}
    stem = directory / f"iteration-{checkpoint.iteration:06d}"
    write_atomic(stem.with_suffix(".safetensors"), *weights)
    write_atomic(stem.with_suffix(".json"), json.dumps(manifest, indent=1).encode())
    manifests = _manifests(directory)
    newest = manifests.index(stem.with_suffix(".json"))
    for old in manifests[:newest] + manifests[newest + keep :]:
        old.unlink(missing_ok=True)  # manifest first: a weight file without one is not a checkpoint
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(directory: Path, device: torch.device) -> tuple[Checkpoint | None, list[str]]:
    """The newest sound checkpoint, and a line about each damaged one that was passed over.

    Returns `None` where no checkpoint was ever finished.

    Raises:
        StorageError: there are checkpoints, and all are damaged.
    """
    damaged: list[str] = []
    for manifest in _manifests(directory):
        try:
            return _read(manifest, device), damaged
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not manifest.exists():  # a training run has replaced it by a newer one meanwhile
                return load_checkpoint(directory, device)
            damaged.append(f"{manifest} is damaged ({error})")
    if damaged:
        raise StorageError(f"no sound checkpoint: {damaged[0]} — train again into another --out")
    return None, damaged


def _read(manifest: Path, device: torch.device) -> Checkpoint:
    facts = json.loads(manifest.read_bytes())
    weights = manifest.with_suffix(".safetensors").read_bytes()
    if facts.pop("sha256") != _digest(facts, [weights]):
        raise ValueError("it and its weights do not match their SHA-256")
    if manifest.stem != f"iteration-{int(facts['iteration']):06d}":
        raise ValueError(f"it says iteration {facts['iteration']}")
    # In the order they were saved in, since sums over them round by it; and cloned, since safetensors' own memory
    # starts anywhere, and the last bits of a matrix product depend on where.
    loaded = safetensors.torch.load(weights)
    tensors = {name: loaded[name].clone().to(device) for name in facts["tensors"]}
    return Checkpoint(int(facts["iteration"]), int(facts["env_steps"]), _unflatten(tensors))


def as_safetensors(tensors: dict[str, torch.Tensor]) -> list[Part]:
    """The file that `safetensors.torch.save` makes of tensors on the CPU, in parts: a header, and views of the tensors'
    own memory, since a replay is too large to be copied at every checkpoint."""
    order = list(TYPES)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    header, end = {}, 0
    for name in names:
        value = tensors[name]
        start, end = end, end + value.nbytes
        header[name] = {"dtype": TYPES[value.dtype], "shape": list(value.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    views = [tensors[name].reshape(-1).view(torch.uint8).numpy().data for name in names]
    return [len(text).to_bytes(8, "little"), text, *views]


def _digest(facts: dict[str, Any], weights: Iterable[Part]) -> str:
    digest = hashlib.sha256(json.dumps(facts).encode())
    for part in weights:
        digest.update(part)
    return digest.hexdigest()


def _manifests(directory: Path) -> list[Path]:
    """All manifests, newest first."""
    manifests = directory.glob("iteration-*.json")
    return sorted(manifests, key=lambda path: (len(path.name), path.name), reverse=True)


def _flatten(state: State, prefix: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}{SEPARATOR}")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _unflatten(flat: dict[str, torch.Tensor]) -> State:
    state: dict[str, Any] = {}
    for path, value in flat.items():
        *rooms, name = path.split(SEPARATOR)
        room = state
        for part in rooms:
            room = room.setdefault(part, {})
        room[name] = value
    return state
