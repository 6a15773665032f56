"""An evaluation on disk: `evaluation.json`, `evaluation.csv`, `adaptation.png`, a film, and charts for TensorBoard.

They lie in `evaluations/IDENTITY/`, so that none replaces another, and the newest on unseen tasks in the run's folder
as well (`evaluation_identity.py`). The numbers are part of the run. Pictures and charts are guests: where they fail,
the evaluation stands. TensorBoard's files lie in a folder of their own, since their steps are rounds and not
iterations: `evaluation/`, or that of the identity.
"""

import csv
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from metarl.evaluation.identity import FILE, EvaluationIdentity, identity_of, places_of, read_evaluations
from metarl.runs.logger import quiet_writers
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import StorageError
from metarl.runtime.files import as_json, write_atomic

if TYPE_CHECKING:  # matplotlib is slow to import, and training does without it
    from matplotlib.figure import Figure

logger = logging.getLogger("metarl")

TABLE, PICTURE, FILM = "evaluation.csv", "adaptation.png", "adaptation.gif"
LEVELS = {"informed": "knowing the task", "random": "random actions"}  # in the order in which they are shown


def write_evaluation(run: RunDirectory, record: dict[str, Any], beside: dict[str, RunDirectory]) -> None:
    """Store an evaluation (`evaluate.evaluation_record`) in the folder of the run that it is of.

    Args:
        beside: the runs that it was compared with, by algorithm; each gets the chart of its own curve.
    """
    places = write_record(run, record)
    for place in places:
        write_atomic(place / TABLE, csv_text(record).encode())
    picture = None
    with guest("the picture"):
        for place in places:
            for name in (PICTURE, FILM):
                (place / name).unlink(missing_ok=True)  # at worst there is none, but never another evaluation's
        picture = png(picture_of(record))
        for place in places:
            write_atomic(place / PICTURE, picture)
    identity = identity_of(record)
    with guest("TensorBoard"):
        write_charts(charts_folder(run, identity), record, record, picture)
        for name, other in beside.items():
            write_charts(charts_folder(other, identity), record["compared"][name], record, None)


def write_record(run: RunDirectory, record: dict[str, Any]) -> list[Path]:
    """Store an evaluation's `evaluation.json`; returns the folders that it lies in, its own first.

    Raises:
        StorageError: the file system refused.
    """
    known, _ = read_evaluations(run.path)
    for identity, older in known.items():
        own, *_ = places_of(run.path, identity)
        if not own.exists():  # the only one of a run from before evaluations had places of their own
            _store(own, older)
    places = places_of(run.path, identity_of(record))
    for place in places:
        _store(place, record)
    return places


def _store(folder: Path, record: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made ({error.strerror}) — free space or fix permissions") from error
    write_atomic(folder / FILE, (as_json(record) + "\n").encode())


def charts_folder(run: RunDirectory, identity: EvaluationIdentity) -> Path:
    """Where TensorBoard finds an evaluation."""
    own, *newest = places_of(run.path, identity)
    return run.path / "evaluation" if newest else own


@contextmanager
def guest(what: str) -> Iterator[None]:
    """Charts are guests: what goes wrong with one is said, and stops nothing."""
    quiet_writers()
    try:
        yield
    except Exception as error:  # whatever a picture does, the numbers are there
        logger.warning("%s failed (%s); the evaluation stands without it", what, error)


def curves(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every method's own part of a record, the run's first."""
    return {record["algo"]: record, **record["compared"]}


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
    writer.writerow(["algo", "task", *parameters, "round", "return", *beside, *levels])
    for algo, curve in curves(record).items():
        columns = [curve["per_task"], *([curve["sampled"]["per_task"]] if beside else [])]
        for task, returns in enumerate(zip(*columns, strict=True)):
            of_task = [values[task] for values in parameters.values()]
            at_level = [values[task] for values in levels.values()]
            of_rounds = enumerate(zip(*returns, strict=True))
            writer.writerows([algo, task, *of_task, k, *values, *at_level] for k, values in of_rounds)
    return text.getvalue()


def evaluation_table(record: dict[str, Any]) -> Table:
    """For the terminal: mean returns and intervals after each round, of every method, and the levels beside them."""
    tasks = f"{record['tasks']} {record['split']} tasks" + ("" if record.get("unseen", True) else " (met in training)")
    title = f"{record['env']} · {record['algo']} · iteration {record['iteration']} · {tasks}"
    columns = ["after rounds", "mean return", "95 % interval"]
    if "sampled" in record:
        columns[1:] = ["mean return, likeliest actions", "95 % interval", "sampled actions"]
    shown = Table(*columns, title=Text(title))
    for name, curve in curves(record).items():
        if curve is not record:
            shown.add_section()
            shown.add_row(Text(name), "", "")
        returns = curve["returns"]
        for k, (mean, low, high) in enumerate(zip(returns["mean"], returns["low"], returns["high"], strict=True)):
            beside = [f"{curve['sampled']['returns']['mean'][k]:.2f}"] if "sampled" in record else []
            shown.add_row(str(k), f"{mean:.2f}", f"{low:.2f} … {high:.2f}", *beside)
    shown.add_section()
    for name, label in LEVELS.items():
        if record[name] is not None:
            shown.add_row(label, f"{record[name]:.2f}", "", style="dim")
    return shown


def picture_of(record: dict[str, Any]) -> "Figure":
    """Mean returns over rounds with their 95 % intervals, each task's as a thin line, the levels dashed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.0, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    rounds = np.arange(len(record["returns"]["mean"]))
    per_task = np.asarray(record["per_task"])  # [N, K + 1]
    axes.plot(rounds, per_task.T, color="C0", linewidth=0.6, alpha=min(0.35, 8 / len(per_task)), zorder=1)
    for number, (algo, curve) in enumerate(curves(record).items()):
        mean, low, high = (curve["returns"][name] for name in ("mean", "low", "high"))
        axes.fill_between(rounds, low, high, color=f"C{number}", alpha=0.2, linewidth=0, zorder=2)
        axes.plot(rounds, mean, color=f"C{number}", marker="o", markersize=4, linewidth=2, label=algo, zorder=3)
    for (name, label), colour in zip(LEVELS.items(), ("0.15", "0.55"), strict=True):
        if record[name] is not None:
            axes.axhline(record[name], color=colour, linestyle="--", linewidth=1.2, label=label, zorder=2)
    axes.axhline(record["no_adaptation"], color="C0", linestyle=":", linewidth=1.2, label="no adaptation")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="rounds of adaptation", ylabel="return")
    axes.set_title(f"{record['env']} · {record['tasks']} {record['split']} tasks", loc="left", fontsize=11)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def png(figure: "Figure") -> bytes:
    """Drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)  # type: ignore[no-untyped-call]
    return content.getvalue()


def write_charts(folder: Path, curve: dict[str, Any], record: dict[str, Any], picture: bytes | None) -> None:
    """TensorBoard's view of one method's curve: scalars over rounds, its levels beside it, and the picture."""
    from torch.utils.tensorboard import SummaryWriter

    for old in folder.glob("events.out.tfevents.*"):
        old.unlink(missing_ok=True)
    returns = curve["returns"]
    lines = {f"evaluation/{name}": [record[name]] * len(returns["mean"]) for name in LEVELS if record[name] is not None}
    band = {"evaluation/return": "mean", "evaluation/interval_low": "low", "evaluation/interval_high": "high"}
    lines |= {tag: returns[name] for tag, name in band.items()}
    with SummaryWriter(str(folder), purge_step=0) as writer:
        writer.add_custom_scalars({"evaluation": {"adaptation": ["Margin", list(band)]}})
        for tag, values in lines.items():
            for k, value in enumerate(values):
                writer.add_scalar(tag, value, k)
        if picture is not None:
            add_image(writer, "evaluation/adaptation", picture, curve["iteration"])


def add_image(writer: Any, tag: str, content: bytes, step: int) -> None:
    """A file as it is, PNG or (moving) GIF; torch's `add_image` takes pixels."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    value = Summary.Value(tag=tag, image=Summary.Image(encoded_image_string=content, colorspace=3))
    writer.file_writer.add_summary(Summary(value=[value]), step)
