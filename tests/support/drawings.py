"""A folder of made-up characters in Omniglot's layout, and where the real small archive may be."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ALPHABETS = {"Aurebesh": 6, "Early_Aramaic": 4, "Greek": 3, "Latin": 3}
CANDIDATES = (os.environ.get("METARL_OMNIGLOT", ""), str(Path(__file__).parents[3] / "shared/data/omniglot"))


def draw(folder: Path, name: str = "images_background_small1", drawers: int = 20) -> Path:
    """Character c is a bar of 30 columns at the left (so that a turn shows), drawn by person p from row 30 + 2p on."""
    for alphabet, characters in ALPHABETS.items():
        for character in range(characters):
            home = folder / name / alphabet / f"character{character + 1:02d}"
            home.mkdir(parents=True)
            for person in range(drawers):
                pixels = np.ones((105, 105), bool)  # white paper
                pixels[30 + 2 * person : 50 + 2 * person, :30] = False
                Image.fromarray(pixels).save(home / f"{character:04d}_{person + 1:02d}.png")
    return folder


def real_archive() -> Path:
    """The folder with the real small archive; skips where there is none."""
    for folder in CANDIDATES:
        if folder and (Path(folder) / "images_background_small1.zip").is_file():
            return Path(folder)
    pytest.skip("no images_background_small1.zip — name its folder by the environment variable METARL_OMNIGLOT")
