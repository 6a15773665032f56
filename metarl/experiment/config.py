"""What a run is made of, as frozen values: everything needed to repeat it, and nothing else.

Importing this needs no torch, so that bad input is refused at once.
"""

import dataclasses
import math
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml

from envs.errors import InputError


@dataclass(frozen=True)
class TrainConfig:
    """How long, how much at once, and on what."""

    iterations: int = 100
    """Meta-updates to train for."""
    seed: int = 0
    """Where all randomness starts."""
    tasks: int = 20
    """Tasks N of an iteration (the meta-batch)."""
    episodes: int = 20
    """Episodes E of each task and round, played side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where adaptation and updates are computed; physics always runs on the CPU."""
    threads: int = 0
    """Physics threads (0: one for each core). Never changes a result."""
    torch_threads: int = 0
    """Threads of torch's own arithmetic (0: one for each core). Its sums may depend on it."""
    checkpoint_every: int = 5
    """Iterations between checkpoints."""
    keep_checkpoints: int = 3
    """How many of the last checkpoints stay on disk."""

    def __post_init__(self) -> None:
        for name, least in (
            ("iterations", 1),
            ("seed", 0),
            ("tasks", 1),
            ("episodes", 1),
            ("threads", 0),
            ("torch_threads", 0),
            ("checkpoint_every", 1),
            ("keep_checkpoints", 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"{name} is {value} — it must be at least {least}")


# Fields that may differ when a run is taken up again: they change where and how long, not what.
FREE_ON_RESUME = {"iterations", "device", "threads", "checkpoint_every", "keep_checkpoints"}


@dataclass(frozen=True)
class RunConfig:
    """One run: names, options, seed."""

    environment: str
    algorithm: str
    train: TrainConfig
    env: Any  # the environment family's own frozen dataclass, variant filled in
    algo: Any  # the algorithm's own frozen dataclass

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `config.yaml` holds them."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def options_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """An option dataclass from plain values (lists become tuples).

    Raises:
        InputError: a field that `kind` does not have.
    """
    known = {field.name for field in dataclasses.fields(kind)}
    for name in values:
        if name not in known:
            raise InputError(f"{kind.__name__} has no field {name!r} — it has {', '.join(sorted(known))}")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def difference(mine: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """The first field in which two configs differ so that one cannot continue the other, or None."""
    for room in ("environment", "algorithm", "env", "algo", "train"):
        a, b = mine[room], theirs.get(room)
        if not isinstance(a, dict) or not isinstance(b, dict):
            if a != b:
                return f"{room} is {a}, there it is {b}"
            continue
        for name in sorted(a.keys() | b.keys()):
            if room == "train" and name in FREE_ON_RESUME:
                continue
            if not _same(a.get(name), b.get(name)):
                return f"{room}.{name} is {a.get(name)}, there it is {b.get(name)}"
    return None


def _same(a: Any, b: Any) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return a == b or both_nan


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("metarl", "torch", "numpy", "mujoco", "gymnasium"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def to_yaml(config: RunConfig) -> str:
    """The text of `config.yaml`."""
    return yaml.safe_dump(config.as_dict() | {"versions": versions()}, sort_keys=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """Plain values of a `config.yaml`.

    Raises:
        InputError: no such file, or not a run's config.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "not valid YAML"
        raise InputError(f"{path} cannot be read ({reason}) — is {path.parent} a run directory?") from error
    if (
        not isinstance(values, dict)
        or not {"environment", "algorithm", "train", "env", "algo"} <= values.keys()
    ):
        raise InputError(f"{path} is not the config of a run — is {path.parent} a run directory?")
    return values
