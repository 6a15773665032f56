"""What is kept of a grid for committing, and that the documents show what is kept."""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.made_up import evaluated, write_run

from metarl.comparison import entries
from metarl.comparison.claims import Claim
from metarl.comparison.entries import entry, figures, text_of
from metarl.comparison.suite import Cell, Evaluation, evaluations_of

ROOT = Path(__file__).parents[2]
CLAIM = Claim("it gains 1, for 1 of 2 seeds", ("gain >= 1", "return_1 > return_0", "trial_return <= 9"), 1, "2 (us)")


def finished(grid: Path, claim: Claim | None = CLAIM) -> list[tuple[Cell, Any]]:
    """Two seeds of six iterations, whose returns after adaptation are 1 … 6 and 2 … 7; tasks before and after."""
    cells = []
    for seed, tasks in ((0, [[1.0, 3.0], [2.0, 4.0]]), (1, [[5.0, 2.0], [5.0, 2.0]])):
        options = {"train": {"iterations": 6}}
        cell = Cell("bandit", "promp", seed, options=options, evaluations=(Evaluation(tasks=2),), claim=claim)
        curve = [(100 * i, float(i + seed)) for i in range(1, 7)]
        run = write_run(grid / "made-up", "promp", seed, curve, evaluated(tasks) | {"seed": 0})
        (grid / cell.folder).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(run, grid / cell.folder)
        cells.append((cell, evaluations_of(cell, grid)))
    return cells


def test_an_entry_holds_the_figures_of_every_seed_and_whether_the_claim_held(tmp_path: Path) -> None:
    record = entry("smoke", finished(tmp_path), tmp_path)
    assert record["command"] == "metarl compare smoke --only bandit/promp"
    assert (record["claim"], record["published"]) == (CLAIM.says, CLAIM.published)
    assert record["options"] == {"train": {"iterations": 6}} and record["versions"]["metarl"] == "0.1.0"
    zero, one = record["seeds"].values()
    # the last five of 1 … 6 have mean 4; before adaptation it is 1 less
    assert (zero["before"], zero["after"], zero["gain"], zero["env_steps"]) == (3, 4, 1, 600)
    assert zero["evaluations"] == [{"tasks": 2, "return": {"mean": [1.5, 3.5], "low": [0.5, 2.5], "high": [2.5, 4.5]}}]
    assert zero["curve"][0] == ["iteration", "env_steps", "minutes", "round_0", "round_1"]
    assert [[row[0], row[1], *row[3:]] for row in zero["curve"][1:3]] == [[1, 100, 0, 1], [2, 200, 1, 2]]
    # seed 1 gets worse, from 5 to 2: one of two holds, which is enough
    assert (zero["holds"], one["holds"]) == (True, False)
    assert (record["holds"], record["seeds_that_hold"]) == (True, "1 of 2")
    assert figures(zero) == {
        **{"before": 3, "after": 4, "gain": 1, "relative_gain": pytest.approx(1 / 3)},
        **{"return_0": 1.5, "return_1": 3.5, "trial_return": 5},
    }


def test_a_long_curve_is_kept_as_means_of_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "POINTS", 3)
    record = entry("smoke", finished(tmp_path, None), tmp_path)
    assert [row[0] for row in record["seeds"]["0"]["curve"][1:]] == [1.5, 3.5, 5.5] and "claim" not in record


def test_its_text_is_read_back_and_has_a_line_for_each_point(tmp_path: Path) -> None:
    record = entry("smoke", finished(tmp_path), tmp_path) | {"says": "[a, b]\n"}
    text = text_of(record)
    assert json.loads(text) == record
    assert any(line.startswith("    [2, 200, ") and line.endswith("1, 2],") for line in text.splitlines())


@pytest.mark.parametrize("check", ["gain >= 2", "return_1 < return_0", "loss_1 < 1", "return_9 > 0", "gain > 1"])
def test_a_check_that_fails_or_cannot_be_made_does_not_hold(tmp_path: Path, check: str) -> None:
    record = entry("smoke", finished(tmp_path, Claim("", (check,))), tmp_path)
    assert record["seeds"]["0"]["holds"] is False and record["holds"] is False


# What the documents show


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import show_results

    return show_results


def test_the_documents_tables_are_current_and_every_file_is_a_suites(
    shown: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown.main(shown.Options(check=True)) == 0, capsys.readouterr().err
    monkeypatch.setitem(shown.DOCUMENTS, "README.md", lambda: "| nothing |\n")
    monkeypatch.setattr(shown, "entries", lambda suite: {})
    assert shown.main(shown.Options(check=True)) == 1
    said = capsys.readouterr().err
    assert "README.md is not current" in said and "maml-trpo.json is no suite's entry" in said


def test_the_reference_table_is_of_first_and_last_episodes_and_levels(
    shown: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(algorithm: str, *seeds: list[float]) -> dict[str, Any]:
        results = {
            str(seed): {"minutes": 30, "evaluations": [{"random": 1.0, "return": {"mean": curve}}]}
            for seed, curve in enumerate(seeds)
        }
        return {"environment": "bandit", "algorithm": algorithm, "seeds": results}

    methods = {
        "bandit/multitask": stored("multitask", [2.0, 9.0], [3.0, 9.0]),
        "bandit/oracle": stored("oracle", [8.0, 8.0]),
        "bandit/rl2": stored("rl2", [2.0, 5.0, 6.0], [3.0, 5.0, 7.0]),
    }
    monkeypatch.setattr(shown, "entries", lambda suite: methods)
    # by hand: told nothing (2 + 3) / 2, its first episode; rl2 2.5 in its first and (6 + 7) / 2 in its last; 5 runs of
    # half an hour
    assert shown.worth() == {"bandit": {"random": 1.0, "untold": 2.5, "told": 8.0}}
    row = shown.reference().splitlines()[2]
    assert row == "| `bandit` | 1.0 | 2.5 | 8.0 | – | – | 2.5 → 6.5 | – | – | – | 1 to 2 | 2.5 |"
    del methods["bandit/oracle"]
    assert shown.worth() == {} and shown.reference().splitlines()[2].startswith("| `bandit` | – | – | – |")


def test_the_robots_table_is_of_last_episodes_within_the_range_and_beyond(
    shown: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluation(last: float, **said: float) -> dict[str, Any]:
        return {"return": {"mean": [0.0, last]}, "diagnostics": {name: [9.0, value] for name, value in said.items()}}

    within, beyond = evaluation(300.0, tracking_error=0.1, fell=0.07), evaluation(200.0, fell=0.5)
    seeds = {"0": {"minutes": 20.2, "evaluations": [within, beyond]}}
    stored = {"go2/rma": {"environment": "go2", "algorithm": "rma", "seeds": seeds}}
    monkeypatch.setattr(shown, "entries", lambda suite: stored)
    row = shown.of_robots().splitlines()[2]
    assert row == "| `go2` | `rma` | 300.0 | 0.10 | 7% | 200 | – | 50% | 1 | 20 |"
    stored.clear()
    assert shown.of_robots() == "Nothing has run yet.\n"


def test_what_is_said_to_hold_does(shown: ModuleType) -> None:
    claimed = [each for suite in shown.suites() for each in shown.entries(suite).values() if "claim" in each]
    assert len(claimed) > 10
    for record in claimed:
        claim = Claim(record["claim"], tuple(record["checks"]))
        held = [claim.holds(figures(result)) for result in record["seeds"].values()]
        assert held == [result["holds"] for result in record["seeds"].values()], record["claim"]
        assert record["seeds_that_hold"] == f"{sum(held)} of {len(held)}"
