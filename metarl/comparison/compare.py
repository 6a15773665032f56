"""`metarl compare`: a suite is trained, evaluated and told; runs that there are, are told."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from metarl.comparison import grid as grids
from metarl.comparison.suite import evaluations_of
from metarl.comparison.suite_file import load_suite
from metarl.runs.config import versions
from metarl.runtime.allocation import cores
from metarl.runtime.errors import InputError
from metarl.runtime.files import read_json


def compare(
    *what: str | Path,
    out: str | Path | None = None,
    parallel: int = 0,
    only: Sequence[str] = (),
    part: str = "",
    quiet: bool = True,
) -> dict[str, Any]:
    """Compare methods; the same as `metarl compare`.

    Args:
        what: a built-in suite's name, or the path of a YAML file; or folders with runs in or below them.
        out: the suite's folder; default `grids/NAME`.
        parallel: cells side by side; 0: one for each core.
        only: folders of the cells to work on (`Suite.only`); all by default.
        part: which part of these, "K/N" (`Suite.part`).
        quiet: show nothing.

    Returns what `results.json` of a suite holds: interquartile means with their intervals by environment and method,
        over environments, and probabilities of improvement; of runs `adaptations` and what is `missing`, too.

    Raises:
        InputError: an impossible suite, a folder that holds other runs, or one without runs.
        StorageError: the file system refused.
    """
    names = tuple(map(str, what))
    if is_suite(names, out, parallel, only, part):
        grid = Path(out) if out is not None else Path("grids") / load_suite(names[0], check_options=False).name
        work_on_suite(names[0], grid, parallel, Console(quiet=quiet), only, part)
        return read_json(grid / "results.json")
    return compare_runs([Path(name) for name in names])


def is_suite(what: Sequence[str], *options: Any) -> bool:
    """Whether one suite is meant, and not folders of runs, which no `options` are for.

    Raises:
        InputError: nothing is named, a suite beside something else, or an option for runs.
    """
    folders = [Path(name).is_dir() for name in what]
    if not what or "" in what:
        raise InputError("nothing to compare is named — name a suite, or folders with runs in them")
    if len(what) > 1 and not all(folders):
        raise InputError(f"'{what[folders.index(False)]}' is no folder — name one suite alone, or folders with runs")
    if folders[0] and any(options):
        raise InputError("--out, --parallel, --only, --part and --dry-run are for a suite — leave them out for runs")
    return not folders[0]


def compare_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """What the runs in or below folders say: figures as of a suite, `adaptations`, the measure of each environment and
    method after 0, 1, … of them, and `missing`, a line about each run that is not finished or cannot be read.

    Raises:
        InputError: a folder that is not there, or no run that can be read.
    """
    from metarl.comparison.adaptation import adaptation_rows
    from metarl.comparison.records import records_in
    from metarl.comparison.results import summarise  # which import torch and scipy: launching does without

    records, broken = records_in(folders)
    missing = [f"{record.path}: {record.status}" for record in records if not record.is_finished]
    return {**summarise(records), "adaptations": adaptation_rows(records), "missing": [*missing, *broken]}


def tables_of_runs(folders: Sequence[str]) -> tuple[list[Table], list[str]]:
    """What the runs in or below folders say, for the terminal, and a line about each that is not finished or cannot be
    read; raises as `compare`. Of single seeds no probability of improvement is told."""
    from metarl.comparison.adaptation import adaptation_tables
    from metarl.comparison.results import tables

    found = compare_runs([Path(folder) for folder in folders])
    sure = [row for row in found["probability_of_improvement"] if row["low"] is not None]
    shown = [*adaptation_tables(found["adaptations"]), *tables({**found, "probability_of_improvement": sure})]
    return shown, found["missing"]


def work_on_suite(
    name: str, out: Path | None, parallel: int, console: Console, only: Sequence[str] = (), part: str = ""
) -> list[grids.Failure]:
    """Work on a suite's grid to its end, then write and show what it says; returns the cells that failed.

    Takes and raises what `compare` does.
    """
    if not 0 <= parallel <= 1024:
        raise InputError(f"--parallel is {parallel} — it must be between 0 and 1024")
    suite, grid = grids.open_grid(name, out, only, part)

    from metarl.comparison.cost import cost  # these import torch and scipy: what is refused is refused without
    from metarl.comparison.results import write_grid

    parallel = parallel or cores()
    left = [cell for cell in suite.cells if not evaluations_of(cell, grid)]
    console.print(cost(left, parallel), highlight=False, soft_wrap=True)
    failures = grids.Launcher(suite, grid, parallel, console, grids.METARL).run()

    failed = [{"cell": str(each.cell.folder), "code": each.code, "reason": each.reason} for each in failures]
    for table in write_grid(load_suite(name, check_options=False), grid, {"versions": versions(), "failed": failed}):
        console.print(table)
    for what, path in (("results", grid / "results.json"), ("next", f"metarl report {shlex.quote(str(grid))}")):
        console.out(f"{what + ':':13}{path}", highlight=False)
    return failures
