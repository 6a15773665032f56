"""Whatever ends training, its last iteration is saved first: closed terminals, signals to programs, broken disks."""

import contextlib
import itertools
import os
import signal
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from support.command import TINY, Command, end_result, numbers, train_arguments
from support.processes import Job

from envs.families.point.navigation import PointNav
from metarl.algorithms import belief_model, pearl
from metarl.core.types import State, Trial
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import NonFiniteError, StorageError


def saved(run: Path) -> int:
    """The iteration of the newest checkpoint; 0: there is none."""
    return max((int(path.stem.removeprefix("iteration-")) for path in run.glob("checkpoints/*.json")), default=0)


def has_lines(run: Path, least: int) -> bool:
    metrics = run / "metrics.jsonl"
    return metrics.exists() and metrics.read_bytes().count(b"\n") >= least


def endless(run: Path) -> list[str]:
    """Training that goes on, and by itself saves nothing for hours."""
    return [*train_arguments(run, iterations=10**6), "--checkpoint-every", str(10**6)]


@pytest.mark.parametrize("heeded", [True, False], ids=["", "nohup"])
def test_a_terminal_that_closes_loses_nothing(tmp_path: Path, heeded: bool) -> None:
    run = tmp_path / "run"
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    job = Job(endless(run), tmp_path / "log", terminal=os.ttyname(theirs), hangs_up=heeded)

    def is_under_way() -> bool:
        with contextlib.suppress(BlockingIOError), open(job.log, "ab") as log:  # somebody must read what is shown
            log.write(os.read(ours, 65536))
        return has_lines(run, 3)

    job.wait_for(is_under_way)
    os.close(theirs)
    os.close(ours)
    if not heeded:  # who ignores the signal goes on, though nobody can be told any more
        done = len(numbers(run))
        job.wait_for(lambda: has_lines(run, done + 5))
        job.send(signal.SIGTERM)
    assert job.end(timeout=10) == (129 if heeded else 143)
    assert saved(run) == len(numbers(run)) >= 3


def handler_that_exits(number: int, frame: FrameType | None) -> None:
    print(f"heard {signal.Signals(number).name}", flush=True)
    raise SystemExit(7)


def handler_that_returns(number: int, frame: FrameType | None) -> None:
    print(f"heard {signal.Signals(number).name}", flush=True)


def train_in_python(out: str, handler: Any) -> int:
    """A program of someone else's, which has a handler of its own or none."""
    import metarl

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGHUP, handler)
    sizes = {"tasks": 2, "lanes": 3, "threads": 1, "torch_threads": 1, "checkpoint_every": 10**6}
    options = {"env": {"horizon": 5}, "algo": {"hidden": (8,)}}
    metarl.train("point-nav", "maml-vpg", out=out, iterations=10**6, **sizes, **options)
    return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("handler", [signal.SIG_DFL, handler_that_exits, handler_that_returns])
def test_a_signal_to_a_program_saves_and_is_not_swallowed(tmp_path: Path, number: int, handler: Any) -> None:
    run = tmp_path / "run"
    job = Job(partial(train_in_python, str(run), handler), tmp_path / "log")
    job.wait_for(lambda: has_lines(run, 3))
    job.send(number)
    # by default a signal kills; a handler may end the program; and where it returns, training says that it was stopped
    assert job.end(timeout=10) == {signal.SIG_DFL: -number, handler_that_exits: 7, handler_that_returns: 1}[handler]
    log = job.log.read_text()
    name = signal.Signals(number).name
    assert (f"heard {name}" in log) == (handler != signal.SIG_DFL)
    assert (f"Interrupted: stopped by {name}" in log) == (handler == handler_that_returns)
    assert saved(run) == len(numbers(run)) >= 3


@pytest.mark.parametrize("checkpoint_every", ["2", "100"])
def test_a_last_save_that_fails_hides_nothing_that_came_before(
    metarl: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checkpoint_every: str,
) -> None:
    advance, played = PointNav.advance, []

    def break_in_the_third_iteration(self: PointNav, *arguments: Any) -> Any:
        played.append(1)
        if len(played) > 2 * 2 * 5:  # iterations, rounds, steps
            raise ValueError("no floor here")
        return advance(self, *arguments)

    def no_space(*arguments: Any) -> None:
        raise StorageError("the disk is full — free space")

    monkeypatch.setattr(PointNav, "advance", break_in_the_third_iteration)
    monkeypatch.setattr(RunDirectory, "save", no_space)
    arguments = ["train", "point-nav", "maml-vpg", *TINY, "--iterations", "5", "--out", "run"]
    result = metarl(*arguments, "--checkpoint-every", checkpoint_every)
    said = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    if checkpoint_every == "2":  # here the save comes first, and is not tried again
        assert result.code == 5 and "the disk is full" in result.err and said == []
    else:
        assert result.code == 4 and "no floor here" in result.err
        assert said == ["iteration 2 could not be saved: the disk is full — free space"]


@pytest.mark.parametrize("slots", [2, 5], ids=["copied", "in place"])
@pytest.mark.parametrize(("algorithm", "module"), [("pearl", pearl), ("varibad", belief_model)])
def test_an_update_that_broke_after_it_wrote_to_the_replay_leaves_no_trace(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, module: ModuleType, slots: int
) -> None:
    # A meeting is of 3 episodes of 5 steps in 3 lanes, and there are 2 an iteration: the ring closes in the third.
    size = ["--algo.rounds", "3", "--algo.replay-size", str(slots * 3 * 5 * 3)]
    assert metarl(*train_arguments("whole", 6, algorithm=algorithm), *size).code == 0
    calls, write = itertools.count(1), module.write_trial

    def writes_and_breaks(replay: State, trial: Trial) -> State:
        written: State = write(replay, trial)
        if next(calls) == 4:
            raise NonFiniteError("imagine that — it did")
        return written

    arguments = [*train_arguments("run", 6, algorithm=algorithm), *size]
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_trial", writes_and_breaks)
        assert metarl(*arguments, "--checkpoint-every", "100").code != 0
    run = tmp_path / "run"
    assert saved(run) == len(numbers(run)) == 3
    assert metarl(*arguments, "--resume").code == 0
    assert end_result(run) == end_result(tmp_path / "whole")
