"""What there is, as tables: `metarl list`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import tyro
from rich.table import Table

from envs.registry import describe
from metarl.algorithms import ALGORITHMS
from metarl.fewshot import SOURCES
from metarl.output import Output
from metarl.runs.presets import PRESETS


@dataclass(frozen=True)
class ListCommand:
    """List environments, algorithms and presets."""

    what: tyro.conf.Positional[Literal["all", "envs", "algos", "presets"]] = "all"
    """What to list."""

    def __call__(self) -> int:
        """`metarl list`."""
        for table in tables(self.what):
            Output().print(table)
        return 0


def tables(what: str) -> Iterator[Table]:
    """Of "envs", "algos", "presets", or "all"."""
    sources = {name: source.description for name, source in SOURCES.items()}
    for kind, title, columns, rows in (
        ("envs", "environments", ("environment", "tasks"), describe().items()),
        ("envs", "few-shot sources", ("labelled data", "tasks"), sources.items()),
        ("algos", "algorithms", ("algorithm", "learns from", "what it is"), _algorithms()),
        ("presets", "presets", ("environment", "variant", "algorithm", "options", "source"), _presets()),
    ):
        if what in ("all", kind):
            table = Table(*columns, title=title)
            for row in rows:
                table.add_row(*row)
            yield table


def _algorithms() -> Iterator[tuple[str, ...]]:
    for name, entry in ALGORITHMS.items():
        yield name, ", ".join(data for data in ("experience", "labels") if entry.learns_from(data)), entry.description


def _presets() -> Iterator[tuple[str, ...]]:
    for origin, runs, train, algo in PRESETS:
        options = [f"{name} {value}" for name, value in train.items()]
        options += [f"algo.{name} {value}" for name, value in algo.items()]
        environments, algorithms = (", ".join(names) or "any" for names in (runs.environments, runs.algorithms))
        yield environments, runs.variant or "any", algorithms, ", ".join(options), origin
