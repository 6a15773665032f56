"""Where a run's numbers go: `metrics.jsonl`, TensorBoard, and a live line on the terminal.

`metrics.jsonl` is part of the run. Charts are guests: TensorBoard may fail, and training goes on.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from metarl.core.errors import StorageError
from metarl.core.types import Metrics
from metarl.experiment.checkpoint import write_atomic

logger = logging.getLogger("metarl")


class MetricsFile:
    """One JSON object for each finished iteration."""

    def __init__(self, path: Path, iterations_done: int) -> None:
        """Open `path`, keeping the lines of the iterations that a resumed run has already done."""
        self.path = path
        kept = [line for line in read_metrics(path) if line["iteration"] <= iterations_done]
        if len(kept) != iterations_done:
            logger.warning("%s has %d of the %d iterations done", path, len(kept), iterations_done)
        write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def append(self, metrics: dict[str, Any]) -> None:
        """Add a line; it is in the file when this returns."""
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(metrics) + "\n")
                file.flush()
                os.fsync(file.fileno())  # a checkpoint, which is synced, must not outlive its lines
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror}) — free space, then --resume"
            ) from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last one that was cut short does not count.

    Raises:
        StorageError: there is something that is no readable file.
    """
    if not path.exists():
        return []
    try:
        content = path.read_text(errors="replace")
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}) — move it away") from error
    lines = []
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and isinstance(line.get("iteration"), int):
            lines.append(line)
    return lines


class Charts:
    """TensorBoard event files, under the same names as in `metrics.jsonl`."""

    def __init__(self, directory: Path, config_text: str, rounds: int, iterations_done: int) -> None:
        self._writer: Any = None
        with self._as_a_guest():
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            self._writer = SummaryWriter(str(directory), purge_step=iterations_done + 1)
            self._writer.add_text("config", f"```yaml\n{config_text}\n```")
            tags = [f"return/round_{k}" for k in range(rounds)]
            self._writer.add_custom_scalars({"return": {"before and after adaptation": ["Multiline", tags]}})

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Add a point to every curve, for whoever watches now and after whatever ends the run."""
        if self._writer is None:
            return
        with self._as_a_guest():
            for name, value in metrics.items():
                if name != "iteration":
                    self._writer.add_scalar(name, value, iteration)
            self._writer.flush()

    def close(self) -> None:
        """Stop the writer's thread."""
        if self._writer is None:
            return
        with self._as_a_guest():
            self._writer.close()

    @contextmanager
    def _as_a_guest(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a chart does, training goes on
            logger.warning("TensorBoard failed (%s); training goes on without charts", error)
            self._writer = None


def describe(metrics: Metrics) -> str:
    """The returns of every round, e.g. `return -0.4 → 24.3`."""
    returns = [value for name, value in metrics.items() if name.startswith("return/round_")]
    return "return " + " → ".join(f"{value:.1f}" for value in returns)


class ProgressLine:
    """A live line on a terminal; elsewhere a plain line every few seconds."""

    SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, console: Console, iterations: int, done: int) -> None:
        self.console, self.iterations = console, iterations
        self._last_line = -math.inf
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=iterations, completed=done, now="")

    def __enter__(self) -> "ProgressLine":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, iteration: int, metrics: Metrics) -> None:
        """Show where training stands."""
        rate = f"{metrics['time/steps_per_second'] / 1000:.1f}k steps/s"
        now = f"{describe(metrics)}  {rate}"
        self._progress.update(self._task, completed=iteration, now=now)
        due = time.monotonic() - self._last_line > self.SECONDS_BETWEEN_LINES
        if not self.console.is_terminal and (due or iteration == self.iterations):
            self._last_line = time.monotonic()
            self.console.print(f"iteration {iteration}/{self.iterations}  {now}", highlight=False)
