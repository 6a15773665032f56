"""The pictures of the documents that are made from runs: docs/pictures/*.png.

    metarl train half-cheetah-dir --iterations 60      # the README's first command
    python scripts/pictures.py [--run runs/half-cheetah-dir/maml-trpo/seed-0] [--browser chromium]

Trains point-nav besides, and the robot and the environment that docs/my-robot.md and docs/my-environment.md show (half
an hour in all); the report's picture needs a browser without a window. What is drawn without a run: `diagrams.py`.
"""

import contextlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as imageio
import tyro
from matplotlib.figure import Figure
from page_blocks import DOCS, write_files

PICTURES = DOCS / "pictures"
CURVES = {
    ("return/round_0", "return/round_1"): "before adaptation it cannot know;\nthe gap is what adaptation is worth",
    ("update/kl",): "how far an update moved:\nbelow its limit, 0.01",
    ("policy/std",): "exploration:\nfalls slowly",
    ("update/gradient_norm",): "the meta-gradient:\nno jumps by ten",
}


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


def film_frame(run: Path, picture: str, frame: int, *options: object) -> None:
    """A step of the film of a run's first task."""
    film = run.with_name(f"{picture}.gif")
    metarl("render", run, "--out", film, "--tasks", 1, *options)
    imageio.imwrite(PICTURES / f"{picture}.png", imageio.imread(film, index=frame))


def explained_curves(run: Path) -> None:
    """The curves of a run, each with what to look for."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figure = Figure(figsize=(7.2, 6), dpi=130, layout="constrained")
    for axes, (names, meaning) in zip(figure.subplots(2, 2).flat, CURVES.items(), strict=True):
        for name, colour in zip(names, ("#9aa5d8", "#3f51b5") if len(names) > 1 else ("#3f51b5",), strict=True):
            axes.plot([line["iteration"] for line in lines], [line[name] for line in lines], color=colour, label=name)
        axes.set_title(meaning, fontsize=11, loc="left")
        axes.legend(fontsize=10, frameon=False, loc="lower right" if names[0].startswith("update") else "best")
        if names[0].startswith("update"):
            axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("iteration", fontsize=10)
        axes.tick_params(labelsize=10)
    figure.savefig(PICTURES / "curves-explained.png", facecolor="white")


def of_the_first_run(options: Options, folder: Path) -> None:
    """What the README and the pages on curves and runs show."""
    metarl("evaluate", options.run)
    shutil.copy(options.run / "adaptation.png", PICTURES / "evaluate.png")
    explained_curves(options.run)
    film_frame(options.run, "film", options.frame)
    metarl("train", "point-nav", "--iterations", 60, "--out", folder / "point-nav")
    metarl("render", folder / "point-nav", "--out", PICTURES / "paths.png", "--adaptations", 3)
    metarl("evaluate", folder / "point-nav")
    metarl("report", options.run, folder / "point-nav", "--out", folder / "report.html")
    size, page = "--window-size=1280,1000", (folder / "report.html").as_uri()
    photograph = ["--headless", "--no-sandbox", "--hide-scrollbars", size, f"--screenshot={PICTURES / 'report.png'}"]
    subprocess.run([options.browser, *photograph, page], check=True)


def of_the_pages(folder: Path) -> None:
    """The rover and the cart, from the code that their pages show."""
    write_files(DOCS / "my-robot.md", folder)
    write_files(DOCS / "my-environment.md", folder)
    with contextlib.chdir(folder):
        metarl("train", "rover.py:Rover", "--iterations", 30, "--out", "rover")
        film_frame(Path("rover"), "rover", 45, "--trust", "--seed", 5)
        metarl("train", "my_tasks.py:CartPoles", "--iterations", 60, "--out", "cart")
        metarl("evaluate", "cart", "--trust")
        metarl("train", "quadruped-velocity", "randomised", "--out", "quadruped")
        film_frame(Path("quadruped"), "quadruped", 60, "--seed", 3, "--adaptations", 0)
        shutil.copy("cart/adaptation.png", PICTURES / "cartpole.png")


def main(options: Options) -> None:
    """Make all."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        of_the_pages(Path(name))
        of_the_first_run(options, Path(name))


if __name__ == "__main__":
    main(tyro.cli(Options))
