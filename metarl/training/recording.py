"""What a run writes and shows of every finished iteration, what is saved when it ends, and when that is."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from metarl.core.types import Metrics
from metarl.runs.checkpoint import Checkpoint
from metarl.runs.loggers import Logs, Shown
from metarl.runs.metrics import MetricsFile, describe, rate, read_metrics
from metarl.runs.progress import ProgressLine
from metarl.runs.run_directory import RunDirectory
from metarl.runs.until import UNSEEN, WINDOW, last_point, target_of

if TYPE_CHECKING:
    from metarl.training.setup import World

logger = logging.getLogger("metarl")


class Recorder:
    """Takes each finished iteration; knows whether training is at its end."""

    def __init__(self, world: "World", run: RunDirectory | None, done: Checkpoint, console: Console) -> None:
        """Nothing is written yet.

        Args:
            world: what is trained.
            run: where; None on the ranks that do not write, which then know nothing of the end either.
            done: where training starts.
            console: where progress is shown.
        """
        self.config, self.run, self.newest, self.tried = world.config.train, run, done, done.iteration
        self._start, self._curve = done.iteration, next(iter(world.curves))
        self._target = target_of(self.config.until, unseen=True)
        self._started = time.monotonic()
        self._recent: deque[Metrics] = deque(maxlen=WINDOW)
        self._best: float | None = None
        if run is None:
            self.ended = self._end()
            return
        self._log = MetricsFile(run.metrics_path, done.iteration)
        if self._log.done_before > done.iteration:
            again = f"iterations {done.iteration + 1} to {self._log.done_before}, of which there is no sound checkpoint"
            console.out(f"again: {again}, until when their lines wait in {self._log.again_path.name}", highlight=False)
        for line in read_metrics(run.metrics_path):
            self._recent.append(line)
            self._is_best(line)
        self.logs = Logs(self.config.log, Shown(run.path, run.config_text, world.curves, done.iteration))
        self.progress = ProgressLine(console, "training", "iteration", self.config.iterations, done.iteration)
        self.ended = self._end()
        """Why training ends here; empty while it goes on."""

    def _end(self) -> str:
        """See `ended`."""
        if self.newest.iteration >= self.config.iterations:
            return "all iterations are done"
        if self.run and self._target and self._target.reached(self._recent):
            return f"{self.config.until} is reached"
        if self.run and 0 < self.config.minutes * 60 < time.monotonic() - self._started:
            return f"{self.config.minutes:g} minutes are over"
        return ""

    def __call__(self, done: Checkpoint, metrics: Metrics) -> None:
        """Write and show an iteration; keep it as a checkpoint where that is due."""
        self.newest = done
        if self.run is None:
            self.ended = self._end()
            return
        self._log.append(metrics)
        if self._is_best(metrics):
            self.run.save_best(done)
        self._recent.append(metrics)
        self.logs.write(metrics, done.iteration)
        self.ended = self._end()
        if done.iteration % self.config.checkpoint_every == 0 or self.ended:
            self.save()
        self.progress.update(done.iteration, f"{describe(metrics)}  {rate(metrics)}")

    def describe(self) -> str:
        """What was done, how long it took, and why it ended."""
        first, last = self._start + 1, self.newest.iteration
        minutes, seconds = divmod(round(time.monotonic() - self._started), 60)
        took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"iterations {first} to {last} in {took}: {self.ended}" if last >= first else self.ended

    def save(self) -> None:
        """Keep the newest iteration as a checkpoint."""
        if self.run and self.newest.iteration > self.tried:
            self.tried = self.newest.iteration
            self.run.save(self.newest, self.config.keep_checkpoints)

    def _is_best(self, metrics: Metrics) -> bool:
        """Whether no iteration so far has met its unseen tasks with as good an end; it is the one to beat then."""
        now = last_point(metrics, UNSEEN + self._curve)
        better = min if self._curve == "loss" else max
        if now is None or (self._best is not None and better(now, self._best) == self._best):
            return False
        self._best = now
        return True


@contextmanager
def recording(world: "World", run: RunDirectory | None, done: Checkpoint, console: Console) -> Iterator[Recorder]:
    """Records each finished iteration after `done`; the last is saved when the block ends, however it does."""
    recorder = Recorder(world, run, done, console)
    if run is None:
        yield recorder
        return
    if said := world.forecast(recorder.config.iterations - done.iteration):
        console.out(said, highlight=False)
    try:
        with recorder.progress:
            yield recorder
        console.out(f"{'trained:':13}{recorder.describe()}", highlight=False)
    except BaseException:
        try:
            recorder.save()
        except Exception as error:  # what ended training is what must be seen
            logger.error("iteration %d could not be saved: %s", recorder.newest.iteration, error)
        raise
    finally:
        recorder.logs.close()
