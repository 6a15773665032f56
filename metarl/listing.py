"""What there is, as tables: `metarl list`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import tyro
from rich.table import Table
from rich.text import Text

from envs.contract.sources import Variant
from envs.facts import paid_by_default, worth
from envs.registry import describe, environment_class
from metarl.algorithms import ALGORITHMS
from metarl.fewshot import SOURCES
from metarl.output import Output
from metarl.runs.presets import PRESETS

FACTS = ("a step pays", "terminates", "control", "steps", "knowing the task")


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
    """Of "envs", "algos", "presets", or "all"; environments alone with what they pay and all of their variants."""
    sources = {name: source.description for name, source in SOURCES.items()}
    for kind, title, columns, rows in (
        ("envs", "environments", ("environment", "tasks"), describe().items()),
        ("envs alone", "what they pay", ("environment", *FACTS), _facts()),
        ("envs alone", "their variants", ("environment", "variant", "source"), _variants()),
        ("envs", "few-shot sources", ("labelled data", "tasks"), sources.items()),
        ("algos", "algorithms", ("algorithm", "learns from", "what it is"), _algorithms()),
        ("presets", "presets", ("environment", "variant", "algorithm", "options", "source"), _presets()),
    ):
        if kind.removesuffix(" alone") == what or (what == "all" and not kind.endswith(" alone")):
            table = Table(title=title)
            for number, column in enumerate(columns):
                table.add_column(column, no_wrap=number == 0 and kind != "presets", overflow="fold")
            for row in rows:
                table.add_row(*map(Text, row))
            yield table


def _facts() -> Iterator[tuple[str, ...]]:
    for name in describe():
        known = paid_by_default(name) | {"knowing the task": worth(name)}
        yield name, *(known[title] for title in FACTS)


def _variants() -> Iterator[tuple[str, ...]]:
    for name in describe():
        for variant, definition in environment_class(name).variants.items():
            assert isinstance(definition, Variant)  # of what is registered: tests/envs/test_facts.py
            yield name, variant, str(definition.source)


def _algorithms() -> Iterator[tuple[str, ...]]:
    for name, entry in ALGORITHMS.items():
        yield (
            name,
            ", ".join(data for data in ("experience", "labels", "histories") if entry.learns_from(data)),
            entry.description,
        )


def _presets() -> Iterator[tuple[str, ...]]:
    for origin, runs, train, algo in PRESETS:
        options = [f"{name} {value}" for name, value in train.items()]
        options += [f"algo.{name} {value}" for name, value in algo.items()]
        environments, algorithms = (", ".join(names) or "any" for names in (runs.environments, runs.algorithms))
        yield environments, runs.variant or "any", algorithms, ", ".join(options), origin
