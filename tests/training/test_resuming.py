"""Going on with a run never shrinks its record: what is lost is said, and nothing that was further begins anew."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, assert_refused, end_result, numbers, snapshot, train_arguments

import metarl as library
from metarl.runtime.errors import StorageError


def no_folder(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def no_files(run: Path) -> None:
    no_folder(run)
    (run / "checkpoints").mkdir()


def no_manifests(run: Path) -> None:
    for manifest in (run / "checkpoints").glob("*.json"):
        manifest.unlink()


LOSSES = [no_folder, no_files, no_manifests]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_run_whose_checkpoints_are_gone_is_not_begun_again(
    metarl: Command, tmp_path: Path, run: Path, lose: Callable[[Path], None]
) -> None:
    lose(run)
    before = snapshot(tmp_path)
    for arguments in (["evaluate", "run"], [*train_arguments("run", iterations=5), "--resume"]):
        refused = metarl(*arguments)
        assert_refused(refused, "run has lost its checkpoints, of 4 iterations", "another --out", code=5)
        assert "--resume" not in refused.err
    with pytest.raises(StorageError, match="lost its checkpoints"):
        library.load(run)
    assert snapshot(tmp_path) == before


def lines_left(run: Path, count: int) -> None:
    """As after kill -9, when `count` iterations were done."""
    path = run / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))


@pytest.mark.parametrize("done", [0, 1])
def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(
    metarl: Command, tmp_path: Path, run: Path, finished_run: Path, done: int
) -> None:
    no_files(run)
    lines_left(run, done)
    before = snapshot(tmp_path)
    assert_refused(metarl("evaluate", "run"), "run has no checkpoint yet", "metarl resume run")
    assert snapshot(tmp_path) == before
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    assert end_result(run) == end_result(finished_run)


@pytest.mark.parametrize("first", [5, 2])
def test_how_often_checkpoints_are_to_come_from_now_on_takes_no_part_in_it(
    metarl: Command, run: Path, finished_run: Path, first: int
) -> None:
    # three iterations, and the first checkpoint was due after the fifth; or after the second, and so was there
    no_files(run)
    lines_left(run, 3)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("checkpoint_every: 1", f"checkpoint_every: {first}"))
    resumed = metarl(*train_arguments("run", iterations=4), "--checkpoint-every", "3", "--resume")
    if first == 5:
        assert resumed.code == 0 and end_result(run) == end_result(finished_run)
    else:
        assert_refused(resumed, "lost its checkpoints", code=5)


class Unreadable:
    """A path that the file system refuses to show, as it does to whoever is not root where the mode is 000."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        listdir, open_file = os.listdir, os.open

        def refuse(asked: Any) -> None:
            if Path(asked).absolute() == path.absolute():
                raise PermissionError(errno.EACCES, "Permission denied", str(asked))

        def refusing_listdir(asked: Any) -> list[str]:
            refuse(asked)
            return listdir(asked)

        def refusing_open(asked: Any, *arguments: Any, **options: Any) -> int:
            refuse(asked)
            return open_file(asked, *arguments, **options)

        monkeypatch.setattr(os, "listdir", refusing_listdir)
        monkeypatch.setattr(os, "open", refusing_open)


@pytest.mark.parametrize("name", ["", "iteration-000004.json", "iteration-000004.safetensors"])
def test_checkpoints_that_cannot_be_read_are_neither_none_nor_damaged(
    metarl: Command, run: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = snapshot(run)
    with monkeypatch.context() as disk:
        Unreadable(disk, run / "checkpoints" / name)
        for arguments in (["evaluate", "run"], [*train_arguments("run", iterations=5), "--resume"]):
            words = (f"run/checkpoints{'/' if name else ''}{name} cannot be read (Permission denied)", "permissions")
            assert_refused(metarl(*arguments), *words, code=5)
    assert snapshot(run) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_of_mode_000_is_not_an_empty_one(metarl: Command, run: Path) -> None:
    (run / "checkpoints").chmod(0)
    try:
        assert_refused(metarl(*train_arguments("run", iterations=5), "--resume"), "Permission denied", code=5)
    finally:
        (run / "checkpoints").chmod(0o700)
    assert len(numbers(run)) == 4


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["a folder", "a file"])
def test_something_else_in_the_place_of_checkpoints_is_left_there(
    metarl: Command, run: Path, make: Callable[[Path], None]
) -> None:
    where = run / "checkpoints" / "iteration-000004.json" if make is Path.mkdir else run / "checkpoints"
    shutil.rmtree(where) if where.is_dir() else where.unlink()
    make(where)
    before = snapshot(run)
    assert_refused(metarl(*train_arguments("run", iterations=5), "--resume"), str(where.name), "cannot be", code=5)
    assert snapshot(run) == before


def damage(run: Path, iteration: int) -> None:
    (run / "checkpoints" / f"iteration-{iteration:06d}.safetensors").write_bytes(b"")


def test_lines_after_an_older_checkpoint_wait_until_their_iterations_are_done_again(
    metarl: Command, run: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(run, 4)
    damage(run, 3)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    waiting = run / "metrics.again.jsonl"

    from metarl.training import setup

    real = setup.train_iteration

    def breaks_at_once(*given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(setup, "train_iteration", breaks_at_once)
        stopped = metarl(*train_arguments("run", iterations=4), "--resume")
    assert stopped.code == 130
    assert "again: iterations 3 to 4, of which there is no sound checkpoint" in stopped.out
    # nothing of the record is lost, and the metrics are those of the checkpoint
    assert (run / "metrics.jsonl").read_text().splitlines() == lines[:2]
    assert waiting.read_text().splitlines() == lines[2:]

    seen = []

    def looked_at(*given: Any) -> Any:
        seen.append([json.loads(line)["iteration"] for line in waiting.read_text().splitlines()])
        return real(*given)

    monkeypatch.setattr(setup, "train_iteration", looked_at)
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    assert seen == [[3, 4], [3, 4]]
    assert not waiting.exists()
    assert end_result(run) == end_result(finished_run)


def test_a_run_that_goes_on_where_it_stopped_says_and_keeps_nothing(metarl: Command, run: Path) -> None:
    resumed = metarl(*train_arguments("run", iterations=5), "--resume")
    assert resumed.code == 0 and "again" not in resumed.out
    assert not (run / "metrics.again.jsonl").exists()
