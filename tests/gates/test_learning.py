"""Methods reach published or reference levels; minutes each, so only `pytest -m gate` runs them.

Each is the first seed of an entry of a built-in suite, on one core, so that they run side by side; their order divides
them evenly between two workers.
"""

import json
from pathlib import Path

import pytest
from rich.console import Console

from metarl.comparison.compare import work_on_suite

pytestmark = [pytest.mark.gate, pytest.mark.timeout(1200)]

ENTRIES = (
    "reproduce-gradient: half-cheetah-dir/maml-trpo",
    "reproduce-sinusoid: sinusoid/maml",
    "reproduce-gradient: point-nav-maml/maml-trpo",
    "reproduce-memory: bandit/rl2",
    "reproduce-memory: sparse-point-nav-pearl-dense/pearl",
)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_method_does_what_is_claimed_of_it(name: str, tmp_path: Path) -> None:
    suite, entry = name.split(": ")
    assert not work_on_suite(suite, tmp_path, 1, Console(), only=[f"{entry}/seed-0"])
    record = json.loads((tmp_path / "results" / f"{entry}.json").read_text())
    result = record["seeds"]["0"]
    del result["curve"]
    assert result["holds"], f"{record['claim']}: {result}"
