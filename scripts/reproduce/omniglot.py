"""Few-shot learners on Omniglot: docs/results/fewshot/omniglot/LEARNER-Nway-Kshot.json.

    python scripts/reproduce/omniglot.py --data DIR [--learners maml fomaml] [--shots 1 5] [--split validation]

On a folder with `images_background_small1.zip` alone: the 64 characters of Balinese and Korean, in four turns each and
for 5 shots mirrored too, are trained on; with half the published filters and fewer tasks, so that two CPU cores get
somewhere. Choices are made with `--split validation`, on the 22 of Early Aramaic, which stores nothing; the 50 of Greek
and Latin are for the figures that are stored. `--full` asks for the published split and sizes (Finn et al. 2017: 64
filters, 32 tasks, 60,000 meta-updates), for who has `images_background.zip` and `images_evaluation.zip`, and a GPU.
"""

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from reproduction import RESULTS

import metarl
from metarl.runs.config import versions

HALVED = 0.5 ** (1 / 800)  # within 800 meta-updates
SMALL = {  # by shots: what 20 minutes of two cores are best spent on
    1: {"iterations": 2500, "tasks": 16, "learning_rate": 3e-3, "learning_rate_decay": 1.0, "mirrored": False},
    5: {"iterations": 2400, "tasks": 8, "learning_rate": 3e-3, "learning_rate_decay": HALVED, "mirrored": True},
}


@dataclass(frozen=True)
class Comparison:
    """What to train."""

    data: Path
    """The folder with Omniglot's archives."""
    cache: str = ""
    """Folder for the prepared images (default: the data's own)."""
    full: bool = False
    """The published sizes, on the full data."""
    learners: tuple[str, ...] = ("maml",)
    """Names from `metarl list algos`."""
    ways: int = 5
    """Characters of a task."""
    shots: tuple[int, ...] = (1, 5)
    """Drawings of each to learn from."""
    split: Literal["validation", "test"] = "test"
    """Characters to evaluate on: those that choices are made on, or those of the figures that are stored."""
    iterations: int | None = None
    """Meta-updates (default: in full 60,000, else 2,500 at 1 shot and 2,400 of half as many tasks at more)."""
    seed: int = 0
    threads: int = 0
    torch_threads: int = 0
    """Threads of torch's own arithmetic (0: one for each core)."""


def figures(learner: str, shots: int, options: Comparison, folder: Path) -> dict[str, Any]:
    """Train one learner and evaluate it on 600 tasks of characters that it was not trained on."""
    small = SMALL[1 if shots == 1 else 5]
    iterations = options.iterations or (60_000 if options.full else small["iterations"])
    train = {"iterations": iterations, "tasks": 32 if options.full else small["tasks"]}
    mirrored = not options.full and bool(small["mirrored"])
    source = {"data": str(options.data), "cache": options.cache}
    env = source | {"ways": options.ways, "shots": shots, "mirrored": mirrored}
    algo: dict[str, Any] = {}
    if not options.full:
        algo = {"filters": 32, **{name: small[name] for name in ("learning_rate", "learning_rate_decay")}}
    start = time.monotonic()
    run = metarl.train(
        "omniglot",
        learner,
        out=folder,
        seed=options.seed,
        threads=options.threads,
        torch_threads=options.torch_threads,
        env=env,
        algo=algo,
        **train,
    )
    minutes = (time.monotonic() - start) / 60
    record = metarl.evaluate(run.path, tasks=600, adaptations=3, split=options.split)
    return {
        "learner": learner,
        "ways": options.ways,
        "shots": shots,
        "split": "published" if options.full else f"small archive{', mirrored' * mirrored}; held out: Greek, Latin",
        "minutes": round(minutes, 1),
        "accuracy": {part: [round(value, 4) for value in record["accuracy"][part]] for part in ("mean", "low", "high")},
        "options": {"train": train, "algo": algo},
        "command": f"python scripts/reproduce/omniglot.py --data DIR --learners {learner} --ways {options.ways}"
        f" --shots {shots} --iterations {iterations}" + " --full" * options.full,
        "versions": versions(),
    }


def main(options: Comparison) -> None:
    """Train all, storing each result as it comes."""
    folder = RESULTS / "fewshot" / "omniglot"
    folder.mkdir(parents=True, exist_ok=True)
    for learner in options.learners:
        for shots in options.shots:
            with tempfile.TemporaryDirectory() as temporary:
                found = figures(learner, shots, options, Path(temporary) / "run")
            if options.split == "test":
                path = folder / f"{learner}-{options.ways}way-{shots}shot.json"
                path.write_text(json.dumps(found, indent=1) + "\n")
            print(learner, shots, options.split, found["accuracy"])


if __name__ == "__main__":
    main(tyro.cli(Comparison))
