"""`metarl benchmark learn`: what a suite's file may say, who works on a cell, and what is left when something dies."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.command import Command, assert_refused, snapshot

from envs.registry import environment_class
from metarl.cli import parse
from metarl.comparison import grid as grid_module
from metarl.comparison.claims import STALE_SECONDS, claim, this_host
from metarl.comparison.grid import Launcher, is_finished
from metarl.comparison.suite import built_in, load_suite
from metarl.runs.config import RunConfig

SUITE = {
    "iterations": 2,
    "seeds": [0, 1],
    "tasks": 3,
    "rounds": 1,
    "cells": [
        {
            "environments": ["point-nav", "bandit"],
            "algorithms": ["maml-vpg", "promp"],
            "train": {"tasks": 2, "lanes": 3},
            "env": {"horizon": 5},
            "algo": {"hidden": [8], "first_order": True},
        }
    ],
}

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
from metarl.comparison.suite import load_suite

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
        return all(is_finished(self.suite, cell, self.grid) for cell in self.suite.cells)


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


# Suites

BAD_SUITES = {
    "an unknown field": ({"iteratons": 3}, ["iteratons", "did you mean 'iterations'?"]),
    "an unknown field of a cell": ({"cells": [{"environment": ["bandit"]}]}, ["environment", "'environments'"]),
    "an unknown environment": ({"cells": [{"environments": ["bandti"], "algorithms": ["promp"]}]}, ["'bandit'"]),
    "an unknown algorithm": ({"cells": [{"environments": ["bandit"], "algorithms": ["prmp"]}]}, ["'promp'"]),
    "labelled data": ({"cells": [{"environments": ["sinusoid"], "algorithms": ["maml"]}]}, ["'sinusoid'"]),
    "no seeds": ({"seeds": []}, ["seeds is []"]),
    "a seed twice": ({"seeds": [1, 1]}, ["seeds is [1, 1]"]),
    "an impossible seed": ({"seeds": [-1]}, ["seed is -1"]),
    "words for a number": ({"iterations": "many"}, ["iterations", "'many'"]),
    "no iterations": ({"iterations": 0}, ["iterations is 0"]),
    "no tasks": ({"tasks": 0}, ["tasks is 0"]),
    "no cells": ({"cells": []}, ["there are no cells"]),
    "a cell that is no mapping": ({"cells": ["bandit"]}, ["'bandit'"]),
    "a cell without algorithms": ({"cells": [{"environments": ["bandit"]}]}, ["algorithms"]),
}
BAD_OPTIONS = {
    "an option of training": ({"train": {"lnes": 3}}, ["lnes", "'lanes'"]),
    "an option of the environment": ({"env": {"horzion": 3}}, ["horzion", "'horizon'"]),
    "an option of the algorithm": ({"algo": {"inner_rl": 3}}, ["inner_rl", "'inner_lr'"]),
    "a value of another type": ({"algo": {"inner_lr": "quick"}}, ["inner_lr", "'quick'"]),
    "an impossible value": ({"env": {"horizon": 0}}, ["horizon"]),
    "what the grid gives": ({"train": {"threads": 2}}, ["train.threads"]),
}


def refuse(metarl: Command, folder: Path, text: str, words: list[str]) -> None:
    (folder / "bad.yaml").write_text(text)
    before = snapshot(folder)
    assert_refused(metarl("benchmark", "learn", "bad.yaml"), "bad.yaml", *words)
    assert snapshot(folder) == before


@pytest.mark.parametrize(("changes", "words"), BAD_SUITES.values(), ids=BAD_SUITES)
def test_a_bad_suite_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | changes), words)


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_in_a_suite_is_refused_by_its_name(
    metarl: Command, tmp_path: Path, options: dict[str, object], words: list[str]
) -> None:
    cell = {"environments": ["point-nav"], "algorithms": ["promp"], **options}
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | {"cells": [cell]}), words)


def test_what_is_no_suite_at_all_is_refused(metarl: Command, tmp_path: Path) -> None:
    refuse(metarl, tmp_path, "cells: [", ["not valid YAML"])
    refuse(metarl, tmp_path, "just words", ["a mapping"])
    assert_refused(metarl("benchmark", "learn", "smoek"), "did you mean 'smoke'?")
    assert_refused(metarl("benchmark", "learn", "smoke", "--parallel", "-1"), "--parallel is -1")
    assert_refused(metarl("benchmark", "learn", "smoke", "--out", "bad.yaml"), "bad.yaml is a file")


def test_two_cells_of_one_name_need_a_label(metarl: Command, tmp_path: Path) -> None:
    block = SUITE["cells"][0]  # type: ignore[index]
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | {"cells": [block, block]}), ["label"])
    labelled = SUITE | {"cells": [block, block | {"label": "again"}]}
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(labelled))
    folders = [str(cell.folder) for cell in load_suite(str(tmp_path / "good.yaml")).cells]
    assert {"bandit/promp/seed-1", "bandit/promp-again/seed-1"} <= set(folders) and len(set(folders)) == 16


def test_every_built_in_suite_says_on_the_command_line_what_its_file_says() -> None:
    assert built_in() == ["classic", "dynamics", "memory", "smoke"]
    for name in built_in():
        suite = load_suite(name)
        last_of_each = {cell.labels: cell for cell in suite.cells}.values()
        for cell in list(last_of_each)[:: 1 + len(last_of_each) // 4]:
            command = parse(cell.train_command(Path("out"), resume=True))
            env = environment_class(command.environment)(1, 1, command.env, threads=1).config  # type: ignore[call-arg]
            parsed = RunConfig(command.environment, command.algorithm, command.train, env, command.algo)
            assert parsed == cell.config
            assert command.resume and command.out == Path("out")
        evaluation = parse(suite.evaluate_command(Path("out")))
        assert (evaluation.tasks, evaluation.adaptations) == (suite.tasks, suite.rounds)


def test_the_suite_in_the_documents_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    (tmp_path / "documented.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    suite = load_suite(str(tmp_path / "documented.yaml"))
    # two methods and a third way, three seeds each
    assert len(suite.cells) == 9 and {cell.algorithm_label for cell in suite.cells} == {
        "maml-trpo",
        "promp",
        "promp-fast",
    }


def test_options_of_every_kind_reach_the_command_line(bench: Bench) -> None:
    command = parse(bench.suite.cells[0].train_command(Path("out"), resume=False))
    assert command.algo.hidden == (8,) and command.algo.first_order and command.env.horizon == 5
    assert (command.train.threads, command.train.torch_threads, command.resume) == (1, 1, False)


def test_a_dry_run_prints_the_commands_of_each_cell_that_is_not_finished(metarl: Command, bench: Bench) -> None:
    first = bench.grid / bench.suite.cells[0].folder
    first.mkdir(parents=True)
    curve = {name: [0.0, 1.0] for name in ("mean", "low", "high")}
    (first / "evaluation.json").write_text(json.dumps({"iteration": 2, "tasks": 3, "returns": curve}))
    before = snapshot(bench.folder)
    result = metarl("benchmark", "learn", bench.suite_path, "--out", bench.grid, "--dry-run")
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
        assert not is_finished(bench.suite, cell, bench.grid)
    own = bench.grid / cell.folder / "evaluations" / "asked"
    own.mkdir()
    (own / "evaluation.json").write_text(json.dumps(asked))
    newest = bench.grid / cell.folder / "evaluation.json"
    newest.write_text(json.dumps(asked | {"tasks": 9}))  # by hand, later
    assert is_finished(bench.suite, cell, bench.grid)


# Claims


def test_a_cell_is_one_launchers_until_it_is_released(tmp_path: Path) -> None:
    cell = tmp_path / "env" / "algo" / "seed-0"
    mine = claim(cell)
    assert mine is not None and mine.beat()
    assert claim(cell) is None
    mine.release()
    second = claim(cell)
    assert second is not None and second.path != mine.path and claim(cell.with_name("seed-1")) is not None


def test_of_many_that_reach_for_a_cell_at_once_one_gets_it(tmp_path: Path) -> None:
    for attempt in range(10):
        won, barrier = [], threading.Barrier(8)

        def reach(cell: Path = tmp_path / f"seed-{attempt}", won: list[object] = won, b: threading.Barrier = barrier):  # type: ignore[no-untyped-def]
            b.wait()
            won.append(claim(cell))

        threads = [threading.Thread(target=reach) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([each for each in won if each is not None]) == 1


def test_a_claim_is_stale_when_its_owner_is_dead_here_or_silent_anywhere(tmp_path: Path) -> None:
    cell = tmp_path / "seed-0"
    mine = claim(cell)
    assert mine is not None
    assert claim(cell, alive=lambda pid: pid == os.getpid()) is None
    second = claim(cell, alive=lambda pid: False)  # our process were dead
    assert second is not None and not mine.beat() and second.beat()
    # On another host its process means nothing to us, its heart does.
    second.path.write_text(json.dumps({"host": this_host() + " elsewhere", "pid": 1}))
    assert claim(cell, alive=lambda pid: False) is None
    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(second.path, (long_ago, long_ago))
    third = claim(cell)
    assert third is not None and not second.beat()
    # One that is still being written is not free; one that never was is, some day.
    third.path.write_text("")
    assert claim(cell) is None
    os.utime(third.path, (long_ago, long_ago))
    assert claim(cell) is not None


# Launchers


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
    finished = [str(cell.folder) for cell in bench.suite.cells if is_finished(bench.suite, cell, bench.grid)]
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
    command = ("benchmark", "learn", bench.suite_path, "--out", bench.grid)
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
    other = SUITE | {"seeds": [0], "cells": [SUITE["cells"][0] | {"env": {"horizon": 6}}]}  # type: ignore[index]
    bench.suite_path.write_text(yaml.safe_dump(other))
    before = snapshot(bench.folder)
    result = metarl("benchmark", "learn", bench.suite_path, "--out", bench.grid)
    assert_refused(result, "point-nav/maml-vpg/seed-0", "env.horizon is 6, there it is 5")
    assert snapshot(bench.folder) == before


def test_a_real_cell_trains_is_evaluated_and_never_runs_again(metarl: Command, tmp_path: Path) -> None:
    block = SUITE["cells"][0] | {"environments": ["point-nav"], "algorithms": ["maml-vpg"]}  # type: ignore[index]
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(SUITE | {"seeds": [7], "cells": [block]}))
    result = metarl("benchmark", "learn", "one.yaml")
    assert result.code == 0, (result, *(path.read_text() for path in tmp_path.rglob("*.log")))
    (row,) = json.loads(Path("grids/one/results.json").read_text())["environments"]
    record = json.loads(Path("grids/one/point-nav/maml-vpg/seed-7/evaluation.json").read_text())
    assert row["scores"] == [record["returns"]["mean"][-1]]
    assert row["normalised"] == pytest.approx((row["iqm"] - record["random"]) / (record["informed"] - record["random"]))
    again = metarl("benchmark", "learn", "one.yaml")
    assert again.code == 0 and "started" not in again.out
