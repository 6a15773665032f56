"""Bring `docs/results/methods/*/*.json` into docs/algorithms.md: a table and a picture for each environment.

python scripts/show_methods.py
"""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import envs
from metarl.algorithms import names_for
from metarl.runs.presets import default_config

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
METHODS = RESULTS / "methods"
# Reproductions of their own that are runs of the same environment and batch.
ELSEWHERE = {
    "half-cheetah-dir": {"maml-trpo": "half_cheetah_dir.json", "promp": "half_cheetah_dir_promp.json"},
}
BEGIN, END = "<!-- results: scripts/show_methods.py -->\n", "<!-- end of results -->\n"


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What was measured of each method, in the order of `metarl list algos`."""
    elsewhere = {name: RESULTS / file for name, file in ELSEWHERE.get(folder.name, {}).items()}
    paths = {name: folder / f"{name}.json" for name in names_for("experience")}
    found = {name: path if path.exists() else elsewhere.get(name, path) for name, path in paths.items()}
    return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}


def mean_and_interval(values: list[float]) -> str:
    """Mean over seeds, and half the width of its 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{np.mean(values):.1f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.1f} ± {half:.1f}"


def table(measured: dict[str, dict[str, Any]]) -> str:
    """One row a method; returns on unseen tasks, or a dash where only training was recorded."""
    lines = [
        "| method | training: before → after | 0 steps | 1 step | 2 steps | 3 steps | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, record in measured.items():
        seeds = list(record["seeds"].values())
        training = " → ".join(f"{np.mean([seed[when] for seed in seeds]):.1f}" for when in ("before", "after"))
        unseen = [
            mean_and_interval([seed[f"unseen_{k}"] for seed in seeds]) if "unseen_0" in seeds[0] else "–"
            for k in range(4)
        ]
        lines.append(f"| `{method}` | {training} | {' | '.join(unseen)} | {len(seeds)} |")
    return "\n".join(lines) + "\n"


def memory_table() -> str:
    """What methods with memory reach, a row for each reproduction."""
    lines = [
        "### Methods with memory",
        "",
        "| run | episodes of a trial on unseen tasks | in all | asked | steps | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted((RESULTS / "memory").glob("*.json")):
        record = json.loads(path.read_text())
        for seed, result in record["seeds"].items():
            episodes = " / ".join(f"{value:.1f}" for value in result["unseen"])
            if "unseen_sampled" in result:  # then the others are of mean actions, as published
                sampled = " / ".join(f"{value:.1f}" for value in result["unseen_sampled"])
                episodes = f"mean actions {episodes}; sampled {sampled}"
            lines.append(
                f"| `{record['name']}`, seed {seed} | {episodes} | {result['unseen_trial']:.1f} | {record['claim']}"
                f" | {result['env_steps'] / 1e6:.1f} M | {result['minutes']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def update_times() -> str:
    """Seconds of every method's update, from what `metarl benchmark speed --every-update --json` printed."""
    rows = json.loads((RESULTS / "updates.json").read_text())["rows"]
    seconds = {row["what"].removesuffix(": update"): row["seconds"] for row in rows}
    lines = [
        "Of 10 tasks × 10 episodes × 100 steps a round on half-cheetah-dir, two cores; RL², VariBAD and PEARL take as",
        "many steps as their options say.",
        "",
        "| method | update (s) | × maml-trpo |",
        "|---|---|---|",
    ]
    for method, value in sorted(seconds.items(), key=lambda item: item[1]):
        lines.append(f"| `{method}` | {value:.2f} | {value / seconds['maml-trpo']:.2f} |")
    return "### What an update costs\n\n" + "\n".join(lines) + "\n"


def draw(environment: str, measured: dict[str, dict[str, Any]], path: Path) -> None:
    """Return after the last round of training over environment steps, mean and range over seeds."""
    horizon = envs.make(environment, num_tasks=1, lanes_per_task=1).horizon
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for number, (method, record) in enumerate(measured.items()):
        curves = [np.array(curve) for curve in record["curves"].values()]  # [iterations, 1 + rounds]
        length = min(len(curve) for curve in curves)
        train = default_config(environment, method).train
        rounds = curves[0].shape[1] - 1
        steps = curves[0][:length, 0] * train.tasks * train.lanes * horizon * rounds / 1e6
        after = np.stack([curve[:length, -1] for curve in curves])
        window = np.ones(5) / 5
        smooth = np.stack([np.convolve(np.pad(line, 2, mode="edge"), window, mode="valid") for line in after])
        style = "-" if number < 10 else "--"
        (line,) = axes.plot(steps, smooth.mean(axis=0), style, label=method, linewidth=1.6)
        axes.fill_between(steps, smooth.min(axis=0), smooth.max(axis=0), color=line.get_color(), alpha=0.15)
    axes.set(xlabel="environment steps (millions)", ylabel="return after adaptation", title=environment)
    axes.legend(ncols=2, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Rewrite the tables and the pictures."""
    path = ROOT / "docs" / "algorithms.md"
    text = path.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    sections = []
    for folder in sorted(folder for folder in METHODS.iterdir() if folder.is_dir()):
        measured = results(folder)
        draw(folder.name, measured, METHODS / f"{folder.name}.png")
        picture = f"![returns after adaptation](results/methods/{folder.name}.png)\n"
        sections.append(f"### {folder.name}\n\n{table(measured)}\n{picture}")
    sections += [memory_table(), update_times()]
    path.write_text(text[:start] + "\n".join(sections) + text[end:])


if __name__ == "__main__":
    main()
