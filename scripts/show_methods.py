"""Bring `docs/results/methods/*/*.json` into docs/algorithms.md: a table for each environment.

python scripts/show_methods.py
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

from metarl.algorithms import ALGORITHMS

ROOT = Path(__file__).parents[1]
METHODS = ROOT / "docs" / "results" / "methods"
BEGIN, END = "<!-- results: scripts/show_methods.py -->\n", "<!-- end of results -->\n"


def mean_and_interval(values: list[float]) -> str:
    """Mean over seeds, and half the width of its 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{np.mean(values):.1f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.1f} ± {half:.1f}"


def table(folder: Path) -> str:
    """One row a method, in the order of `metarl list algos`."""
    lines = [
        f"### {folder.name}",
        "",
        "| method | 0 steps | 1 step | 2 steps | 3 steps | update (s) | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in ALGORITHMS:
        path = folder / f"{method}.json"
        if not path.exists():
            continue
        seeds = list(json.loads(path.read_text())["seeds"].values())
        returns = [mean_and_interval([seed[f"unseen_{k}"] for seed in seeds]) for k in range(4)]
        update = np.mean([seed["update_seconds"] for seed in seeds])
        lines.append(f"| `{method}` | {' | '.join(returns)} | {update:.2f} | {len(seeds)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the tables."""
    path = ROOT / "docs" / "algorithms.md"
    text = path.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    tables = "\n".join(table(folder) for folder in sorted(METHODS.iterdir()))
    path.write_text(text[:start] + tables + text[end:])


if __name__ == "__main__":
    main()
