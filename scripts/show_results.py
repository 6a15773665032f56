"""Bring `docs/results/*.json` into the README: its picture, `docs/results/curves.png`, and its table of results.

python scripts/show_results.py
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
BEGIN, END = "<!-- results: scripts/show_results.py -->\n", "<!-- end of results -->\n"
PANELS = {
    "point_nav": "point-nav · MAML-TRPO",
    "half_cheetah_dir": "half-cheetah-dir · MAML-TRPO",
    "half_cheetah_dir_promp": "half-cheetah-dir · ProMP",
    "half_cheetah_vel": "half-cheetah-vel · MAML-TRPO",
}
# As the papers report them, of their own simulations and after many more iterations.
PUBLISHED = {
    "half_cheetah_dir": "-50.7 → 293.2 (Finn et al. 2017)",
    "half_cheetah_dir_promp": "about 500 to 600 after 1.6e8 steps (Rothfuss et al. 2019, figure 2)",
    "half_cheetah_vel": "about -130 → -75, velocities up to 2 (Finn et al. 2017)",
    "point_nav": "-40.4 / -11.7 / -3.3 / -3.2 (Finn et al. 2017)",
}


def draw(axes: plt.Axes, title: str, record: dict) -> None:
    """Mean over seeds and each seed, before and after adaptation."""
    curves = np.array(list(record["curves"].values()))  # [seeds, iterations, 1 + rounds]
    iterations = curves[0, :, 0]
    for column, label, color in ((1, "before adaptation", "#8a8f98"), (-1, "after one step", "#d1495b")):
        for seed in curves:
            axes.plot(iterations, seed[:, column], color=color, alpha=0.3, linewidth=0.8)
        axes.plot(iterations, curves[:, :, column].mean(axis=0), color=color, linewidth=2, label=label)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("iteration")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def table(records: list[dict]) -> str:
    """One row for each result: its figures over seeds, and what was asked of it."""
    lines = [
        "| result | ours: before → after one step, by seed | published | asked | seeds | command |",
        6 * "|---" + "|",
    ]
    for record in records:
        seeds = record["seeds"].values()
        figures = ", ".join(f"{seed['before']:.1f} → {seed['after']:.1f}" for seed in seeds)
        if "unseen_0" in next(iter(seeds)):
            figures = ", ".join(" / ".join(f"{seed[f'unseen_{k}']:.1f}" for k in range(4)) for seed in seeds)
        link = f"[{record['name']}](docs/results/{record['name']}.json)"
        command = f"`{record['command']}`"
        published = PUBLISHED.get(record["name"], "–")
        lines.append(
            f"| {link} | {figures} | {published} | {record['claim']} | {record['seeds_that_hold']} | {command} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw all panels that have a result, and rewrite the table."""
    stored = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    records = [record for record in stored if "seeds" in record]
    readme = (ROOT / "README.md").read_text()
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    (ROOT / "README.md").write_text(readme[:start] + table(records) + readme[end:])

    panels = {name: title for name, title in PANELS.items() if (RESULTS / f"{name}.json").exists()}
    figure, grid = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.1), squeeze=False)
    for axes, (name, title) in zip(grid[0], panels.items(), strict=True):
        draw(axes, title, json.loads((RESULTS / f"{name}.json").read_text()))
    grid[0][0].set_ylabel("mean return of an episode")
    grid[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "curves.png", dpi=130)


if __name__ == "__main__":
    main()
