"""Checkpoints: weights without code, a manifest that proves them, and never a half-written file.

A checkpoint is two files, `iteration-000060.safetensors` and `iteration-000060.json`. Each is written aside, synced
and moved into place, the manifest last: whoever finds a manifest finds the weights. The manifest holds a SHA-256 of
itself and the weights, since a flipped bit mostly goes unnoticed otherwise.
"""

import contextlib
import fnmatch
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch

from metarl.core.errors import StorageError
from metarl.core.types import State

SEPARATOR = "/"
PARTIAL = ".partial"  # how names of files end that are being written


class Checkpoint(NamedTuple):
    """What a run continues from."""

    iteration: int  # meta-updates done
    env_steps: int  # environment steps taken
    state: State


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it holds either its old content or all of the new, whatever happens.

    Any number of processes may do so at once: each writes aside under a name of its own.

    Raises:
        StorageError: the file system refused.
    """
    aside = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with open(aside, "xb") as file:
            file.write(content)
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
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(directory: Path, device: torch.device) -> tuple[Checkpoint | None, list[str]]:
    """The newest sound checkpoint, and a line about each damaged one that was passed over.

    Returns `None` where there is none.

    Raises:
        StorageError: there are checkpoints, and all are damaged; or the file system refused to show them.
    """
    damaged: list[str] = []
    for manifest in _manifests(directory):
        try:
            return _read(manifest, device), damaged
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            if not manifest.exists():  # a training run has replaced it by a newer one meanwhile
                return load_checkpoint(directory, device)
            damaged.append(f"{manifest} is damaged ({error})")
        except OSError as error:  # it may be sound: who goes on from an older one would remove it
            reason = f"{error.filename or manifest} cannot be read ({error.strerror})"
            raise StorageError(f"{reason} — fix its permissions, or move it away") from error
    if damaged:
        raise StorageError(f"no sound checkpoint: {damaged[0]} — train again into another --out")
    return None, damaged


def _read(manifest: Path, device: torch.device) -> Checkpoint:
    facts = json.loads(manifest.read_bytes())
    weights = manifest.with_suffix(".safetensors").read_bytes()
    if facts.pop("sha256") != _digest(facts, weights):
        raise ValueError("it and its weights do not match their SHA-256")
    if manifest.stem != f"iteration-{int(facts['iteration']):06d}":
        raise ValueError(f"it says iteration {facts['iteration']}")
    # In the order they were saved in, since sums over them round by it; and cloned, since safetensors' own memory
    # starts anywhere, and the last bits of a matrix product depend on where.
    loaded = safetensors.torch.load(weights)
    tensors = {name: loaded[name].clone().to(device) for name in facts["tensors"]}
    return Checkpoint(int(facts["iteration"]), int(facts["env_steps"]), _unflatten(tensors))


def _digest(facts: dict[str, Any], weights: bytes) -> str:
    return hashlib.sha256(json.dumps(facts).encode() + weights).hexdigest()


def _manifests(directory: Path) -> list[Path]:
    """All manifests, newest first.

    Raises:
        StorageError: the file system refused to list them, which is not that there are none.
    """
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
