"""What several runs of a method measured after each adaptation, and what its interval is over."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from metarl.comparison.records import Record, by_algorithm
from metarl.comparison.results import plain_table
from metarl.comparison.statistics import interval_over
from metarl.evaluation.evaluate import bootstrap_interval

COLUMNS = 5  # of adaptations that a terminal shows


def adaptation_row(runs: Sequence[Record]) -> dict[str, Any] | None:
    """The measure of one method's runs on test tasks after 0, 1, … adaptations; None where none is evaluated.

    Returns `seeds`, their number; `mean`, `low`, `high` and `cvar`, the mean over the worst tasks, K + 1 values each
    (of older evaluations without the last one); and `interval`, what that is over: seeds, or of a single one its tasks.
    """
    curves = [curve for run in runs if (curve := run.adaptation_curve())]
    if not curves:
        return None
    points = min(len(curve["mean"]) for curve in curves)
    per_seed = np.array([curve["mean"][:points] for curve in curves])  # [S, K + 1]
    if len(curves) > 1:
        low, high = bootstrap_interval(per_seed)
    else:
        low, high = (np.array(curves[0][name], float) for name in ("low", "high"))
    figures = {"mean": per_seed.mean(axis=0), "low": low, "high": high}
    if all("cvar" in curve for curve in curves):
        figures["cvar"] = np.mean([curve["cvar"][:points] for curve in curves], axis=0)
    return {name: values.tolist() for name, values in figures.items()} | {
        "seeds": len(curves),
        "interval": interval_over(len(curves)),
    }


def adaptation_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """`adaptation_row` of each environment and method that has one, with their names and the `measure`."""
    rows = []
    for environment in dict.fromkeys(record.environment for record in records):
        for algorithm, runs in by_algorithm([each for each in records if each.environment == environment]).items():
            if row := adaptation_row(runs):
                names = {"environment": environment, "algorithm": algorithm, "measure": runs[0].measure}
                rows.append(names | row)
    return rows


def adaptation_tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """For the terminal: a table for each environment, methods beside each other."""
    found = []
    for environment in dict.fromkeys(row["environment"] for row in rows):
        beside = [row for row in rows if row["environment"] == environment]
        furthest = max(len(row["mean"]) for row in beside) - 1
        shown = sorted({round(k) for k in np.linspace(0, furthest, min(furthest + 1, COLUMNS))})
        lines = [(row["algorithm"], *(_figure(row, k) for k in shown), _worst(row), row["interval"]) for row in beside]
        header = ("algorithm", *(f"after {k}" for k in shown), "worst 5 %, at last", "interval")
        found += plain_table(f"{environment}: {beside[0]['measure']} after adaptations", header, lines)
    return found


def _figure(row: dict[str, Any], k: int) -> str:
    return f"{row['mean'][k]:.2f} [{row['low'][k]:.2f}, {row['high'][k]:.2f}]" if k < len(row["mean"]) else ""


def _worst(row: dict[str, Any]) -> str:
    return f"{row['cvar'][-1]:.2f}" if "cvar" in row else ""
