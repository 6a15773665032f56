"""Draw the curves of `docs/results/*.json` into `docs/results/curves.png`, the picture of the README.

python scripts/plot_results.py
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PANELS = {
    "point_nav": "point-nav · MAML-TRPO",
    "half_cheetah_dir": "half-cheetah-dir · MAML-TRPO",
    "half_cheetah_dir_promp": "half-cheetah-dir · ProMP",
    "half_cheetah_vel": "half-cheetah-vel · MAML-TRPO",
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


def main() -> None:
    """Draw all panels that have a result."""
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
