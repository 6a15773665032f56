"""`metarl compare`: every cell is done once, whatever dies meanwhile, and what came of it is kept."""

import json
import random
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.command import Command, assert_refused, snapshot
from support.suites import SUITE

from metarl.cli import parse
from metarl.comparison import grid as grid_module
from metarl.comparison.grid import Launcher
from metarl.comparison.suite import evaluations_of
from metarl.comparison.suite_file import load_suite

# Stands in for `metarl`: notes its call, takes SECONDS to train, and leaves the files that a launcher looks for.
FAKE = """
import json, os, pathlib, shutil, signal, sys, time

here = pathlib.Path(__file__).parent
seconds, stubborn, broken = json.loads((here / "fake.json").read_text())
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
arguments = sys.argv[1:]
run = pathlib.Path(arguments[arguments.index("--out") + 1] if arguments[0] == "train" else arguments[1])
cell = str(run.relative_to(run.parents[2]))


def note(what):
    with open(here / "calls", "a") as file:
        file.write(json.dumps([what, cell, os.getpid()]) + chr(10))


if arguments[0] == "evaluate":
    record = {"iteration": 2, "tasks": 3, "returns": {name: [0.0, 1.0] for name in ("mean", "low", "high")}}
    (run / "evaluation.json").write_text(json.dumps(record))
    note("evaluated")
    sys.exit()
if (run / "config.yaml").exists() != ("--resume" in arguments):
    sys.exit("there is a run here, or none")
note("resumed" if "--resume" in arguments else "began")
run.mkdir(parents=True, exist_ok=True)
shutil.copy(here / "configs" / cell.replace("/", "+"), run / "config.yaml")
time.sleep(seconds)
note("trained")
if cell == broken:
    print("metarl: error: the numbers broke", file=sys.stderr)
    sys.exit(3)
"""

LAUNCH = """
import signal, sys
from pathlib import Path
from rich.console import Console
from metarl.comparison.grid import Launcher
from metarl.comparison.suite_file import load_suite

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.signal(signal.SIGINT, signal.default_int_handler)
suite, grid, fake = sys.argv[1:]
print("ready", flush=True)
Launcher(load_suite(suite), Path(grid), 2, Console(), (sys.executable, fake)).run()
"""


class Bench:
    """A suite, a stand-in for `metarl`, and launchers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.grid, self.suite_path = folder, folder / "grid", folder / "suite.yaml"
        self.suite_path.write_text(yaml.safe_dump(SUITE))
        self.suite = load_suite(str(self.suite_path))
        (folder / "configs").mkdir()
        for cell in self.suite.cells:
            text = yaml.safe_dump(cell.config.as_dict())
            (folder / "configs" / str(cell.folder).replace("/", "+")).write_text(text)
        self.program = (sys.executable, str(folder / "fake.py"))
        (folder / "fake.py").write_text(FAKE)
        self.behave(0.05)

    def behave(self, seconds: float, stubborn: bool = False, broken: str = "") -> None:
        (self.folder / "fake.json").write_text(json.dumps([seconds, stubborn, broken]))

    def launch(self) -> "subprocess.Popen[str]":
        arguments = [sys.executable, "-c", LAUNCH, str(self.suite_path), str(self.grid), self.program[1]]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    def finish(self) -> list[grid_module.Failure]:
        return Launcher(self.suite, self.grid, 4, Console(quiet=True), self.program).run()

    def calls(self) -> list[tuple[str, str, int]]:
        path = self.folder / "calls"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, what: str) -> Counter[str]:
        return Counter(cell for said, cell, _ in self.calls() if said == what)

    def is_complete(self) -> bool:
        return all(evaluations_of(cell, self.grid) for cell in self.suite.cells)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def wait_until(ready: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_dry_run_prints_the_commands_of_each_cell_that_is_not_finished(metarl: Command, bench: Bench) -> None:
    first = bench.grid / bench.suite.cells[0].folder
    first.mkdir(parents=True)
    curve = {name: [0.0, 1.0] for name in ("mean", "low", "high")}
    (first / "evaluation.json").write_text(json.dumps({"iteration": 2, "tasks": 3, "returns": curve}))
    before = snapshot(bench.folder)
    result = metarl("compare", bench.suite_path, "--out", bench.grid, "--dry-run")
    assert snapshot(bench.folder) == before
    lines = result.out.splitlines()
    assert len(lines) == 7 and result.code == 0
    for line, cell in zip(lines, bench.suite.cells[1:], strict=True):
        train, evaluate = (shlex.split(command) for command in line.split(" && "))
        assert train[0] == evaluate[0] == "metarl"
        assert parse(train[1:]).out == parse(evaluate[1:]).run == bench.grid / cell.folder


def test_only_the_evaluation_that_the_suite_asks_for_finishes_a_cell(bench: Bench) -> None:
    cell = bench.suite.cells[0]
    asked = {"iteration": 2, "split": "test", "seed": 0, "tasks": 3, "returns": {"mean": [0.0, 1.0]}}
    others = [{"split": "train"}, {"seed": 1}, {"tasks": 4}, {"returns": {"mean": [0.0]}}, {"iteration": 1}]
    for number, changes in enumerate([*others, {"deterministic": True}]):
        place = bench.grid / cell.folder / "evaluations" / str(number)
        place.mkdir(parents=True)
        (place / "evaluation.json").write_text(json.dumps(asked | changes))
        assert not evaluations_of(cell, bench.grid)
    own = bench.grid / cell.folder / "evaluations" / "asked"
    own.mkdir()
    (own / "evaluation.json").write_text(json.dumps(asked))
    newest = bench.grid / cell.folder / "evaluation.json"
    newest.write_text(json.dumps(asked | {"tasks": 9}))  # by hand, later
    assert evaluations_of(cell, bench.grid)


def test_two_launchers_at_once_do_no_cell_twice(bench: Bench) -> None:
    bench.behave(0.3)
    launchers = [bench.launch(), bench.launch()]
    assert [launcher.wait(60) for launcher in launchers] == [0, 0]
    once = Counter(str(cell.folder) for cell in bench.suite.cells)
    assert bench.count("began") == bench.count("evaluated") == once and bench.is_complete()
    began = [sum("started" in line for line in launcher.stdout or ()) for launcher in launchers]
    assert sum(began) == 8 and min(began) > 0  # both have worked


def test_a_launcher_killed_at_any_time_leaves_nothing_running_and_the_next_goes_on(bench: Bench) -> None:
    bench.behave(0.25)
    rng = random.Random(0)
    for _ in range(3):
        launcher = bench.launch()
        assert launcher.stdout and launcher.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.2, 0.7))
        launcher.kill()
        launcher.wait()
        wait_until(lambda: not any(lives(pid) for _, _, pid in bench.calls()), seconds=5)
    finished = [str(cell.folder) for cell in bench.suite.cells if evaluations_of(cell, bench.grid)]
    trained = bench.count("began") + bench.count("resumed")
    assert trained, "the launchers were killed before anything began"
    assert bench.finish() == [] and bench.is_complete()
    assert set(bench.count("evaluated").values()) == {1}
    again = bench.count("began") + bench.count("resumed")
    assert all(again[cell] == trained[cell] for cell in finished)  # what was finished did not run again


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_signal_ends_a_launcher_and_all_that_it_started(bench: Bench, number: signal.Signals, code: int) -> None:
    bench.behave(60, stubborn=True)
    launcher = bench.launch()
    wait_until(lambda: len(bench.count("began")) == 2)
    start = time.monotonic()
    launcher.send_signal(number)
    assert abs(launcher.wait(10)) in (code, number) and time.monotonic() - start < 5
    assert not any(lives(pid) for _, _, pid in bench.calls())
    bench.behave(0)
    assert bench.finish() == [] and bench.is_complete()
    assert sum(bench.count("resumed").values()) == 2


def test_a_cell_that_fails_is_reported_and_the_others_go_on(
    metarl: Command, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid_module, "METARL", bench.program)
    bench.behave(0, broken="bandit/promp/seed-0")
    command = ("compare", bench.suite_path, "--out", bench.grid)
    result = metarl(*command)
    assert result.code == 3
    assert "bandit/promp/seed-0" in result.err and "the numbers broke" in result.err
    results = json.loads((bench.grid / "results.json").read_text())
    assert [each["code"] for each in results["failed"]] == [3]
    assert [(row["algorithm"], len(row["scores"])) for row in results["environments"]] == [
        *(("maml-vpg", 2), ("promp", 2)),  # point-nav
        *(("maml-vpg", 2), ("promp", 1)),  # bandit
    ]
    assert (bench.grid / "results.csv").read_text().count("\n") == 5
    bench.behave(0)
    calls = len(bench.calls())
    assert metarl(*command).code == 0 and bench.is_complete()
    assert [call[:2] for call in bench.calls()[calls:]] == [
        (what, "bandit/promp/seed-0") for what in ("resumed", "trained", "evaluated")
    ]


def test_a_folder_of_other_runs_is_refused(metarl: Command, bench: Bench) -> None:
    bench.finish()
    other = SUITE | {"seeds": [0], "cells": [SUITE["cells"][0] | {"env": {"horizon": 6}}]}
    bench.suite_path.write_text(yaml.safe_dump(other))
    before = snapshot(bench.folder)
    result = metarl("compare", bench.suite_path, "--out", bench.grid)
    assert_refused(result, "point-nav/maml-vpg/seed-0", "env.horizon is 6, there it is 5")
    assert snapshot(bench.folder) == before


def test_a_real_cell_trains_is_evaluated_and_never_runs_again(metarl: Command, tmp_path: Path) -> None:
    block = SUITE["cells"][0] | {"environments": ["point-nav"], "algorithms": ["maml-vpg"]}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(SUITE | {"seeds": [7], "cells": [block]}))
    result = metarl("compare", "one.yaml")
    assert result.code == 0, (result, *(path.read_text() for path in tmp_path.rglob("*.log")))
    (row,) = json.loads(Path("grids/one/results.json").read_text())["environments"]
    record = json.loads(Path("grids/one/point-nav/maml-vpg/seed-7/evaluation.json").read_text())
    assert row["scores"] == [record["returns"]["mean"][-1]]
    assert row["normalised"] == pytest.approx((row["iqm"] - record["random"]) / (record["informed"] - record["random"]))
    again = metarl("compare", "one.yaml")
    assert again.code == 0 and "started" not in again.out
