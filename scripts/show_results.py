"""Bring `docs/results/SUITE/ENV/ALGO.json` into the documents: tables of README.md and docs/*.md, and their pictures.

python scripts/show_results.py [--check]

The files are what `metarl compare SUITE` leaves in `results/` of its grid's folder.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import tyro
from scipy import stats

from metarl.comparison.suite_file import load_suite

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
BEGIN, END = "<!-- results: scripts/show_results.py -->\n", "<!-- end of results -->\n"
GRADIENT, MEMORY, SINUSOID, OMNIGLOT = (f"reproduce-{what}" for what in ("gradient", "memory", "sinusoid", "omniglot"))
REFERENCE, ROBOTS = "reference", "robots"
WORTH = ROOT / "envs" / "worth.json"  # what `metarl list envs` shows of it
ADAPTING = ("maml-trpo", "promp", "rl2", "varibad", "pearl", "recurrent")
PANELS = {
    "point-nav-maml/maml-trpo": "point-nav · MAML-TRPO",
    "half-cheetah-dir/maml-trpo": "half-cheetah-dir · MAML-TRPO",
    "half-cheetah-dir/promp": "half-cheetah-dir · ProMP",
    "half-cheetah-vel/maml-trpo": "half-cheetah-vel · MAML-TRPO",
}
SIDE_BY_SIDE = ("half-cheetah-dir", "point-nav")  # whose methods have a table and a picture

Entry = dict[str, Any]


def entries(suite: str) -> dict[str, Entry]:
    """What is stored of a suite, by ENV/ALGO, in the suite's order."""
    names = map(str, load_suite(suite, check_options=False).entries)
    paths = {name: RESULTS / suite / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def strangers() -> list[Path]:
    """Stored files that are no suite's."""
    known = {Path(suite, f"{name}.json") for suite in suites() for name in entries(suite)}
    return [path for path in RESULTS.glob("*/*/*.json") if path.relative_to(RESULTS) not in known]


def suites() -> list[str]:
    """Suites of which something is stored."""
    return sorted(path.name for path in RESULTS.iterdir() if path.is_dir())


def table(header: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    if len(lines) == 2:
        return "Nothing has run yet.\n"
    return "".join(
        f"|{'|'.join(f' {cell} ' if line is not lines[1] else str(cell) for cell in line)}|\n" for line in lines
    )


def each_seed(entry: Entry) -> list[Entry]:
    """The results of all seeds."""
    return list(entry["seeds"].values())


def evaluated(result: Entry, what: str = "return", number: int = 0) -> list[float]:
    """Means over tasks after 0, 1, … adaptations of one of a seed's evaluations; empty where there is none."""
    found = result["evaluations"][number : number + 1]
    mean: list[float] = found[0].get(what, {}).get("mean", []) if found else []
    return mean


def slashed(values: Sequence[float | None], form: str = ".1f") -> str:
    """Values as people read them."""
    shown = ("diverges" if v is None else f"{v:{form}}" if abs(v) < 1e5 else f"{v:.1e}" for v in values)
    return " / ".join(shown)


def claims() -> str:
    """A row for each claim of gradient methods: its figures over seeds, and what was asked of it."""

    def row(name: str, entry: Entry) -> list[str]:
        if any("return_" in check for check in entry["checks"]):
            figures = [slashed(evaluated(result)) for result in each_seed(entry)]
        else:
            figures = [f"{result['before']:.1f} → {result['after']:.1f}" for result in each_seed(entry)]
        link = f"[{name}](docs/results/{GRADIENT}/{name}.json)"
        asked = (entry["claim"], entry["seeds_that_hold"], f"`{entry['command']}`")
        return [link, ", ".join(figures), entry["published"] or "–", *asked]

    header = ("result", "ours: before → after one step, by seed", "published", "asked", "seeds", "command")
    return table(header, (row(name, entry) for name, entry in entries(GRADIENT).items() if "claim" in entry))


def mean_and_interval(values: Sequence[float]) -> str:
    """Mean over seeds, and half the width of its 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{np.mean(values):.1f}"
    return f"{np.mean(values):.1f} ± {stats.t.ppf(0.975, len(values) - 1) * stats.sem(values):.1f}"


def methods(environment: str) -> str:
    """One row a method; returns on unseen tasks, or a dash where only training was recorded."""

    def row(entry: Entry) -> list[str]:
        seeds = each_seed(entry)
        training = " → ".join(f"{np.mean([seed[when] for seed in seeds]):.1f}" for when in ("before", "after"))
        curves = [evaluated(seed) for seed in seeds]
        unseen = [mean_and_interval([curve[k] for curve in curves]) if all(curves) else "–" for k in range(4)]
        return [f"`{entry['algorithm']}`", training, *unseen, str(len(seeds))]

    header = ("method", "training: before → after", "0 steps", "1 step", "2 steps", "3 steps", "seeds")
    return table(header, map(row, of_environment(environment)))


def of_environment(environment: str) -> list[Entry]:
    """All gradient methods there."""
    return [entry for entry in entries(GRADIENT).values() if entry["environment"] == environment]


def memory() -> str:
    """What methods with memory reach, a row for each seed."""

    def rows() -> Iterator[list[str]]:
        for name, entry in entries(MEMORY).items():
            for seed, result in entry["seeds"].items():
                episodes = slashed(evaluated(result))
                if result["evaluations"][0].get("deterministic"):
                    sampled = slashed(result["evaluations"][0]["sampled"])
                    episodes = f"mean actions {episodes}; sampled {sampled}"
                facts = (f"{result['env_steps'] / 1e6:.1f} M", f"{result['minutes']:.1f}")
                yield [f"`{name}`, seed {seed}", episodes, f"{sum(evaluated(result)):.1f}", entry["claim"], *facts]

    return table(("run", "episodes of a trial on unseen tasks", "in all", "asked", "steps", "minutes"), rows())


def update_times() -> str:
    """Seconds of every method's update, from what `metarl speed --every-update --json` printed."""
    rows = json.loads((RESULTS / "updates.json").read_text())["rows"]
    seconds = {row["what"].removesuffix(": update"): row["seconds"] for row in rows}
    ordered = sorted(seconds.items(), key=lambda item: item[1])
    shown = ([f"`{name}`", f"{value:.2f}", f"{value / seconds['maml-trpo']:.2f}"] for name, value in ordered)
    return table(("method", "update (s)", "× maml-trpo"), shown)


def sinusoid() -> str:
    """One row a learner: mean squared error after 0, 1, 5 and 10 steps, for each number of shots."""

    def row(entry: Entry) -> list[str]:
        (result,) = each_seed(entry)
        errors = {each["shots"]: each["loss"]["mean"] for each in result["evaluations"]}
        cells = [slashed([errors[shots][step] for step in (0, 1, 5, 10)], ".2f") for shots in (5, 10, 20)]
        return [f"`{entry['algorithm']}`", *cells, str(entry["options"]["train"]["iterations"])]

    header = ("learner", "K = 5", "K = 10", "K = 20", "meta-updates")
    return table(header, map(row, entries(SINUSOID).values()))


def omniglot() -> str:
    """One row a learner and number of shots: accuracy after 0 to 3 steps."""

    def row(entry: Entry) -> list[str]:
        (result,) = each_seed(entry)
        mean, low, high = (result["evaluations"][0]["accuracy"][part] for part in ("mean", "low", "high"))
        cells = [*(f"{value:.1%}" for value in mean[:3]), f"{mean[3]:.1%} ({low[3]:.1%} … {high[3]:.1%})"]
        mirrored = "yes" if entry["options"]["env"].get("mirrored") else "no"
        facts = (mirrored, str(entry["options"]["train"]["iterations"]), str(result["minutes"]))
        return [f"`{entry['algorithm']}`", *cells, *facts]

    header = ("learner and task", "0 steps", "1 step", "2 steps", "3 steps (95 % interval)", "mirrored", "meta-updates")
    return table((*header, "minutes"), map(row, entries(OMNIGLOT).values()))


def algorithms() -> str:
    """The results of docs/algorithms.md."""
    parts = [
        f"### {name}\n\n{methods(name)}\n![returns after adaptation](results/{GRADIENT}/{name}.png)\n"
        for name in SIDE_BY_SIDE
    ]
    size = (
        "Of 10 tasks × 10 episodes × 100 steps a round on half-cheetah-dir, two cores; RL², VariBAD and PEARL take as\n"
        "many steps as their options say.\n"
    )
    parts += [f"### Methods with memory\n\n{memory()}", f"### What an update costs\n\n{size}\n{update_times()}"]
    return "\n".join(parts)


def few_shot() -> str:
    """The results of docs/fewshot.md."""
    waves = f"### sinusoid: mean squared error after 0 / 1 / 5 / 10 steps\n\n{sinusoid()}"
    letters = f"### omniglot: accuracy on held-out characters (small archive; Greek and Latin)\n\n{omniglot()}"
    return f"{waves}\n{letters}"


def first_and_last(entry: Entry | None) -> str:
    """Mean over seeds of the first and the last round of an evaluation."""
    curves = [evaluated(result) for result in each_seed(entry)] if entry else []
    return " → ".join(f"{np.mean([curve[k] for curve in curves]):.1f}" for k in (0, -1)) if curves else "–"


def by_environment() -> dict[str, dict[str, Entry]]:
    """The methods of the reference suite that are stored, by environment."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in entries(REFERENCE).values():
        found.setdefault(entry["environment"], {})[entry["algorithm"]] = entry
    return found


def worth() -> dict[str, dict[str, float]]:
    """Of each environment what random actions earn, a policy that is told nothing, and one that is told the task."""
    known = {}
    for environment, methods in by_environment().items():
        if {"multitask", "oracle"} <= methods.keys():
            untold, told = (methods[name] for name in ("multitask", "oracle"))
            level = each_seed(untold)[0]["evaluations"][0].get("random")
            means = {
                who: float(np.mean([evaluated(result)[0] for result in each_seed(entry)]))
                for who, entry in (("untold", untold), ("told", told))
            }
            known[environment] = ({"random": level} if level is not None else {}) | {
                who: round(value, 1) for who, value in means.items()
            }
    return known


def reference() -> str:
    """One row an environment: its levels, and what each method that adapts earns in its first and its last episode."""
    levels = worth()

    def row(environment: str, methods: dict[str, Entry]) -> list[str]:
        known = levels.get(environment, {})
        shown = (f"{known[name]:.1f}" if name in known else "–" for name in ("random", "untold", "told"))
        seeds = {len(entry["seeds"]) for entry in methods.values()}
        hours = sum(result["minutes"] for entry in methods.values() for result in each_seed(entry)) / 60
        facts = (" to ".join(dict.fromkeys(str(count) for count in (min(seeds), max(seeds)))), f"{hours:.1f}")
        return [f"`{environment}`", *shown, *(first_and_last(methods.get(name)) for name in ADAPTING), *facts]

    header = ("environment", "random", "told nothing", "told the task", *(f"`{name}`" for name in ADAPTING))
    return table((*header, "seeds", "hours"), (row(*item) for item in by_environment().items()))


def of_robots() -> str:
    """What methods reach on robots within the range of training and beyond: a row for each method."""

    def figures(entry: Entry, number: int) -> list[str]:
        seeds = [result["evaluations"][number] for result in each_seed(entry) if number < len(result["evaluations"])]
        said = [seed.get("diagnostics", {}) for seed in seeds]
        columns = [[seed["return"]["mean"][-1] for seed in seeds]]
        columns += [[each[name][-1] for each in said if name in each] for name in ("tracking_error", "fell")]
        shown = ((values, form) for values, form in zip(columns, (".0f", ".2f", ".0%"), strict=True))
        return ["–" if not values else f"{np.mean(values):{form}}" for values, form in shown]

    def row(entry: Entry) -> list[str]:
        returns = mean_and_interval([result["evaluations"][0]["return"]["mean"][-1] for result in each_seed(entry)])
        within, beyond = figures(entry, 0), figures(entry, 1)
        facts = (str(len(entry["seeds"])), str(round(np.mean([result["minutes"] for result in each_seed(entry)]))))
        name = (f"`{entry['environment']}`", f"`{entry['algorithm']}`")
        return [*name, returns, *within[1:], *beyond, *facts]

    within, beyond = ("return", "tracking error (m/s)", "fell"), ("return beyond", "error", "fell")
    header = ("robot", "method", *within, *beyond, "seeds", "minutes")
    return table(header, (row(entry) for entry in entries(ROBOTS).values()))


DOCUMENTS: dict[str, Callable[[], str]] = {
    "README.md": claims,
    "docs/algorithms.md": algorithms,
    "docs/fewshot.md": few_shot,
    "docs/results.md": reference,
    "docs/robots.md": of_robots,
}


def columns(result: Entry, *names: str) -> np.ndarray:
    """Columns of a seed's curve, `[rows, names]`; `last` is the last one."""
    header, *rows = result["curve"]
    places = [len(header) - 1 if name == "last" else header.index(name) for name in names]
    return np.array(rows, float)[:, places]


def draw_claims() -> None:
    """Mean over seeds and each seed, before and after adaptation, of the claims that the README shows."""
    stored = entries(GRADIENT)
    figure, grid = plt.subplots(1, len(PANELS), figsize=(3.6 * len(PANELS), 3.1), squeeze=False)
    for axes, (name, title) in zip(grid[0], PANELS.items(), strict=True):
        curves = np.stack([columns(result, "iteration", "round_0", "last") for result in each_seed(stored[name])])
        for column, label, color in ((1, "before adaptation", "#8a8f98"), (2, "after one step", "#d1495b")):
            axes.plot(curves[0, :, 0], curves[:, :, column].T, color=color, alpha=0.3, linewidth=0.8)
            axes.plot(curves[0, :, 0], curves[:, :, column].mean(axis=0), color=color, linewidth=2, label=label)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("iteration")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0][0].set_ylabel("mean return of an episode")
    grid[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "curves.png", dpi=130)
    plt.close(figure)


def draw_methods(environment: str) -> None:
    """Return after the last round of training over environment steps, mean and range over seeds."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for number, entry in enumerate(of_environment(environment)):
        curves = [columns(result, "env_steps", "last") for result in each_seed(entry)]
        length = min(map(len, curves))
        smooth = np.stack([np.convolve(np.pad(c[:length, 1], 2, mode="edge"), np.ones(5) / 5, "valid") for c in curves])
        steps, style = curves[0][:length, 0] / 1e6, "-" if number < 10 else "--"
        (line,) = axes.plot(steps, smooth.mean(axis=0), style, label=entry["algorithm"], linewidth=1.6)
        axes.fill_between(steps, smooth.min(axis=0), smooth.max(axis=0), color=line.get_color(), alpha=0.15)
    axes.set(xlabel="environment steps (millions)", ylabel="return after adaptation", title=environment)
    axes.legend(ncols=2, fontsize=8)
    figure.savefig(RESULTS / GRADIENT / f"{environment}.png", dpi=130)
    plt.close(figure)


@dataclass(frozen=True)
class Options:
    """What to do."""

    check: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Change nothing; say whether the tables are current, and each stored file is a suite's."""


def main(options: Options) -> int:
    """Rewrite tables and pictures, or check the tables; returns the exit code."""
    wrong = [f"{path.relative_to(ROOT)} is no suite's entry" for path in strangers()]
    for name, written in DOCUMENTS.items():
        text = (ROOT / name).read_text()
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        current = text[:start] + written() + text[end:]
        if options.check:
            wrong += [f"{name} is not current: run scripts/show_results.py"] if text != current else []
        else:
            (ROOT / name).write_text(current)
    values = json.dumps(worth(), indent=1) + "\n"
    if not options.check:
        WORTH.write_text(values)
    elif WORTH.read_text() != values:
        wrong += ["envs/worth.json is not current: run scripts/show_results.py"]
    if not options.check:
        draw_claims()
        for environment in SIDE_BY_SIDE:
            draw_methods(environment)
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
