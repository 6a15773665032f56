"""`metarl compare`: a grid of methods × environments × seeds, as many runs side by side as cores allow.

Every cell is processes of its own, `metarl train` and `metarl evaluate`. What is finished never runs again, what is
half-done resumes, and any number of launchers may work on one grid (see `leases.py`). When a launcher ends, for
whatever reason (kill -9 on Linux alone), nothing that it started runs on.
"""

import contextlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from envs.contract.errors import InputError
from metarl.comparison.children import signal_group, start
from metarl.comparison.leases import Lease
from metarl.comparison.suite import Cell, Suite, evaluations_of
from metarl.comparison.suite_file import load_suite
from metarl.runs.config import read_yaml
from metarl.runs.continuing import mismatch, taken_up
from metarl.runs.user_code import own_names
from metarl.runtime.files import MOST_LINES, read_file
from metarl.runtime.interruption import SIGNALS, interruptible_at_points, interruption_point

METARL = (sys.executable, "-m", "metarl")
POLL_SECONDS = 0.1
COUNT_SECONDS = 5.0  # between counts of the iterations that are done
LOOK_AGAIN_SECONDS = 2.0  # between looks at the cells that another launcher has
GRACE_SECONDS = 3.0  # from SIGTERM, on which a run saves itself, to SIGKILL


@dataclass(frozen=True)
class Failure:
    """A cell that could not be finished."""

    cell: Cell
    code: int
    """The command's exit code; negative: the signal that killed it."""
    reason: str
    """The last line that it wrote."""


@dataclass
class Job:
    """A cell at work."""

    cell: Cell
    lease: Lease
    commands: list[list[str]]
    """Still to be run, the first one being at work."""
    log: IO[bytes]
    bar: TaskID
    process: "subprocess.Popen[bytes]"


def check_grid(suite: Suite, grid: Path) -> None:
    """Refuse a grid's folder that holds other runs than the suite's.

    Raises:
        InputError: names the run and how it differs.
    """
    if grid.exists() and not grid.is_dir():
        raise InputError(f"{grid} is a file — choose another --out")
    for cell in suite.cells:
        config = grid / cell.folder / "config.yaml"
        if config.exists():
            values = read_yaml(config)
            different = mismatch(taken_up(cell.config, values), values, config.parent)
            if different:
                raise InputError(f"{config.parent} holds another run ({different}) — choose another --out")


def cell_commands(cell: Cell, grid: Path) -> list[list[str]]:
    """The arguments of `metarl` that take a cell from where it stands to its end.

    Code that the suite names is the user's own word; training has made sure that the run is of no other.
    """
    out = grid / cell.folder
    trust = ["--trust"] if own_names(cell.environment, cell.algorithm, cell.options.get("algo", {})) else []
    train = cell.train_command(out, resume=(out / "config.yaml").exists())
    return [train, *([*asked.command(out), *trust] for asked in cell.evaluations)]


def open_grid(name: str, out: Path | None, only: Sequence[str] = (), part: str = "") -> tuple[Suite, Path]:
    """The cells of a suite that are asked for, and the folder of its grid.

    Raises:
        InputError: an impossible suite, a cell that is not there, or a folder that holds other runs.
    """
    suite = load_suite(name, only, part)
    grid = out or Path("grids") / suite.name
    check_grid(suite, grid)
    return suite, grid


def dry_run(name: str, out: Path | None, only: Sequence[str] = (), part: str = "") -> list[str]:
    """A shell line for every cell that is not finished, as `compare_suite` would run it; raises as `open_grid`."""
    suite, grid = open_grid(name, out, only, part)
    return [
        " && ".join(shlex.join(["metarl", *words]) for words in cell_commands(cell, grid))
        for cell in suite.cells
        if not evaluations_of(cell, grid)
    ]


class Launcher:
    """Works on a grid until every cell is finished or has failed."""

    def __init__(self, suite: Suite, grid: Path, parallel: int, console: Console, program: Sequence[str]) -> None:
        """Nothing is written or started yet.

        Args:
            parallel: how many cells at once.
            program: what to run with the arguments of `metarl`.
        """
        self.suite, self.grid, self.parallel, self.console, self.program = suite, grid, parallel, console, program
        self.waiting = {cell.folder: (cell, Lease(grid / cell.folder)) for cell in suite.cells}
        self.jobs: list[Job] = []
        self.failures: list[Failure] = []
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=console, disable=not console.is_terminal)

    def run(self) -> list[Failure]:
        """Work until nothing is left to do; returns what failed.

        Raises:
            KeyboardInterrupt, or what SIGTERM raises: once all that was started has ended.
        """
        with interruptible_at_points(), self.progress:
            overall = self.progress.add_task("cells", total=len(self.waiting))
            try:
                next_look, next_count, told = 0.0, 0.0, False
                while self.waiting or self.jobs:
                    interruption_point()
                    if len(self.jobs) < self.parallel and time.monotonic() >= next_look:
                        started = self._start_one()
                        next_look = 0.0 if started else time.monotonic() + LOOK_AGAIN_SECONDS
                        if self.waiting and not (started or self.jobs or told):
                            told = True
                            self._say("waiting   for cells that other launchers work on")
                    ended = [job for job in list(self.jobs) if not self._goes_on(job)]
                    next_look = 0.0 if ended else next_look
                    self.progress.update(overall, completed=len(self.suite.cells) - len(self.waiting) - len(self.jobs))
                    if time.monotonic() >= next_count:
                        next_count = time.monotonic() + COUNT_SECONDS
                        for job in self.jobs if self.console.is_terminal else ():
                            self.progress.update(job.bar, completed=_iterations_done(self.grid / job.cell.folder))
                    time.sleep(POLL_SECONDS if self.jobs or self.waiting else 0)
            finally:
                self._end_all()
        return self.failures

    def _start_one(self) -> bool:
        """Start the first waiting cell that is nobody's; drop those that are finished."""
        for folder, (cell, lease) in list(self.waiting.items()):
            if lease.take():
                del self.waiting[folder]
                if not evaluations_of(cell, self.grid):
                    self._start(cell, lease)
                    return True
                lease.release()
        return False

    def _start(self, cell: Cell, lease: Lease) -> None:
        log = open(self._log_path(cell), "ab")  # noqa: SIM115 (closed when the job ends)
        commands = cell_commands(cell, self.grid)
        self._say(f"started   {cell.folder}")
        bar = self.progress.add_task(str(cell.folder), total=cell.iterations)
        self.jobs.append(Job(cell, lease, commands, log, bar, start([*self.program, *commands[0]], log)))

    def _log_path(self, cell: Cell) -> Path:
        path = self.grid / cell.folder
        return path.with_name(f"{path.name}.log")

    def _goes_on(self, job: Job) -> bool:
        """Whether a job has still something to do; its next command is started where one has ended."""
        folder = job.cell.folder
        if job.lease.is_lost:
            self._say(f"given up  {folder} (another launcher has taken it over)")
            self._end([job])
            self.waiting[folder] = job.cell, Lease(self.grid / folder)
            return False
        code = job.process.poll()
        if code is None:
            return True
        signal_group(job.process.pid, signal.SIGKILL)  # whatever it may have left behind
        del job.commands[0]
        if code == 0 and job.commands:
            job.process = start([*self.program, *job.commands[0]], job.log)
            return True
        if code == 0 and not evaluations_of(job.cell, self.grid):
            code = 1
        if code != 0:
            self.failures.append(Failure(job.cell, code, _last_line(self._log_path(job.cell))))
        self._say(f"{'finished' if code == 0 else 'FAILED'.ljust(8)}  {folder}")
        self._forget(job)
        return False

    def _end_all(self) -> None:
        """End what runs. Signals wait meanwhile: it takes `GRACE_SECONDS` at most."""
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS} if self.jobs else {}
        try:
            self._end(list(self.jobs))
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _end(self, jobs: Sequence[Job]) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        for job in jobs:
            signal_group(job.process.pid, signal.SIGTERM)
        for job in jobs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.process.wait(max(0.0, deadline - time.monotonic()))
            signal_group(job.process.pid, signal.SIGKILL)
            job.process.wait()
        for job in jobs:  # only now: this writes, which may fail
            self._forget(job)

    def _forget(self, job: Job) -> None:
        job.log.close()
        job.lease.release()
        self.progress.remove_task(job.bar)
        self.jobs.remove(job)

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)


def _iterations_done(run: Path) -> int:
    try:
        return read_file(run / "metrics.jsonl", MOST_LINES).count(b"\n")
    except OSError:
        return 0


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "no word")
