"""Checkpoints: what is damaged is noticed, named and passed over; what is sound is never lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.command import Command, assert_refused, end_result, snapshot, train_arguments

from metarl.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, shapes_of
from metarl.runtime import files
from metarl.runtime.errors import StorageError

CPU = torch.device("cpu")


def checkpoint(iteration: int, env_steps: int = 0) -> Checkpoint:
    weights = {"weight": torch.full((2, 3), float(iteration)), "bias": torch.zeros(())}
    return Checkpoint(iteration, env_steps, {"policy": weights, "optimiser": {"step": torch.tensor(iteration)}})


SHAPES = shapes_of(checkpoint(0).state)


def iterations(folder: Path) -> list[int]:
    """Those whose weights and manifest are both there."""
    both = [path for path in folder.glob("*.json") if path.with_suffix(".safetensors").exists()]
    return sorted(int(path.stem.removeprefix("iteration-")) for path in both)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = [truncate, empty, flip_a_bit]


@pytest.mark.parametrize("damage", [*DAMAGES, remove])
@pytest.mark.parametrize("kind", ["safetensors", "json"])
def test_a_damaged_checkpoint_is_named_and_the_run_goes_on_from_the_previous_one_to_the_same_end(
    metarl: Command,
    run: Path,
    finished_run: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    damage: Callable[[Path], None],
) -> None:
    damage(run / "checkpoints" / f"iteration-000004.{kind}")
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    warnings = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    if (kind, damage) == ("json", remove):  # without its manifest it never was a checkpoint
        assert warnings == []
    else:
        (warning,) = warnings
        assert "iteration-000004.json is damaged" in warning and "using the previous one" in warning
    assert end_result(run) == end_result(finished_run)


@pytest.mark.parametrize("kind", ["safetensors", "json"])
def test_where_all_checkpoints_are_damaged_it_is_a_storage_error_and_nothing_is_written(
    metarl: Command, run: Path, kind: str
) -> None:
    for path in (run / "checkpoints").glob(f"*.{kind}"):
        flip_a_bit(path)
    before = snapshot(run)
    for arguments in (["evaluate", "run"], [*train_arguments("run", iterations=5), "--resume"]):
        assert_refused(metarl(*arguments), "no sound checkpoint", "iteration-000004.json", code=5)
    assert snapshot(run) == before


def test_a_flipped_bit_is_noticed_or_harmless_wherever_it_is(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(7, env_steps=4200), keep=1)
    manifest = tmp_path / "iteration-000007.json"
    for path in (manifest, manifest.with_suffix(".safetensors")):
        sound = path.read_bytes()
        for bit in range(0, 8 * len(sound), 3 if path == manifest else 29):  # of every place in a byte
            damaged = bytearray(sound)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                loaded, _ = load_checkpoint(tmp_path, CPU, SHAPES)
            except StorageError:
                continue
            # white space of the manifest may have become another white space
            assert path == manifest and json.loads(damaged) == json.loads(sound)
            assert loaded is not None and loaded[:2] == (7, 4200)
        path.write_bytes(sound)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    saved = checkpoint(3, env_steps=10**12)
    save_checkpoint(tmp_path, saved, keep=1)
    loaded, damaged = load_checkpoint(tmp_path, CPU, SHAPES)
    assert damaged == [] and loaded is not None
    assert loaded[:2] == (3, 10**12)
    assert loaded.state.keys() == {"policy", "optimiser"}
    assert torch.equal(loaded.state["policy"]["weight"], torch.full((2, 3), 3.0))
    assert torch.equal(loaded.state["policy"]["bias"], torch.zeros(()))
    assert loaded.state["optimiser"]["step"].dtype == torch.int64
    assert int(loaded.state["optimiser"]["step"]) == 3


def test_loaded_tensors_come_in_the_order_they_were_saved_in(tmp_path: Path) -> None:
    # Sums over parameters round by their order: another one would change the last bits of a resumed run.
    names = [f"{letter}{number}" for number in range(9, 0, -1) for letter in "zqa"]
    weights = {name: torch.zeros(size % 5 + 1) for size, name in enumerate(names)}
    state = {"policy": weights, "kl": torch.zeros(())}
    save_checkpoint(tmp_path, Checkpoint(1, 0, state), keep=1)
    loaded, _ = load_checkpoint(tmp_path, CPU, shapes_of(state))
    assert loaded is not None
    assert list(loaded.state) == ["policy", "kl"] and list(loaded.state["policy"]) == names


def test_loaded_tensors_lie_in_memory_as_fresh_ones_do(tmp_path: Path) -> None:
    # The last bits of a matrix product may depend on where its factors start, and torch aligns what it allocates to 64
    # bytes. Of 40 tensors in foreign memory, which is aligned to 16, all would be so by chance once in 4 ** 40 times.
    state = {"policy": {f"weight_{index}": torch.zeros(3 + index, 7) for index in range(40)}}
    save_checkpoint(tmp_path, Checkpoint(1, 0, state), keep=1)
    loaded, _ = load_checkpoint(tmp_path, CPU, shapes_of(state))
    assert loaded is not None
    assert all(weight.data_ptr() % 64 == 0 for weight in loaded.state["policy"].values())


def test_the_last_ones_are_kept_and_the_newest_is_loaded_beyond_six_digits_too(tmp_path: Path) -> None:
    for iteration in range(999_997, 1_000_003):
        save_checkpoint(tmp_path, checkpoint(iteration), keep=3)
        loaded, _ = load_checkpoint(tmp_path, CPU, SHAPES)
        assert loaded is not None and loaded.iteration == iteration
    assert iterations(tmp_path) == [1_000_000, 1_000_001, 1_000_002]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_damaged_newer_checkpoint_never_pushes_a_sound_one_out(tmp_path: Path) -> None:
    for iteration in (4, 6, 8):
        save_checkpoint(tmp_path, checkpoint(iteration), keep=3)
    for iteration in (6, 8):
        truncate(tmp_path / f"iteration-{iteration:06d}.safetensors")
    # the run goes on from 4, and now saves at 5
    save_checkpoint(tmp_path, checkpoint(5), keep=2)
    assert iterations(tmp_path) == [4, 5]
    loaded, damaged = load_checkpoint(tmp_path, CPU, SHAPES)
    assert loaded is not None and loaded.iteration == 5 and damaged == []


def test_no_checkpoint_is_no_damage(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, CPU, SHAPES) == (None, [])
    assert load_checkpoint(tmp_path / "missing", CPU, SHAPES) == (None, [])
    (tmp_path / "iteration-000003.safetensors").write_bytes(b"weights whose manifest was never written")
    (tmp_path / ".iteration-000003.json.partial").write_bytes(b'{"iter')
    assert load_checkpoint(tmp_path, CPU, SHAPES) == (None, [])


def test_a_checkpoint_that_is_pruned_while_it_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, checkpoint(1), keep=1)
    read_file, saved = files.read_file, []

    def slow_read_file(path: Path, at_most: int | None = None) -> bytes:
        if path.suffix == ".safetensors" and not saved:  # the manifest is read; now a training run gets on
            saved.append(2)
            save_checkpoint(tmp_path, checkpoint(2), keep=1)
        return read_file(path, at_most)

    monkeypatch.setattr("metarl.runs.checkpoint.read_file", slow_read_file)
    loaded, damaged = load_checkpoint(tmp_path, CPU, SHAPES)
    assert loaded is not None and loaded.iteration == 2 and damaged == []
