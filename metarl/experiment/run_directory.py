"""A run's folder: `config.yaml`, `metrics.jsonl`, `checkpoints/`, TensorBoard events; and once it was evaluated
`evaluation.json`, `evaluation.csv`, `adaptation.png`, `evaluation/` and, with baselines, their runs in `compare/`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from metarl.core.errors import InputError, StorageError
from metarl.experiment.checkpoint import Checkpoint, Shapes, load_checkpoint, save_checkpoint, write_atomic
from metarl.experiment.config import RunConfig, difference, read_yaml, to_yaml

logger = logging.getLogger("metarl")


class RunDirectory:
    """Paths of a run, and what is read from and written to them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.yaml"
        self.metrics_path = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.evaluation_path = path / "evaluation.json"
        self.evaluation_table_path = path / "evaluation.csv"
        self.adaptation_picture_path = path / "adaptation.png"
        self.film_path = path / "adaptation.gif"

    @classmethod
    def existing(cls, path: Path) -> "RunDirectory":
        """The run at `path`.

        Raises:
            InputError: there is none.
            StorageError: the file system refused.
        """
        with _blaming_storage(path):
            if not path.exists():
                raise InputError(f"no run at {path} — the folder does not exist")
            if not path.is_dir():
                raise InputError(f"no run at {path} — it is a file; give the run's folder")
            if not (path / "config.yaml").exists():
                raise InputError(f"no run at {path} — there is no config.yaml in it")
        return cls(path)

    @property
    def config_text(self) -> str:
        """The text of `config.yaml`, which this process has written."""
        return self.config_path.read_text()

    def create(self, config: RunConfig) -> None:
        """Lay out the folder of a new run.

        Raises:
            InputError: there is something else in its place.
            StorageError: the file system refused.
        """
        with _blaming_storage(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # a crash may have left a file that was being written
            taken = any(not path.name.endswith(".partial") for path in self.path.iterdir())
        if taken:
            resume = "add --resume to go on with it, or " if self.config_path.exists() else ""
            raise InputError(f"{self.path} is not empty — {resume}choose another --out")
        self._write_config(config)

    def reopen(self, config: RunConfig, shapes: Shapes) -> None:
        """Check that `config` continues this run, and record where it now runs.

        Args:
            config: what continues it.
            shapes: the tensors that the config makes (`trainer.shapes_of_run`).

        Raises:
            InputError: it is another run, or one that is already longer.
            StorageError: the file system refused, or all checkpoints are damaged.
        """
        mismatch = difference(config.as_dict(), read_yaml(self.config_path))
        if mismatch:
            raise InputError(f"{self.path} holds another run ({mismatch}) — choose another --out")
        checkpoint, _ = load_checkpoint(self.checkpoints, torch.device("cpu"), shapes)
        done = checkpoint.iteration if checkpoint else 0
        if done > config.train.iterations:
            raise InputError(f"{self.path} has trained {done} iterations — give --iterations {done} or more")
        self._write_config(config)

    def _write_config(self, config: RunConfig) -> None:
        """The config comes first: a folder that a crash leaves behind is then empty, or can be resumed."""
        write_atomic(self.config_path, to_yaml(config).encode())
        with _blaming_storage(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)

    def save(self, checkpoint: Checkpoint, keep: int) -> None:
        """Add a checkpoint; see `checkpoint.save_checkpoint`."""
        save_checkpoint(self.checkpoints, checkpoint, keep)

    def load(self, device: torch.device, shapes: Shapes) -> Checkpoint | None:
        """The newest sound checkpoint of such tensors, if there is any; damaged ones are named in the log."""
        checkpoint, damaged = load_checkpoint(self.checkpoints, device, shapes)
        for line in damaged:
            logger.warning("%s; using the previous one", line)
        return checkpoint


@contextmanager
def _blaming_storage(folder: Path) -> Iterator[None]:
    """Say what the file system holds against `folder`."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} cannot be a folder ({error.strerror}) — choose another --out") from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be used ({error.strerror}) — choose another --out") from error


def new_run_path(environment: str, algorithm: str, seed: int) -> Path:
    """`runs/ENV/ALGO/seed-S`, with `-2`, `-3`, … where that is taken."""
    base = Path("runs") / slug(environment) / slug(algorithm) / f"seed-{seed}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def latest_run_path(environment: str, algorithm: str, seed: int) -> Path:
    """The newest of those that `new_run_path` has made.

    Raises:
        InputError: there is none.
    """
    base = Path("runs") / slug(environment) / slug(algorithm) / f"seed-{seed}"
    path, number, newest = base, 1, None
    while path.exists():
        newest = path
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    if newest is None:
        raise InputError(f"nothing to resume at {base} — train without --resume, or give --out")
    return newest


def slug(name: str) -> str:
    """A `module:attribute` as one folder name: what fits of its end."""
    return name.replace("/", "-").replace(":", "-")[-100:]
