"""What there is, as tables: `metarl list`."""

from rich.table import Table

from envs.registry import describe
from metarl.algorithms import ALGORITHMS
from metarl.fewshot import SOURCES
from metarl.output import Output
from metarl.runs.presets import PRESETS


def listed(what: str) -> None:
    """`metarl list`."""
    console = Output()
    if what in ("all", "envs"):
        table = Table("environment", "tasks", title="environments")
        for name, description in describe().items():
            table.add_row(name, description)
        console.print(table)
        table = Table("labelled data", "tasks", title="few-shot sources")
        for name, source in SOURCES.items():
            table.add_row(name, source.description)
        console.print(table)
    if what in ("all", "algos"):
        table = Table("algorithm", "learns from", "what it is", title="algorithms")
        for name, entry in ALGORITHMS.items():
            table.add_row(
                name, ", ".join(data for data in ("experience", "labels") if entry.learns_from(data)), entry.description
            )
        console.print(table)
    if what in ("all", "presets"):
        table = Table("environment", "variant", "algorithm", "options", "source", title="presets")
        for origin, runs, train, algo in PRESETS:
            options = [f"{name} {value}" for name, value in train.items()]
            options += [f"algo.{name} {value}" for name, value in algo.items()]
            environments, algorithms = (", ".join(names) or "any" for names in (runs.environments, runs.algorithms))
            table.add_row(environments, runs.variant or "any", algorithms, ", ".join(options), origin)
        console.print(table)
