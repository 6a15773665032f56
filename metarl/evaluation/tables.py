"""An evaluation in rows: for the terminal, and as CSV."""

import csv
import io
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from metarl.runs.metrics import CURVES

LEVELS = {"informed": "knowing the task", "random": "random actions"}  # in the order in which they are shown


def curves(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every method's own part of a record, the run's first."""
    return {record["algo"]: record, **record.get("compared", {})}


def csv_text(record: dict[str, Any]) -> str:
    """CSV: a row for each method, task and round, with the task's parameters and levels.

    A parameter of several numbers has a column for each, `goal_0`, `goal_1`, ….
    """
    parameters: dict[str, list[float]] = {}
    for name, values in record["task_parameters"].items():
        rows = np.asarray(values).reshape(record["tasks"], -1)
        width = rows.shape[1]
        parameters |= {name if width == 1 else f"{name}_{i}": rows[:, i].tolist() for i in range(width)}
    levels = record["per_task_levels"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    beside = ["return_sampled"] if "sampled" in record else []
    told, said = ["success"] if "success" in record else [], list(record.get("diagnostics", {}))
    writer.writerow(["algo", "task", *parameters, "round", "return", *beside, *told, *said, *levels])
    for algo, curve in curves(record).items():
        columns = [curve["per_task"], *([curve["sampled"]["per_task"]] if beside else [])]
        columns += [curve["success"]["per_task"]] if told else []
        columns += [curve["diagnostics"][name]["per_task"] for name in said]
        for task, returns in enumerate(zip(*columns, strict=True)):
            of_task = [values[task] for values in parameters.values()]
            at_level = [values[task] for values in levels.values()]
            of_rounds = enumerate(zip(*returns, strict=True))
            writer.writerows([algo, task, *of_task, k, *values, *at_level] for k, values in of_rounds)
    return text.getvalue()


def evaluation_table(record: dict[str, Any]) -> Table:
    """For the terminal: means and intervals after each adaptation, of every method, and the levels beside them."""
    tasks = f"{record['tasks']} {record['split']} tasks" + ("" if record.get("unseen", True) else " (met in training)")
    title = f"{record['env']} · {record['algo']} · iteration {record['iteration']} · {tasks}"
    shown = Table("adaptations", *(heading for heading, _ in columns(record)), title=Text(title))
    for name, part in curves(record).items():
        if part is not record:
            shown.add_section()
            shown.add_row(Text(name))
        for k, cells in enumerate(zip(*(values for _, values in columns(part)), strict=True)):
            shown.add_row(str(k), *cells)
    shown.add_section()
    for name, label in LEVELS.items():
        if record.get(name) is not None:
            shown.add_row(label, f"{record[name]:.2f}", style="dim")
    return shown


def columns(part: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Headings, and what stands below them after 0 … K adaptations of a method."""
    found: list[tuple[str, list[str]]] = []
    for measure, (_, form) in CURVES.items():
        key, form = ("returns", ".2f") if measure == "return" else (measure, form)
        if key in part:
            mean, low, high = ([format(value, form) for value in part[key][end]] for end in ("mean", "low", "high"))
            of_likeliest = ", likeliest actions" if "sampled" in part else ""
            found.append((f"mean {measure}{of_likeliest}", mean))
            if measure == "success":  # the rest of it is in the record; a terminal is not that wide
                continue
            found.append(("95 % interval", [f"{a} … {b}" for a, b in zip(low, high, strict=True)]))
            if "cvar" in part[key]:
                found.append(("worst 5 %", [format(value, form) for value in part[key]["cvar"]]))
    for name, said in part.get("diagnostics", {}).items():
        found.append((name.replace("_", " "), [f"{mean:.3g}" for mean in said["mean"]]))
    if "sampled" in part:
        found.append(("sampled actions", [f"{mean:.2f}" for mean in part["sampled"]["returns"]["mean"]]))
    return found
