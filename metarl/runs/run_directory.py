"""A run's folder: `config.yaml`, `metrics.jsonl`, `checkpoints/`, TensorBoard events, `source.diff`.

Once it was evaluated there are `evaluations/IDENTITY/` for each evaluation, the newest on test tasks also as
`evaluation.json`, `evaluation.csv`, `adaptation.png` and `evaluation/`, and, with baselines, their runs in `compare/`.
`.lock` says who writes it, and `metrics.again.jsonl` keeps the lines of iterations that are being done again."""

import itertools
import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from metarl.runs.checkpoint import Checkpoint, Shapes, iterations_kept, load_checkpoint, save_checkpoint
from metarl.runs.config import RunConfig, TrainConfig, options_from_dict, read_yaml, to_yaml
from metarl.runs.continuing import changes, mismatch
from metarl.runs.metrics import MetricsFile, read_metrics
from metarl.runs.source import state_of_source
from metarl.runs.user_code import files_of, under_recorded_names
from metarl.runtime.errors import InputError, StorageError
from metarl.runtime.files import PARTIAL, slug, write_atomic
from metarl.runtime.lock import LOCK, only_writer

logger = logging.getLogger("metarl")


class RunDirectory:
    """Paths of a run, and what is read from and written to them.

    All raise `InputError` where a folder is not what was asked for, `StorageError` where the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.yaml"
        self.metrics_path = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = self.checkpoints / "best"

    @classmethod
    def existing(cls, path: Path) -> "RunDirectory":
        """The run at `path`; InputError where there is none."""
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

    @contextmanager
    def writing(
        self, config: RunConfig, resume: bool, shapes: Shapes, facts: Mapping[str, Any] = MappingProxyType({})
    ) -> Iterator[None]:
        """Be the only process that writes this run within the block: a new one, or one that goes on.

        Args:
            config: of the run.
            resume: whether it goes on.
            shapes: the tensors that the config makes (`training.setup.shapes_of_run`).
            facts: what `config.yaml` is to say about a new run besides.

        Raises:
            InputError: another process is writing it; there is something in the folder of a new run; what goes on is
                another run, or one that is already longer.
            StorageError: the file system refused, or the checkpoints are damaged or gone.
        """
        if not resume:  # a lock is a file, and nothing is written to a folder that holds something
            with _blaming_storage(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_what_is_taken()
        with only_writer(self.path, lambda: self.reopen(config, shapes) if resume else self.create(config, facts)):
            with suppress(OSError):  # what a killed writer left of files that only the one writer of a run writes
                for mine in (".config.yaml.*", ".metrics.*", "checkpoints/.*"):
                    for path in self.path.glob(mine + PARTIAL):
                        path.unlink(missing_ok=True)
            yield

    def _refuse_what_is_taken(self) -> None:
        with _blaming_storage(self.path):
            # a crash may have left a file that was being written
            taken = any(path.name != LOCK and not path.name.endswith(PARTIAL) for path in self.path.iterdir())
        if taken:
            quoted = shlex.quote(str(self.path))
            resume = f"metarl resume {quoted} goes on with it; else " if self.config_path.exists() else ""
            raise InputError(f"{self.path} is not empty — {resume}choose another --out")

    def create(self, config: RunConfig, facts: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Lay out the folder of a new run, which is there; InputError where there is something in it."""
        self._refuse_what_is_taken()  # again: another process may have been here before the lock was ours
        files = files_of(config, self.path)
        own = [Path(record["file"]) for record in files.values()]
        states, changes = state_of_source([Path.cwd(), *(file.parent for file in own), Path(__file__).parent], own)
        self._write_config(config, files, {**facts, **({"source": states} if states else {})})
        with suppress(StorageError):  # a run needs it for nothing
            if changes:
                write_atomic(self.path / "source.diff", changes)

    def reopen(self, config: RunConfig, shapes: Shapes) -> None:
        """Check that `config` continues this run, say what has changed around it, and record where it now runs.

        Takes and raises what `writing` does.
        """
        values = read_yaml(self.config_path)
        different = mismatch(config, values, self.path)
        if different:
            raise InputError(
                f"{self.path} holds another run ({different}) — repeat its options, or choose another --out"
            )
        checkpoint, _ = load_checkpoint(self.checkpoints, torch.device("cpu"), shapes)
        if checkpoint is None:
            self._require_none_lost()
        done = checkpoint.iteration if checkpoint else 0
        if done > config.train.iterations:
            raise InputError(f"{self.path} has trained {done} iterations — give --iterations {done} or more")
        files = files_of(config, self.path)
        for line in changes(config, values, hardware(config.train.device), files, self.path):
            logger.warning("%s", line)
        if checkpoint is None:  # before the config may promise earlier checkpoints
            MetricsFile(self.metrics_path, 0)
        facts: dict[str, Any] = {name: values[name] for name in ("began_from", "source") if name in values}
        facts |= {"went_on_from": done} if done else {}  # proof that there was a checkpoint
        self._write_config(under_recorded_names(config, values, self.path), files, facts)

    def _write_config(self, config: RunConfig, files: dict[str, dict[str, str]], facts: Mapping[str, Any]) -> None:
        """The config comes first: a folder that a crash leaves behind is then empty, or can be resumed."""
        facts = {"ran_on": hardware(config.train.device), **({"code": files} if files else {}), **facts}
        write_atomic(self.config_path, to_yaml(config, **facts).encode())
        with _blaming_storage(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)

    def save(self, checkpoint: Checkpoint, keep: int) -> None:
        """Add a checkpoint; see `checkpoint.save_checkpoint`."""
        save_checkpoint(self.checkpoints, checkpoint, keep)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint as the best so far."""
        with _blaming_storage(self.best):
            self.best.mkdir(exist_ok=True)
        save_checkpoint(self.best, checkpoint, 1)

    def load(self, device: torch.device, shapes: Shapes) -> Checkpoint | None:
        """The newest sound checkpoint of such tensors, if there is any; damaged ones are named in the log."""
        checkpoint, damaged = load_checkpoint(self.checkpoints, device, shapes)
        for line in damaged:
            logger.warning("%s; using the previous one", line)
        return checkpoint

    def require_checkpoint(self, device: torch.device, shapes: Shapes, which: str = "last") -> Checkpoint:
        """The newest sound checkpoint of such tensors, or `which` is asked for: "best", or the number of an iteration.

        InputError where there is none yet, StorageError where those that there were are gone, or all are damaged.
        """
        if which != "last":
            return self._chosen_checkpoint(device, shapes, which)
        checkpoint = self.load(device, shapes)
        if checkpoint is None:
            self._require_none_lost()
            raise InputError(
                f"{self.path} has no checkpoint yet — train it first: metarl resume {shlex.quote(str(self.path))}"
            )
        return checkpoint

    def _chosen_checkpoint(self, device: torch.device, shapes: Shapes, which: str) -> Checkpoint:
        """The best one, or that of an iteration; InputError where it is not kept."""
        iteration = int(which) if which.isdecimal() else None
        for folder in [self.best] if which == "best" else [self.checkpoints, self.best][: 2 * which.isdecimal()]:
            checkpoint, _ = load_checkpoint(folder, device, shapes, iteration)
            if checkpoint is not None:
                return checkpoint
        there = [*map(str, iterations_kept(self.checkpoints)), *["best"] * bool(iterations_kept(self.best))]
        keep = " (the best one is kept where training has --evaluate-every)" if which == "best" else ""
        raise InputError(f"{self.path} keeps no checkpoint '{which}'{keep} — choose one of: last, {', '.join(there)}")

    def _require_none_lost(self) -> None:
        """That no checkpoint is there is right only where none was due yet, and the run never went on from one.

        Metrics alone do not tell: their lines start anew from a checkpoint that is older, and the first checkpoint is
        due elsewhere once `checkpoint_every` has changed. `checkpoints/` is always made.
        """
        values = read_yaml(self.config_path)
        every = {"checkpoint_every": values["train"].get("checkpoint_every", TrainConfig.checkpoint_every)}
        first_due = options_from_dict(TrainConfig, every).checkpoint_every
        done = max((line["iteration"] for line in read_metrics(self.metrics_path)), default=0)
        if values.get("went_on_from") or done > first_due or (done > 0 and not self.checkpoints.is_dir()):
            raise StorageError(
                f"{self.path} has lost its checkpoints, of {done} iterations that were done — put"
                f" {self.checkpoints} back, or train anew into another --out"
            )


def hardware(device: str) -> str:
    """What `TrainConfig.device` means here: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else "cpu"


@contextmanager
def _blaming_storage(folder: Path) -> Iterator[None]:
    """Say what the file system holds against `folder`."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} cannot be a folder ({error.strerror}) — choose another --out") from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be used ({error.strerror}) — choose another --out") from error


def make_run_path(environment: str, algorithm: str, seed: int, name: str = "") -> Path:
    """Make `runs/ENV/ALGO/[NAME-]seed-S`, with `-2`, `-3`, … where that is taken: a folder that is nobody else's.

    InputError where a file is in the way, StorageError where the file system refuses.
    """
    for path in _run_paths(environment, algorithm, seed, name):
        with _blaming_storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.mkdir()
                return path
    raise AssertionError("numbers do not end")


def latest_run_path(environment: str, algorithm: str, seed: int, name: str = "") -> Path:
    """The newest of those that `make_run_path` has made; InputError where there is none."""
    taken = [*itertools.takewhile(Path.exists, _run_paths(environment, algorithm, seed, name))]
    if not taken:
        base = next(_run_paths(environment, algorithm, seed, name))
        raise InputError(f"nothing to resume at {base} — train without --resume, or give --out")
    return taken[-1]


def _run_paths(environment: str, algorithm: str, seed: int, name: str) -> Iterator[Path]:
    base = Path("runs") / slug(environment) / slug(algorithm) / (f"{slug(name)}-" * bool(name) + f"seed-{seed}")
    yield base
    for number in itertools.count(2):
        yield base.with_name(f"{base.name}-{number}")
