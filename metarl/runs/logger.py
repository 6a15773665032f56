"""Where a run's numbers go: `metrics.jsonl`, TensorBoard, and a live line on the terminal.

`metrics.jsonl` is part of the run. Charts are guests: TensorBoard may fail, and training goes on.
"""

import contextlib
import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from metarl.core.types import Metrics
from metarl.runs.config import FREE_ON_RESUME
from metarl.runtime.errors import StorageError
from metarl.runtime.files import MOST_LINES, as_json, is_number, parse_json, read_file, write_atomic

logger = logging.getLogger("metarl")


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
                f"{self.path} cannot be written ({error.strerror}) — free space, then --resume"
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


class Charts:
    """TensorBoard event files, under the same names as in `metrics.jsonl`."""

    def __init__(self, directory: Path, config_text: str, curves: dict[str, list[str]], iterations_done: int) -> None:
        self._writer: Any = None
        with self._as_a_guest():
            from torch.utils.tensorboard import SummaryWriter  # slow to import
            from torch.utils.tensorboard.summary import hparams

            quiet_writers()
            self._writer = SummaryWriter(str(directory), purge_step=iterations_done + 1)
            self._writer.add_text("config", f"```yaml\n{config_text}\n```")
            # `add_hparams` would put the run's row into a run of its own. And the list of columns is left out:
            # TensorBoard shows that of one run for all, where without it every option of every algorithm has a column.
            for summary in hparams(hyperparameters(config_text), {})[1:]:
                self._writer.file_writer.add_summary(summary)
            self._writer.add_custom_scalars(
                {name: {"before and after adaptation": ["Multiline", tags]} for name, tags in curves.items()}
            )

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


def quiet_writers() -> None:
    """From now on TensorBoard's threads print no traceback of what stops them.

    It raises that again for whoever writes next, who says it in a line.
    """
    before = threading.excepthook

    def sparing_writers(failure: Any) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            before(failure)

    if getattr(before, "__name__", None) != sparing_writers.__name__:  # not twice
        threading.excepthook = sparing_writers


CURVES = {"return": ("return/round_", ".1f"), "loss": ("loss/step_", ".3f"), "accuracy": ("accuracy/step_", ".1%")}
"""What is measured before and after each adaptation: how its metrics begin, and how it is printed."""


def curves_of(metrics: Metrics) -> dict[str, list[str]]:
    """The metrics of every curve that was measured, in order."""
    found = {what: [name for name in metrics if name.startswith(prefix)] for what, (prefix, _) in CURVES.items()}
    return {what: names for what, names in found.items() if names}


def hyperparameters(config_text: str) -> dict[str, float | str]:
    """What two runs' results may differ by: the names, the seed and every option of a `config.yaml`, as flat values."""
    config = yaml.safe_load(config_text)
    values = {name: config[name] for name in ("environment", "algorithm")}
    for room in ("train", "env", "algo"):
        without = {"torch_threads"} | FREE_ON_RESUME.get(room, set())
        values |= {f"{room}.{name}": value for name, value in config[room].items() if name not in without}
    return {name: value if type(value) in (int, float, str) else str(value) for name, value in values.items()}


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
