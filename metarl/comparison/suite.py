"""Suites: which methods meet which environments, how often and for how long, from one small YAML file.

    iterations: 60            # meta-updates of a run; without it, what the presets say
    seeds: [0, 1, 2]
    tasks: 40                 # unseen tasks of an evaluation; without it, what `metarl evaluate` takes
    rounds: 3                 # adaptation rounds of an evaluation; likewise
    cells:                    # every environment × every algorithm × every seed
      - environments: [point-nav]
        algorithms: [maml-trpo, promp]
        train: {tasks: 20}    # options, as on the command line of `metarl train`
        env: {horizon: 100}
        algo: {inner_lr: 0.1}
        label: fast           # names these options where the same names occur twice

Nothing here imports torch: a suite is refused at once.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from envs.contract.errors import InputError, nearest
from envs.registry import environment_class
from metarl.runs.config import RunConfig, options_from_dict
from metarl.runs.presets import default_config
from metarl.runs.worlds import is_few_shot
from metarl.runtime.files import read_yaml_file

BUILT_IN = Path(__file__).parent / "suites"
ROOMS = ("train", "env", "algo")
GIVEN_BY_GRID = ("seed", "threads", "torch_threads")


@dataclass(frozen=True)
class Cell:
    """One run of a grid."""

    environment: str
    algorithm: str
    seed: int
    label: str = ""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What differs from the defaults, by room (`train`, `env`, `algo`) and field."""

    @cached_property
    def config(self) -> RunConfig:
        """All options of the run.

        Raises:
            InputError: an unknown name or an impossible option.
        """
        variant = self.options.get("env", {}).get("variant")
        defaults = default_config(self.environment, self.algorithm, variant, self.options.get("algo", {}))
        given = {**self.options, "train": {**self.options.get("train", {}), "seed": self.seed}}
        given["train"] |= {"threads": 1, "torch_threads": 1}
        rooms = {room: _changed(getattr(defaults, room), given.get(room, {})) for room in ROOMS}
        return dataclasses.replace(defaults, **rooms | {"env": _completed(self.environment, rooms["env"])})

    @property
    def environment_label(self) -> str:
        """The environment, with its variant where the suite names one."""
        return "-".join(filter(None, (self.environment, self.options.get("env", {}).get("variant"))))

    @property
    def algorithm_label(self) -> str:
        """The algorithm, with the label of its options."""
        return "-".join(filter(None, (self.algorithm, self.label)))

    @property
    def folder(self) -> Path:
        """Where it runs, below the grid's folder: ENV/ALGO/seed-S."""
        names = (name.replace("/", "-").replace(":", "-")[-100:] for name in self.labels)
        return Path(*names, f"seed-{self.seed}")

    @property
    def labels(self) -> tuple[str, str]:
        """Environment and algorithm, as results name them."""
        return self.environment_label, self.algorithm_label

    def train_command(self, out: Path, resume: bool) -> list[str]:
        """The arguments of `metarl` that train it."""
        words = ["train", self.environment, self.algorithm]
        given = self.options.get("train", {}) | {name: getattr(self.config.train, name) for name in GIVEN_BY_GRID}
        for room in ROOMS:
            prefix = "--" if room == "train" else f"--{room}."
            for name, value in (given if room == "train" else self.options.get(room, {})).items():
                words += _option(prefix, name, value)
        return [*words, "--out", str(out), *(["--resume"] if resume else [])]


@dataclass(frozen=True)
class Suite:
    """A grid of cells, and how each is evaluated."""

    name: str
    cells: tuple[Cell, ...]
    rounds: int | None
    tasks: int | None

    def evaluate_command(self, out: Path) -> list[str]:
        """The arguments of `metarl` that evaluate the run at `out`."""
        asked = (("--tasks", self.tasks), ("--adaptations", self.rounds))
        return ["evaluate", str(out), *(word for name, n in asked if n is not None for word in (name, str(n)))]


@dataclass(frozen=True)
class SuiteFile:
    """The fields of a suite's file; the module's first lines explain them."""

    cells: tuple[Any, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    iterations: int | None = None
    rounds: int | None = None
    tasks: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("rounds", self.rounds, 0), ("tasks", self.tasks, 1)):
            if value is not None and value < least:
                raise InputError(f"{name} is {value} — it must be at least {least}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds is {list(self.seeds)} — name each seed once, and at least one")


@dataclass(frozen=True)
class Block:
    """One entry of a suite's `cells`."""

    environments: tuple[str, ...]
    algorithms: tuple[str, ...]
    train: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        for name in GIVEN_BY_GRID:
            if name in self.train:
                raise InputError(f"train.{name} is not for a suite to choose — the grid gives it to every cell")
        if not self.environments or not self.algorithms:
            raise InputError("a cell without environments or algorithms — name at least one of each")


def built_in() -> list[str]:
    """Names of the suites that come with the package."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """A suite by its built-in name or the path of its file, every cell of it checked.

    Raises:
        InputError: an unknown name, a file that is no suite, or whatever is wrong in one of its cells.
    """
    path = Path(name)
    if name in built_in():
        path = BUILT_IN / f"{name}.yaml"
    elif not path.is_file():
        raise InputError(f"unknown suite '{name}'" + nearest(name, built_in()))
    try:
        values = read_yaml_file(path, aliases=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}) — give a suite's YAML file") from error
    try:
        suite = _suite(path.stem, values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return suite


def _suite(name: str, values: Any) -> Suite:
    given = _fields(SuiteFile, values, "a suite")
    blocks = [_fields(Block, block, "a cell") for block in given.cells]
    everywhere = {} if given.iterations is None else {"iterations": given.iterations}
    cells = tuple(cell for seed in given.seeds for block in blocks for cell in _cells_of(block, seed, everywhere))
    if not cells:
        raise InputError("there are no cells — name environments and algorithms")
    seen: set[Path] = set()
    for cell in cells:
        if is_few_shot(cell.environment):
            raise InputError(f"'{cell.environment}' is labelled data — name environments, where policies act")
        _ = cell.config  # refuses what is impossible
        if cell.folder in seen:
            raise InputError(f"two cells are named {cell.folder} — give one of them a label")
        seen.add(cell.folder)
    return Suite(name, cells, given.rounds, given.tasks)


def _cells_of(block: Block, seed: int, everywhere: dict[str, Any]) -> Iterator[Cell]:
    given = {"train": everywhere | block.train, "env": block.env, "algo": block.algo}
    options = {room: values for room, values in given.items() if values}
    for environment in block.environments:
        for algorithm in block.algorithms:
            yield Cell(environment, algorithm, seed, block.label, options)


def _fields(kind: type, values: Any, what: str) -> Any:
    """A dataclass from the mapping that a file holds."""
    if not isinstance(values, dict):
        raise InputError(f"{what} must be a mapping of fields to values, not {values!r} — see docs/benchmarks.md")
    fields = dataclasses.fields(kind)
    known = [each.name for each in fields]
    for name in values:
        if name not in known:
            raise InputError(f"{what} has no field '{name}'" + nearest(str(name), known))
    for each in fields:
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if required and each.name not in values:
            raise InputError(f"{what} has no field '{each.name}' — add it")
    return options_from_dict(kind, values)


def _changed(options: Any, values: dict[str, Any]) -> Any:
    """`options` with some fields replaced."""
    current = {each.name: getattr(options, each.name) for each in dataclasses.fields(options)}
    return options_from_dict(type(options), current | values)


@cache
def _completed(environment: str, options: Any) -> Any:
    """The options of an environment as a run's config holds them: what they leave open is filled by the environment."""
    try:
        env = environment_class(environment)(1, 1, options, threads=1)
    except InputError:
        raise
    except Exception as error:  # whatever a user's environment does
        raise InputError(f"'{environment}' cannot be made ({type(error).__name__}: {error}) — repair it") from error
    env.close()
    return env.config


def _option(prefix: str, name: str, value: Any) -> list[str]:
    """A field as words of the command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"{prefix}{flag}" if value else f"{prefix}no-{flag}"]
    if isinstance(value, list | tuple):
        return [f"{prefix}{flag}", *map(str, value)]
    return [f"{prefix}{flag}", str(value)]
