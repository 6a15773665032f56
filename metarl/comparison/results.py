"""What a grid of runs says: how good each method is, how sure that is, and how many steps it took.

A run's score is its return on unseen tasks after its last adaptation. Over environments, scores are compared
as shares of the way from random actions (0) to knowing the task (1), where both levels are known. Labelled data have
losses instead, which stand in the entries alone (see `entries.py`).
"""

import csv
import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from metarl.comparison.entries import entry, write_entry
from metarl.comparison.records import Record, read_record
from metarl.comparison.statistics import (
    Estimate,
    interquartile_mean,
    matrix,
    moving_average,
    probability_of_improvement,
    steps_to_reach,
)
from metarl.comparison.suite import Suite, evaluations_of
from metarl.runtime.files import as_json, write_atomic

SHARE = 0.9  # of the way from where training started to the best final return
WINDOW = 5  # iterations that learning curves are averaged over

INTERVAL = "95 %, percentile bootstrap over training seeds; environments and evaluated tasks are held as they are"

Scores = dict[tuple[str, str], list[float]]  # by environment and algorithm, a value for each seed


def write_grid(suite: Suite, grid: Path, facts: dict[str, Any]) -> list[Table]:
    """Store what the finished cells of a grid say; returns it for the terminal. Several launchers may do so at once.

    Args:
        facts: more that `results.json` holds.

    Raises:
        StorageError: the file system refused.
    """
    records, entries = [], []
    for place, cells in suite.entries.items():
        finished = [(cell, found) for cell in cells if (found := evaluations_of(cell, grid))]
        records += [read_record(grid / cell.folder, *cell.labels, found[0]) for cell, found in finished]
        if finished:
            entries.append(entry(suite.name, finished, grid))
            write_entry(grid, entries[-1], place)
    summary = summarise(records)
    write_results(grid, {"suite": suite.name, **summary, **facts})
    return [*tables(summary), *claims_table(entries)] if records else []


def summarise(records: Sequence[Record]) -> dict[str, Any]:
    """All figures of finished runs, as `results.json` holds them."""
    played = [record for record in records if record.measure == "return"]
    scores: Scores = {}
    normalised: Scores = {}
    for record in played:
        if record.is_finished and record.evaluation:
            pair = record.environment, record.algorithm
            score = record.evaluation["returns"]["mean"][-1]
            scores.setdefault(pair, []).append(score)
            random, informed = (record.evaluation.get(level) for level in ("random", "informed"))
            if random is not None and informed is not None and informed > random:
                normalised.setdefault(pair, []).append((score - random) / (informed - random))
    efficiency = steps_to_level(played)
    rows = []
    environments = list(dict.fromkeys(environment for environment, _ in scores))
    for pair, values in sorted(scores.items(), key=lambda item: environments.index(item[0][0])):
        share = interquartile_mean(np.array(normalised[pair])[:, None]).value if pair in normalised else math.nan
        row: dict[str, Any] = {"environment": pair[0], "algorithm": pair[1], "scores": values}
        row |= _named(interquartile_mean(np.array(values)[:, None]))
        row |= {"normalised": _or_none(share), "normalised_scores": normalised.get(pair, [])}
        rows.append(row | {"steps_to_level": _or_none(efficiency.get(pair, math.inf))})
    return {
        "score": "return on unseen tasks after the last adaptation",
        "level": f"{SHARE:.0%} of the way from the return that training starts from to the best that it ends with",
        "interval": INTERVAL,
        "environments": rows,
        "overall": _overall(normalised),
        "probability_of_improvement": _comparisons(scores),
    }


def _overall(normalised: Scores) -> list[dict[str, Any]]:
    """Interquartile means over all environments with levels, of the methods that finished in each of them."""
    environments = list(dict.fromkeys(environment for environment, _ in normalised))
    if len(environments) < 2:
        return []
    rows = []
    for algorithm in dict.fromkeys(algorithm for _, algorithm in normalised):
        if all((environment, algorithm) in normalised for environment in environments):
            estimate = interquartile_mean(matrix(normalised, environments, algorithm))
            rows.append({"algorithm": algorithm, "environments": environments, **_named(estimate)})
    return rows


def _comparisons(scores: Scores) -> list[dict[str, Any]]:
    """Every method against every later one, over the environments that both finished."""
    rows = []
    for x, y in itertools.combinations(dict.fromkeys(algorithm for _, algorithm in scores), 2):
        shared = [environment for environment, algorithm in scores if algorithm == x and (environment, y) in scores]
        if shared:
            estimate = probability_of_improvement(matrix(scores, shared, x), matrix(scores, shared, y))
            rows.append({"algorithm": x, "over": y, "environments": shared, **_named(estimate)})
    return rows


def steps_to_level(records: Sequence[Record]) -> dict[tuple[str, str], float]:
    """Environment steps until the training return after adaptation, averaged over `WINDOW` iterations, comes `SHARE` of
    the way from its mean start to the best mean end of any method there; median over seeds, by environment and
    algorithm.
    """
    curves: dict[str, dict[str, list[tuple[np.ndarray, np.ndarray]]]] = {}
    for record in records:
        steps, _, after = record.learning_curve()
        if len(steps):
            of_environment = curves.setdefault(record.environment, {})
            of_environment.setdefault(record.algorithm, []).append((steps, moving_average(after, WINDOW)))
    found = {}
    for environment, methods in curves.items():
        start = np.mean([returns[0] for runs in methods.values() for _, returns in runs])
        best = max(np.mean([returns[-1] for _, returns in runs]) for runs in methods.values())
        level = float(start + SHARE * (best - start))
        for algorithm, runs in methods.items():
            found[environment, algorithm] = float(np.median([steps_to_reach(level, *run) for run in runs]))
    return found


def _named(estimate: Estimate) -> dict[str, float | None]:
    return {"iqm" if name == "value" else name: _or_none(value) for name, value in estimate._asdict().items()}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def csv_text(summary: dict[str, Any]) -> str:
    """A row for each environment and method: `results.csv`."""
    names = ("environment", "algorithm", "iqm", "low", "high", "normalised", "steps_to_level")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "seeds", "scores", "interval"])
    for row in summary["environments"]:
        scores = " ".join(f"{score:.6g}" for score in row["scores"])
        writer.writerow([*(row[name] for name in names), len(row["scores"]), scores, INTERVAL])
    return text.getvalue()


def write_results(folder: Path, summary: dict[str, Any]) -> None:
    """Store a summary as `results.json` and `results.csv`.

    Raises:
        StorageError: the file system refused.
    """
    for name, text in (("results.json", as_json(summary, indent=1) + "\n"), ("results.csv", csv_text(summary))):
        write_atomic(folder / name, text.encode())


def interval(row: dict[str, Any]) -> str:
    """A figure with its interval, for people."""
    known = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['iqm']:.2f}{known}"


def compared(row: dict[str, Any], unknown: str = "–") -> tuple[str, str, str]:
    """Interquartile mean, normalised, and steps to level of a method, for people."""
    normalised = unknown if row["normalised"] is None else f"{row['normalised']:.2f}"
    return interval(row), normalised, "never" if row["steps_to_level"] is None else f"{row['steps_to_level']:,.0f}"


def tables(summary: dict[str, Any]) -> list[Table]:
    """For the terminal; of each environment the best method first."""
    header = ("environment", "algorithm", "seeds", "return [95 %]", "share", "steps")
    rows = [
        (row["environment"], row["algorithm"], str(len(row["scores"])), *compared(row, ""))
        for _, group in itertools.groupby(summary["environments"], key=lambda row: row["environment"])
        for row in sorted(group, key=lambda row: -row["iqm"])
    ]
    caption = (
        f"the best first; [95 %]: {INTERVAL.removeprefix('95 %, ')}; share: from random actions (0) to knowing the"
        f" task (1); steps: until {summary['level']}"
    )
    overall = [(row["algorithm"], interval(row)) for row in summary["overall"]]
    better = [(row["algorithm"], row["over"], interval(row)) for row in summary["probability_of_improvement"]]
    return [
        *plain_table("interquartile means", header, rows, caption),
        *plain_table("over environments", ("algorithm", "share [95 %]"), overall),
        *plain_table("probability of improvement", ("algorithm", "over", "P [95 %]"), better),
    ]


def claims_table(entries: Sequence[dict[str, Any]]) -> list[Table]:
    """What was claimed, and of how many seeds it holds."""
    claimed = [each for each in entries if "claim" in each]
    rows = [(each["environment"], each["algorithm"], each["claim"], each["seeds_that_hold"]) for each in claimed]
    return plain_table("claims", ("environment", "algorithm", "claim", "holds"), rows)


def plain_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> list[Table]:
    """One table, or none without rows; a line divides what the first column tells apart."""
    table = Table(*header, title=title, caption=caption or None, box=SIMPLE, collapse_padding=True, pad_edge=False)
    for row, after in itertools.zip_longest(rows, rows[1:]):
        table.add_row(*map(Text, row), end_section=len(row) > 3 and after is not None and after[0] != row[0])
    return [table] if rows else []
