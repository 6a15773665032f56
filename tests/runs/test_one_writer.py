"""A run has one writer: whoever comes second is told so in one line, and nothing is lost or written twice."""

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import Command, assert_refused, end_result, numbers, snapshot, train_arguments
from support.processes import Job

from metarl.runs.config import RunConfig
from metarl.runs.presets import default_config
from metarl.runs.run_directory import RunDirectory, make_run_path
from metarl.runtime import lock
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a writer to end."""
    monkeypatch.setattr(lock, "PATIENCE", 0.0)


def at_once(work: Callable[[], object], workers: int) -> list[object]:
    """What each of several threads makes of the same work; exceptions are results."""
    barrier, results = threading.Barrier(workers), []

    def one() -> None:
        barrier.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def config() -> RunConfig:
    return default_config("point-nav", "maml-vpg")


def test_a_second_resume_is_refused_while_the_first_writes_and_the_run_is_whole(
    metarl: Command, tmp_path: Path, run: Path
) -> None:
    job = Job([*train_arguments(run, iterations=100_000), "--resume"], tmp_path / "log")
    job.wait_for(lambda: len((run / "metrics.jsonl").read_text().splitlines()) > 5)
    result = metarl(*train_arguments("run", iterations=100_000), "--resume")
    assert_refused(result, f"process {job.process.pid} on ", "is writing run", "wait for it")
    evaluated = metarl("evaluate", "run", "--tasks", "2", "--adaptations", "0", "--json")
    assert evaluated.code == 0  # which only reads the checkpoint
    job.send(signal.SIGTERM)
    assert job.end() == 143
    iterations = [line["iteration"] for line in numbers(run)]
    assert iterations == list(range(1, len(iterations) + 1))


def test_a_writer_that_was_killed_holds_no_lock(metarl: Command, tmp_path: Path, run: Path, finished_run: Path) -> None:
    job = Job([*train_arguments(tmp_path / "killed", iterations=100_000)], tmp_path / "log")
    job.wait_for(lambda: (tmp_path / "killed" / "metrics.jsonl").exists())
    job.send(signal.SIGKILL)
    assert job.end() == -signal.SIGKILL
    done = len(numbers(tmp_path / "killed"))
    assert metarl(*train_arguments("killed", iterations=max(4, done)), "--resume").code == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("made_before", [False, True])
def test_of_two_that_make_one_folder_exactly_one_does(tmp_path: Path, config: RunConfig, made_before: bool) -> None:
    for pair in range(40):
        path, tried = tmp_path / str(pair), threading.Barrier(2)
        if made_before:
            path.mkdir()

        def make(path: Path = path, tried: threading.Barrier = tried) -> bool:
            try:
                with RunDirectory(path).writing(config, resume=False, shapes={}):
                    tried.wait(10)
                    return True
            except InputError:
                tried.wait(10)
                return False

        assert sorted(map(str, at_once(make, 2))) == ["False", "True"]


def test_default_folders_are_given_to_one_process_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = at_once(lambda: make_run_path("point-nav", "maml-vpg", 3), 16)
    names = {f"seed-3-{number}" if number > 1 else "seed-3" for number in range(1, 17)}
    assert sorted(map(str, paths)) == sorted(f"runs/point-nav/maml-vpg/{name}" for name in names)


def test_a_file_written_by_many_at_once_is_whole_and_nobody_fails(tmp_path: Path) -> None:
    contents = [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    waiting = iter(contents)
    for _ in range(5):
        waiting = iter(contents)
        results = at_once(lambda: write_atomic(tmp_path / "file", next(waiting)), len(contents))  # noqa: B023
        assert results == [None] * len(contents)
        assert (tmp_path / "file").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_resume_leaves_no_lock_in_a_run_that_had_none(metarl: Command, tmp_path: Path, run: Path) -> None:
    (run / ".lock").unlink()  # as of runs from before there were locks
    before = snapshot(tmp_path)
    assert_refused(metarl(*train_arguments("run", iterations=5), "--resume", "--seed", "1"), "train.seed is 1")
    assert snapshot(tmp_path) == before
    assert metarl(*train_arguments("run", iterations=5), "--resume").code == 0


def refuse_flock(number: int) -> Callable[..., None]:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


def test_where_the_kernel_has_no_locks_left_training_goes_on_with_a_word(
    metarl: Command, run: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse_flock(errno.ENOLCK))  # as a network file system without a lock server
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    assert "run lies where files cannot be locked" in warning
    assert end_result(run) == end_result(finished_run)


@pytest.mark.usefixtures("impatient")
@pytest.mark.filterwarnings("ignore:flock not supported")
def test_where_there_is_no_flock_there_is_still_one_writer(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse_flock(errno.ENOSYS))
    run = RunDirectory(tmp_path / "run")
    with (
        run.writing(config, resume=False, shapes={}),
        pytest.raises(InputError, match="is writing"),
        run.writing(config, resume=True, shapes={}),
    ):
        pass
    with run.writing(config, resume=True, shapes={}):
        pass


def test_what_a_killed_writer_left_half_written_is_removed(metarl: Command, run: Path) -> None:
    names = (".config.yaml", ".metrics.jsonl", ".metrics.again.jsonl", "checkpoints/.iteration-000009.json")
    left = [f"{name}.12ab.partial" for name in names]
    others = run / ".evaluation.json.12ab.partial"  # may be at work
    for path in [*(run / name for name in left), others]:
        path.write_text("half")
    assert metarl(*train_arguments("run", iterations=5), "--resume").code == 0
    assert list(run.rglob("*.partial")) == [others]
