"""A suite's YAML file.

iterations: 60            # meta-updates of a run; without it, what the presets say
seeds: [0, 1, 2]
evaluation:               # as of `metarl evaluate`, by seed 0; what is left out is left to it
  tasks: 40
  adaptations: 3
  split: [test, outside]  # an evaluation on each of them, the first of which counts
  shots: [10, 5]          # of labelled data: likewise
cells:                    # every environment × every algorithm × every seed; labelled data too
  - environments: [point-nav]
    algorithms: [maml-trpo, promp]
    train: {tasks: 20}    # options, as on the command line of `metarl train`; `$NAME` is a variable of the shell
    env: {horizon: 100}
    algo: {inner_lr: 0.1}
    label: fast           # names these options where the same names occur twice
    sweep:                # a cell for each combination of values, named by them: …/promp-inner-lr-0.05
      algo.inner_lr: [0.05, 0.1, 0.2]
    seeds: [0]            # instead of the suite's
    evaluation: {deterministic: true}   # besides the suite's
    claim:                # what must hold, see `claims.py`
      says: by iteration 60 the return after one step is >= 60 above the one before it, for 2 of 3 seeds
      checks: [gain >= 60]
      seeds: 2
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.contract.errors import InputError, nearest
from metarl.comparison.claims import Claim
from metarl.comparison.suite import GIVEN_BY_GRID, ROOMS, Cell, Evaluation, Suite
from metarl.runs.config import options_from_dict
from metarl.runtime.files import read_yaml_file

BUILT_IN = Path(__file__).parent / "suites"
SEVERAL = {"shots", "split"}  # of what an evaluation is asked: there may be a list of it
MOVED = {"tasks": "evaluation: {tasks: …}", "rounds": "evaluation: {adaptations: …}"}  # of a suite's fields


@dataclass(frozen=True)
class Block:
    """One entry of its `cells`; what the suite says of all of them is filled in."""

    environments: tuple[str, ...]
    algorithms: tuple[str, ...]
    train: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    sweep: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    evaluation: dict[str, Any] = field(default_factory=dict)
    claim: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in GIVEN_BY_GRID:
            if name in self.train:
                raise InputError(f"train.{name} is not for a suite to choose — the grid gives it to every cell")
        for name, values in self.sweep.items():
            room, dot, option = str(name).partition(".")
            if room not in ROOMS or not dot or not isinstance(values, list) or not values:
                raise InputError(f"sweep.{name} is {values!r} — give a list of values to {' or '.join(ROOMS)}.OPTION")
            if option in getattr(self, room) or (room == "train" and option in GIVEN_BY_GRID):
                raise InputError(f"sweep.{name} is said by the cell, or given by the grid — leave one of them out")
        if not self.environments or not self.algorithms:
            raise InputError("a cell without environments or algorithms — name at least one of each")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds is {list(self.seeds)} — name each seed once, and at least one")


@dataclass(frozen=True)
class SuiteFile:
    """The fields of the file."""

    cells: tuple[Any, ...]
    seeds: tuple[int, ...] = Block.seeds
    iterations: int | None = None
    evaluation: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)

    def blocks(self) -> Iterator[Block]:
        """The entries of `cells`, each with what the suite says of all."""
        everywhere = {} if self.iterations is None else {"iterations": self.iterations}
        for values in self.cells:
            block = _fields(Block, values, "a cell")
            yield dataclasses.replace(
                block,
                train=everywhere | block.train,
                seeds=block.seeds if "seeds" in values else self.seeds,
                evaluation=self.evaluation | block.evaluation,
                sweep=self.sweep | block.sweep,
            )


def built_in() -> list[str]:
    """Names of the suites that come with the package."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load_suite(name: str, only: Sequence[str] = (), part: str = "", check_options: bool = True) -> Suite:
    """A suite by its built-in name or the path of its file.

    Args:
        name: one of `built_in`, or a path.
        only: the cells that are wanted (`Suite.only`); all by default.
        part: a part of these (`Suite.part`); all by default.
        check_options: whether options must be possible here; without, a suite is read whose data are elsewhere.

    Raises:
        InputError: an unknown name, a file that is no suite, or a cell that is not there, or whatever is wrong in one.
    """
    path = BUILT_IN / f"{name}.yaml" if name in built_in() else Path(name)
    if not path.is_file():
        raise InputError(f"unknown suite '{name}'" + nearest(name, built_in()))
    try:
        values = read_yaml_file(path, aliases=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}) — give a suite's YAML file") from error
    try:
        suite = _suite(path.stem, values).only(only).part(part)
        for cell in suite.cells if check_options else ():
            _ = cell.config  # refuses what is impossible
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return suite


def _suite(name: str, values: Any) -> Suite:
    blocks = list(_fields(SuiteFile, values, "a suite", MOVED).blocks())
    seeds = dict.fromkeys(seed for block in blocks for seed in block.seeds)
    cells = tuple(cell for seed in seeds for block in blocks if seed in block.seeds for cell in _cells_of(block, seed))
    if not cells:
        raise InputError("there are no cells — name environments and algorithms")
    seen: set[Path] = set()
    for cell in cells:
        if cell.folder in seen:
            raise InputError(f"two cells are named {cell.folder} — give one of them a label")
        seen.add(cell.folder)
    return Suite(name, cells)


def _cells_of(block: Block, seed: int) -> Iterator[Cell]:
    asked = block.evaluation
    several = {name: asked[name] if isinstance(asked[name], list) else [asked[name]] for name in SEVERAL & asked.keys()}
    evaluations = tuple(
        _fields(Evaluation, asked | dict(zip(several, each, strict=True)), "an evaluation")
        for each in itertools.product(*several.values())
    )
    adaptations = evaluations[0].adaptations
    claim = None if block.claim is None else _fields(Claim, block.claim, "a claim")
    if claim and adaptations is not None and claim.adaptations > adaptations:
        raise InputError(f"'{claim.says}' asks for more than {adaptations} adaptations — evaluate more")
    for environment, algorithm in itertools.product(block.environments, block.algorithms):
        for values in itertools.product(*block.sweep.values()):
            chosen = dict(zip(block.sweep, values, strict=True))
            options = {room: own for room in ROOMS if (own := _with(block, room, chosen))}
            named = [f"{name.partition('.')[2].replace('_', '-')}-{value}" for name, value in chosen.items()]
            label = "-".join(filter(None, (block.label, *named)))
            yield Cell(environment, algorithm, seed, label, options, evaluations, claim)


def _with(block: Block, room: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """The options of a room, those of a sweep's combination among them."""
    of_sweep = {name.partition(".")[2]: value for name, value in chosen.items() if name.startswith(f"{room}.")}
    own: dict[str, Any] = getattr(block, room)
    return own | of_sweep


def _fields(kind: type, values: Any, what: str, moved: dict[str, str] | None = None) -> Any:
    """A dataclass from the mapping that a file holds."""
    if not isinstance(values, dict):
        raise InputError(f"{what} must be a mapping of fields to values, not {values!r} — see docs/benchmarks.md")
    fields = {each.name: each for each in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            now = (moved or {}).get(name)
            raise InputError(
                f"{what} has no field '{name}'" + (f" — write {now}" if now else nearest(str(name), fields))
            )
    for name, each in fields.items():
        if each.default is each.default_factory is dataclasses.MISSING and name not in values:
            raise InputError(f"{what} has no field '{name}' — add it")
    return options_from_dict(kind, values)
