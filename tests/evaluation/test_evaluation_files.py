"""What an evaluation leaves on disk says the same thing everywhere, and its pictures never stop it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from support.command import Command, assert_refused, snapshot
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from envs.families.point.navigation import PointNav
from metarl.evaluation.charts import picture_of, png


@pytest.fixture(scope="module")
def made_up() -> dict[str, Any]:
    """Two methods on two tasks, numbers chosen by hand."""
    return {
        "env": "point-nav",
        "algo": "maml-trpo",
        "split": "test",
        "tasks": 2,
        "returns": {"mean": [-4.0, -1.0], "low": [-5.0, -1.5], "high": [-3.0, -0.5]},
        "per_task": [[-5.0, -1.5], [-3.0, -0.5]],
        "no_adaptation": -4.0,
        "informed": -0.25,
        "random": -8.0,
        "compared": {
            "multitask": {
                "returns": {"mean": [-3.0, -2.0], "low": [-3.0, -2.0], "high": [-3.0, -2.0]},
                "per_task": [[-3.0, -2.0], [-3.0, -2.0]],
            }
        },
    }


def test_every_row_of_the_csv_is_a_number_of_the_json(metarl: Command, run: Path) -> None:
    record = json.loads(metarl("evaluate", "run", "--tasks", "3", "--adaptations", "2", "--json").out)
    with open(run / "evaluation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["algo", "task", "goal_0", "goal_1", "round", "return", "informed", "random"]
    expected = [
        (
            *("maml-vpg", str(task), *record["task_parameters"]["goal"][task], str(k)),
            *(record["per_task"][task][k], *(record["per_task_levels"][name][task] for name in ("informed", "random"))),
        )
        for task in range(3)
        for k in range(3)
    ]
    words = ("algo", "task", "round")
    assert [tuple(text if name in words else float(text) for name, text in row.items()) for row in rows] == expected
    for name in ("informed", "random"):
        assert record[name] == pytest.approx(np.mean(record["per_task_levels"][name]), rel=1e-12)
    assert record["no_adaptation"] == record["returns"]["mean"][0]


def test_the_picture_shows_curves_bands_tasks_and_levels(made_up: dict[str, Any]) -> None:
    (axes,) = picture_of(made_up).axes
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.lines}
    assert lines["maml-trpo"] == [-4.0, -1.0] and lines["multitask"] == [-3.0, -2.0]
    assert lines["knowing the task"] == [-0.25] * 2 and lines["random actions"] == [-8.0] * 2
    assert lines["no adaptation"] == [-4.0] * 2
    thin = [np.asarray(line.get_ydata()).tolist() for line in axes.lines if line.get_linewidth() < 1]
    assert thin == made_up["per_task"]
    band = axes.collections[0].get_paths()[0].vertices
    assert {(0.0, -5.0), (0.0, -3.0), (1.0, -1.5), (1.0, -0.5)} <= {(x, y) for x, y in band}


def test_a_picture_without_levels_is_one_without_their_lines(made_up: dict[str, Any]) -> None:
    (axes,) = picture_of(made_up | {"informed": None, "random": None}).axes
    labels = {line.get_label() for line in axes.lines}
    assert "maml-trpo" in labels and not {"knowing the task", "random actions"} & labels


def test_tensorboard_shows_the_last_evaluation_alone(metarl: Command, run: Path) -> None:
    assert metarl("evaluate", "run", "--tasks", "3", "--adaptations", "4").code == 0
    record = json.loads(metarl("evaluate", "run", "--tasks", "2", "--adaptations", "1", "--json").out)
    shown = EventAccumulator(str(run / "evaluation"), size_guidance={"images": 0})
    shown.Reload()
    for tag, values in {
        "tested/return": record["returns"]["mean"],
        "tested/interval_low": record["returns"]["low"],
        "tested/interval_high": record["returns"]["high"],
        "tested/informed": [record["informed"]] * 2,
        "tested/random": [record["random"]] * 2,
    }.items():
        assert [(point.step, point.value) for point in shown.Scalars(tag)] == [
            (k, np.float32(value)) for k, value in enumerate(values)
        ]
    (image,) = shown.Images("tested/adaptation")
    assert image.encoded_image_string == (run / "adaptation.png").read_bytes()


def test_the_picture_is_a_picture(made_up: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "drawn.png").write_bytes(png(picture_of(made_up)))
    picture = Image.open(tmp_path / "drawn.png").convert("RGB")
    assert picture.size == (1050, 660)  # 7.0 x 4.4 inches at 150 dots
    colours = {colour: count for count, colour in picture.getcolors(1050 * 660)}
    first, second = (31, 119, 180), (255, 127, 14)  # matplotlib's C0 and C1, in which the two methods are drawn
    assert colours[first] > 300 and colours[second] > 300


def test_a_film_moves_in_tensorboard_and_does_not_outlive_its_evaluation(metarl: Command, run: Path) -> None:
    arguments = ("evaluate", "run", "--tasks", "2", "--adaptations", "1")
    assert metarl(*arguments, "--film").code == 0
    shown = EventAccumulator(str(run / "evaluation"), size_guidance={"images": 0})
    shown.Reload()
    assert shown.Tags()["images"] == ["tested/adaptation", "tested/film"]
    (film,) = shown.Images("tested/film")
    assert film.encoded_image_string == (run / "adaptation.gif").read_bytes()
    moving = Image.open(run / "adaptation.gif")
    assert isinstance(moving, GifImageFile) and moving.n_frames > 1
    assert metarl(*arguments).code == 0
    assert not (run / "adaptation.gif").exists()


def test_a_film_of_what_has_no_pictures_is_refused(metarl: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PointNav, "render_lane")
    before = snapshot(run)
    assert_refused(metarl("evaluate", "run", "--tasks", "2", "--film"), "PointNav", "pictures")
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ("torch.utils.tensorboard.SummaryWriter.__init__", []),
        ("torch.utils.tensorboard.SummaryWriter.add_scalar", []),
        ("matplotlib.figure.Figure.add_subplot", ["adaptation.png"]),
    ],
)
def test_broken_pictures_are_a_warning_and_the_numbers_stand(
    metarl: Command,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
    lost: list[str],
) -> None:
    arguments = ("evaluate", "run", "--tasks", "2", "--adaptations", "1", "--json")
    whole = metarl(*arguments)
    (run / "evaluation.json").unlink()

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(broken, fail)
    assert metarl(*arguments)[:2] == whole[:2]
    assert json.loads((run / "evaluation.json").read_text()) == json.loads(whole.out)
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    assert "No space left on device" in warning and "the evaluation stands" in warning
    left = {path.name for path in run.iterdir()}
    assert {"evaluation.csv", "adaptation.png"} - left == set(lost)  # no stale picture of another evaluation
