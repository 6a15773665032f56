"""`metarl report`: one HTML page about finished and unfinished runs, which needs no network.

For every environment: learning curves, adaptation curves, performance profiles, a table of methods; and of every run
where it stands, its config and its versions. Each picture carries its numbers as CSV in a link.
"""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from metarl.comparison.pictures import (
    Picture,
    Style,
    adaptation_picture,
    by_algorithm,
    learning_picture,
    profile_picture,
    styles,
    with_own_ids,
)
from metarl.comparison.records import Record, evaluated_alike, find_runs, read_record, told_apart
from metarl.comparison.results import interval, summarise
from metarl.runtime.errors import InputError, StorageError
from metarl.runtime.files import slug, write_atomic

MANY_RUNS = 12  # a longer list is folded


class Safe(NamedTuple):
    """Text that is HTML already."""

    html: str


def write_report(folders: Sequence[Path], out: Path) -> None:
    """Write the page about all runs in or below some folders.

    Raises:
        InputError: a folder that is not there, folders without runs, or no place for a page.
        StorageError: the file system refused.
    """
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out} cannot be written — name a file in a folder that exists")
    records, broken = [], []
    for path in find_runs(folders):
        try:
            records.append(read_record(path))
        except (InputError, StorageError) as error:
            broken.append(str(error))
    if not records:
        where = ", ".join(map(str, folders)) or "no folder"
        raise InputError(f"no runs in {where} — " + (broken[0] if broken else "train some, or name another folder"))
    write_atomic(out, page(evaluated_alike(told_apart(records)), broken).encode(errors="replace"))


def page(records: Sequence[Record], broken: Sequence[str] = ()) -> str:
    """The whole page.

    Args:
        records: at least one run, told apart by their names.
        broken: what is to be said about folders that could not be read.
    """
    environments: dict[str, list[Record]] = {}
    for record in records:
        environments.setdefault(record.environment, []).append(record)
    style = styles(dict.fromkeys(record.algorithm for record in records))
    summary = summarise(records)
    links = [f'<a href="#{slug(name)}">{html.escape(name)}</a>' for name in environments]
    sections = [_section(name, runs, style, summary) for name, runs in environments.items()]
    css = (Path(__file__).parent / "report.css").read_text()
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>metarl report</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>",
            f"<h1>How well do they adapt?</h1>\n<p>{_counts(records, environments)}</p>",
            f"<nav>{''.join(links)}</nav>" if len(links) > 1 else "",
            _comparison(summary),
            *sections,
            _versions(records),
            _broken(broken),
            "</main>\n</body>\n</html>\n",
        )
    )


def _counts(records: Sequence[Record], environments: Iterable[str]) -> str:
    methods, worlds = len({record.algorithm for record in records}), len(list(environments))
    finished = sum(record.is_finished for record in records)
    counts = ((len(records), "run"), (methods, "method"), (worlds, "environment"))
    said = ", ".join(f"{number} {noun}{'s' if number != 1 else ''}" for number, noun in counts)
    return f"{said}; {'all runs are' if finished == len(records) else f'{finished} of the runs are'} finished."


def _comparison(summary: dict[str, Any]) -> str:
    """Methods against each other, over all environments."""
    cards = []
    if summary["overall"]:
        rows = [(row["algorithm"], interval(row)) for row in summary["overall"]]
        table = _table(("algorithm", "normalised [95 %]"), rows)
        count = len(summary["overall"][0]["environments"])
        note = f"Interquartile mean over seeds and {count} environments; 0: random actions, 1: knowing the task."
        cards.append(_card("Over environments", table, note))
    if summary["probability_of_improvement"]:
        pairs = [(row["algorithm"], row["over"], interval(row)) for row in summary["probability_of_improvement"]]
        note = "How probably a run of the first is better than one of the second in the same environment."
        cards.append(_card("Probability of improvement", _table(("algorithm", "over", "P [95 %]"), pairs), note))
    return f'<h2>Methods compared</h2>\n<div class="grid">{"".join(cards)}</div>' if cards else ""


def _section(name: str, records: Sequence[Record], style: dict[str, Style], summary: dict[str, Any]) -> str:
    drawn = [draw(records, style) for draw in (learning_picture, adaptation_picture, profile_picture)]
    pictures = [_figure(picture, name) for picture in drawn if picture]
    nothing = "<p>No numbers yet.</p>" if not pictures else ""
    note = f"Steps to level: until {summary['level']}." if records[0].measure == "return" else ""
    methods = _card("Methods", _methods(name, records, summary), note)
    return (
        f'<section id="{slug(name)}">\n<h2>{html.escape(name)}</h2>\n{nothing}'
        f'<div class="grid">{"".join(pictures)}</div>\n{methods}\n{_runs(records)}\n{_configs(records)}\n</section>'
    )


def _figure(picture: Picture, environment: str) -> str:
    file = slug(f"{environment}-{picture.title}".lower())
    link = f"data:text/csv;base64,{base64.b64encode(picture.csv.encode()).decode()}"
    label = html.escape(f"{picture.title} on {environment}")
    drawing = with_own_ids(picture.svg, file).replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return (
        f'<figure class="card"><div class="head"><h3>{picture.title}</h3>'
        f'<a class="csv" download="{file}.csv" href="{link}">CSV</a></div>\n{drawing}\n'
        f'<figcaption class="caption">{picture.caption}</figcaption></figure>\n'
    )


def _methods(environment: str, records: Sequence[Record], summary: dict[str, Any]) -> str:
    """Before and after adaptation on test tasks, and what came of the runs."""
    figures = {row["algorithm"]: row for row in summary["environments"] if row["environment"] == environment}
    measure = records[0].measure
    header = ["algorithm", f"{measure} before", "after", "seeds"]
    if measure == "return":
        header[3:3] = ["IQM after [95 %]", "normalised", "steps to level"]
    rows = []
    for algorithm, runs in by_algorithm(records).items():
        curves = [curve["mean"] for run in runs if (curve := run.adaptation_curve())]
        ends = [_number(np.mean([curve[k] for curve in curves])) if curves else "–" for k in (0, -1)]
        compared = _compared(figures.get(algorithm)) if measure == "return" else ()
        rows.append((algorithm, *ends, *compared, _states(runs)))
    return _table(header, rows)


def _compared(row: dict[str, Any] | None) -> tuple[str, str, str]:
    """Interquartile mean, normalised, and steps to level of a method, for people."""
    if row is None:
        return "–", "–", "–"
    normalised = "–" if row["normalised"] is None else f"{row['normalised']:.2f}"
    steps = "never" if row["steps_to_level"] is None else f"{row['steps_to_level']:,.0f}"
    return interval(row), normalised, steps


def _states(runs: Sequence[Record]) -> Safe:
    """How many seeds, and which are not finished."""
    open_ = [f"seed {run.seed} {run.status}" for run in runs if not run.is_finished]
    said = f'<br><span class="open">{"<br>".join(map(html.escape, open_))}</span>' if open_ else ""
    return Safe(f"{len(runs)}{said}")


def _runs(records: Sequence[Record]) -> str:
    header = ("run", "algorithm", "seed", "iterations", "environment steps", "evaluated on", "status")
    rows = []
    for record in records:
        done, asked = record.iterations
        steps = record.metrics[-1].get("env_steps") if record.metrics else None
        is_well = record.is_finished and not record.problems
        status = record.status if is_well else Safe(f'<span class="open">{html.escape(record.status)}</span>')
        steps_shown = f"{steps:,}" if steps is not None else "–"
        met = record.chosen
        evaluated = f"{met.tasks} {record.tasks_met}, {met.adaptations} adaptations, seed {met.seed}" if met else "–"
        names = (str(record.path), record.algorithm, record.seed)
        rows.append((*names, f"{done} / {asked}", steps_shown, evaluated, status))
    is_open = " open" if len(records) <= MANY_RUNS or not all(record.is_finished for record in records) else ""
    return f'<details class="card"{is_open}><summary>Runs ({len(records)})</summary>{_table(header, rows)}</details>'


def _configs(records: Sequence[Record]) -> str:
    """The config of each method's first run."""
    found = []
    for algorithm, runs in by_algorithm(records).items():
        values = {name: value for name, value in runs[0].config.items() if name != "versions"}
        text = html.escape(yaml.safe_dump(values, sort_keys=False))
        found.append(
            f"<details><summary>{html.escape(algorithm)}, seed {runs[0].seed}</summary><pre>{text}</pre></details>"
        )
    return f'<details class="card"><summary>Configs</summary>{"".join(found)}</details>'


def _versions(records: Sequence[Record]) -> str:
    """What the runs were made with: one row for each set of versions."""
    counted: dict[tuple[tuple[str, str], ...], int] = {}
    for record in records:
        versions = tuple((str(name), str(value)) for name, value in record.config["versions"].items())
        counted[versions] = counted.get(versions, 0) + 1
    names = list(dict.fromkeys(name for versions in counted for name, _ in versions))
    rows = [(count, *(dict(versions).get(name, "–") for name in names)) for versions, count in counted.items()]
    return f"<h2>Versions</h2>\n{_card('Made with', _table(('runs', *names), rows))}"


def _broken(broken: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in broken)
    return f"<h2>Not shown</h2>\n<ul>{items}</ul>" if broken else ""


def _card(title: str, content: str, note: str = "") -> str:
    caption = f'<p class="caption">{html.escape(note)}</p>' if note else ""
    return f'<div class="card"><div class="head"><h3>{html.escape(title)}</h3></div>\n{content}\n{caption}</div>\n'


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Cells are text, numbers, or `Safe`; the table scrolls in a box of its own."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = [
        "".join(f"<td>{cell.html if isinstance(cell, Safe) else html.escape(str(cell))}</td>" for cell in row)
        for row in rows
    ]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _number(value: Any) -> str:
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
