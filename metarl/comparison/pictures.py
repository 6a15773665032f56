"""The pictures of a report, each with the numbers that it shows: learning, adaptation, performance profiles.

They are SVG without a background whose ink is the page's own, so that they suit light and dark alike.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metarl.comparison.adaptation import adaptation_row
from metarl.comparison.records import Record, by_algorithm
from metarl.comparison.statistics import matrix, performance_profile
from metarl.evaluation.evaluate import bootstrap_interval

COLOURS = ("#3f87d1", "#df8328", "#37a06a", "#d55f68", "#9277cf", "#a9825a", "#d276ad", "#7f8894", "#aa9c2f", "#2aa3b1")
LINES = ("-", "--", ":", "-.")
INK = "#010203"  # replaced by the page's own
POINTS = 200  # of a curve

Row = tuple[Any, ...]


class Picture(NamedTuple):
    """A drawing and what it shows."""

    title: str
    caption: str
    svg: str
    csv: str


class Style(NamedTuple):
    """How a method is drawn on every picture of a page."""

    color: str
    linestyle: str


def styles(algorithms: Iterable[str]) -> dict[str, Style]:
    """A style for each method."""
    ways = itertools.cycle(Style(colour, line) for line in LINES for colour in COLOURS)
    return dict(zip(algorithms, ways, strict=False))


def learning_picture(records: Sequence[Record], style: dict[str, Style]) -> Picture | None:
    """The measure after adaptation over environment steps: mean over seeds, 95 % interval where there are several."""
    measure = records[0].measure
    rows: list[Row] = []
    has_steps = all("env_steps" in line for record in records for line in record.metrics)
    figure, axes = _axes("environment steps" if has_steps else "iteration", f"training {measure} after adaptation")
    for algorithm, runs in by_algorithm(records).items():
        curves = [(steps, after) for steps, _, after in (run.learning_curve() for run in runs) if len(steps)]
        if not curves:
            continue
        steps, mean, low, high = mean_curve(curves)
        _draw(axes, steps, mean, low, high, algorithm, style[algorithm])
        rows += [(algorithm, *values, len(curves)) for values in zip(steps, mean, low, high, strict=True)]
    if not rows:
        return None
    if has_steps:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    caption = "On training tasks; mean over seeds, 95 % bootstrap interval where there are two or more."
    header = ("algorithm", "env_steps" if has_steps else "iteration", measure, "low", "high", "seeds")
    return Picture("Learning", caption, _svg(figure), _csv(header, rows))


def mean_curve(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, ...]:
    """The mean of several curves and its interval, at common steps, up to where the first of the full ones ends.

    A curve much shorter than the longest is of a run that is not finished: from its end on it no longer counts, and
    there is no interval.

    Args:
        curves: steps and values, `[I]` each; every curve has a length of its own.

    Returns: steps, mean, low and high, `[P]` each; low and high are NaN where there is no interval.
    """
    ends = np.array([steps[-1] for steps, _ in curves])
    first, last = max(steps[0] for steps, _ in curves), ends[ends >= 0.9 * ends.max()].min()
    longest = max(len(steps) for steps, _ in curves)
    grid = curves[0][0] if len(curves) == 1 and longest <= POINTS else np.linspace(first, last, min(longest, POINTS))
    values = np.array([np.interp(grid, steps, value, right=np.nan) for steps, value in curves])  # [S, P]
    low, high = np.full((2, len(grid)), np.nan)
    everywhere = ~np.isnan(values).any(axis=0)
    if len(curves) > 1 and everywhere.any():
        low[everywhere], high[everywhere] = bootstrap_interval(values[:, everywhere])
    return grid, np.nanmean(values, axis=0), low, high


def adaptation_picture(records: Sequence[Record], style: dict[str, Style]) -> Picture | None:
    """The measure on test tasks after 0, 1, … adaptations, with what random actions and the best reach."""
    measure = records[0].measure
    rows: list[Row] = []
    axis = "adaptations" if measure == "return" else "gradient steps"
    figure, axes = _axes(axis, f"{measure} on {_tasks_of(records)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for algorithm, runs in by_algorithm(records).items():
        row = adaptation_row(runs)
        if not row:
            continue
        mean, low, high = (np.array(row[name]) for name in ("mean", "low", "high"))
        x = np.arange(len(mean))
        _draw(axes, x, mean, low, high, algorithm, style[algorithm], marker="o")
        worst = row.get("cvar", [""] * len(mean))
        rows += [(algorithm, *values, row["seeds"], w) for *values, w in zip(x, mean, low, high, worst, strict=True)]
    if not rows:
        return None
    for name, label in (("informed", "knowing the task"), ("random", "random actions")):
        known = [run.evaluation[name] for run in records if run.evaluation and run.evaluation.get(name) is not None]
        if known:
            level = float(np.mean(known))
            dashes = "--" if name == "informed" else ":"
            axes.axhline(level, color="#808080", linewidth=1.4, linestyle=dashes, label=label)
            rows.append((label, "", level, "", "", len(known), ""))
    header = ("algorithm", axis.replace(" ", "_"), measure, "low", "high", "seeds", "worst_5_percent")
    caption = "Mean over seeds, 95 % bootstrap interval over seeds; of a single seed, over tasks."
    return Picture("Adaptation", caption, _svg(figure), _csv(header, rows))


def profile_picture(records: Sequence[Record], style: dict[str, Style]) -> Picture | None:
    """The share of test tasks and seeds that reach each return after the last adaptation."""
    scores: dict[str, np.ndarray] = {}
    for algorithm, runs in by_algorithm(records).items():
        found = [run.evaluation["per_task"] for run in runs if run.evaluation and run.evaluation.get("per_task")]
        tasks = min((len(per_task) for per_task in found), default=0)
        if found:
            scores[algorithm] = np.array([[returns[-1] for returns in per_task[:tasks]] for per_task in found])
    if not scores or records[0].measure != "return":
        return None
    met = _tasks_of(records).capitalize()
    caption = (
        f"{met} of all seeds, with 95 % intervals over seeds, tasks held. Higher is better; a curve that falls late is"
        " of a method that rarely fails."
    )
    return _profile(scores, style, "return after the last adaptation", "share of tasks at or above it", caption)


def overall_profile(summary: dict[str, Any], style: dict[str, Style]) -> Picture | None:
    """The share of runs that reach each normalised score, over the environments that all the methods finished."""
    rows = {(row["environment"], row["algorithm"]): row["normalised_scores"] for row in summary["environments"]}
    scores = {each["algorithm"]: matrix(rows, each["environments"], each["algorithm"]) for each in summary["overall"]}
    if not scores:
        return None
    caption = (
        "Mean over environments, with 95 % intervals over seeds, environments held. 0: random actions, 1: knowing the"
        " task."
    )
    return _profile(scores, style, "normalised score τ", "share of runs at or above τ", caption)


def _profile(scores: dict[str, np.ndarray], style: dict[str, Style], x: str, y: str, caption: str) -> Picture:
    """A curve for each method, of its scores `[R, M]`."""
    lowest, highest = (
        function([function(values) for values in scores.values()]) for function in (np.nanmin, np.nanmax)
    )
    thresholds = np.linspace(lowest, highest, POINTS // 2)
    figure, axes = _axes(x, y)
    rows: list[Row] = []
    for algorithm, values in scores.items():
        curves = performance_profile(values, thresholds)
        share, low, high = curves
        _draw(axes, thresholds, share, low, high, algorithm, style[algorithm], drawstyle="steps-pre")
        rows += [(algorithm, *point) for point in zip(thresholds, *curves, strict=True)]
    header = ("algorithm", x.split()[0], "share", "low", "high")
    return Picture("Performance profile", caption, _svg(figure), _csv(header, rows))


def _tasks_of(records: Sequence[Record]) -> str:
    """What all evaluations are on: "unseen tasks", unless one of them is not."""
    return min(record.tasks_met for record in records)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.3, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color="#808080", alpha=0.22, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#808080")
    return figure, axes


def _draw(
    axes: Axes,
    x: np.ndarray,
    mean: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    label: str,
    style: Style,
    **line: Any,
) -> None:
    steps: dict[str, Any] = {"step": "pre"} if "drawstyle" in line else {}
    axes.fill_between(x, low, high, color=style.color, alpha=0.18, linewidth=0, **steps)
    line = {"marker": "o"} | line if len(x) == 1 else line  # a line through one point is none
    axes.plot(x, mean, label=_verbatim(label), linewidth=1.8, markersize=4, **style._asdict(), **line)


def _verbatim(label: str) -> str:
    """A name for a legend, which leaves out what begins with _, and takes what stands between $ for a formula."""
    return f"{' ' * label.startswith('_')}{label}".replace("$", r"\$")


def _svg(figure: Figure) -> str:
    """An element to stand within a page: without a header, a size, foreign names, or ids of anything else."""
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    longest = max(map(len, labels))
    columns = min(len(labels), 1 if longest > 22 else 2 if longest > 11 else 3)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9, labelcolor=INK)
    content = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "metarl"}):
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})  # type: ignore[no-untyped-call]
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:xlink)?|version|width|height)="[^"]*"', "", svg[: (end := svg.index(">"))]) + svg[end:]
    return svg.replace(INK, "currentColor").strip()


def with_own_ids(svg: str, prefix: str) -> str:
    """A drawing whose ids occur nowhere else on a page."""
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)


def _csv(header: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row])
    return text.getvalue()
