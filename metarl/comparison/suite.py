"""Suites: which methods meet which environments, how often and for how long. A cell is one run of such a grid.

Nothing here imports torch: a suite is refused at once.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from envs.contract.errors import InputError, nearest
from envs.registry import environment_class, load_attribute
from metarl.comparison.claims import Claim
from metarl.evaluation.identity import EvaluationIdentity, read_evaluations
from metarl.fewshot import SOURCES
from metarl.runs.config import RunConfig
from metarl.runs.presets import config_with, default_config
from metarl.runs.worlds import is_few_shot
from metarl.runtime.files import slug

ROOMS = ("train", "env", "algo")
GIVEN_BY_GRID = ("seed", "threads", "torch_threads")


@dataclass(frozen=True)
class Evaluation:
    """What `metarl evaluate` is asked for, by seed 0; None leaves it to that command."""

    tasks: int | None = None
    adaptations: int | None = None
    deterministic: bool = False
    split: str = "test"
    """Whose tasks are met: test, outside, validation or train."""
    shots: int | None = None
    """Of labelled data (None: as in training)."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("adaptations", self.adaptations, 0),
            ("tasks", self.tasks, 1),
            ("shots", self.shots, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"evaluation.{name} is {value} — it must be at least {least}")

    def command(self, run: Path) -> list[str]:
        """The arguments of `metarl` that evaluate the run at `run` so."""
        asked = {"--tasks": self.tasks, "--adaptations": self.adaptations, "--shots": self.shots}
        words = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
        words += ["--split", self.split] if self.split != "test" else []
        return ["evaluate", str(run), *words, *(["--deterministic"] if self.deterministic else [])]

    def is_met_by(self, known: EvaluationIdentity, iteration: int, shots: int | None) -> bool:
        """Whether an evaluation at that iteration of a run with so many shots is what is asked for."""
        shots = 0 if self.shots in (None, shots) else self.shots
        asked = (self.split, 0, self.tasks, self.adaptations, iteration, self.deterministic, shots)
        return all(value in (None, there) for value, there in zip(asked, known, strict=True))


@dataclass(frozen=True)
class Cell:
    """One run of a grid."""

    environment: str
    algorithm: str
    seed: int
    label: str = ""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What differs from the defaults, by room (`train`, `env`, `algo`) and field, as the suite says it."""
    evaluations: tuple[Evaluation, ...] = (Evaluation(),)
    """The first one makes its score, and bears out its claim."""
    claim: Claim | None = None

    def given(self, room: str) -> dict[str, Any]:
        """`options` of a room with the values of the shell's variables, and what the grid gives to every cell."""
        values = {name: _of_shell(value) for name, value in self.options.get(room, {}).items()}
        return values | ({"seed": self.seed, "threads": 1, "torch_threads": 1} if room == "train" else {})

    @cached_property
    def _defaults(self) -> RunConfig:
        env, algo = (self.options.get(room, {}) for room in ("env", "algo"))
        return default_config(self.environment, self.algorithm, env.get("variant"), algo)

    @property
    def iterations(self) -> int:
        """Meta-updates of the run."""
        return int(self.given("train").get("iterations", self._defaults.train.iterations))

    @property
    def shots(self) -> int | None:
        """Of labelled data, in training."""
        shots: int | None = self.options.get("env", {}).get("shots", getattr(self._defaults.env, "shots", None))
        return shots

    @cached_property
    def config(self) -> RunConfig:
        """All options of the run.

        Raises:
            InputError: an unknown name or an impossible option.
        """
        asked = config_with(self.environment, self.algorithm, *map(self.given, ROOMS))
        return dataclasses.replace(asked, env=completed(self.environment, asked.env))

    @property
    def labels(self) -> tuple[str, str]:
        """Environment and algorithm, as results name them: with the variant that the suite names, and the label."""
        variant = self.options.get("env", {}).get("variant")
        return "-".join(filter(None, (self.environment, variant))), "-".join(filter(None, (self.algorithm, self.label)))

    @property
    def entry(self) -> Path:
        """What it shares with the same cell of other seeds: ENV/ALGO."""
        return Path(*map(slug, self.labels))

    @property
    def folder(self) -> Path:
        """Where it runs, below the grid's folder: ENV/ALGO/seed-S."""
        return self.entry / f"seed-{self.seed}"

    def train_command(self, out: Path, resume: bool) -> list[str]:
        """The arguments of `metarl` that train it."""
        given = {f"--{'' if room == 'train' else f'{room}.'}": self.given(room) for room in ROOMS}
        options = [
            word for prefix, values in given.items() for item in values.items() for word in _words(prefix, *item)
        ]
        out_words = ["--out", str(out), *(["--resume"] if resume else [])]
        return ["train", self.environment, self.algorithm, *options, *out_words]


@dataclass(frozen=True)
class Suite:
    """A grid of cells."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def entries(self) -> dict[Path, list[Cell]]:
        """The cells that differ by their seed alone, by what they share."""
        found: dict[Path, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.entry, []).append(cell)
        return found

    def only(self, wanted: Sequence[str]) -> "Suite":
        """The suite of those cells whose folder is, or is in, one of `wanted`: ENV, ENV/ALGO or ENV/ALGO/seed-S.

        An ENV that has no cells of its own name stands for those of its variants.

        Raises:
            InputError: one that is no cell's.
        """
        paths = set(map(Path, wanted or ["."]))
        unknown = paths - {path for cell in self.cells for path in _with_parents(cell)}
        variants = {cell.entry.parent: Path(cell.environment) for cell in self.cells}
        paths |= {folder for folder, environment in variants.items() if environment in unknown}
        for path in unknown - {*variants.values()}:
            raise InputError(f"--only '{path}' is no cell" + nearest(str(path), map(str, self.entries)))
        return dataclasses.replace(self, cells=tuple(cell for cell in self.cells if paths & {*_with_parents(cell)}))

    def part(self, which: str) -> "Suite":
        """The suite of every N-th cell, from the K-th on, for "K/N": N machines that each take a part take all.

        Raises:
            InputError: no such part.
        """
        found = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", which)
        if which and not (found and int(found[1]) <= int(found[2])):
            raise InputError(f"--part '{which}' is no part — give K/N, such as 3/12: the third of twelve")
        first, step = (int(found[1]) - 1, int(found[2])) if found else (0, 1)
        return dataclasses.replace(self, cells=self.cells[first::step])


def evaluations_of(cell: Cell, grid: Path) -> list[EvaluationIdentity]:
    """The evaluations of a cell that its suite asks for, in its order; none unless all are there: it is finished then.

    Of several that are as asked the one counts that is of most tasks.
    """
    known, _ = read_evaluations(grid / cell.folder)
    fitting = [
        [each for each in known if asked.is_met_by(each, cell.iterations, cell.shots)] for asked in cell.evaluations
    ]
    return [max(found, key=lambda each: each[2:4]) for found in fitting] if all(fitting) else []


def _with_parents(cell: Cell) -> tuple[Path, ...]:
    return cell.folder, *cell.folder.parents


def _of_shell(value: Any) -> Any:
    """A value, or that of the environment variable that it names."""
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    if value[1:] not in os.environ:
        raise InputError(f"{value} is not set — say what it is: {value[1:]}=… metarl compare …")
    return os.environ[value[1:]]


@cache
def completed(environment: str, options: Any) -> Any:
    """The options of an environment as a run's config holds them: what they leave open is filled by the environment."""
    try:
        if is_few_shot(environment):
            target = SOURCES[environment].target if environment in SOURCES else environment
            return load_attribute(target)(options).config
        env = environment_class(environment)(1, 1, options, threads=1)
    except InputError:
        raise
    except Exception as error:  # whatever a user's environment does
        raise InputError(f"'{environment}' cannot be made ({type(error).__name__}: {error}) — repair it") from error
    env.close()
    return env.config


def _words(prefix: str, name: str, value: Any) -> Iterator[str]:
    """A field as words of the command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        yield f"{prefix}{flag}" if value else f"{prefix}no-{flag}"
    else:
        yield f"{prefix}{flag}"
        yield from map(str, value if isinstance(value, list | tuple) else [value])
