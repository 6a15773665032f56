"""Runs made of numbers chosen by hand, and a report about them as a reader finds it."""

import base64
import csv
import io
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.command import Command

VOID = {"meta", "br", "link", "img"}


def write_run(
    folder: Path,
    algorithm: str,
    seed: int,
    curve: Sequence[tuple[int, float]],
    evaluation: dict[str, Any] | None = None,
    iterations: int | None = None,
    environment: str = "bandit",
    algo: dict[str, Any] | None = None,
    prefix: str = "return/round_",
) -> Path:
    """A run whose training measured `curve`: environment steps, and the return after adaptation (before it: 1 less)."""
    run = folder / environment.replace("/", "-") / f"{algorithm}-{seed}"
    run.mkdir(parents=True)
    train = {"iterations": iterations or len(curve), "seed": seed}
    config = {"environment": environment, "algorithm": algorithm, "train": train, "env": {}, "algo": algo or {}}
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"versions": {"python": "3.11", "metarl": "0.1.0"}}))
    lines = []
    for iteration, (steps, after) in enumerate(curve, 1):
        line = {"iteration": iteration, f"{prefix}0": after - 1, f"{prefix}1": after}
        lines.append(json.dumps(line | ({"env_steps": steps} if prefix.startswith("return") else {})) + "\n")
    (run / "metrics.jsonl").write_text("".join(lines))
    if evaluation:
        (run / "evaluation.json").write_text(json.dumps({"iteration": len(curve)} | evaluation))
    return run


def evaluated(per_task: Sequence[Sequence[float]], **levels: float) -> dict[str, Any]:
    """An evaluation of these returns, `[N][K + 1]`."""
    mean = np.mean(per_task, axis=0)
    returns = {"mean": mean.tolist(), "low": (mean - 1).tolist(), "high": (mean + 1).tolist()}
    return {"tasks": len(per_task), "returns": returns, "per_task": [list(row) for row in per_task], **levels}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of promp, one of maml-trpo; levels 0 and 10."""
    folder = tmp_path / "runs"
    levels = {"random": 0.0, "informed": 10.0}
    write_run(folder, "promp", 0, [(100, 1.0), (200, 3.0)], evaluated([[1, 4], [3, 6]], **levels))
    write_run(folder, "promp", 1, [(100, 3.0), (200, 5.0)], evaluated([[2, 7], [2, 9]], **levels))
    write_run(folder, "maml-trpo", 0, [(100, 2.0), (200, 2.5)], evaluated([[0, 1], [0, 3]], **levels))
    return folder


class Page(HTMLParser):
    """What a page consists of; unbalanced elements are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += f" {data}"

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The CSV files that links hold, by name."""
        found = {}
        for tag, attributes in self.elements:
            if tag == "a" and "download" in attributes:
                kind, _, content = str(attributes["href"]).partition(",")
                assert kind == "data:text/csv;base64"
                text = base64.b64decode(content).decode()
                found[str(attributes["download"])] = list(csv.DictReader(io.StringIO(text)))
        return found


def report(metarl: Command, *folders: Path) -> Page:
    result = metarl("report", *folders, "--out", "page.html")
    assert result.code == 0, result
    return Page(Path("page.html").read_text())
