"""What the scripts beside this one share: train over seeds, check a claim, store the figures.

    python scripts/reproduce/point_nav.py [--seeds 0 1 2] [--threads 1] [--torch-threads 1]

writes `docs/results/NAME.json`: the command, versions, the curve and figures of every seed, and whether the claim held.
"""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

import metarl
from metarl.runs.config import versions

RESULTS = Path(__file__).parents[2] / "docs" / "results"
WINDOW = 5  # iterations that a figure "by iteration I" is averaged over

Figures = dict[str, float]


@dataclass(frozen=True)
class Reproduction:
    """One published or reference level, and how it is reached."""

    name: str
    claim: str
    """What must hold, in words."""
    environment: str
    algorithm: str
    holds: Callable[[Figures], bool]
    """Whether one seed's figures meet the claim."""
    seeds_needed: int
    """How many of the seeds must."""
    train: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)
    evaluate: bool = False
    """Whether to add the adaptation curve on 40 unseen tasks."""


@dataclass(frozen=True)
class Options:
    """How to run a reproduction."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds to train."""
    threads: int = 0
    """Physics threads (0: one for each core)."""
    torch_threads: int = 0
    """Threads of torch's own arithmetic (0: one for each core)."""


def run_seed(what: Reproduction, seed: int, threads: int = 0, torch_threads: int = 0) -> tuple[Figures, list[Any]]:
    """Train one seed. Returns its figures and its curve: (iteration, return of each round)."""
    with tempfile.TemporaryDirectory() as folder:
        run = metarl.train(
            what.environment,
            what.algorithm,
            out=Path(folder) / "run",
            seed=seed,
            threads=threads,
            torch_threads=torch_threads,
            env=what.env,
            algo=what.algo,
            **what.train,
        )
        rounds = [name for name in run.metrics[-1] if name.startswith("return/round_")]
        last = run.metrics[-WINDOW:]
        means = [sum(line[name] for line in last) / len(last) for name in rounds]
        before, after = means[0], means[-1]  # the same where a method trains without adaptation
        figures = {"before": before, "after": after, "gain": after - before}
        figures["update_seconds"] = sum(line["time/update"] for line in run.metrics) / len(run.metrics)
        if what.evaluate:
            record = metarl.evaluate(run.path, tasks=40, adaptations=3, seed=seed)
            figures |= {f"unseen_{k}": value for k, value in enumerate(record["returns"]["mean"])}
        curve = [(line["iteration"], *(round(line[name], 2) for name in rounds)) for line in run.metrics]
    return figures, curve


def reproduce(what: Reproduction, options: Options, folder: Path = RESULTS) -> bool:
    """Train all seeds, storing the result in `folder` after each, and say whether the claim held."""
    results: dict[int, dict[str, Any]] = {}
    for seed in options.seeds:
        start = time.monotonic()
        figures, curve = run_seed(what, seed, options.threads, options.torch_threads)
        results[seed] = {
            "holds": what.holds(figures),
            "minutes": round((time.monotonic() - start) / 60, 1),
            **{name: round(value, 3) for name, value in figures.items()},
            "curve": curve,
        }
        store(what, results, folder)
    reached = sum(result["holds"] for result in results.values())
    print(f"{what.name}: {reached} of {len(results)} seeds hold: {what.claim}")
    return reached >= what.seeds_needed


def store(
    what: Reproduction, results: dict[int, dict[str, Any]], folder: Path, arguments: Sequence[str] | None = None
) -> None:
    """Write what is known of a reproduction: results by seed, each with `holds` and a `curve`.

    Args:
        arguments: of the command that makes this one; by default those that were given.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    reached = sum(result["holds"] for result in results.values())
    record = {
        "name": what.name,
        "claim": what.claim,
        "holds": reached >= what.seeds_needed,
        "seeds_that_hold": f"{reached} of {len(results)}",
        "command": shlex.join(["python", f"scripts/reproduce/{Path(sys.argv[0]).name}", *arguments]),
        "environment": what.environment,
        "algorithm": what.algorithm,
        "options": {"train": what.train, "env": what.env, "algo": what.algo},
        "versions": versions(),
        "seeds": {seed: dict(result) for seed, result in results.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{what.name}.json").write_text(_one_line_per_iteration(record))


def _one_line_per_iteration(record: dict[str, Any]) -> str:
    """JSON that is indented but for the points of the curves, so that a difference can be read."""
    curves = {str(seed): result.pop("curve") for seed, result in record["seeds"].items()}
    text = json.dumps(record, indent=1)
    points = ",\n".join(f'  "{seed}": {json.dumps(curve)}' for seed, curve in curves.items())
    return f'{text[:-2]},\n "curves": {{\n{points}\n }}\n}}\n'


def main(what: Reproduction) -> None:
    """Run from the command line; the exit code says whether the claim held."""
    options = tyro.cli(Options, description=f"{what.claim} -> docs/results/{what.name}.json")
    sys.exit(0 if reproduce(what, options) else 1)
