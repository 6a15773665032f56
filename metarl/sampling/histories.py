"""Learning histories: what an agent did, episode after episode, in tasks that it met alone; and the folder they lie in.

`about.json` says what they are of; `histories-00000.npz` … hold some tasks each, arrays by name: those of a `Rollout`
(`core/types.py`), [B, R, T, ...]; where the environment knows it, `informed_action` [B, R, T], what who knows the task
had done at each step; and `task/NAME`, the task's parameters, [B, ...]. Files are written whole, one after the other:
what was interrupted goes on where it ended.

Letters: B histories, each of one lane in one task · R episodes of it · T steps at the most.
"""

import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from metarl.core.types import Rollout
from metarl.runtime.errors import InputError
from metarl.runtime.files import as_json, read_file, read_json, write_atomic

ABOUT, SCHEMA = "about.json", 1
INFORMED, TASK = "informed_action", "task/"


class Histories(NamedTuple):
    """What a folder holds."""

    steps: Rollout  # [B, R, T, ...]
    informed: torch.Tensor | None  # [B, R, T] or [B, R, T, A]: actions of who knows the task
    tasks: dict[str, np.ndarray]  # [B, ...] each
    about: dict[str, Any]

    @property
    def episodes(self) -> int:
        """R."""
        return self.steps.mask.shape[1]


def part_path(folder: Path, number: int) -> Path:
    """The file of a part."""
    return folder / f"histories-{number:05}.npz"


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Say what a folder's histories are of, before there are any; one that says it already goes on.

    Raises:
        InputError: it holds others.
        StorageError: it cannot be written.
    """
    about = {"schema": SCHEMA, **about}
    path = folder / ABOUT
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is there already — choose another --out")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, as_json(about, indent=1).encode())
    elif (there := read_about(folder)) != about:
        different = next(name for name in {**there, **about} if there.get(name) != about.get(name))
        raise InputError(f"{folder} holds other histories ({different} differs) — choose another --out")


def read_about(folder: Path) -> dict[str, Any]:
    """What a folder's histories are of.

    Raises:
        InputError: there are none.
    """
    try:
        about = read_json(folder / ABOUT)
    except (OSError, ValueError) as error:
        raise InputError(f"there are no histories in '{folder}' — make some: metarl collect-data") from error
    if not isinstance(about, dict) or about.get("schema") != SCHEMA:
        raise InputError(f"{folder / ABOUT} is of no histories that this metarl knows — collect them again")
    return about


def write_part(path: Path, rounds: list[Rollout], informed: np.ndarray | None, tasks: dict[str, np.ndarray]) -> None:
    """Write the histories of N tasks in E lanes, `rounds` [N, E, T, ...] being the episodes, `informed` [R, N·E, T, …].

    Raises:
        StorageError: it cannot be written.
    """
    steps = [torch.stack([field.flatten(0, 1) for field in fields], dim=1) for fields in zip(*rounds, strict=True)]
    arrays = {name: field.numpy() for name, field in zip(Rollout._fields, steps, strict=True)}
    if informed is not None:
        arrays[INFORMED] = informed.swapaxes(0, 1)
    lanes = rounds[0].mask.shape[1]
    arrays |= {TASK + name: np.repeat(values, lanes, axis=0) for name, values in tasks.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_atomic(path, content.getvalue(), "free space, then run it again")


def read_histories(folder: Path) -> Histories:
    """All that a folder holds.

    Raises:
        InputError: it holds none, not all that it says, or a file that is damaged.
    """
    about = read_about(folder)
    paths = [part_path(folder, number) for number in range(about.get("parts", 0))]
    missing = [path.name for path in paths if not path.exists()]
    if missing or not paths:
        raise InputError(f"{folder} lacks {', '.join(missing[:3]) or 'histories'} — run its metarl collect-data again")
    parts: list[dict[str, np.ndarray]] = []
    for path in paths:
        try:
            with np.load(io.BytesIO(read_file(path)), allow_pickle=False) as stored:
                parts.append(dict(stored))
            if parts[-1].keys() != parts[0].keys() or not set(Rollout._fields) <= parts[-1].keys():
                raise ValueError("arrays are missing")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is damaged ({error}) — remove it, and collect again") from error
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    steps = Rollout(*(torch.from_numpy(joined[name]) for name in Rollout._fields))
    informed = torch.from_numpy(joined[INFORMED]) if INFORMED in joined else None
    tasks = {name.removeprefix(TASK): values for name, values in joined.items() if name.startswith(TASK)}
    return Histories(steps, informed, tasks, about)
