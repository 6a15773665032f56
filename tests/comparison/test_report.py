"""`metarl report`: one page that needs nothing else, with the numbers of the runs, whatever their state."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.command import Command, assert_refused, snapshot
from support.made_up import evaluated, report, runs, write_run

import metarl as library
from metarl.comparison.pictures import mean_curve
from metarl.comparison.records import read_record, told_apart
from metarl.comparison.results import summarise
from metarl.comparison.statistics import matrix

__all__ = ["runs"]


def test_a_page_is_whole_and_asks_for_nothing_from_elsewhere(metarl: Command, runs: Path) -> None:
    page = report(metarl, runs)  # whose parser asserts that elements are balanced
    text = Path("page.html").read_text()
    assert "http" not in text and "//" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name) or "#").startswith(("#", "data:"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {
        str(value)[1:]
        for _, a in page.elements
        for name, value in a.items()
        if name.endswith("href") and value[:1] == "#"
    }  # type: ignore[index]
    targets |= set(re.findall(r"url\(#([^)]*)\)", text))
    assert targets <= set(ids)


def test_the_data_behind_each_picture_is_the_runs_own(metarl: Command, runs: Path) -> None:
    tables = report(metarl, runs).tables()
    assert list(tables) == ["bandit-learning.csv", "bandit-adaptation.csv", "bandit-performance-profile.csv"]
    learning = [row for row in tables["bandit-learning.csv"] if row["algorithm"] == "promp"]
    # seeds 1, 3 and 3, 5; of two seeds alike likely redraws reach from the lower to the higher one
    assert [
        tuple(float(row[name]) for name in ("env_steps", "return", "low", "high", "seeds")) for row in learning
    ] == [
        (100, 2, 1, 3, 2),
        (200, 4, 3, 5, 2),
    ]
    (single, *_) = [row for row in tables["bandit-learning.csv"] if row["algorithm"] == "maml-trpo"]
    assert single["low"] == single["high"] == ""
    adaptation = {(row["algorithm"], row["adaptations"]): row for row in tables["bandit-adaptation.csv"]}
    # promp's seeds have means (2, 5) and (2, 8)
    assert [float(adaptation["promp", k]["return"]) for k in "01"] == [2, 6.5]
    assert (float(adaptation["promp", "1"]["low"]), float(adaptation["promp", "1"]["high"])) == (5, 8)
    assert float(adaptation["maml-trpo", "1"]["low"]) == 1  # of one seed, the evaluation's own interval: 2 - 1
    assert float(adaptation["knowing the task", ""]["return"]) == 10
    profile = [row for row in tables["bandit-performance-profile.csv"] if row["algorithm"] == "promp"]
    # after the last adaptation promp has 4, 6, 7, 9 on its tasks; thresholds lie evenly from 1, the lowest, to 9
    for row in profile:
        expected = np.mean([score >= float(row["return"]) for score in (4, 6, 7, 9)])
        assert float(row["share"]) == expected
    assert (float(profile[0]["return"]), float(profile[-1]["return"])) == (1, 9)


def test_the_tables_say_how_good_and_how_fast_each_method_is(runs: Path) -> None:
    records = [read_record(path.parent) for path in sorted(runs.rglob("config.yaml"))]
    maml, promp = sorted(summarise(records)["environments"], key=lambda row: str(row["algorithm"]))
    # scores 5 and 8, of which two redrawn can be 5 5, 5 8, 8 5, 8 8; levels 0 and 10
    assert (promp["scores"], promp["iqm"], promp["low"], promp["high"]) == ([5, 8], 6.5, 5, 8)
    assert (promp["normalised"], maml["normalised"], maml["low"]) == (0.65, 0.2, None)
    # Smoothed over two iterations promp ends with 2 and 4, mean 3, and all start with 1, 3, 2, mean 2. The level is
    # 2 + 0.9 (3 - 2) = 2.9: seed 0 never comes there, seed 1 starts there, their median is infinite.
    assert promp["steps_to_level"] is None and maml["steps_to_level"] is None
    (better,) = summarise(records)["probability_of_improvement"]
    assert {better["algorithm"], better["over"]} == {"promp", "maml-trpo"} and better["iqm"] in (0, 1)
    assert summarise(records)["overall"] == []  # one environment is no several


def test_methods_are_compared_over_environments_on_scores_between_the_levels(tmp_path: Path) -> None:
    for environment, best in (("bandit", 10.0), ("point-nav", 100.0)):
        for seed, share in enumerate((0.2, 0.4)):
            score = evaluated([[0, share * best]], random=0.0, oracle=best)
            write_run(tmp_path, "promp", seed, [(1, 0.0)], score, environment=environment)
    (row,) = summarise([read_record(path.parent) for path in tmp_path.rglob("config.yaml")])["overall"]
    # 0.2 0.4 in both: without a quarter (one of four) at either end 0.2 and 0.4 are left
    assert row["iqm"] == pytest.approx(0.3) and len(row["environments"]) == 2


def test_profiles_over_environments_are_of_normalised_scores(metarl: Command, tmp_path: Path) -> None:
    for environment, best in (("bandit", 10.0), ("point-nav", 100.0)):
        for seed, share in enumerate((0.25, 0.75)):
            score = evaluated([[0, share * best]], random=0.0, oracle=best)
            write_run(tmp_path / "runs", "promp", seed, [(1, 0.0)], score, environment=environment)
    rows = report(metarl, tmp_path / "runs").tables()["overall-performance-profile.csv"]
    assert {float(row["share"]) for row in rows} == {1.0, 0.5}  # from 0.25 on half of them, in both environments
    assert all((float(row["share"]) == 1) == (float(row["normalised"]) <= 0.25) for row in rows)
    # two runs a task: both, one or none of them, of four alike: P(none) = 1/16 > 2.5 %
    assert {(float(row["low"]), float(row["high"])) for row in rows} == {(1.0, 1.0), (0.0, 1.0)}


def test_runs_are_compared_in_the_terminal_and_what_is_missing_is_said(metarl: Command, runs: Path) -> None:
    write_run(runs, "rl2", 0, [(100, 1.0)], iterations=7)
    compared = metarl("compare", runs)
    assert compared.code == 0
    lines = compared.out.splitlines()
    assert f"{runs}/bandit/rl2-0: unfinished: 1 of 7 iterations" in lines
    _, _, means = compared.out.partition("interquartile means")
    assert means.index("promp") < means.index("maml-trpo")  # 6.5 is better than 2
    assert "over training seeds" in " ".join(compared.out.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere", "elsewhere"], "'nowhere' is no folder"),
        (["."], "no runs in ."),
        (["smoek"], "did you mean 'smoke'?"),
    ],
)
def test_what_cannot_be_compared_is_refused(metarl: Command, words: list[str], expected: str) -> None:
    assert_refused(metarl("compare", *words), expected)
    assert_refused(metarl("compare", ""), "nothing to compare is named")
    assert_refused(metarl("compare", ".", "--only", "bandit"), "--only", "are for a suite")


def test_the_former_name_of_comparing_and_measuring_is_refused_with_the_new_one(metarl: Command) -> None:
    assert_refused(metarl("benchmark", "learn", "smoke"), "'metarl benchmark learn' is 'metarl compare' now")
    assert_refused(metarl("benchmark", "speed"), "'metarl benchmark speed' is 'metarl speed' now")


def test_python_compares_runs_and_writes_reports(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = library.compare(runs)
    assert {row["algorithm"] for row in summary["environments"]} == {"promp", "maml-trpo"}
    assert "over training seeds" in summary["interval"]
    library.report([runs], tmp_path / "page.html")
    assert (tmp_path / "page.html").exists() and capsys.readouterr() == ("", "")


def test_a_matrix_of_scores_has_a_row_a_run_and_a_column_a_task() -> None:
    scores = {("a", "promp"): [1.0, 2.0], ("b", "promp"): [3.0]}
    np.testing.assert_array_equal(matrix(scores, ["a", "b"], "promp"), [[1, 3], [2, np.nan]])


def test_a_shorter_curve_counts_as_far_as_it_goes_and_full_ones_end_together() -> None:
    unfinished = np.array([10.0, 20]), np.array([0.0, 2])
    first = np.array([10.0, 20, 30, 40]), np.array([2.0, 4, 6, 8])
    second = np.array([10.0, 20, 30, 41]), np.array([4.0, 6, 8, 10])
    steps, mean, low, _ = mean_curve([unfinished, first, second])
    assert steps.tolist() == [10, 20, 30, 40]
    assert mean[:3] == pytest.approx([2, 4, 7])
    assert np.isfinite(low[:2]).all() and np.isnan(low[2:]).all()


def test_runs_that_are_not_finished_are_shown_as_such(metarl: Command, runs: Path) -> None:
    write_run(runs, "rl2", 0, [(100, 1.0)], iterations=7)
    write_run(runs, "rl2", 1, [(100, 1.0)])
    write_run(runs, "rl2", 2, [(100, 1.0), (200, 2.0)], evaluated([[0, 1]]) | {"iteration": 1})
    write_run(runs, "rl2", 3, [], iterations=7)
    text = report(metarl, runs).text
    for status in ("unfinished: 1 of 7", "not evaluated", "evaluated at iteration 1", "unfinished: 0 of 7"):
        assert status in text
    assert "7 runs, 3 methods, 1 environment; 5 trained to the end, 3 evaluated there" in text


def test_few_shot_runs_are_shown_with_their_loss(metarl: Command, runs: Path) -> None:
    loss = {"tasks": 5, "loss": {"mean": [2.0, 0.5], "low": [1.0, 0.4], "high": [3.0, 0.6]}}
    write_run(runs, "maml", 0, [(0, 0.9), (0, 0.5)], loss, environment="sinusoid", prefix="loss/step_")
    tables = report(metarl, runs).tables()
    assert [(row["iteration"], row["loss"]) for row in tables["sinusoid-learning.csv"]] == [
        ("1.0", "0.9"),
        ("2.0", "0.5"),
    ]
    assert [row["loss"] for row in tables["sinusoid-adaptation.csv"]] == ["2.0", "0.5"]
    assert "bandit-adaptation.csv" in tables


def test_options_that_differ_tell_methods_of_one_name_apart(tmp_path: Path) -> None:
    for folder, algo in (("a", {"inner_lr": 0.1, "hidden": [8]}), ("b", {"inner_lr": 0.2, "hidden": [8]})):
        write_run(tmp_path / folder, "promp", 0, [(1, 0.0)], algo=algo)
    write_run(tmp_path, "rl2", 0, [(1, 0.0)])
    records = [read_record(path.parent) for path in sorted(tmp_path.rglob("config.yaml"))]
    names = sorted(record.algorithm for record in told_apart(records))
    assert names == ["promp (inner_lr 0.1)", "promp (inner_lr 0.2)", "rl2"]


def test_names_are_shown_not_obeyed(metarl: Command, runs: Path) -> None:
    write_run(runs, "<b>bold", 0, [(1, 0.0)], environment="my.py:<script>alert(1)<")
    page = report(metarl, runs)
    assert not {"b", "script"} & {tag for tag, _ in page.elements}
    assert "my.py:<script>alert(1)<" in page.text and "<b>bold" in page.text


def test_a_broken_run_among_good_ones_is_named(metarl: Command, runs: Path) -> None:
    (runs / "broken").mkdir()
    (runs / "broken" / "config.yaml").write_text("environment: [")
    assert "runs/broken/config.yaml cannot be read" in report(metarl, runs).text


def test_bad_input_is_refused_in_one_line_and_nothing_is_written(metarl: Command, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = snapshot(tmp_path)
    assert_refused(metarl("report", "empty"), "no runs in empty")
    assert_refused(metarl("report", "nowhere"), "no folder nowhere")
    assert_refused(metarl("report", runs, "--out", "no/such/page.html"), "no/such/page.html")
    assert_refused(metarl("report", runs, "--out", "empty"), "--out empty")
    (tmp_path / "empty" / "config.yaml").write_text("just words")
    assert_refused(metarl("report", "empty"), "no runs in empty", "not the config of a run")
    (tmp_path / "empty" / "config.yaml").unlink()
    assert snapshot(tmp_path) == before


def test_in_a_browser_the_page_never_scrolls_sideways(metarl: Command, runs: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no Chromium on this machine")
    write_run(runs, "rl2", 0, [(100, 1.0)], environment="a-very-long-name-" * 6, iterations=9)
    report(metarl, runs)
    # A window is never narrower than 500 pixels, a frame is. Of each frame: its content's width, its own, and the
    # pictures' widths and heights.
    source = html.escape(Path("page.html").read_text())
    frames = [f'<iframe style="border: 0; width: {width}px" srcdoc="{source}"></iframe>' for width in (1280, 390)]
    script = """<script>window.onload = () => {
        document.body.dataset.seen = JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => {
            const page = frame.contentDocument, root = page.documentElement;
            const boxes = [...page.querySelectorAll("figure svg")].map((svg) => svg.getBoundingClientRect());
            return [root.scrollWidth, root.clientWidth, boxes.map((box) => [box.width, box.height])];
        }));
    };</script>"""
    (tmp_path / "frames.html").write_text(f"<body>{''.join(frames)}{script}</body>")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    command = [browser, *options, "--window-size=1400,1000", "--dump-dom", (tmp_path / "frames.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    (seen,) = re.findall(r'data-seen="([^"]*)"', dom)
    laptop, phone = json.loads(seen)
    for (content, frame, pictures), width in ((laptop, 1280), (phone, 390)):
        assert 0.9 * width <= frame <= width and content <= frame
        assert len(pictures) == 4 and all(250 <= wide <= frame and high > 200 for wide, high in pictures)
    assert all(3 * wide < 1280 for wide, _ in laptop[2][1:])  # the three of the bandit side by side
