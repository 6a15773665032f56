"""What run directories hold, read without running anything: to compare and report runs, however unfinished."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metarl.core.errors import InputError
from metarl.experiment.config import FREE_ON_RESUME
from metarl.experiment.files import is_number, is_plain, read_json, read_yaml_file
from metarl.experiment.logger import read_metrics


@dataclass(frozen=True)
class Record:
    """One run, as its files say."""

    path: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    """A line for each finished iteration."""
    evaluation: dict[str, Any] | None
    """What `metarl evaluate` wrote, if anything."""
    environment: str
    """As results name it: with what distinguishes it where several share a name."""
    algorithm: str

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["train"].get("seed", 0))

    @property
    def iterations(self) -> tuple[int, int]:
        """Done, and asked for."""
        done = self.metrics[-1]["iteration"] if self.metrics else 0
        return done, int(self.config["train"].get("iterations", done))

    @property
    def is_finished(self) -> bool:
        """Whether it was evaluated at its last iteration."""
        return self.evaluation is not None and self.evaluation.get("iteration") == self.iterations[1]

    @property
    def status(self) -> str:
        """Where it stands, in words."""
        done, asked = self.iterations
        if done < asked:
            return f"unfinished: {done} of {asked} iterations"
        if self.evaluation is None:
            return "not evaluated"
        return "finished" if self.is_finished else f"evaluated at iteration {self.evaluation.get('iteration')}"

    @property
    def measure(self) -> str:
        """What its curves are of: "return", or "loss" where it learns from labelled data."""
        of_loss = any(name.startswith("loss/step_") for name in (self.metrics[-1] if self.metrics else ()))
        return "loss" if of_loss or "loss" in (self.evaluation or {}) else "return"

    def learning_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Steps `[I]` (environment steps; iterations where there are none), and its measure before and after
        adaptation, `[I]` each.
        """
        prefix = {"return": "return/round_", "loss": "loss/step_"}[self.measure]
        names = {name for line in self.metrics for name in line if re.fullmatch(prefix + r"\d{1,9}", name)}
        rounds = sorted(names, key=lambda name: int(name.rsplit("_", 1)[1]))
        if not rounds:
            return np.empty(0), np.empty(0), np.empty(0)
        ends = rounds[0], rounds[-1]
        rows = [[line.get("env_steps") or line["iteration"], *map(line.get, ends)] for line in self.metrics]
        points = np.array(rows, float)  # [I, 3]; what is missing is NaN
        points = points[np.isfinite(points).all(axis=1)]
        furthest = np.maximum.accumulate(points[:, 0])
        steps, before, after = points[np.diff(furthest, prepend=-np.inf) > 0].T  # steps only ever grow
        return steps, before, after

    def adaptation_curve(self) -> dict[str, list[float]] | None:
        """Its measure on unseen tasks after each round: `mean`, `low` and `high`, K + 1 values each."""
        curve = (self.evaluation or {}).get({"return": "returns", "loss": "loss"}[self.measure])
        complete = isinstance(curve, dict) and all(curve.get(name) for name in ("mean", "low", "high"))
        return curve if complete else None


def read_record(path: Path, environment: str | None = None, algorithm: str | None = None) -> Record:
    """The run at `path`.

    Args:
        environment: what to call it; by default as its config does.
        algorithm: likewise.

    Raises:
        InputError: there is no config, or it is none of a run.
        StorageError: something else is in the place of its metrics.
    """
    try:
        config = read_yaml_file(path / "config.yaml")
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'config.yaml'} cannot be read — is {path} a run directory?") from error
    if not _is_config(config):
        raise InputError(f"{path / 'config.yaml'} is not the config of a run — is {path} a run directory?")
    return Record(
        path,
        config,
        read_metrics(path / "metrics.jsonl"),
        _read_evaluation(path / "evaluation.json"),
        environment or config["environment"],
        algorithm or config["algorithm"],
    )


def _is_config(values: Any) -> bool:
    """Whether all is of its type that is read of a `config.yaml` here."""
    if not isinstance(values, dict) or not is_plain(values):
        return False
    named = all(isinstance(values.get(name), str) for name in ("environment", "algorithm"))
    rooms = all(isinstance(values.get(name) or {}, dict) for name in ("env", "algo", "versions"))
    train = values.get("train")
    counted = isinstance(train, dict) and all(type(train.get(name, 0)) is int for name in ("seed", "iterations"))
    return named and rooms and counted


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    """What `metarl evaluate` wrote; None where there is nothing, or what it never writes."""
    try:
        values = read_json(path)
    except (OSError, ValueError):
        return None
    return values if _is_evaluation(values) else None


def _is_evaluation(values: Any) -> bool:
    """Whether all is of its type that is read of an `evaluation.json` here."""
    if not isinstance(values, dict):
        return False
    curves = [values[name] for name in ("returns", "loss") if name in values]
    levels = [values[name] for name in ("oracle", "random") if values.get(name) is not None]
    numbers = [values.get("iteration", 0), *levels]
    known = bool(curves) and all(map(_is_curve, curves)) and all(map(is_number, numbers))
    return known and _is_matrix(values.get("per_task") or [])


def _is_curve(values: Any) -> bool:
    """Whether its `mean`, `low` and `high` are rows of numbers, as long as each other."""
    rows = [values.get(name) for name in ("mean", "low", "high")] if isinstance(values, dict) else []
    return all(rows) and len(rows) > 0 and _is_matrix(rows)


def _is_matrix(rows: Any) -> bool:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return False
    return len({len(row) for row in rows}) <= 1 and all(is_number(value) for row in rows for value in row)


def find_runs(folders: Sequence[Path]) -> Iterator[Path]:
    """Every run directory in or below the folders, once.

    Raises:
        InputError: a folder that does not exist.
    """
    seen = set()
    for folder in folders:
        try:
            there = folder.is_dir()
        except OSError as error:
            raise InputError(f"no folder {folder} ({error.strerror}) — give folders with runs in them") from error
        if not there:
            raise InputError(f"no folder {folder} — give folders with runs in them")
        for config in sorted(folder.rglob("config.yaml")):
            if config.parent.resolve() not in seen:
                seen.add(config.parent.resolve())
                yield config.parent


def told_apart(records: Sequence[Record]) -> list[Record]:
    """The records, with the options in which they differ added to the names that they share."""
    environments = _labels([(record.environment, record.config.get("env") or {}) for record in records])
    named = [replace(record, environment=name) for record, name in zip(records, environments, strict=True)]
    free = FREE_ON_RESUME["train"] | {"seed", "torch_threads"}
    algorithms: list[tuple[str, dict[str, Any]]] = []
    for record in named:
        train = {name: value for name, value in record.config["train"].items() if name not in free}
        options = {**(record.config.get("algo") or {}), **train}
        algorithms.append((f"{record.environment}\n{record.algorithm}", options))
    return [
        replace(record, algorithm=name.split("\n", 1)[1])
        for record, name in zip(named, _labels(algorithms), strict=True)
    ]


def _labels(entries: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Each name, followed by the options that not all entries of that name share; an option left out is None."""
    labels = []
    for name, options in entries:
        same_name = [others for other, others in entries if other == name]
        fields = sorted({field for others in same_name for field in others})
        different = [field for field in fields if any(others.get(field) != options.get(field) for others in same_name)]
        shown = ", ".join(f"{field} {options.get(field)}" for field in different)
        labels.append(f"{name} ({shown})" if shown else name)
    return labels
