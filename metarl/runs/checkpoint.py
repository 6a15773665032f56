"""Checkpoints: weights without code, a manifest that proves them, and never a half-written file.

A checkpoint is two files, `iteration-000060.safetensors` and `iteration-000060.json`. Each is written aside, synced
and moved into place, the manifest last: whoever finds a manifest finds the weights. The manifest holds a SHA-256 of
itself and the weights, since a flipped bit mostly goes unnoticed otherwise.
"""

import fnmatch
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch

from metarl.core.types import State
from metarl.runs.older_checkpoints import completed
from metarl.runtime.errors import StorageError
from metarl.runtime.files import read_file, read_json, write_atomic

SEPARATOR = "/"
MOST_HEADER = 100_000_000  # bytes, by safetensors' own rule

Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""The tensors of a state by their names, with shapes and types."""


class Checkpoint(NamedTuple):
    """What a run continues from."""

    iteration: int  # meta-updates done
    env_steps: int  # environment steps taken
    state: State


def save_checkpoint(directory: Path, checkpoint: Checkpoint, keep: int) -> None:
    """Add a checkpoint to `directory` and drop all but the last `keep`.

    Later ones are dropped as well: had they been sound, the run would have gone on from them. StorageError where the
    file system refuses.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in _flatten(checkpoint.state).items()}
    weights = safetensors.torch.save(tensors)
    facts = {"iteration": checkpoint.iteration, "env_steps": checkpoint.env_steps, "tensors": list(tensors)}
    manifest = facts | {"sha256": _digest(facts, weights)}
    stem = directory / f"iteration-{checkpoint.iteration:06d}"
    write_atomic(stem.with_suffix(".safetensors"), weights)
    write_atomic(stem.with_suffix(".json"), json.dumps(manifest, indent=1).encode())
    manifests = _manifests(directory)
    newest = manifests.index(stem.with_suffix(".json"))
    for old in manifests[:newest] + manifests[newest + keep :]:
        old.unlink(missing_ok=True)  # manifest first: a weight file without one is not a checkpoint
    for leftover in directory.glob("iteration-*.safetensors"):  # of those, and of crashes between two writes
        if not leftover.with_suffix(".json").exists():
            leftover.unlink(missing_ok=True)


def shapes_of(state: State) -> Shapes:
    """The names, shapes and types of all tensors of a state."""
    return {name: (tuple(value.shape), value.dtype) for name, value in _flatten(state).items()}


def load_checkpoint(
    directory: Path, device: torch.device, shapes: Shapes, iteration: int | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """The newest sound checkpoint (None where there is none), and a line about each damaged one that was passed over.

    Args:
        directory: where checkpoints lie.
        device: where its tensors are to be.
        shapes: the tensors that the run's config makes; a checkpoint of others counts as damaged.
        iteration: the one to load, instead of the newest.

    Raises:
        StorageError: there are checkpoints, and all are damaged; or the file system refused to show them.
    """
    damaged: list[str] = []
    for manifest in _manifests(directory):
        if iteration is not None and manifest.stem != f"iteration-{iteration:06d}":
            continue
        try:
            return _read(manifest, device, shapes), damaged
        except (FileNotFoundError, ValueError) as error:
            if not os.path.lexists(manifest):  # a training run has replaced it by a newer one meanwhile
                return load_checkpoint(directory, device, shapes, iteration)
            damaged.append(f"{manifest} is damaged ({getattr(error, 'strerror', None) or error})")
        except OSError as error:  # it may be sound: who goes on from an older one would remove it
            reason = f"{error.filename or manifest} cannot be read ({error.strerror})"
            raise StorageError(f"{reason} — fix its permissions, or move it away") from error
    if damaged:
        raise StorageError(f"no sound checkpoint: {damaged[0]} — train again into another --out")
    return None, damaged


def iterations_kept(directory: Path) -> list[int]:
    """The iterations of a folder's checkpoints, sound or not, in order; StorageError where they cannot be listed."""
    stems = [manifest.stem.removeprefix("iteration-") for manifest in reversed(_manifests(directory))]
    return [int(number) for number in stems if number.isdecimal()]


def _read(manifest: Path, device: torch.device, shapes: Shapes) -> Checkpoint:
    """A checkpoint; OSError where a file is not there, ValueError where it is not as `save_checkpoint` writes it."""
    facts = read_json(manifest)
    if not _is_manifest(facts):
        raise ValueError("it is no manifest")
    most = MOST_HEADER + sum(math.prod(shape) * kind.itemsize for shape, kind in shapes.values())
    weights = read_file(manifest.with_suffix(".safetensors"), most)
    if facts.pop("sha256") != _digest(facts, weights):
        raise ValueError("it and its weights do not match their SHA-256")
    if manifest.stem != f"iteration-{facts['iteration']:06d}":
        raise ValueError(f"it says iteration {facts['iteration']}")
    try:
        loaded = safetensors.torch.load(weights)
    except Exception as error:  # its own, and what its Python makes of types that torch lacks
        raise ValueError(f"its weights are no safetensors: {error}") from error
    if sorted(loaded) != sorted(facts["tensors"]):
        raise ValueError("it and its weights hold different tensors")
    loaded = completed(loaded, shapes)
    _require_fit(shapes_of(loaded), shapes)
    # In the order they were saved in, since sums over them round by it; and cloned, since safetensors' own memory
    # starts anywhere, and the last bits of a matrix product depend on where.
    names = dict.fromkeys([*facts["tensors"], *loaded])
    tensors = {name: loaded[name].clone().to(device) for name in names}
    return Checkpoint(facts["iteration"], facts["env_steps"], _unflatten(tensors))


def _is_manifest(facts: Any) -> bool:
    if not isinstance(facts, dict) or not isinstance(facts.get("tensors"), list):
        return False
    counted = all(type(facts.get(name)) is int and facts[name] >= 0 for name in ("iteration", "env_steps"))
    return counted and all(isinstance(name, str) for name in [*facts["tensors"], facts.get("sha256")])


def _require_fit(found: Shapes, wanted: Shapes) -> None:
    """Raises: ValueError naming the first tensor that a run's config makes otherwise."""
    for name in dict.fromkeys([*wanted, *found]):
        if found.get(name) != wanted.get(name):
            ours, theirs = (_described(shapes.get(name)) for shapes in (wanted, found))
            raise ValueError(f"{name} is {theirs}, by the run's config it would be {ours}")


def _described(tensor: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return f"{list(tensor[0])} of {str(tensor[1]).removeprefix('torch.')}" if tensor else "not there"


def _digest(facts: dict[str, Any], weights: bytes) -> str:
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(weights)  # a replay is too large to be copied behind the facts
    return digest.hexdigest()


def _manifests(directory: Path) -> list[Path]:
    """All manifests, newest first; StorageError where they cannot be listed, which is not that there are none."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{directory} cannot be read ({error.strerror}) — fix its permissions") from error
    manifests = [directory / name for name in fnmatch.filter(names, "iteration-*.json")]
    return sorted(manifests, key=lambda path: (len(path.name), path.name), reverse=True)


def _flatten(state: State, prefix: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        inner = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{name}{SEPARATOR}") if inner else {f"{prefix}{name}": value}
    return flat


def _unflatten(flat: dict[str, torch.Tensor]) -> State:
    """What `_flatten` has flattened."""
    state: dict[str, Any] = {}
    for path, value in flat.items():
        *rooms, name = path.split(SEPARATOR)
        room = state
        for part in rooms:
            room = room.setdefault(part, {})
        room[name] = value
    return state
