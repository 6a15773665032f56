"""Omniglot's reader, on made-up characters in its layout and on the real small archive."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.drawings import draw, real_archive

from metarl.fewshot import omniglot
from metarl.fewshot.omniglot import Omniglot, OmniglotConfig
from metarl.runtime.errors import InputError, StorageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("omniglot"))


def config(folder: Path) -> OmniglotConfig:
    return OmniglotConfig(data=str(folder), ways=3, shots=2, queries=4)


def sizes(source: Omniglot) -> dict[str, int]:
    return {name: len(images) for name, images in source.characters.items()}


def test_drawings_become_small_images_with_ink_1(folder: Path) -> None:
    source = Omniglot(config(folder))
    images = source.characters["test"]
    assert images.shape == (6, 20, 28, 28) and images.dtype == np.uint8
    # The bar fills 20 of 105 rows from row 30 + 2p on, and 30 of 105 columns: 28/105 of that each, at the same place.
    ink = images[0] / 255
    rows, columns = ink.sum(axis=1).max(axis=1), ink.sum(axis=2).max(axis=1)
    assert np.allclose(rows, 20 * 28 / 105, atol=0.5) and np.allclose(columns, 30 * 28 / 105, atol=0.5)
    centre = (ink * np.arange(28)[:, None]).sum(axis=(1, 2)) / ink.sum(axis=(1, 2))
    assert np.allclose(centre, (30 + 2 * np.arange(20) + 10) * 28 / 105 - 0.5, atol=0.3)


def test_small_data_hold_alphabets_out_and_say_so(folder: Path) -> None:
    source = Omniglot(config(folder))
    assert (source.config.validation_alphabets, source.config.test_alphabets) == (
        ("Early_Aramaic",),
        ("Greek", "Latin"),
    )
    assert sizes(source) == {"train": 6, "validation": 4, "test": 6}
    other = Omniglot(replace(config(folder), test_alphabets=("Early_Aramaic",)))
    assert sizes(other) == {"train": 12, "test": 4}  # who names test alphabets names the others, too
    other = Omniglot(replace(config(folder), test_alphabets=("Latin",), validation_alphabets=("Greek", "Aurebesh")))
    assert sizes(other) == {"train": 4, "validation": 9, "test": 3}
    other = Omniglot(replace(config(folder), validation_alphabets=()))
    assert sizes(other) == {"train": 10, "test": 6}
    other = Omniglot(replace(config(folder), validation_alphabets=("Aurebesh",)))
    assert sizes(other) == {"train": 4, "validation": 6, "test": 6} and other.config.test_alphabets == (
        "Greek",
        "Latin",
    )


def test_splits_share_no_alphabet_and_miss_no_character(folder: Path) -> None:
    names = np.array(["Aurebesh"] * 6 + ["Early_Aramaic"] * 4 + ["Greek"] * 3 + ["Latin"] * 3)
    characters = omniglot.Characters(np.zeros((16, 0)), names)
    for test, validation in ((("Greek", "Latin"), ("Early_Aramaic",)), (("Aurebesh",), ("Latin",)), (("Latin",), ())):
        parts = omniglot.split(characters, test, validation)
        assert list(parts) == (["train", "validation", "test"] if validation else ["train", "test"])
        assert sorted(np.concatenate(list(parts.values()))) == list(range(16))
        alphabets = [alphabet for part in parts.values() for alphabet in set(names[part])]
        assert len(alphabets) == len(set(alphabets)) == 4
        assert set(names[parts["test"]]) == set(test) and set(names[parts.get("validation", [])]) == set(validation)
    # A task is drawn from its split alone.
    source = Omniglot(config(folder))
    for number, name in enumerate(source.splits):
        source.characters[name] = np.full_like(source.characters[name], number)
    for number, name in enumerate(source.splits):
        inputs = source.sample(np.random.default_rng(0), name).query.inputs
        assert (inputs == np.float32(number) / np.float32(255)).all()


def test_a_task_asks_for_other_drawings_than_it_shows(folder: Path) -> None:
    source = Omniglot(config(folder))
    for seed in range(20):
        task = source.sample(np.random.default_rng(seed), "test")
        assert task.support.inputs.shape == (6, 28, 28, 1) and task.query.inputs.shape == (12, 28, 28, 1)
        assert (
            sorted(task.support.targets) == [0, 0, 1, 1, 2, 2]
            and sorted(task.query.targets) == [0] * 4 + [1] * 4 + [2] * 4
        )
        assert task.query.inputs.min() >= 0 and task.query.inputs.max() <= 1
        for way in range(3):  # a person's drawing is known by where it is, see `draw`
            shown = task.support.inputs[task.support.targets == way]
            asked = task.query.inputs[task.query.targets == way]
            assert not any(np.array_equal(a, b) for a in shown for b in asked)


def test_in_training_a_turned_character_is_another_one(folder: Path) -> None:
    source = Omniglot(config(folder))
    # The bar lies at the left; turned by 90°, 180°, 270° it lies below, right, above.
    sides = set()
    for split in ("train", "test"):
        for seed in range(30):
            image = source.sample(np.random.default_rng(seed), split).query.inputs[0, :, :, 0]
            row, column = (np.arange(28) @ image.sum(axis=axis) / image.sum() for axis in (1, 0))
            edge = min((column, "left"), (27 - column, "right"), (row, "above"), (27 - row, "below"))[1]
            sides.add((split, edge))
    assert {edge for split, edge in sides if split == "train"} == {"left", "right", "above", "below"}
    assert {edge for split, edge in sides if split == "test"} == {"left"}


def test_the_eight_views_are_all_there_are_and_the_first_is_the_image_itself() -> None:
    image = np.arange(28 * 28).reshape(1, 28, 28)
    views = [omniglot.viewed(image, view) for view in range(8)]
    assert np.array_equal(views[0], image) and np.array_equal(views[4], image[:, :, ::-1])
    again = (omniglot.viewed(first, view) for first in views for view in range(8))
    assert {each.tobytes() for each in views} == {each.tobytes() for each in again}
    assert len({each.tobytes() for each in views}) == 8


def test_mirrored_characters_are_trained_on_only_where_they_are_asked_for(folder: Path) -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 3:20, 4], image[0, 19, 4:12] = 255, 255  # an L
    everything = [omniglot.viewed(image, view).tobytes() for view in range(8)]
    for mirrored, split, views in ((False, "train", 4), (True, "train", 8), (True, "test", 1)):
        source = Omniglot(replace(config(folder), mirrored=mirrored))
        source.characters[split] = np.broadcast_to(image, (*source.characters[split].shape[:2], 28, 28))
        seen = set()
        for seed in range(40):
            inputs = source.sample(np.random.default_rng(seed), split).query.inputs
            seen |= {(255 * one).round().astype(np.uint8).tobytes() for one in inputs}
        assert seen == set(everything[:views])


def test_the_published_split_holds_1100_100_and_423_characters() -> None:
    everything = omniglot.Characters(np.zeros((1623, 0)), np.array(["Greek"] * 1623))
    parts = omniglot.split(everything, ())
    assert {name: len(part) for name, part in parts.items()} == {"train": 1100, "validation": 100, "test": 423}
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1623))


def test_prepared_images_are_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(config(folder), cache=str(tmp_path))
    first = Omniglot(options).characters["train"]
    (stored,) = tmp_path.glob("omniglot-28-*.npz")
    monkeypatch.setattr(omniglot, "read", lambda sources: pytest.fail("prepared again"))
    assert np.array_equal(Omniglot(options).characters["train"], first)
    monkeypatch.undo()
    stored.write_bytes(stored.read_bytes()[:1000])  # cut short: prepared again
    assert np.array_equal(Omniglot(options).characters["train"], first)
    with pytest.raises(StorageError, match="--env.cache"):
        Omniglot(replace(options, cache=str(tmp_path / "nowhere")))


def test_an_archive_is_read_like_its_folder_and_only_if_it_is_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Path(
        shutil.make_archive(str(tmp_path / "images_background_small1"), "zip", folder, "images_background_small1")
    )
    with pytest.raises(InputError, match="damaged"):  # it is not the published one
        Omniglot(config(tmp_path))
    monkeypatch.setitem(
        omniglot.SMALL, "images_background_small1", omniglot.hashlib.md5(archive.read_bytes()).hexdigest()
    )
    assert np.array_equal(Omniglot(config(tmp_path)).characters["train"], Omniglot(config(folder)).characters["train"])


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    for data in ("", str(tmp_path), str(tmp_path / "nowhere")):
        with pytest.raises(InputError, match="images_background.zip and images_evaluation.zip"):
            Omniglot(OmniglotConfig(data=data))
    for option in ("test_alphabets", "validation_alphabets"):
        with pytest.raises(InputError, match=f"env.{option} names 'Klingon' — .*Aurebesh, Early_Aramaic, Greek, Latin"):
            Omniglot(replace(config(folder), **{option: ("Klingon",)}))
    with pytest.raises(InputError, match="env.validation_alphabets names 'Latin', .* — "):
        Omniglot(replace(config(folder), validation_alphabets=("Latin",)))
    everything = omniglot.Characters(np.zeros((1623, 0)), np.array(["Greek"] * 1623))
    with pytest.raises(InputError, match="env.validation_alphabets.* — name env.test_alphabets"):
        omniglot.split(everything, (), ("Greek",))  # the published split is not one of alphabets
    with pytest.raises(InputError, match="env.ways is 7.*6 characters"):
        Omniglot(replace(config(folder), ways=7))
    with pytest.raises(InputError, match="20 drawings"):
        OmniglotConfig(shots=10, queries=11)
    with pytest.raises(InputError, match="19 of 20"):
        Omniglot(config(draw(tmp_path / "torn", drawers=19)))


def test_the_real_small_archive_is_what_its_authors_say(tmp_path: Path) -> None:
    source = Omniglot(OmniglotConfig(data=str(real_archive()), cache=str(tmp_path)))
    # Balinese 24 and Korean 40; for validation Early Aramaic 22; held out Greek 24, Latin 26
    assert sizes(source) == {"train": 64, "validation": 22, "test": 50}
    ink = source.characters["train"] / 255
    assert 0.03 < ink.mean() < 0.2 and ink.max() == 1 and ink.min() == 0
