"""PEARL on held-out tasks, episode by episode: docs/results/memory/pearl-ENV.json.

    python scripts/reproduce/context.py [--names half-cheetah-vel] [--seeds 0] [--threads 1] [--torch-threads 1]

The curve holds environment steps, minutes and the return of every round. An episode of a lane is a round, the first
with a latent from the prior: the unadapted policy.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reproduction
import tyro

import metarl


@dataclass(frozen=True)
class Problem:
    """Where PEARL is trained, and how where that differs from the preset."""

    environment: str
    env: dict[str, Any]
    train: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)


PROBLEMS = {
    "sparse-point-nav": Problem("sparse-point-nav", {"variant": "pearl"}),
    "sparse-point-nav-dense": Problem("sparse-point-nav", {"variant": "pearl-dense"}),
    "half-cheetah-vel": Problem("half-cheetah-vel", {"variant": "pearl"}),
}


@dataclass(frozen=True)
class Options(reproduction.Options):
    """What to run."""

    seeds: tuple[int, ...] = (0,)
    """Seeds to train."""
    names: tuple[str, ...] = tuple(PROBLEMS)
    """Problems; all by default."""


def improves(returns: list[float]) -> bool:
    """Whether the third episode is better than the first."""
    return returns[2] > returns[0]


def run_seed(problem: Problem, seed: int, options: Options) -> dict[str, Any]:
    """Train one seed and meet all held-out tasks for three episodes."""
    start = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = metarl.train(
            problem.environment,
            "pearl",
            out=Path(folder) / "run",
            seed=seed,
            threads=options.threads,
            torch_threads=options.torch_threads,
            env=problem.env,
            algo=problem.algo,
            **problem.train,
        )
        minutes, core_minutes = (time.monotonic() - start[0]) / 60, (time.process_time() - start[1]) / 60
        record = metarl.evaluate(run.path, rounds=2, seed=seed)
    curve, seconds = [], 0.0
    for line in run.metrics:
        seconds += line["time/sampling"] + line["time/update"]
        returns = (round(line[name], 2) for name in line if name.startswith("return/round_"))
        curve.append((line["env_steps"], round(seconds / 60, 2), *returns))
    means = record["returns"]["mean"]
    return {
        "holds": improves(means),
        "minutes": round(minutes, 1),
        "core_minutes": round(core_minutes, 1),
        "env_steps": run.metrics[-1]["env_steps"],
        "tasks": record["tasks"],
        "unseen": [round(value, 3) for value in means],
        "unseen_trial": round(sum(means), 2),
        "curve": curve,
    }


def main(options: Options) -> None:
    """Train on all problems; the exit code says whether all claims held."""
    held = []
    for name in options.names:
        problem, results = PROBLEMS[name], {}
        what = reproduction.Reproduction(
            name=f"pearl-{name}",
            claim="on held-out tasks the third episode returns more than the first",
            environment=problem.environment,
            algorithm="pearl",
            holds=lambda figures: bool(figures["holds"]),
            seeds_needed=len(options.seeds),
            train=problem.train,
            env=problem.env,
            algo=problem.algo,
        )
        for seed in options.seeds:
            results[seed] = run_seed(problem, seed, options)
            reproduction.store(what, results, reproduction.RESULTS / "memory")
            print(f"{name}, seed {seed}: {results[seed]['unseen']} ({what.claim})")
        held.append(all(result["holds"] for result in results.values()))
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main(tyro.cli(Options))
