"""Run folders from strangers: nothing in them is executed, nothing hangs, and what is wrong is said in one line."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, Result, assert_refused
from support.hostile import BESIDE, CLOSED, MARKER, UNREADABLE_CONFIGS, Damage

SECONDS = 20  # to answer; most take milliseconds


class Hung(BaseException):
    """A command did not end."""


@pytest.fixture
def within_time() -> Iterator[None]:
    """A command that hangs fails the test by its own name."""

    def hang(number: int, frame: Any) -> None:
        raise Hung

    before, left = signal.signal(signal.SIGALRM, hang), signal.setitimer(signal.ITIMER_REAL, SECONDS)
    yield
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *left)  # the timer of pytest's own time limit


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Kind, size and time of every path below a folder."""
    found = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*")}
    return {name: (facts.st_mode, facts.st_size, facts.st_mtime_ns) for name, facts in found.items()}


def assert_in_one_line(result: Result) -> None:
    assert result.code in (0, 2, 5) and len(result.err.splitlines()) <= 1, result
    assert len(result.err) <= 2000 and result.err.rstrip("\n").isprintable()


EVALUATE = ["evaluate", "run", "--tasks", "2", "--adaptations", "1"]
RESUME = ["resume", "run", "--iterations", "5"]
SHOW = ["show", "run"]
REPORT = ["report", ".", "--out", "page.html"]


@pytest.mark.usefixtures("within_time")
@pytest.mark.parametrize("name", CLOSED)
def test_what_cannot_be_opened_is_refused_in_one_line_and_left_as_it_is(
    metarl: Command, tmp_path: Path, run: Path, name: str
) -> None:
    CLOSED[name](run)
    before = state_of(tmp_path)
    # the other openers read a run as `evaluate` does; a report looks at no checkpoint
    others = [["export", "run", "--out", "policy"]] if name in ("a pipe for config.yaml", "no weights") else []
    for command in (EVALUATE, RESUME, *others):
        result = metarl(*command)
        assert_refused(result, code=2 if result.code == 2 else 5)
        assert_in_one_line(result)
        assert state_of(tmp_path) == before
    assert_in_one_line(metarl(*SHOW))  # which looks into no checkpoint
    assert state_of(tmp_path) == before
    if name in UNREADABLE_CONFIGS:
        assert_in_one_line(metarl(*REPORT))
    assert not (tmp_path / MARKER).exists()


@pytest.mark.usefixtures("within_time")
@pytest.mark.filterwarnings("error::RuntimeWarning")  # which a terminal would show
@pytest.mark.parametrize("damage", BESIDE.values(), ids=BESIDE.keys())
def test_what_lies_beside_weights_and_config_stops_nothing_without_a_line(
    metarl: Command, tmp_path: Path, run: Path, damage: Damage
) -> None:
    damage(run)
    for command in (REPORT, SHOW, RESUME):
        assert_in_one_line(metarl(*command))
    assert not (tmp_path / MARKER).exists()


def test_there_are_fifty_of_them_and_each_is_another() -> None:
    assert len(CLOSED) + len(BESIDE) >= 50 and not CLOSED.keys() & BESIDE.keys()


def plant_elsewhere(run: Path) -> Path:
    """Something of the reader's own, that a name in the folder leads to."""
    own = run.parent / "own.txt"
    own.write_text("months of work")
    return own


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "checkpoints/iteration-000005.json"])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
def test_what_a_run_writes_never_goes_where_a_link_in_it_leads(
    metarl: Command, run: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    own = plant_elsewhere(run)
    path = run / name
    link(path.with_name(f".{path.name}.partial"), own)
    assert metarl(*RESUME).code == 0
    assert own.read_text() == "months of work"
