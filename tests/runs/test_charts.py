"""TensorBoard shows what `metrics.jsonl` holds, once, and never stops a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.command import Command, end_result, train_arguments
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from metarl.runs import loggers
from metarl.runs.loggers import on_board


def charts(run: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def assert_charts_show_the_metrics(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    shown = charts(run)
    names = {name: on_board(name) for name in lines[0].keys() - {"iteration"}}
    assert set(shown.Tags()["scalars"]) == set(names.values())
    for name, there in names.items():
        points = shown.Scalars(there)
        assert [point.step for point in points] == [line["iteration"] for line in lines]
        assert [point.value for point in points] == [np.float32(line[name]) for line in lines]


def test_charts_hold_every_metric_at_its_iteration_the_config_and_the_layout(finished_run: Path) -> None:
    assert_charts_show_the_metrics(finished_run)
    shown = charts(finished_run)
    (text,) = shown.Tensors("config/text_summary")
    assert (finished_run / "config.yaml").read_text() in text.tensor_proto.string_val[0].decode()
    (layout,) = shown.Tensors("custom_scalars__config__")
    (category,) = layout_pb2.Layout.FromString(layout.tensor_proto.string_val[0]).category
    (training,) = category.chart
    assert list(training.multiline.tag) == ["return/round_0", "return/round_1"]


def test_unseen_tasks_have_a_chart_where_they_are_met(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=2), "--evaluate-every", "2").code == 0
    shown = charts(tmp_path / "run")
    assert [point.step for point in shown.Scalars("return/unseen_round_1")] == [2]
    (layout,) = shown.Tensors("custom_scalars__config__")
    (category,) = layout_pb2.Layout.FromString(layout.tensor_proto.string_val[0]).category
    training, unseen = category.chart
    assert list(training.multiline.tag) == ["return/round_0", "return/round_1"]
    assert list(unseen.multiline.tag) == ["return/unseen_round_0", "return/unseen_round_1"]


def test_the_board_opens_on_a_curve(finished_run: Path) -> None:
    groups = sorted({tag.split("/")[0] for tag in charts(finished_run).Tags()["scalars"]})  # as TensorBoard does
    assert groups == ["return", "sampling", "time", "update"]
    for own in ("critic/loss", "policy/std", "success"):  # of whatever method
        assert on_board(own) > "return/unseen_round_9"


def test_the_table_of_hyperparameters_holds_the_config_and_needs_no_run_of_its_own(finished_run: Path) -> None:
    assert not [path for path in finished_run.iterdir() if path.is_dir() and path.name != "checkpoints"]
    metadata = charts(finished_run).SummaryMetadata("_hparams_/session_start_info")
    start = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    shown = {name: value.number_value or value.string_value for name, value in start.hparams.items()}
    config = yaml.safe_load((finished_run / "config.yaml").read_text())
    assert (shown["environment"], shown["algorithm"], shown["algo.hidden"]) == ("point-nav", "maml-vpg", "[8]")
    assert shown["algo.inner_lr"] == config["algo"]["inner_lr"] and shown["env.horizon"] == 5
    assert shown["train.seed"] in (0, "") and shown["train.tasks"] == 2
    assert not {"train.threads", "train.torch_threads", "train.iterations"} & shown.keys()


def test_iterations_done_twice_are_shown_once(metarl: Command, run: Path) -> None:
    for kind in ("json", "safetensors"):
        (run / "checkpoints" / f"iteration-000004.{kind}").unlink()
    assert metarl(*train_arguments("run", iterations=5), "--resume").code == 0
    assert_charts_show_the_metrics(run)


def test_points_can_be_seen_while_the_run_goes_on(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, write = [], loggers.TensorBoard.write

    def look_after_writing(board: loggers.TensorBoard, metrics: dict[str, float], iteration: int) -> None:
        write(board, metrics, iteration)
        seen.append([point.step for point in charts(tmp_path / "run").Scalars("sampling/env_steps")])

    monkeypatch.setattr(loggers.TensorBoard, "write", look_after_writing)
    assert metarl(*train_arguments("run", iterations=2)).code == 0
    assert seen == [[1], [1, 2]]


@pytest.mark.parametrize("broken", ["__init__", "add_text", "add_custom_scalars", "add_scalar", "flush", "close"])
def test_a_broken_writer_is_a_warning_and_changes_nothing(
    metarl: Command,
    tmp_path: Path,
    finished_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(f"torch.utils.tensorboard.SummaryWriter.{broken}", fail)
    assert metarl(*train_arguments("run", iterations=4)).code == 0
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "metarl"]
    assert "tensorboard failed (No space left on device)" in warning
    assert end_result(tmp_path / "run") == end_result(finished_run)


def test_curves_come_first_on_the_board_and_unseen_tasks_beside_those_of_training() -> None:
    names = ("env_steps", "update/kl", "time/update", "unseen/return/round_1", "return/round_1", "sampling/diverged")
    groups = sorted({on_board(name).split("/")[0] for name in names})  # as TensorBoard shows them
    assert groups == ["return", "sampling", "time", "update"]
    assert on_board("unseen/return/round_1") == "return/unseen_round_1"
