"""An evaluation drawn: as a picture, and as charts for TensorBoard."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metarl.evaluation.tables import LEVELS, curves

if TYPE_CHECKING:  # matplotlib is slow to import, and training does without it
    from matplotlib.figure import Figure


def picture_of(record: dict[str, Any]) -> "Figure":
    """Mean returns after each adaptation with their 95 % intervals, each task's as a thin line, the levels dashed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.0, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    K = np.arange(len(record["returns"]["mean"]))
    per_task = np.asarray(record["per_task"])  # [N, K + 1]
    axes.plot(K, per_task.T, color="C0", linewidth=0.6, alpha=min(0.35, 8 / len(per_task)), zorder=1)
    for number, (algo, curve) in enumerate(curves(record).items()):
        mean, low, high = (curve["returns"][name] for name in ("mean", "low", "high"))
        axes.fill_between(K, low, high, color=f"C{number}", alpha=0.2, linewidth=0, zorder=2)
        axes.plot(K, mean, color=f"C{number}", marker="o", markersize=4, linewidth=2, label=algo, zorder=3)
    for (name, label), colour in zip(LEVELS.items(), ("0.15", "0.55"), strict=True):
        if record[name] is not None:
            axes.axhline(record[name], color=colour, linestyle="--", linewidth=1.2, label=label, zorder=2)
    axes.axhline(record["no_adaptation"], color="C0", linestyle=":", linewidth=1.2, label="no adaptation")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="adaptations", ylabel="return")
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


def write_charts(folder: Path, part: dict[str, Any], record: dict[str, Any], picture: bytes | None) -> None:
    """TensorBoard's view of one method's curve: scalars over adaptations, its levels beside it, and the picture."""
    from torch.utils.tensorboard import SummaryWriter

    for old in folder.glob("events.out.tfevents.*"):
        old.unlink(missing_ok=True)
    returns = part["returns"]
    # names that TensorBoard shows behind the curves of training
    lines = {f"tested/{name}": [record[name]] * len(returns["mean"]) for name in LEVELS if record[name] is not None}
    band = {"tested/return": "mean", "tested/interval_low": "low", "tested/interval_high": "high"}
    lines |= {tag: returns[name] for tag, name in band.items()}
    lines |= {f"tested/{name}": said["mean"] for name, said in part.get("diagnostics", {}).items()}
    with SummaryWriter(str(folder), purge_step=0) as writer:
        writer.add_custom_scalars({"evaluation": {"adaptation": ["Margin", list(band)]}})
        for tag, values in lines.items():
            for k, value in enumerate(values):
                writer.add_scalar(tag, value, k)
        if picture is not None:  # by the same writer: another one's file may be read first, and is purged then
            add_image(writer, "tested/adaptation", picture, part["iteration"])


def write_image(folder: Path, tag: str, content: bytes, step: int) -> None:
    """A file as it is, PNG or (moving) GIF, for TensorBoard: torch takes pixels, and fails at films."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        add_image(writer, tag, content, step)


def add_image(writer: Any, tag: str, content: bytes, step: int) -> None:
    """The same, by a writer that there is."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    value = Summary.Value(tag=tag, image=Summary.Image(encoded_image_string=content, colorspace=3))
    writer.file_writer.add_summary(Summary(value=[value]), step)
