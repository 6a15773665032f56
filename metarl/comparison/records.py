"""What run directories hold, read without running anything: to compare and report runs, however unfinished."""

import contextlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metarl.evaluation.identity import EvaluationIdentity, best_known, read_evaluations
from metarl.runs.config import FREE_ON_RESUME, options_of_then, read_yaml
from metarl.runs.metrics import CURVES, curves_of, drawable, read_metrics
from metarl.runs.user_code import own_names
from metarl.runs.worlds import algorithm_config, environment_config
from metarl.runtime.errors import InputError, StorageError


@dataclass(frozen=True)
class Record:
    """One run, as its files say."""

    path: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    """A line for each finished iteration: numbers, NaN among them."""
    evaluations: dict[EvaluationIdentity, dict[str, Any]]
    """What `metarl evaluate` wrote, of all splits and seeds; its numbers are finite."""
    chosen: EvaluationIdentity | None
    """Which of them stands for the run: one on unseen tasks, if there is any."""
    environment: str
    """As results name it: with what distinguishes it where several share a name."""
    algorithm: str
    problems: tuple[str, ...] = ()
    """What is wrong with its files."""

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The evaluation that stands for the run."""
        return None if self.chosen is None else self.evaluations[self.chosen]

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
    def is_trained(self) -> bool:
        """Whether all its iterations are done."""
        done, asked = self.iterations
        return done >= asked

    @property
    def is_finished(self) -> bool:
        """Whether it was evaluated at its last iteration, too."""
        return self.chosen is not None and self.chosen.iteration == self.iterations[1]

    @property
    def status(self) -> str:
        """Where it stands, and what is wrong with it, in words."""
        done, asked = self.iterations
        if self.is_finished:
            stands = "finished"
        elif done < asked:
            stands = f"unfinished: {done} of {asked} iterations"
        elif self.chosen is None:
            stands = "not evaluated on unseen tasks" if self.evaluations else "not evaluated"
        else:
            stands = f"evaluated at iteration {self.chosen.iteration}"
        return "; ".join((stands, *self.problems))

    @property
    def tasks_met(self) -> str:
        """What its evaluation is on: "unseen tasks", or "test tasks" where training has these as well."""
        return "unseen tasks" if (self.evaluation or {}).get("unseen", True) else "test tasks"

    @property
    def measure(self) -> str:
        """What its curves are of: "return", or "loss" where it learns from labelled data."""
        of_loss = "loss" in curves_of(self.metrics[-1] if self.metrics else {}) or "loss" in (self.evaluation or {})
        return "loss" if of_loss else "return"

    def learning_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Steps `[I]` (environment steps; iterations where there are none), and its measure before and after
        adaptation, `[I]` each, where all three are finite.
        """
        prefix = re.escape(CURVES[self.measure][0])
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

    def adaptation_curve(self, measure: str = "") -> dict[str, list[float]] | None:
        """A measure on unseen tasks after each adaptation, by default its own: `mean`, `low` and `high`, K + 1 values
        each."""
        measure = measure or self.measure
        curve = (self.evaluation or {}).get("returns" if measure == "return" else measure)
        complete = isinstance(curve, dict) and all(curve.get(name) for name in ("mean", "low", "high"))
        return curve if complete else None


def read_record(
    path: Path,
    environment: str | None = None,
    algorithm: str | None = None,
    chosen: EvaluationIdentity | None = None,
) -> Record:
    """The run at `path`, whatever of it can be read.

    Args:
        environment: what to call it; by default as its config does.
        algorithm: likewise.
        chosen: which evaluation stands for it; by default one on unseen tasks at its last iteration, if there is any.

    Raises:
        InputError: there is no config, or it is none of a run.
    """
    config = _read_config(path / "config.yaml")
    metrics, problems = _read_metrics(path / "metrics.jsonl")
    evaluations, broken = read_evaluations(path)
    for identity, record in list(evaluations.items()):
        if not _is_sound(record, identity):
            broken.append(f"the evaluation {identity.name} holds what are no finite numbers")
            del evaluations[identity]
    unseen = [identity.iteration for identity in evaluations if identity.is_of_test_tasks]
    last = config["train"].get("iterations")
    if chosen is None and unseen:
        chosen = best_known(evaluations, last if last in unseen else max(unseen))
    return Record(
        path,
        config,
        metrics,
        evaluations,
        chosen if chosen in evaluations else None,
        environment or config["environment"],
        algorithm or config["algorithm"],
        (*problems, *broken),
    )


def _read_config(path: Path) -> dict[str, Any]:
    """A run's config, with what its options meant when it was written, as far as that is known without its own code."""
    config = read_yaml(path)
    config["versions"] = {} if config.get("versions") is None else config["versions"]
    if not isinstance(config["versions"], dict):
        raise InputError(f"{path} is not the config of a run: versions — is {path.parent} a run directory?")
    for name in ("seed", "iterations"):
        if type(config["train"].get(name, 0)) is not int:
            raise InputError(f"{path} says {name} {config['train'][name]!r} — a whole number belongs there")
    names = config["environment"], config["algorithm"]
    if not own_names(*names):
        with contextlib.suppress(InputError):  # names that were registered once
            kinds = {"env": environment_config(names[0]), "algo": algorithm_config(*names, config["algo"])}
            config |= {room: config[room] | then for room, then in options_of_then(config, kinds).items()}
    return config


def _read_metrics(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The numbers of each finished iteration, and what is wrong with them."""
    try:
        lines = read_metrics(path)
    except StorageError:
        return [], [f"{path.name} cannot be read"]
    numbers = drawable(lines)
    broken = sum(any(math.isnan(value) for value in line.values()) for line in numbers)
    problems = [f"not all numbers of {broken} of {len(numbers)} iterations are finite"] if broken else []
    return numbers, problems if path.exists() else [f"no {path.name}"]


def _is_sound(record: dict[str, Any], identity: EvaluationIdentity) -> bool:
    """Whether curve, tasks and levels of an evaluation are finite numbers, as many as there must be."""
    curve = record.get("returns") or record["loss"]
    try:
        parts = [np.array(curve[name], float) for name in ("mean", "low", "high") if name in curve]  # [K + 1]
        tasks = np.array(record.get("per_task") or np.empty((0, identity.adaptations + 1)), float)  # [N, K + 1]
        levels = np.array([record[name] for name in ("informed", "random") if record.get(name) is not None], float)
    except (ValueError, TypeError, OverflowError):
        return False
    sizes = all(part.shape == (identity.adaptations + 1,) for part in parts) and tasks.shape[1:] == parts[0].shape
    return sizes and levels.ndim == 1 and all(np.isfinite(values).all() for values in (*parts, tasks, levels))


def records_in(folders: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """All runs in or below some folders, told apart and evaluated alike; and what is wrong with those left out.

    Raises:
        InputError: a folder that is not there, or no run that can be read.
    """
    records, broken = [], []
    for path in find_runs(folders):
        try:
            records.append(read_record(path))
        except (InputError, StorageError) as error:
            broken.append(str(error))
    if not records:
        where = ", ".join(map(str, folders)) or "no folder"
        raise InputError(f"no runs in {where} — " + (broken[0] if broken else "train some, or name another folder"))
    return evaluated_alike(told_apart(records)), broken


def evaluated_alike(records: Sequence[Record]) -> list[Record]:
    """The records, each standing for itself by an evaluation as most runs of its environment have one, if it has it.

    Alike are those of as many tasks and adaptations by the same seed.
    """
    found = []
    for record in records:
        beside = [other for other in records if other.environment == record.environment]
        kinds = Counter(kind for other in beside for kind in _kinds(other))
        best = max(kinds, key=lambda kind: (kinds[kind], -kind[0], *kind[1:]), default=None)
        found.append(replace(record, chosen=_kinds(record).get(best, record.chosen)) if best else record)
    return found


def _kinds(record: Record) -> dict[tuple[int, int, int], EvaluationIdentity]:
    """Its evaluations on unseen tasks at the iteration that it stands for, by seed, tasks and adaptations."""
    return {
        (each.seed, each.tasks, each.adaptations): each
        for each in record.evaluations
        if record.chosen and each.is_of_test_tasks and each.iteration == record.chosen.iteration
    }


def find_runs(folders: Sequence[Path]) -> Iterator[Path]:
    """Every run directory in or below the folders, once; but not those that a run was compared with, in its `compare/`.

    Raises:
        InputError: a folder that does not exist.
    """
    seen = set()
    for folder in folders:
        if not os.path.isdir(folder):
            raise InputError(f"no folder {folder} — give folders with runs in them")
        for run in (config.parent for config in sorted(folder.rglob("config.yaml"))):
            above = [place for place in (run, *run.parents) if folder in place.parents]
            compared = any(place.name == "compare" and (place.parent / "config.yaml").exists() for place in above)
            if run.resolve() not in seen and not compared:
                seen.add(run.resolve())
                yield run


def by_algorithm(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs of each method, methods in order of appearance."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.algorithm, []).append(record)
    return found


def told_apart(records: Sequence[Record]) -> list[Record]:
    """The records, with the options in which they differ added to the names that they share."""
    free = FREE_ON_RESUME["train"] | {"seed", "torch_threads"}
    worlds = [_without(record.config["env"], FREE_ON_RESUME["env"]) for record in records]
    options = [record.config["algo"] | _without(record.config["train"], free) for record in records]
    environments = _labels([(record.environment,) for record in records], worlds)
    methods = [(world, record.algorithm) for world, record in zip(environments, records, strict=True)]
    named = zip(records, environments, _labels(methods, options), strict=True)
    return [replace(record, environment=environment, algorithm=algorithm) for record, environment, algorithm in named]


def _without(options: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _labels(names: Sequence[tuple[str, ...]], options: Sequence[dict[str, Any]]) -> list[str]:
    """The last part of each name, followed by the options that not all of that name share; one left out is None."""
    labels = []
    for name, own in zip(names, options, strict=True):
        alike = [others for other, others in zip(names, options, strict=True) if other == name]
        fields = sorted({field for others in alike for field in others})
        different = [field for field in fields if len({repr(others.get(field)) for others in alike}) > 1]
        shown = ", ".join(f"{field} {own.get(field)}" for field in different)
        labels.append(f"{name[-1]} ({shown})" if shown else name[-1])
    return labels
