"""Omniglot (Lake, Salakhutdinov & Tenenbaum 2015) from the user's own folder: N-way K-shot tasks of characters.

The folder holds the archives of brendenlake/omniglot (`python/`), or what unpacks from them: either
`images_background` and `images_evaluation` (1623 characters), or the smaller `images_background_small1`, `…_small2`.
20 people drew each character. Images are 28×28 with ink 1.

* Full data: characters are shuffled into 1100 for training, 100 for validation and 423 for tests, whatever their
  alphabet (the split of Santoro et al. 2016 and Finn et al. 2017).
* Small data, or where `test_alphabets` says so: alphabets of their own for training, validation (what choices are made
  on) and tests (what is told of them).

In training a character turned by 90°, 180° or 270° is a character of its own; if asked to, its mirror image is, too.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from metarl.fewshot.sources import Examples, Task
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic
from metarl.runtime.options import check_ranges, number

FULL = {
    "images_background": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
}
SMALL = {
    "images_background_small1": "e704a628b5459e08445c13499850abc4",
    "images_background_small2": "b75a71a51d3b13f821f212756fe481fd",
}
DRAWERS, SIZE = 20, 28
TRAIN, VALIDATION = 1100, 100  # characters of the published split; the other 423 are for tests
SMALL_TEST_ALPHABETS, SMALL_VALIDATION_ALPHABETS = ("Greek", "Latin"), ("Early_Aramaic",)
SHUFFLE = 0  # seed of the published split's shuffle


@dataclass(frozen=True)
class OmniglotConfig:
    """Tasks of characters."""

    data: str = ""
    """Folder with images_background.zip and images_evaluation.zip, or images_background_small1.zip (or unpacked)."""
    cache: str = ""
    """Folder for the prepared images, one file (default: the data's own)."""
    ways: int = number(5, least=2, most=1000)
    """Characters N to tell apart in a task."""
    shots: int = number(1, least=1, most=DRAWERS - 1)
    """Drawings K of each to learn from."""
    queries: int = number(5, least=1, most=DRAWERS - 1)
    """Drawings of each to ask afterwards."""
    mirrored: bool = False
    """Train on mirrored characters, too, as characters of their own (not so published; where characters are few)."""
    test_alphabets: tuple[str, ...] = ()
    """Alphabets to hold out for tests (default: the published split of characters; Greek and Latin of small data)."""
    validation_alphabets: tuple[str, ...] | None = None
    """Alphabets to make choices on, by `--split validation` (None: Early_Aramaic where the test alphabets are the
    default of small data, else none)."""

    def __post_init__(self) -> None:
        check_ranges(self, "env")
        both = self.shots + self.queries
        if both > DRAWERS:
            raise InputError(f"env.shots and env.queries are {both} together — a character has {DRAWERS} drawings")


class Characters(NamedTuple):
    """All drawings, and where each character comes from."""

    images: np.ndarray  # [characters, 20, 28, 28] uint8, ink 255
    alphabets: np.ndarray  # [characters] names


class Omniglot:
    """Which of N characters is it?"""

    Config: ClassVar[type] = OmniglotConfig
    input_shape = (SIZE, SIZE, 1)
    classification = True
    splits: tuple[str, ...] = ("train", "validation", "test")

    def __init__(self, config: OmniglotConfig) -> None:
        self.outputs = config.ways
        sources = find_sources(config.data)
        characters = prepared(sources, Path(config.cache or config.data))
        test, validation = config.test_alphabets, config.validation_alphabets
        if not test and not FULL.keys() <= sources.keys():
            test, validation = SMALL_TEST_ALPHABETS, SMALL_VALIDATION_ALPHABETS if validation is None else validation
        self.config = replace(config, test_alphabets=test, validation_alphabets=validation or ())
        members = split(characters, test, validation or ())
        self.splits = tuple(members)
        self.characters = {name: characters.images[indices] for name, indices in members.items()}
        for name, images in self.characters.items():
            if len(images) < config.ways:
                raise InputError(f"env.ways is {config.ways} — there are {len(images)} characters in split '{name}'")

    def sample(self, generator: np.random.Generator, split: str) -> Task:
        """N characters, in random order, each with other drawings in the support than in the query."""
        images, config = self.characters[split], self.config
        views = 1 if split != "train" else 8 if config.mirrored else 4
        classes = generator.choice(len(images) * views, config.ways, replace=False)
        drawings = []
        for number_ in classes.tolist():
            chosen = generator.choice(DRAWERS, config.shots + config.queries, replace=False)
            drawings.append(viewed(images[number_ // views, chosen], number_ % views))
        drawn = np.stack(drawings)  # [ways, shots + queries, 28, 28]
        order = generator.permutation(config.ways * config.shots)  # for who reads them as a sequence
        return Task(_examples(drawn[:, : config.shots], order), _examples(drawn[:, config.shots :]))


def viewed(images: np.ndarray, view: int) -> np.ndarray:
    """Images `[B, 28, 28]` turned by `view` right angles; from the fourth view on mirrored before."""
    return np.rot90(images[:, :, ::-1] if view >= 4 else images, view % 4, axes=(1, 2))


def _examples(drawn: np.ndarray, order: np.ndarray | None = None) -> Examples:
    """`[ways, drawings, 28, 28]` as labelled images."""
    ways, drawings = drawn.shape[:2]
    inputs = (drawn.reshape(-1, SIZE, SIZE, 1) / np.float32(255)).astype(np.float32)
    targets = np.repeat(np.arange(ways), drawings)
    return Examples(inputs, targets) if order is None else Examples(inputs[order], targets[order])


def split(
    characters: Characters, test_alphabets: tuple[str, ...], validation_alphabets: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Which characters are in which split; no character is in two, and no alphabet that is named.

    Raises:
        InputError: an alphabet that is not there, one that is named for two splits, or for validation alone.
    """
    if not test_alphabets:
        if validation_alphabets:
            raise InputError("env.validation_alphabets, but tests are of the published split — name env.test_alphabets")
        order = np.random.Generator(np.random.Philox(SHUFFLE)).permutation(len(characters.images))
        parts = np.split(order, [TRAIN, TRAIN + VALIDATION])
        return dict(zip(("train", "validation", "test"), parts, strict=True))
    known = sorted(set(characters.alphabets))
    held = {"validation": validation_alphabets, "test": test_alphabets}
    for name, alphabets in held.items():
        for alphabet in alphabets:
            if alphabet not in known:
                raise InputError(f"env.{name}_alphabets names '{alphabet}' — there are {', '.join(known)}")
            if name == "validation" and alphabet in test_alphabets:
                raise InputError(f"env.validation_alphabets names '{alphabet}', which is for tests — choose another")
    members = {name: np.isin(characters.alphabets, alphabets) for name, alphabets in held.items() if alphabets}
    rest = ~np.any(list(members.values()), axis=0)
    return {name: np.flatnonzero(chosen) for name, chosen in {"train": rest, **members}.items()}


def find_sources(data: str) -> dict[str, Path]:
    """The archives or folders to read, by name: the full data if all of it is there, else what there is of the small.

    Raises:
        InputError: neither is there, or an archive is damaged.
    """
    need = "put images_background.zip and images_evaluation.zip there (or images_background_small1.zip)"
    if not data:
        raise InputError(f"Omniglot's folder is not named — give --env.data DIR and {need}")
    folder = Path(data)
    found = {}
    for name, md5 in (FULL | SMALL).items():
        archive = folder / f"{name}.zip"
        if (folder / name).is_dir():
            found[name] = folder / name
        elif archive.is_file():
            if hashlib.md5(archive.read_bytes()).hexdigest() != md5:
                raise InputError(f"{archive} is damaged (its MD5 is not {md5}) — download it again")
            found[name] = archive
    chosen = FULL if FULL.keys() <= found.keys() else SMALL
    sources = {name: path for name, path in found.items() if name in chosen}
    if not sources:
        raise InputError(f"no Omniglot in '{folder}' — {need}")
    return sources


def prepared(sources: dict[str, Path], cache: Path) -> Characters:
    """All characters of the sources, from the cache if they were prepared before.

    Raises:
        InputError: a source does not hold 20 drawings of each character.
        StorageError: the cache cannot be written.
    """
    state = "".join(f"{name} {path.suffix} {path.stat().st_mtime_ns}" for name, path in sources.items())
    path = cache / f"omniglot-{SIZE}-{hashlib.sha256(state.encode()).hexdigest()[:12]}.npz"
    try:
        with np.load(path) as stored:
            return Characters(stored["images"], stored["alphabets"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # not prepared yet, or not whole
    characters = read(sources)
    content = io.BytesIO()
    np.savez_compressed(content, images=characters.images, alphabets=characters.alphabets)
    write_atomic(path, content.getvalue(), "name another folder: --env.cache")
    return characters


def read(sources: dict[str, Path]) -> Characters:
    """All characters in alphabetical order; what stands in both small archives counts once.

    Raises:
        InputError: a source does not hold 20 drawings of each character.
    """
    drawings: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for path in sources.values():
        for (alphabet, character, drawing), content in _files(path):
            drawings.setdefault((alphabet, character), {})[drawing] = _image(content)
    for (alphabet, character), drawn in drawings.items():
        if len(drawn) != DRAWERS:
            raise InputError(f"{alphabet}/{character} has {len(drawn)} of {DRAWERS} drawings — unpack it again")
    if not drawings:
        raise InputError(f"no drawings in {', '.join(map(str, sources.values()))} — unpack it again")
    order = sorted(drawings)
    images = np.stack([np.stack([drawings[key][name] for name in sorted(drawings[key])]) for key in order])
    return Characters(images, np.array([alphabet for alphabet, _ in order]))


def _files(path: Path) -> Iterator[tuple[tuple[str, str, str], bytes]]:
    """Alphabet, character and name of every drawing in an archive or a folder, and its content."""
    if path.is_dir():
        for file in path.glob("*/*/*.png"):
            yield (file.parts[-3], file.parts[-2], file.name), file.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if name.endswith(".png") and len(parts) == 4:
                yield (parts[1], parts[2], parts[3]), archive.read(name)


def _image(content: bytes) -> np.ndarray:
    """A drawing, 28×28, ink 255."""
    from PIL import Image  # only who has no cache yet needs it

    with Image.open(io.BytesIO(content)) as image:
        small = image.convert("L").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return 255 - np.asarray(small, np.uint8)
