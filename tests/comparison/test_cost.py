"""What a grid says before it starts: how many cells and steps are left, and how long their environments alone need."""

from pathlib import Path

import pytest
import yaml
from support.command import Command
from support.suites import SUITE

from metarl.comparison.cost import cost
from metarl.comparison.suite_file import load_suite

CELLS = """
seeds: [0, 1]
cells:
  - environments: [half-cheetah-vel]
    algorithms: [promp, oracle]
    train: {iterations: 100, tasks: 3, lanes: 2}
  - environments: [point-nav]
    algorithms: [oracle]
    train: {iterations: 10, tasks: 3, lanes: 2}
"""


def test_time_is_steps_over_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite.yaml").write_text(CELLS)
    cells = load_suite(str(tmp_path / "suite.yaml")).cells
    measured = []
    monkeypatch.setattr("metarl.comparison.cost.steps_per_second", lambda env: measured.append(env) or 400.0)
    # by hand: 2 seeds × 100 iterations × 6 lanes × 200 steps × (2 rounds of promp + 1 of the oracle) = 720,000, and
    # 2 seeds × 10 × 6 × 100 of points, which take no time to speak of: 732,000; 720,000 / 400 = 30 minutes, by two 15
    line = cost(cells, 1)
    assert line == "6 cells · 0.7 million steps · their environments alone: 30 minutes, 1 at once; and updates"
    assert "15 minutes, 2 at once" in cost(cells, 2)
    assert len(measured) == 4  # a kind of cells once
    assert cost(cells[-1:], 2) == "1 cell · 0.0 million steps"
    assert cost((), 2) == "0 cells"


def test_labelled_data_have_no_steps_and_what_is_broken_says_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suite.yaml").write_text("cells: [{environments: [sinusoid], algorithms: [maml]}]")
    assert cost(load_suite(str(tmp_path / "suite.yaml")).cells, 1) == "3 cells"
    (tmp_path / "suite.yaml").write_text(CELLS)

    def broken(env: object) -> float:
        raise ValueError("broken")

    monkeypatch.setattr("metarl.comparison.cost.steps_per_second", broken)
    assert cost(load_suite(str(tmp_path / "suite.yaml")).cells[:1], 1) == "1 cell"


def test_a_grid_says_it_before_it_starts_and_a_part_is_a_part(metarl: Command, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    out = metarl("compare", "suite.yaml", "--part", "8/8", "--parallel", "1").out
    first, second, *_ = out.splitlines()
    assert first == "1 cell · 0.0 million steps" and second.startswith("started")
    assert len([line for line in out.splitlines() if line.startswith("finished")]) == 1
