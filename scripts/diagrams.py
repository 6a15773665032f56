"""The drawn pictures of the documents, from the sources and the results that are kept: docs/pictures/*.png.

    python scripts/diagrams.py

Pictures of runs are made by `scripts/pictures.py`.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from metarl.algorithms import ALGORITHMS, pairs

DOCS = Path(__file__).parents[1] / "docs"
INK, PALE, BLUE, ORANGE, GREEN = "#2b2d42", "#e9ecf5", "#3f51b5", "#ef7a30", "#3a9d5d"


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A white sheet whose units are tenths of an inch."""
    figure = Figure(figsize=(width, height), dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10 * width), ylim=(0, 10 * height))
    axes.axis("off")
    return figure, axes


def box(axes: Axes, x: float, y: float, wide: float, high: float, text: str, colour: str = PALE, **words: Any) -> None:
    """A box around its middle, with words in it."""
    shape = FancyBboxPatch(
        (x - wide / 2, y - high / 2), wide, high, boxstyle="round,pad=0,rounding_size=0.8", facecolor=colour, lw=0
    )
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", **{"color": INK, "fontsize": 9, "linespacing": 1.4, **words})


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", **style: Any) -> None:
    """From here to there, with words in the middle."""
    line = {"arrowstyle": "-|>", "color": INK, "lw": 1.2, **style}
    axes.annotate("", end, start, arrowprops=line)
    if text:
        middle = (np.array(start) + np.array(end)) / 2
        axes.text(*middle, text, ha="center", va="center", fontsize=8.5, color=INK, backgroundcolor="white")


def fitting_pairs() -> Figure:
    """Inner loops × meta-updates: which fit, and the names of the published ones."""
    named: dict[tuple[str, str], list[str]] = {}
    for name, entry in ALGORITHMS.items():
        if entry.pair:
            named.setdefault((entry.pair.inner, entry.pair.outer), []).append(name)
    rows, columns = list(pairs.INNER_LOOPS), list(pairs.META_UPDATES)
    figure, axes = canvas(9.6, 4.4)
    across, down = 11.2, 4.8
    for column, outer in enumerate(columns):
        x = 17 + (column + 0.5) * across
        axes.text(x, 40.5, outer.replace("credited-", "credited-\n"), ha="center", va="center", fontsize=9, color=BLUE)
        for row, inner in enumerate(rows):
            y = 36 - (row + 0.5) * down
            fits = inner not in pairs.META_UPDATES[outer].refuses
            names = "\n".join(named.get((inner, outer), []))
            colour = "#c9d4f6" if names else PALE if fits else "#ffffff"
            box(axes, x, y, across - 0.8, down - 0.7, names if fits else "–", colour, fontsize=7, linespacing=1.1)
    for row, inner in enumerate(rows):
        axes.text(16, 36 - (row + 0.5) * down, inner, ha="right", va="center", fontsize=9, color=BLUE)
    axes.text(16, 40.5, "inner loop ↓   meta-update →", ha="right", va="center", fontsize=7, color=INK)
    return figure


def tree() -> Figure:
    """Three questions, and the method that each answer leads to."""
    figure, axes = canvas(9, 4.3)
    box(axes, 17, 35, 28, 8, "Must it find out within\nan episode, while it acts?")
    box(axes, 17, 20, 28, 8, "Is searching the problem:\nno reward before the goal?")
    box(axes, 17, 5, 28, 8, "Is experience expensive,\nand time is not?")
    box(axes, 53, 35, 24, 8, "Is the belief about the task\nto be looked at?")
    for y, leaf, colour in (
        (38.2, "varibad", BLUE),
        (31.8, "rl2", BLUE),
        (20, "rl2, varibad; e-maml credits it a little", BLUE),
        (8.6, "pearl", GREEN),
        (2.6, "maml-trpo, then promp", ORANGE),
    ):
        x = 80 if y > 30 else 66
        box(axes, x, y, 18 if y > 30 else 44, 4, leaf, colour, color="white", fontsize=9, weight="bold")
    arrow(axes, (31, 35), (41, 35), "yes")
    arrow(axes, (65, 36), (71, 38), "yes")
    arrow(axes, (65, 34), (71, 32), "no")
    arrow(axes, (17, 31), (17, 24), "no")
    arrow(axes, (31, 20), (44, 20), "yes")
    arrow(axes, (17, 16), (17, 9), "no")
    arrow(axes, (31, 6), (44, 8.4), "yes")
    arrow(axes, (31, 4), (44, 2.8), "no")
    return figure


def cost_and_return() -> Figure:
    """Return after three steps on point-nav against the seconds of an update, of every method that has both."""
    rows = json.loads((DOCS / "results/updates.json").read_text())["rows"]
    seconds = {row["what"].removesuffix(": update"): row["seconds"] for row in rows if row["what"].endswith(": update")}
    figure = Figure(figsize=(8, 4.4), dpi=150)
    axes = figure.add_axes((0.1, 0.14, 0.86, 0.82))
    returns = {
        path.stem: np.array(
            [each["evaluations"][0]["return"]["mean"][3] for each in json.loads(path.read_text())["seeds"].values()]
        )
        for path in sorted((DOCS / "results/reproduce-gradient/point-nav").glob("*.json"))
        if path.stem in seconds and path.stem not in ("random-init", "oracle", "multitask")
    }
    taken = [(np.log(seconds[name]) / 0.32, of_seeds.mean() / 0.2) for name, of_seeds in returns.items()]
    for name, of_seeds in returns.items():
        x, y = seconds[name], of_seeds.mean()
        axes.plot([x, x], [of_seeds.min(), of_seeds.max()], color=BLUE, alpha=0.35, lw=3, solid_capstyle="round")
        axes.plot(x, y, "o", color=BLUE)
        for side, height in ((1, 0.0), (-1, 0.0), (1, 1.0), (-1, 1.0), (1, -1.0), (-1, -1.0)):
            # a word's middle and its ends, in widths and heights of one: where others are, it is not read
            word = [(np.log(x) / 0.32 + side * part, y / 0.2 + height) for part in (0.2, 0.6, 1.0)]
            if all(abs(a - b) > 0.19 or abs(c - d) > 0.9 for a, c in word for b, d in taken):
                break
        taken += word
        words = {"textcoords": "offset points", "ha": "left" if side > 0 else "right", "va": "center"}
        axes.annotate(name, (x, y), (7 * side, 9 * height), fontsize=8, color=INK, **words)
    axes.set(xscale="log", xlabel="seconds of an update", ylabel="return after three steps")
    axes.set_xticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92")
    return figure


def ranks() -> Figure:
    """One run over four processes."""
    figure, axes = canvas(9, 3.6)
    for rank in range(4):
        x = 12 + 22 * rank
        box(axes, x, 24, 19, 17, "", "#c9d4f6" if rank == 0 else PALE)
        axes.text(x, 30, f"rank {rank}", ha="center", fontsize=10, color=BLUE, weight="bold")
        axes.text(x, 25, f"tasks {10 * rank} … {10 * rank + 9}", ha="center", fontsize=8.5, color=INK)
        axes.text(x, 17.5, "sample · adapt\ndifferentiate", ha="center", fontsize=8.5, color=INK, linespacing=1.5)
        arrow(axes, (x, 15), (x, 9.5), arrowstyle="<|-|>")
    exchanged = "mean gradients, Fisher products and losses: 8·P·v bytes from each, whatever the tasks"
    box(axes, 45, 6, 85, 6, exchanged, ORANGE, color="white", weight="bold")
    axes.text(12, 34, "writes the folder", ha="center", fontsize=8, color=INK, style="italic")
    return figure


def rooms() -> Figure:
    """The rooms of `docs/architecture.md`; what a room imports lies below it."""
    text = (DOCS / "architecture.md").read_text()
    named = set(re.findall(r"^\| `((?:envs|metarl)\.\w+)` \|", text, re.MULTILINE))
    floors = (
        (("metarl.comparison", "metarl.speed"), GREEN),
        (("metarl.evaluation",), GREEN),
        (("metarl.deployment",), GREEN),
        (("metarl.training",), BLUE),
        (("metarl.runs", "metarl.algorithms", "metarl.fewshot"), BLUE),
        (("metarl.sampling", "metarl.core", "metarl.runtime"), BLUE),
        (("envs.adapters", "envs.families", "envs.engine", "envs.contract"), ORANGE),
    )
    drawn = {room for floor, _ in floors for room in floor}
    if drawn != named:
        raise ValueError(f"the plan and the picture differ in {sorted(drawn ^ named)}")
    figure, axes = canvas(8, 3.9)
    for level, (floor, colour) in enumerate(reversed(floors)):
        for place, room in enumerate(floor):
            wide = 76 / len(floor)
            words = {"color": "white", "weight": "bold", "fontsize": 9.5}
            box(axes, 2 + wide * (place + 0.5), 3.5 + 5.3 * level, wide - 1, 4.5, room, colour, **words)
    return figure


def main() -> None:
    """Draw all."""
    drawings = {"pairs": fitting_pairs, "which-method": tree, "cost-and-return": cost_and_return}
    drawings |= {"ranks": ranks, "rooms": rooms}
    for name, draw in drawings.items():
        draw().savefig(DOCS / "pictures" / f"{name}.png", facecolor="white")


if __name__ == "__main__":
    main()
