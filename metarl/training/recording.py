"""What a run writes and shows of every finished iteration, and what is saved when it ends."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from metarl.core.types import Metrics
from metarl.runs.checkpoint import Checkpoint
from metarl.runs.logger import Charts, MetricsFile, ProgressLine
from metarl.runs.run_directory import RunDirectory

if TYPE_CHECKING:
    from metarl.training.setup import World

logger = logging.getLogger("metarl")


@contextmanager
def recording(
    world: "World", run: RunDirectory | None, done: Checkpoint, console: Console
) -> Iterator[Callable[[Checkpoint, Metrics], None]]:
    """A function that writes and shows each finished iteration after `done`; the last is saved when the block ends."""
    if run is None:
        yield lambda done, metrics: None
        return
    config = world.config.train
    newest, tried = done, done.iteration
    log = MetricsFile(run.metrics_path, done.iteration)
    if log.done_before > done.iteration:
        again = f"iterations {done.iteration + 1} to {log.done_before}, of which there is no sound checkpoint"
        console.out(f"again: {again}, until when their lines wait in {log.again_path.name}", highlight=False)
    charts = Charts(run.path, run.config_text, world.curves, done.iteration)

    def record(done: Checkpoint, metrics: Metrics) -> None:
        nonlocal newest, tried
        log.append(metrics)
        newest = done
        charts.write(metrics, done.iteration)
        if done.iteration % config.checkpoint_every == 0 or done.iteration == config.iterations:
            tried = done.iteration
            run.save(done, config.keep_checkpoints)
        progress.update(done.iteration, metrics)

    try:
        with ProgressLine(console, config.iterations, done.iteration) as progress:
            yield record
    except BaseException:
        if newest.iteration > tried:
            try:
                run.save(newest, config.keep_checkpoints)
            except Exception as error:  # what ended training is what must be seen
                logger.error("iteration %d could not be saved: %s", newest.iteration, error)
        raise
    finally:
        charts.close()
