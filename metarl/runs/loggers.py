"""Where a run's numbers are shown besides `metrics.jsonl`: `--log tensorboard csv wandb`.

All are guests: whatever happens to one, it is left out with a warning, and training goes on.
"""

import csv
import importlib
import importlib.util
import io
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from metarl.core.types import Metrics
from metarl.runs.config import FREE_ON_RESUME
from metarl.runs.metrics import CURVES, read_metrics
from metarl.runs.until import UNSEEN
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic

logger = logging.getLogger("metarl")


class Shown(NamedTuple):
    """What a log is opened with."""

    run: Path
    """The run's folder."""
    config_text: str
    """Of its `config.yaml`."""
    curves: dict[str, list[str]]
    """Metrics that belong into one chart, by its name."""
    done: int
    """Iterations that were done before: later ones that a log has are done again."""


class Log(Protocol):
    """A place where numbers are shown."""

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Add a finished iteration, for whoever watches now and after whatever ends the run."""

    def close(self) -> None:
        """Let go of it."""


class Logs:
    """All that a run is shown by; none of them can stop it."""

    def __init__(self, names: Sequence[str], shown: Shown) -> None:
        """Raises nothing: see `check_logs`."""
        self._open: dict[str, Log] = {}
        for name in dict.fromkeys(names):
            with self._as_a_guest(name):
                self._open[name] = LOGS[name](shown)

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Show a finished iteration in all that are left."""
        for name, log in list(self._open.items()):
            with self._as_a_guest(name):
                log.write(metrics, iteration)

    def close(self) -> None:
        """Let go of all."""
        for name, log in list(self._open.items()):
            with self._as_a_guest(name):
                log.close()

    @contextmanager
    def _as_a_guest(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a log does, training goes on
            logger.warning("%s failed (%s); training goes on without it", name, error)
            self._open.pop(name, None)


def check_logs(names: Sequence[str]) -> None:
    """Refuse a log whose package is not there.

    Raises:
        InputError: says how to install it.
    """
    if "wandb" not in names:
        return
    found = importlib.util.find_spec("wandb")
    if found is None or found.origin is None:  # it leaves folders `wandb/` where it ran, which are found as well
        raise InputError("--log wandb needs a package that is not there — pip install 'metarl[wandb]'")


class TensorBoard:
    """Event files. Names are those of `metrics.jsonl`, but for `on_board`."""

    def __init__(self, shown: Shown) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import
        from torch.utils.tensorboard.summary import hparams

        quiet_writers()
        self._writer: Any
        self._writer = SummaryWriter(str(shown.run), purge_step=shown.done + 1)
        self._writer.add_text("config", f"```yaml\n{shown.config_text}\n```")
        # `add_hparams` would put the run's row into a run of its own. And the list of columns is left out:
        # TensorBoard shows that of one run for all, where without it every option of every algorithm has a column.
        for summary in hparams(hyperparameters(shown.config_text), {})[1:]:
            self._writer.file_writer.add_summary(summary)
        charts = {"before and after adaptation": ""}
        if yaml.safe_load(shown.config_text)["train"]["evaluate_every"]:
            charts["on unseen tasks"] = UNSEEN
        self._writer.add_custom_scalars(
            {
                name: {title: ["Multiline", [on_board(where + tag) for tag in tags]] for title, where in charts.items()}
                for name, tags in shown.curves.items()
            }
        )

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Add a point to every curve."""
        for name, value in metrics.items():
            if name != "iteration":
                self._writer.add_scalar(on_board(name), value, iteration)
        self._writer.flush()

    def close(self) -> None:
        """Stop the writer's thread."""
        self._writer.close()


def on_board(name: str) -> str:
    """What a metric is called in TensorBoard, which shows groups by the alphabet: so that curves come first, those of
    unseen tasks beside those of training, and nothing else (`env_steps`, `policy/std`) stands before them."""
    if name.startswith(UNSEEN):
        curve, _, point = name.removeprefix(UNSEEN).partition("/")
        return f"{curve}/unseen_{point}"
    if "/" not in name:
        return f"sampling/{name}"
    group = name.split("/")[0]
    return name if group in CURVES or group > "return" else f"update/{name}"


class CSV:
    """`metrics.csv`: a row an iteration, a column a metric. It is made of `metrics.jsonl`, which has each iteration
    before this is told of it, so that it holds those before a run was taken up, too."""

    def __init__(self, shown: Shown) -> None:
        self._path, self._lines_path = shown.run / "metrics.csv", shown.run / "metrics.jsonl"
        self._names: list[str] = []
        self._write_all()

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Add a row; a metric that is new becomes a column of all."""
        if not metrics.keys() <= set(self._names):
            self._write_all()
            return
        with open(self._path, "a", newline="") as file:
            csv.DictWriter(file, self._names, lineterminator="\n").writerow(metrics)

    def close(self) -> None:
        """Nothing is open between rows."""

    def _write_all(self) -> None:
        rows = read_metrics(self._lines_path)
        self._names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, self._names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self._path, text.getvalue().encode())


class WeightsAndBiases:
    """A run of Weights & Biases, which goes on as the same one; `WANDB_MODE`, `WANDB_PROJECT`, … count as ever."""

    def __init__(self, shown: Shown) -> None:
        wandb: Any = importlib.import_module("wandb")
        identity = shown.run / "wandb.id"
        if not identity.exists():
            write_atomic(identity, uuid.uuid4().hex.encode())
        settings = wandb.Settings(silent=True, console="off")
        mode = os.environ.get("WANDB_MODE")
        if mode is None and not wandb.login(prompt=False, verify=False):  # at a terminal it would ask, and wait
            mode = "offline"
            logger.warning(
                "wandb knows no key; the run is kept in %s — wandb login, then wandb sync", shown.run / "wandb"
            )
        self._run = wandb.init(
            id=identity.read_text(),
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "metarl"),
            name="/".join(shown.run.absolute().parts[-3:]),
            dir=str(shown.run),
            config=hyperparameters(shown.config_text),
            settings=settings,
            mode=mode,
        )

    def write(self, metrics: Metrics, iteration: int) -> None:
        """Add a point to every curve."""
        self._run.log(dict(metrics), step=iteration)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


LOGS: dict[str, Callable[[Shown], Log]] = {"tensorboard": TensorBoard, "csv": CSV, "wandb": WeightsAndBiases}


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


def hyperparameters(config_text: str) -> dict[str, float | str]:
    """What two runs' results may differ by: the names, the seed and every option of a `config.yaml`, as flat values."""
    config = yaml.safe_load(config_text)
    values = {name: config[name] for name in ("environment", "algorithm")}
    for room in ("train", "env", "algo"):
        without = {"torch_threads"} | FREE_ON_RESUME.get(room, set())
        without |= {"adr", "plr"} - {config["train"].get("task_sampling")}  # what is not in use differs by nothing
        values |= {f"{room}.{name}": value for name, value in config[room].items() if name not in without}
    return {name: value if type(value) in (int, float, str) else str(value) for name, value in values.items()}
