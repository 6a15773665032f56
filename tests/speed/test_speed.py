"""`metarl speed`: its rows and their arithmetic; how fast things are is for a quiet machine to say."""

import json

import numpy as np
import pytest
import torch
from support.command import Command, assert_refused

from metarl.algorithms import names_for

SMALL = ("--tasks", "2", "--lanes", "2", "--horizon", "8", "--threads", "1", "--repeats", "1")


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's threads wait for each other, ten times as long beside other busy processes."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0}, raising=False)


def test_every_row_of_a_robot_is_printed_with_its_ratio_to_physics(metarl: Command) -> None:
    result = metarl("speed", "half-cheetah-vel", *SMALL, "--devices", "cpu", "--json")
    assert result.code == 0
    rows = json.loads(result.out)["rows"]
    by_name = {row["what"]: row for row in rows}
    parts = ("sampling with adaptation", "update", "whole iteration")
    assert by_name.keys() == {
        "bare physics",
        "environment stepping",
        "switching all tasks, against an iteration",
        "sampling one round",
        "Gymnasium SyncVectorEnv, 8 lanes",
        "Gymnasium AsyncVectorEnv, 1 lanes",
        "Gymnasium AsyncVectorEnv, 4 lanes",
        *(f"{algorithm}: {part}" for algorithm in ("maml-trpo", "promp") for part in parts),
    }
    for row in rows:
        assert row["env"] == "half-cheetah-vel" and row["device"] == "cpu" and row["peak_mib"] > 50
        assert row["seconds"] >= 0 and np.isfinite(row["ratio_to_physics"])
    # 2 tasks x 2 episodes x 8 steps, none of which ends early; an iteration plays two rounds
    for what, steps in (("bare physics", 32), ("sampling one round", 32), ("promp: whole iteration", 64)):
        row = by_name[what]
        assert np.isclose(row["steps_per_second"] * row["seconds"], steps)
    assert by_name["bare physics"]["ratio_to_physics"] == 1.0


def test_environments_alone_are_measured_where_lanes_end_early_too(metarl: Command) -> None:
    result = metarl("speed", "hopper-params", "ant-cripple", "--only-environments", *SMALL)
    assert result.code == 0
    assert result.err.count("environment stepping") == 2 and "sampling" not in result.err


def test_the_update_of_every_method_is_measured(metarl: Command) -> None:
    result = metarl("speed", "half-cheetah-dir", "--every-update", *SMALL, "--json")
    rows = json.loads(result.out)["rows"]
    assert [row["what"] for row in rows] == [f"{name}: update" for name in names_for("experience")]
    assert all(row["seconds"] > 0 and row["ratio_to_physics"] > 0 for row in rows)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_updates_and_iterations_are_measured_on_the_gpu_too(metarl: Command) -> None:
    rows = json.loads(metarl("speed", "half-cheetah-vel", *SMALL, "--json").out)["rows"]
    measured = {device: [row["what"] for row in rows if row["device"] == device] for device in ("cpu", "cuda")}
    assert measured["cuda"] == [what for what in measured["cpu"] if "-trpo: " in what or "promp: " in what]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(metarl: Command) -> None:
    assert_refused(metarl("speed", "--devices", "cuda", *SMALL), "torch finds no GPU")


def test_what_has_no_physics_is_refused(metarl: Command) -> None:
    assert_refused(metarl("speed", "bandit"), "'bandit' has no MuJoCo physics")
    assert_refused(metarl("speed", "--repeats", "0"), "--repeats is 0")
