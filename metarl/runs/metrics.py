"""A run's numbers: `metrics.jsonl`, which is part of it, and the curves among them."""

import contextlib
import logging
import math
import os
from pathlib import Path
from typing import Any

from metarl.core.types import Metrics
from metarl.runtime.errors import StorageError
from metarl.runtime.files import MOST_LINES, as_json, is_number, parse_json, read_file, write_atomic

logger = logging.getLogger("metarl")

LARGEST = 1e300  # of a number that is taken for one


class MetricsFile:
    """One JSON object for each finished iteration."""

    def __init__(self, path: Path, iterations_done: int) -> None:
        """Open `path`, keeping the lines of the iterations that a resumed run has already done.

        Later ones wait in `metrics.again.jsonl` until their iterations are done again: nothing on record is lost.
        """
        self.path, self.again_path = path, path.with_name(f"{path.stem}.again{path.suffix}")
        lines = read_metrics(path)
        kept = [line for line in lines if line["iteration"] <= iterations_done]
        if len(kept) != iterations_done:
            logger.warning("%s has %d of the %d iterations done", path, len(kept), iterations_done)
        later = {line["iteration"]: line for line in (*lines, *read_metrics(self.again_path))}
        again = [later[iteration] for iteration in sorted(later) if iteration > iterations_done]
        self.done_before = again[-1]["iteration"] if again else iterations_done
        """The last iteration that is on record, here or in `metrics.again.jsonl`."""
        if again:
            write_atomic(self.again_path, _text(again))
        else:
            self._forget_again()
        write_atomic(path, _text(kept))

    def append(self, metrics: dict[str, Any]) -> None:
        """Add a line; it is in the file when this returns."""
        try:
            with open(self.path, "a") as file:
                file.write(as_json(metrics) + "\n")
                file.flush()
                os.fsync(file.fileno())  # a checkpoint, which is synced, must not outlive its lines
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror}) — free space, then metarl resume"
            ) from error
        if metrics["iteration"] >= self.done_before:
            self._forget_again()

    def _forget_again(self) -> None:
        with contextlib.suppress(OSError):
            self.again_path.unlink()


def _text(lines: list[dict[str, Any]]) -> bytes:
    return "".join(as_json(line) + "\n" for line in lines).encode()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, `null` being NaN; one that was cut short, or that no run writes, does not count.

    StorageError where something is there that is no readable file.
    """
    if not path.exists():
        return []
    try:
        content = read_file(path, MOST_LINES)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read ({error.strerror}) — fix its permissions, or move it away"
        ) from error
    lines = []
    for text in content.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            line = parse_json(text)
            if _is_measured(line):
                lines.append({name: math.nan if value is None else value for name, value in line.items()})
    return lines


def _is_measured(line: Any) -> bool:
    """Whether it is what a finished iteration leaves: names with numbers (or null, which stands for none)."""
    if not isinstance(line, dict) or type(line.get("iteration")) is not int:
        return False
    return all(value is None or is_number(value) for value in line.values())


def drawable(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same lines, with NaN for what no axis can hold."""
    return [{name: value if abs(value) < LARGEST else math.nan for name, value in line.items()} for line in lines]


CURVES = {
    "return": ("return/round_", ".1f"),
    "success": ("success/round_", ".1%"),
    "loss": ("loss/step_", ".3f"),
    "accuracy": ("accuracy/step_", ".1%"),
}
"""What is measured before and after each adaptation: how its metrics begin, and how it is printed."""


def curves_of(metrics: Metrics) -> dict[str, list[str]]:
    """The metrics of every curve that was measured, in order."""
    found = {what: [name for name in metrics if name.startswith(prefix)] for what, (prefix, _) in CURVES.items()}
    return {what: names for what, names in found.items() if names}


def describe(metrics: Metrics) -> str:
    """Every curve, e.g. `return -0.4 → 24.3`."""
    return "  ".join(
        f"{what} " + " → ".join(format(metrics[name], CURVES[what][1]) for name in names)
        for what, names in curves_of(metrics).items()
    )


def rate(metrics: Metrics) -> str:
    """How fast it goes."""
    if "time/tasks_per_second" in metrics:
        return f"{metrics['time/tasks_per_second']:.0f} tasks/s"
    return f"{metrics['time/steps_per_second'] / 1000:.1f}k steps/s"
