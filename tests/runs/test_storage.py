"""What is written survives, in the order that makes it so; what is damaged or crafted is never taken for sound."""

import builtins
import json
import os
import random
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from runs.test_checkpoints import CPU, checkpoint, iterations

from metarl.runs.checkpoint import Checkpoint, _digest, load_checkpoint, save_checkpoint, shapes_of
from metarl.runtime.errors import StorageError
from metarl.runtime.files import PARTIAL, read_file, read_json, read_yaml_file, write_atomic

Event = tuple[str, str]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Every `fsync`, `replace` and `unlink` from now on, and the name of the file; an aside by the name it will get."""
    seen: list[Event] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def recording_fsync(file: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        kind = "folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file"
        # what is synced before it is moved must be whole already: sizes are compared below
        seen.append((f"fsync of a {kind} of {os.fstat(file).st_size if kind == 'file' else 0} bytes", path.name))
        fsync(file)

    def recording_replace(source: str | Path, target: str | Path) -> None:
        position, (what, name) = len(seen) - 1, seen[-1]
        assert name == Path(source).name, "another file was synced last"
        seen[position] = (what, Path(target).name)
        seen.append(("replace", Path(target).name))
        replace(source, target)

    def recording_unlink(path: str | Path, **options: Any) -> None:
        unlink(path, **options)  # one that fails removes nothing
        seen.append(("unlink", Path(path).name))

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    monkeypatch.setattr(os, "unlink", recording_unlink)
    return seen


def test_each_file_is_synced_whole_then_moved_then_its_folder_synced_and_the_manifest_comes_last(
    tmp_path: Path, events: list[Event]
) -> None:
    save_checkpoint(tmp_path, checkpoint(1), keep=1)
    events.clear()
    save_checkpoint(tmp_path, checkpoint(2), keep=1)
    weights, manifest = (tmp_path / f"iteration-000002.{kind}" for kind in ("safetensors", "json"))
    expected = [
        step
        for path in (weights, manifest)
        for step in (
            (f"fsync of a file of {path.stat().st_size} bytes", path.name),
            ("replace", path.name),
            ("fsync of a folder of 0 bytes", tmp_path.name),
        )
    ]
    # only when the new one is safe, an old manifest before the weights that it proves
    expected += [("unlink", "iteration-000001.json"), ("unlink", "iteration-000001.safetensors")]
    assert events == expected


def test_an_aside_is_never_written_through_what_lies_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, path = tmp_path / "own.txt", tmp_path / "metrics.jsonl"
    own.write_text("months of work")
    guessed = uuid.UUID(int=7)  # nobody can; and if somebody did
    monkeypatch.setattr(uuid, "uuid4", lambda: guessed)
    aside = path.with_name(f".{path.name}.{guessed.hex}{PARTIAL}")
    for plant in (lambda: aside.symlink_to(own), lambda: aside.hardlink_to(own), lambda: os.mkfifo(aside)):
        plant()
        with pytest.raises(StorageError, match="File exists"):
            write_atomic(path, b"new")
        assert own.read_text() == "months of work" and not path.exists()
        aside.unlink(missing_ok=True)


def of_many_kinds(iteration: int) -> Checkpoint:
    """Tensors such as methods keep: matrices, a counter, flags, a scalar."""
    generator = torch.Generator().manual_seed(iteration)
    policy = {f"layer.{index}": torch.randn(7, 5, generator=generator) for index in range(4)}
    optimiser = {"step": torch.tensor(iteration), "flags": torch.randn(9, generator=generator) > 0}
    return Checkpoint(iteration, 1000 * iteration, {"policy": policy, "optimiser": optimiser, "scale": torch.ones(())})


def damaged(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A file as disks, crashes and people leave it: never as it was."""
    start, length = rng.randrange(len(content)), rng.randint(1, 64)
    end = min(start + length, len(content))
    return rng.choice(
        [
            content[:start],  # cut short
            content[start + 1 :],  # its beginning lost
            content[:start] + bytes(end - start) + content[end:],  # a block of zeros
            content[:start] + bytes([content[start] ^ 1 << rng.randrange(8)]) + content[start + 1 :],
            content[:start] + rng.randbytes(end - start) + content[end:],
            content[:start] + content[end:],
            content[:end] + content[start:],  # a block twice
            content + rng.randbytes(length),
            content[::-1],
            other,  # another checkpoint's
            bytes(len(content)),
            b"",
        ]
    )


def test_a_hundred_of_a_hundred_damaged_checkpoints_are_noticed(tmp_path: Path) -> None:
    rng, shapes = random.Random(100), shapes_of(of_many_kinds(4).state)
    for iteration in (3, 4):
        save_checkpoint(tmp_path, of_many_kinds(iteration), keep=2)
    sound = {kind: read_file(tmp_path / f"iteration-000004.{kind}") for kind in ("safetensors", "json")}
    others = {kind: read_file(tmp_path / f"iteration-000003.{kind}") for kind in sound}
    noticed = 0
    for _ in range(100):
        kind = rng.choice(list(sound))
        content = sound[kind]
        while content == sound[kind] or (kind == "json" and same_json(content, sound[kind])):
            content = damaged(sound[kind], others[kind], rng)
        (tmp_path / f"iteration-000004.{kind}").write_bytes(content)
        loaded, lines = load_checkpoint(tmp_path, CPU, shapes)
        assert loaded is not None and loaded.iteration == 3
        noticed += len(lines) == 1 and "iteration-000004.json is damaged" in lines[0] and "\n" not in lines[0]
        (tmp_path / f"iteration-000004.{kind}").write_bytes(sound[kind])
    assert noticed == 100
    loaded, lines = load_checkpoint(tmp_path, CPU, shapes)
    assert loaded is not None and loaded.iteration == 4 and lines == []


def same_json(a: bytes, b: bytes) -> bool:
    """Whether they differ in white space alone, which harms nothing."""
    try:
        return bool(json.loads(a) == json.loads(b))
    except ValueError:
        return False


def craft(folder: Path, facts: dict[str, Any], weights: bytes) -> None:
    """A checkpoint 7 whose SHA-256 is right, whatever it holds."""
    facts = {"iteration": 7, "env_steps": 0} | facts
    (folder / "iteration-000007.safetensors").write_bytes(weights)
    (folder / "iteration-000007.json").write_text(json.dumps(facts | {"sha256": _digest(facts, weights)}))


TENSORS = {"policy/weight": torch.zeros(2, 3), "policy/bias": torch.zeros(3)}
SHAPES = shapes_of({"policy": {"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}})


@pytest.mark.parametrize(
    ("names", "tensors", "words"),
    [
        (["policy/weight"], TENSORS, "different tensors"),
        ([*TENSORS, "policy/bias"], TENSORS, "different tensors"),
        ([*TENSORS, "policy/more"], TENSORS, "different tensors"),
        (["policy/weight"], {"policy/weight": torch.zeros(2, 3)}, "policy/bias is not there"),
        ([*TENSORS, "more"], TENSORS | {"more": torch.zeros(1)}, "more is [1] of float32, by the run's config it"),
        ([*TENSORS], TENSORS | {"policy/weight": torch.zeros(3, 2)}, "policy/weight is [3, 2] of float32"),
        ([*TENSORS], TENSORS | {"policy/bias": torch.zeros(3).double()}, "policy/bias is [3] of float64"),
        (["policy", *TENSORS], {"policy": torch.zeros(1)} | TENSORS, "policy is [1] of float32"),
        ([*TENSORS, "policy/bias/x"], TENSORS | {"policy/bias/x": torch.zeros(1)}, "policy/bias/x is [1] of float32"),
    ],
)
def test_a_manifest_and_weights_must_hold_the_tensors_of_the_run_and_no_others(
    tmp_path: Path, names: list[str], tensors: dict[str, torch.Tensor], words: str
) -> None:
    craft(tmp_path, {"tensors": [*TENSORS]}, safetensors.torch.save(TENSORS))
    loaded, lines = load_checkpoint(tmp_path, CPU, SHAPES)
    assert loaded is not None and lines == []
    craft(tmp_path, {"tensors": names}, safetensors.torch.save(tensors))
    with pytest.raises(StorageError) as refusal:
        load_checkpoint(tmp_path, CPU, SHAPES)
    assert words in str(refusal.value)


def test_what_crashes_leave_between_two_writes_is_swept_away_and_never_piles_up(tmp_path: Path) -> None:
    for crash in range(5):  # weights whose manifest was never written
        save_checkpoint(tmp_path, checkpoint(10 * crash + 1), keep=2)
        (tmp_path / f"iteration-{10 * crash + 2:06d}.safetensors").write_bytes(b"weights")
    save_checkpoint(tmp_path, checkpoint(51), keep=2)
    assert iterations(tmp_path) == [41, 51]
    assert len(list(tmp_path.iterdir())) == 4


def test_sweeping_removes_nothing_of_other_names(tmp_path: Path) -> None:
    for name in ("notes.txt", "best.safetensors", ".hidden"):
        (tmp_path / name).write_text("mine")
    save_checkpoint(tmp_path, checkpoint(1), keep=1)
    assert {"notes.txt", "best.safetensors", ".hidden"} < {path.name for path in tmp_path.iterdir()}


def test_a_file_is_read_only_if_it_is_one_and_not_too_long(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"twelve bytes")
    assert read_file(path) == read_file(path, 12) == b"twelve bytes"
    with pytest.raises(OSError, match="larger"):
        read_file(path, 11)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", "."):
        with pytest.raises(OSError):
            read_file(tmp_path / name)


def test_a_refused_file_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], builtins.open

    def recording_open(*arguments: Any, **options: Any) -> Any:
        opened.append(real(*arguments, **options))
        return opened[-1]

    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(builtins, "open", recording_open)
    with pytest.raises(OSError, match="no ordinary file"):
        read_file(tmp_path / "pipe")
    assert [file.closed for file in opened] == [True]


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_json, b"[" * 100_000),
        (read_json, b"1" * 5000),
        (read_json, b"\xff"),
        (read_yaml_file, b"[" * 100_000),
        (read_yaml_file, b"a: &a [1]\nb: *a"),
        (read_yaml_file, b"2001-99-99"),
        (read_yaml_file, b"!!python/name:os.system"),
        (read_yaml_file, b"\xff\xfe\xfd"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(tmp_path: Path, read: Callable[[Path], Any], content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError):
        read(tmp_path / "file")


def test_aliases_are_read_where_they_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("a: &a [1, 2]\nb: *a")
    assert read_yaml_file(tmp_path / "suite.yaml", aliases=True) == {"a": [1, 2], "b": [1, 2]}
