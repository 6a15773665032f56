"""The pictures of the README, made by its own commands from its own main job: docs/pictures/*.png.

    metarl train half-cheetah-dir --iterations 60      # the README's first command
    python scripts/pictures.py [--run runs/half-cheetah-dir/maml-trpo/seed-0] [--browser chromium]

Trains point-nav besides (two minutes), for the map of paths; the report's picture needs a browser without a window.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as imageio
import tyro

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"


@dataclass(frozen=True)
class Options:
    """What pictures are made of."""

    run: Path = Path("runs/half-cheetah-dir/maml-trpo/seed-0")
    """The run of the README's first command."""
    browser: str = "chromium"
    """The program that photographs the report."""
    frame: int = 150
    """The step that is shown of the film."""


def metarl(*arguments: object) -> None:
    """One command, as a user types it."""
    subprocess.run(["metarl", *map(str, arguments)], check=True)


def main(options: Options) -> None:
    """Make all four."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        metarl("evaluate", options.run)
        shutil.copy(options.run / "adaptation.png", PICTURES / "evaluate.png")
        metarl("render", options.run, "--out", folder / "film.gif", "--tasks", 1)
        imageio.imwrite(PICTURES / "film.png", imageio.imread(folder / "film.gif", index=options.frame))
        metarl("train", "point-nav", "--iterations", 60, "--out", folder / "point-nav")
        metarl("render", folder / "point-nav", "--out", PICTURES / "paths.png", "--adaptations", 3)
        metarl("evaluate", folder / "point-nav")
        metarl("report", options.run, folder / "point-nav", "--out", folder / "report.html")
        size, page = "--window-size=1280,1000", (folder / "report.html").as_uri()
        photograph = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            size,
            f"--screenshot={PICTURES / 'report.png'}",
        ]
        subprocess.run([options.browser, *photograph, page], check=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
