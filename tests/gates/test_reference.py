"""A stored cell of the reference table, run again by its command, has the same figures to the last digit.

Three small ones are drawn anew with every version of the package; minutes each, so only `pytest -m gate` runs them.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from metarl.comparison.compare import work_on_suite
from metarl.runs.config import versions

pytestmark = [pytest.mark.gate, pytest.mark.timeout(600)]

STORED = Path(__file__).parents[2] / "docs" / "results" / "reference"
SMALL = 60  # seconds of training
CLOCKS = {"minutes", "update_seconds"}


def small_cells() -> list[tuple[str, str]]:
    """ENV/ALGO and seed of what trains within a minute."""
    found = []
    for path in sorted(STORED.glob("*/*.json")):
        seeds = json.loads(path.read_text())["seeds"]
        entry = path.relative_to(STORED).with_suffix("")
        found += [(str(entry), seed) for seed, result in seeds.items() if 60 * result["minutes"] < SMALL]
    return found


def without_clocks(result: dict[str, Any]) -> dict[str, Any]:
    """A seed's figures but for how long they took."""
    header, *rows = result["curve"]
    kept = [column for column, name in enumerate(header) if name not in CLOCKS]
    curve = [[row[column] for column in kept] for row in (header, *rows)]
    return {name: value for name, value in result.items() if name not in CLOCKS} | {"curve": curve}


@pytest.mark.parametrize(("entry", "seed"), random.Random(versions()["metarl"]).sample(small_cells(), 3))
def test_a_cell_run_again_has_the_same_figures(entry: str, seed: str, tmp_path: Path) -> None:
    stored = json.loads((STORED / f"{entry}.json").read_text())
    differ = {name: (stored["versions"].get(name), now) for name, now in versions().items()}
    differ = {name: both for name, both in differ.items() if name != "metarl" and both[0] != both[1]}
    if differ:
        pytest.skip(f"figures are of other versions: {differ}")
    assert not work_on_suite("reference", tmp_path, 1, Console(), only=[f"{entry}/seed-{seed}"])
    again = json.loads((tmp_path / "results" / f"{entry}.json").read_text())
    assert without_clocks(again["seeds"][seed]) == without_clocks(stored["seeds"][seed])
