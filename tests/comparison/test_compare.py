"""`metarl compare RUN…`: runs that there are beside each other, and what of them is missing."""

from pathlib import Path

import pytest
from support.command import Command, snapshot
from support.made_up import runs, write_run

import metarl as library

__all__ = ["runs"]


def test_methods_stand_beside_each_other_after_each_adaptation(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = library.compare(runs)
    assert capsys.readouterr() == ("", "")  # quiet by default
    rows = {row["algorithm"]: row for row in found["adaptations"]}
    # promp's seeds have means (2, 5) and (2, 8); of two seeds likely redraws reach from the lower to the higher one
    assert rows["promp"]["mean"] == [2, 6.5]
    assert (rows["promp"]["low"], rows["promp"]["high"]) == ([2, 5], [2, 8])
    assert rows["promp"]["interval"] == "95 %, over 2 training seeds; tasks fixed"
    # of one seed, the evaluation's own interval: 0 ± 1 and 2 ± 1
    assert (rows["maml-trpo"]["low"], rows["maml-trpo"]["high"]) == ([-1, 1], [1, 3])
    assert rows["maml-trpo"]["interval"] == "95 %, over tasks; training seed fixed"
    assert found["missing"] == []


def test_the_terminal_shows_the_tables_and_names_what_is_missing(metarl: Command, runs: Path, tmp_path: Path) -> None:
    write_run(runs, "rl2", 0, [(100, 1.0)], iterations=7)
    write_run(runs, "rl2", 1, [(100, 1.0)])
    before = snapshot(tmp_path)
    code, out, err = metarl("compare", "runs")
    assert (code, err) == (0, "")
    for words in ("after 0", "after 1", "6.50", "unfinished: 1 of 7 iterations", "rl2-1: not evaluated"):
        assert words in " ".join(out.split()), out
    # one seed of maml-trpo is too few for an interval of the probability of improvement
    assert "probability of improvement" not in out
    assert snapshot(tmp_path) == before
