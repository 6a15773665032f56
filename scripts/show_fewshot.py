"""Bring `docs/results/fewshot/` into docs/fewshot.md: a table of sine waves, and one of Omniglot.

python scripts/show_fewshot.py
"""

import json
from pathlib import Path
from typing import Any

from metarl.algorithms import names_for

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "fewshot"
BEGIN, END = "<!-- results: scripts/show_fewshot.py -->\n", "<!-- end of results -->\n"


def read(source: str) -> list[dict[str, Any]]:
    """All results of a source, in the order of `metarl list algos`."""
    found = [json.loads(path.read_text()) for path in sorted((RESULTS / source).glob("*.json"))]
    return sorted(found, key=lambda result: names_for("labels").index(result["learner"]))


def sinusoid() -> str:
    """One row a learner: mean squared error after 0, 1, 5 and 10 steps, for each number of shots."""
    lines = [
        "### sinusoid: mean squared error after 0 / 1 / 5 / 10 steps",
        "",
        "| learner | K = 5 | K = 10 | K = 20 | meta-updates |",
        "|---|---|---|---|---|",
    ]
    for result in read("sinusoid"):
        errors = result["mean_squared_error"].values()
        cells = [
            " / ".join("diverges" if error is None else f"{error:.2f}" for error in by_step.values())
            for by_step in errors
        ]
        lines.append(f"| `{result['learner']}` | {' | '.join(cells)} | {result['iterations']} |")
    return "\n".join(lines) + "\n"


def omniglot() -> str:
    """One row a learner and number of shots: accuracy after 0 to 3 steps."""
    results = read("omniglot")
    if not results:
        return ""
    lines = [
        "### omniglot: accuracy on held-out characters",
        "",
        "| learner | task | 0 steps | 1 step | 2 steps | 3 steps (95 % interval) | split | meta-updates | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        mean, low, high = (result["accuracy"][part] for part in ("mean", "low", "high"))
        cells = [f"{value:.1%}" for value in mean[:3]] + [f"{mean[3]:.1%} ({low[3]:.1%} … {high[3]:.1%})"]
        task = f"{result['ways']}-way {result['shots']}-shot"
        facts = [result["split"], str(result["options"]["train"]["iterations"]), str(result["minutes"])]
        lines.append(f"| `{result['learner']}` | {task} | {' | '.join(cells + facts)} |")
    return "\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the tables."""
    path = ROOT / "docs" / "fewshot.md"
    text = path.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    path.write_text(text[:start] + sinusoid() + omniglot() + text[end:])


if __name__ == "__main__":
    main()
