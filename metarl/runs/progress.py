"""How far long work is: a live line on a terminal; elsewhere a plain line every few seconds."""

import math
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class ProgressLine:
    """Says how much of something is done, what is to be said of it now, and how long the rest takes.

    Args:
        console: where.
        what: is being done, e.g. "training".
        unit: of it, e.g. "iteration".
        total: units to be done.
        done: units that were done before.
    """

    def __init__(self, console: Console, what: str, unit: str, total: int, done: int = 0) -> None:
        self.console, self.unit, self.total = console, unit, total
        self._last_line = -math.inf
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=math.inf,  # of all units so far: a window could hold none of the slow ones
        )
        self._task = self._progress.add_task(what, total=total, completed=done, now="")

    def __enter__(self) -> "ProgressLine":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, done: int, now: str = "") -> None:
        """So many units are done by now, and this is to be said."""
        self._progress.update(self._task, completed=done, now=now)
        due = time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES
        if not self.console.is_terminal and (due or done == self.total):
            self._last_line = time.monotonic()
            left = self._progress.tasks[self._task].time_remaining
            words = (f"{self.unit} {done}/{self.total}", now, f"{timedelta(seconds=round(left))} left" if left else "")
            self.console.print("  ".join(filter(None, words)), highlight=False)
