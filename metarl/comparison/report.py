"""`metarl report`: one HTML page about finished and unfinished runs, which needs no network.

For every environment: learning curves, adaptation curves, performance profiles, a table of methods; and of every run
where it stands, its config and its versions. Each picture carries its numbers as CSV in a link. What the page looks
like stands in `report.html`, a template, and `report.css`.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
import yaml

from metarl.comparison.pictures import (
    adaptation_picture,
    learning_picture,
    overall_profile,
    profile_picture,
    styles,
    with_own_ids,
)
from metarl.comparison.records import Record, by_algorithm, records_in
from metarl.comparison.results import compared, interval, summarise
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic

MANY_RUNS = 12  # a longer list is folded


def write_report(folders: Sequence[str | Path], out: str | Path = "report.html") -> None:
    """Write the page about all runs in or below some folders; the same as `metarl report`.

    Raises:
        InputError: a folder that is not there, folders without runs, or no place for a page.
        StorageError: the file system refused.
    """
    out = Path(out)
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out} cannot be written — name a file in a folder that exists")
    write_atomic(out, page(*records_in([Path(folder) for folder in folders])).encode(errors="replace"))


def page(records: Sequence[Record], broken: Sequence[str] = ()) -> str:
    """The whole page.

    Args:
        records: at least one run, told apart by their names.
        broken: what is to be said about folders that could not be read.
    """
    methods = by_algorithm(records)
    style = styles(methods)
    sections = []
    for name in dict.fromkeys(record.environment for record in records):
        runs = [record for record in records if record.environment == name]
        drawn = [draw(runs, style) for draw in (learning_picture, adaptation_picture, profile_picture)]
        section = {"name": name, "runs": runs, "methods": by_algorithm(runs), "measure": runs[0].measure}
        sections.append(section | {"pictures": [picture for picture in drawn if picture]})
    summary = summarise(records)
    overall = overall_profile(summary, style)
    rows = {(row["environment"], row["algorithm"]): row for row in summary["environments"]}
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    templates.filters |= {"with_own_ids": with_own_ids, "base64": lambda text: base64.b64encode(text.encode()).decode()}
    return templates.get_template("report.html").render(
        records=records,
        methods=methods,
        sections=sections,
        summary=summary,
        overall=overall,
        versions=_versions(records),
        broken=broken,
        many=MANY_RUNS,
        interval=interval,
        compared=lambda *pair: compared(rows[pair]) if pair in rows else ("–", "–", "–"),
        mean=_mean,
        success=_success,
        config=_config,
    )


def _mean(runs: Sequence[Record], k: int) -> str:
    """The measure on test tasks after `k` adaptations (-1: after all), mean over runs that have it."""
    curves = [curve["mean"] for run in runs if (curve := run.adaptation_curve())]
    if not curves:
        return "–"
    value = np.mean([curve[k] for curve in curves])
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def _success(runs: Sequence[Record]) -> str:
    """The share of episodes that succeeded on test tasks after all adaptations, mean over runs; empty if none tells."""
    curves = [curve["mean"] for run in runs if (curve := run.adaptation_curve("success"))]
    return f"{np.mean([curve[-1] for curve in curves]):.1%}" if curves else ""


def _config(run: Record) -> str:
    values = {name: value for name, value in run.config.items() if name != "versions"}
    return yaml.safe_dump(values, sort_keys=False)


def _versions(records: Sequence[Record]) -> dict[str, object]:
    """What the runs were made with: how many with each set of versions."""
    names = list(dict.fromkeys(str(name) for record in records for name in record.config["versions"]))
    sets = Counter(tuple(str(record.config["versions"].get(name, "–")) for name in names) for record in records)
    return {"names": names, "counted": list(sets.items())}
