"""What is kept of a grid: for every environment × method a small file `results/ENV/ALGO.json`, to be committed.

It holds the claim and whether it held, the command, the options, versions, the figures of every seed, and its curve.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metarl.comparison.claims import Claim
from metarl.comparison.suite import Cell
from metarl.evaluation.identity import EvaluationIdentity, read_evaluations
from metarl.runs.config import read_yaml
from metarl.runs.metrics import CURVES, curves_of, read_metrics
from metarl.runtime.files import write_atomic

FOLDER = "results"
WINDOW = 5  # last iterations that `before` and `after` are means of
POINTS = 300  # of a curve; a longer one has means of as many stretches


def entry(suite: str, cells: Sequence[tuple[Cell, Sequence[EvaluationIdentity]]], grid: Path) -> dict[str, Any]:
    """The file about one environment × method.

    Args:
        suite: its name.
        cells: the finished cells, of one seed each, and their evaluations, of which the first counts.
        grid: the grid's folder.
    """
    first = cells[0][0]
    seeds = {str(cell.seed): seed_result(grid / cell.folder, evaluations, cell.shots) for cell, evaluations in cells}
    claim = first.claim
    held = {seed: claim.holds(figures(result)) for seed, result in seeds.items()} if claim else {}
    environment, algorithm = first.labels
    return {
        "environment": environment,
        "algorithm": algorithm,
        **(_outcome(claim, list(held.values())) if claim else {}),
        "command": f"metarl compare {suite} --only {first.entry}",
        "options": first.options,
        "versions": _versions([read_yaml(grid / cell.folder / "config.yaml").get("versions", {}) for cell, _ in cells]),
        "seeds": {seed: ({"holds": held[seed]} if claim else {}) | result for seed, result in seeds.items()},
    }


def _outcome(claim: Claim, held: Sequence[bool]) -> dict[str, Any]:
    return {
        "claim": claim.says,
        "checks": list(claim.checks),
        "published": claim.published,
        "holds": claim.is_kept(sum(held), len(held)),
        "seeds_that_hold": f"{sum(held)} of {len(held)}",
    }


def seed_result(run: Path, evaluations: Sequence[EvaluationIdentity], shots: int | None) -> dict[str, Any]:
    """Figures and curve of one finished run. What is not finite is None.

    Its `curve` is a table with the names of its columns in the first row. `shots` are those of training, if any.
    """
    metrics, known = read_metrics(run / "metrics.jsonl"), read_evaluations(run)[0]
    kept = [_evaluation(known[each], shots) for each in evaluations]
    measured = next(iter(curves_of(metrics[-1]).values()), []) if metrics else []  # returns, or losses
    if not measured:
        return {"evaluations": kept}
    columns = {name: _column(metrics, name) for name in ("iteration", "env_steps", "time/update", "time/sampling")}
    minutes = np.cumsum(columns["time/update"] + columns["time/sampling"]) / 60
    steps = {"env_steps": columns["env_steps"]} if "env_steps" in metrics[-1] else {}
    curves = {name.split("/")[1]: _column(metrics, name) for name in measured}
    table = {"iteration": columns["iteration"], **steps, "minutes": minutes, **curves}
    ends = [curve[-WINDOW:].mean() for curve in curves.values()]
    means = {"before": ends[0], "after": ends[-1], "gain": ends[-1] - ends[0]}
    return {
        "minutes": _rounded(round(float(minutes[-1]), 1)),
        **{name: metrics[-1][name] for name in steps},
        "update_seconds": _rounded(columns["time/update"].mean()),
        **{name: _rounded(value) for name, value in means.items()},
        "evaluations": kept,
        "curve": [list(table), *map(list, zip(*map(_thinned, table.values()), strict=True))],
    }


def _evaluation(record: dict[str, Any], shots: int | None) -> dict[str, Any]:
    """What an entry keeps of a record of `metarl evaluate`; `shots` are those of training."""
    shots = record.get("shots", shots)
    facts = {"tasks": record.get("tasks"), "shots": shots, "deterministic": record.get("deterministic")}
    facts["split"] = None if record.get("split") == "test" else record.get("split")
    kept: dict[str, Any] = {name: value for name, value in facts.items() if value}
    kept |= {level: _rounded(record[level]) for level in ("random", "informed") if record.get(level) is not None}
    for name in CURVES:
        key = "returns" if name == "return" else name
        if key in record:
            kept[name] = {part: [_rounded(value) for value in record[key][part]] for part in ("mean", "low", "high")}
    for name, said in record.get("diagnostics", {}).items():
        kept.setdefault("diagnostics", {})[name] = [_rounded(value) for value in said["mean"]]
    if "sampled" in record:
        kept["sampled"] = [_rounded(value) for value in record["sampled"]["returns"]["mean"]]
    return kept


def figures(result: dict[str, Any]) -> dict[str, Any]:
    """What a claim may be about (see `claims.py`), of one seed."""
    found: dict[str, Any] = {name: result[name] for name in ("before", "after", "gain") if name in result}
    if found.get("before") and found.get("gain") is not None:
        found["relative_gain"] = found["gain"] / abs(found["before"])
    for measure in CURVES:
        curve = (result["evaluations"] or [{}])[0].get(measure, {}).get("mean", [])
        found |= {f"{measure}_{k}": value for k, value in enumerate(curve)}
        if measure == "return" and None not in curve:
            found["trial_return"] = sum(curve)
    return found


def text_of(record: dict[str, Any]) -> str:
    """JSON with a line for each innermost list, so that a difference can be read."""
    text = json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False)
    innermost = re.compile(r"\[\n\s*([^\[\]]*?)\n\s*\]")
    return innermost.sub(lambda found: "[" + re.sub(r"\n\s*", " ", found[1]) + "]", text) + "\n"


def write_entry(grid: Path, record: dict[str, Any], place: Path) -> None:
    """Store an entry in a grid's folder, at `place` below `FOLDER`.

    Raises:
        StorageError: the file system refused.
    """
    path = grid / FOLDER / place.with_name(f"{place.name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text_of(record).encode())


def _versions(each: Sequence[dict[str, str]]) -> dict[str, str]:
    """Versions of all seeds; where they differ, one beside the other."""
    names = dict.fromkeys(name for versions in each for name in versions)
    return {name: " / ".join(dict.fromkeys(str(versions.get(name, "–")) for versions in each)) for name in names}


def _column(metrics: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([line.get(name, math.nan) for line in metrics])  # [I]


def _thinned(values: np.ndarray) -> list[float | int | None]:
    """Values `[I]`, or means of stretches of them: `POINTS` at most."""
    return [_rounded(part.mean()) for part in np.array_split(values, min(POINTS, len(values)))]


def _rounded(value: float) -> float | int | None:
    """A number to as many digits as are worth keeping."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.4g}") if abs(value) < 0.1 else round(float(value), 3)
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
