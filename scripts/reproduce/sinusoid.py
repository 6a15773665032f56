"""Every few-shot learner on sine waves: docs/results/fewshot/sinusoid/LEARNER.json.

    python scripts/reproduce/sinusoid.py [--learners maml anil] [--iterations 5000] [--threads 1 --torch-threads 1]

Trained on 10 shots (Finn et al. 2017, section 5.1), evaluated with 5, 10 and 20: mean squared error on 100 evenly
spaced points after 0, 1, 5 and 10 steps. `scripts/show_fewshot.py` makes docs/fewshot.md's tables of these files.
"""

import json
import math
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tyro
from reproduction import RESULTS

import metarl
from metarl.algorithms import names_for
from metarl.evaluation.labels import scores_of
from metarl.runs.config import versions
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.training.labels import set_up_few_shot
from metarl.training.setup import shapes_of_run

SHOTS, STEPS = (5, 10, 20), (0, 1, 5, 10)
OPTIONS: dict[str, dict[str, Any]] = {"reptile": {"inner_steps": 10, "inner_lr": 0.02}}


@dataclass(frozen=True)
class Comparison:
    """What to train."""

    learners: tuple[str, ...] = field(default_factory=lambda: tuple(names_for("labels")))
    """Names from `metarl list algos`; all by default."""
    iterations: int = 5000
    """Meta-updates of each."""
    tasks: int = 1000
    """Tasks to evaluate on."""
    seed: int = 0
    threads: int = 0
    torch_threads: int = 0
    """Threads of torch's own arithmetic (0: one for each core)."""


def figures(learner: str, options: Comparison, folder: Path) -> dict[str, Any]:
    """Train one learner and evaluate it."""
    start = time.monotonic()
    run = metarl.train(
        "sinusoid",
        learner,
        out=folder,
        iterations=options.iterations,
        seed=options.seed,
        threads=options.threads,
        torch_threads=options.torch_threads,
        algo=OPTIONS.get(learner, {}),
    )
    seconds = time.monotonic() - start
    directory = RunDirectory(run.path)
    config = load_config(directory)
    errors = {}
    for shots in SHOTS:
        setup = set_up_few_shot(replace(config, env=replace(config.env, shots=shots)))
        checkpoint = directory.require_checkpoint(setup.device, shapes_of_run(setup))
        loss = scores_of(setup, checkpoint.state, options.tasks, max(STEPS), seed=1)["loss"]
        means = {step: float(loss[:, step].mean()) for step in STEPS}
        errors[shots] = {step: round(mean, 3) if math.isfinite(mean) else None for step, mean in means.items()}
    return {
        "learner": learner,
        "iterations": options.iterations,
        "seconds": round(seconds),
        "mean_squared_error": errors,
        "options": config.as_dict()["algo"],
        "command": shlex.join(["python", "scripts/reproduce/sinusoid.py", *sys.argv[1:]]),
        "versions": versions(),
    }


def main(options: Comparison) -> None:
    """Train all learners, storing each result as it comes."""
    folder = RESULTS / "fewshot" / "sinusoid"
    folder.mkdir(parents=True, exist_ok=True)
    for learner in options.learners:
        with tempfile.TemporaryDirectory() as temporary:
            found = figures(learner, options, Path(temporary) / "run")
        (folder / f"{learner}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(learner, found["mean_squared_error"])


if __name__ == "__main__":
    main(tyro.cli(Comparison))
