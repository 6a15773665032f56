"""`metarl show`: what a run is, how it went, what is left of it. Nothing of the user's own code is run for that."""

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import uniplot
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from metarl.evaluation.identity import read_evaluations
from metarl.evaluation.tables import columns
from metarl.runs.checkpoint import iterations_kept
from metarl.runs.config import read_yaml
from metarl.runs.metrics import curves_of, describe, drawable, read_metrics
from metarl.runs.presets import default_config
from metarl.runs.run_directory import RunDirectory
from metarl.runs.until import UNSEEN
from metarl.runs.user_code import own_names


def show_run(path: Path) -> Iterator[RenderableType]:
    """What there is to see of the run in a folder, part after part.

    InputError where there is none; StorageError where its files cannot be read.
    """
    run = RunDirectory.existing(path)
    values, lines = read_yaml(run.config_path), drawable(read_metrics(run.metrics_path))
    began, goal = values.get("began_from", {}), values["train"].get("iterations", "?")
    yield Text(f"{values['environment']} · {values['algorithm']} · seed {values['train'].get('seed', 0)} · {path}")
    if isinstance(began, dict) and "run" in began:
        yield Text(f"began from {began['run']}, iteration {began.get('iteration')}")
    changed = _beside_presets(values)
    if changed:
        yield _table("options that are not the preset's", ("option", "value", "preset"), changed)
    yield Text(f"iteration {lines[-1]['iteration'] if lines else 0} of {goal}")
    if lines:
        yield Text(describe(lines[-1]))
    if curve := _curve(lines):
        yield Text.from_ansi(curve)
    kept, best = iterations_kept(run.checkpoints), iterations_kept(run.best)
    yield Text(f"checkpoints: {', '.join(map(str, kept)) or 'none yet'}" + (f"; best: {best[-1]}" if best else ""))
    evaluations, _ = read_evaluations(path)
    cells = [
        (
            f"{identity.tasks} {identity.split} (seed {identity.seed})",
            str(identity.iteration),
            heading,
            " → ".join(shown),
        )
        for identity, record in evaluations.items()
        for heading, shown in columns(record)
        if "interval" not in heading
    ]
    if cells:
        yield _table("evaluations", ("tasks", "iteration", "", "after 0, 1, … adaptations"), cells)


def _beside_presets(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Options, their values, and what a run that says no more than its names has; none where names are user's code."""
    if own_names(values["environment"], values["algorithm"], values["algo"]):
        return []
    defaults = default_config(
        values["environment"], values["algorithm"], values["env"].get("variant"), values["algo"]
    ).as_dict()
    return [
        (name if room == "train" else f"{room}.{name}", str(value), str(defaults[room].get(name)))
        for room in ("train", "env", "algo")
        for name, value in values[room].items()
        # thread counts are written out, and the variant is filled in
        if value != defaults[room].get(name, value) and name not in ("seed", "threads", "torch_threads")
        if room != "env" or defaults[room].get(name) is not None
    ]


def _curve(lines: list[dict[str, Any]]) -> str:
    """The first curve in letters: before and after adaptation where there is colour to tell them apart, and unseen;
    nothing where there is none."""
    names = next(iter(curves_of(lines[-1]).values())) if len(lines) > 1 and curves_of(lines[-1]) else []
    last = names[-1:]
    shown = {name: "after the last adaptation" for name in last}
    if sys.stdout.isatty():
        shown = {name: "before adaptation" for name in names[:1]} | shown
        shown |= {UNSEEN + name: "of unseen tasks" for name in last}
    points = {
        label: [(line["iteration"], line[name]) for line in lines if not math.isnan(line.get(name, math.nan))]
        for name, label in shown.items()
    }
    points = {label: found for label, found in points.items() if found}
    if not points:
        return ""
    xs, ys = ([[point[axis] for point in found] for found in points.values()] for axis in (0, 1))
    options = {"width": 70, "height": 12, "color": sys.stdout.isatty(), "legend_labels": list(points)}
    return str(uniplot.plot_to_string(ys=ys, xs=xs, lines=True, **options))


def _table(title: str, headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(*headings, title=Text(title))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
