"""Environments that break: whose fault it was, and that the run goes on once they are repaired."""

import shutil
from pathlib import Path

import pytest
from support.command import TINY, Command, Result, assert_refused, end_result, snapshot

MINE = Path(__file__).parents[1] / "support" / "user_environments.py"
OPTIONS = [*" ".join(TINY).replace("--env.horizon 5", "").split(), "--iterations", "4"]  # their horizon is fixed
MODEL = """
<mujoco>
  <worldbody><body><joint name="slide" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body></worldbody>
  <actuator><motor joint="slide" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


def train(metarl: Command, name: str, out: str, *more: str) -> Result:
    return metarl("train", f"{MINE}:{name}", "maml-vpg", *OPTIONS, "--out", out, *more)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("TurnsNaN", 3, ["reward is nan", "task 0", "step 0"]),
        ("Raises", 4, ["Raises raised ZeroDivisionError", "step 0", "the robot fell off the table", "--resume"]),
    ],
)
def test_a_break_is_one_line_and_the_run_goes_on_after_the_repair(
    metarl: Command, tmp_path: Path, name: str, code: int, words: list[str]
) -> None:
    (tmp_path / "broken").touch()
    found, _, err = train(metarl, name, "run")
    *traceback, line = err.splitlines()
    assert found == code
    assert line.startswith("metarl: error: ") and " — " in line
    assert all(word in line for word in words)
    # the environment's own traceback is shown where it raised, and nothing else
    assert traceback == [] or (name == "Raises" and str(MINE) in err)
    assert err.count("Traceback") == (name == "Raises")

    (tmp_path / "broken").unlink()
    assert train(metarl, name, "run", "--resume")[0] == 0
    assert train(metarl, name, "whole")[0] == 0
    assert end_result(tmp_path / "run") == end_result(tmp_path / "whole")
    assert end_result(tmp_path / "run")[1] == "iteration-000004.json"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CannotBeMade", ["raised KeyError when it was made", "calibration.json"]),
        ("CannotSampleTasks", ["raised OSError at its tasks", "the sensor does not answer at all"]),
    ],
)
def test_an_environment_that_breaks_before_its_first_step_is_blamed_too(
    metarl: Command, name: str, words: list[str]
) -> None:
    code, _, err = train(metarl, name, "run")
    line = err.splitlines()[-1]
    assert code == 4
    assert line.startswith("metarl: error: ") and " — " in line and all(word in line for word in words)
    assert err.count("Traceback") == 1 and str(MINE) in err


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (None, ["there is no model file 'robot.xml'"]),
        ("<mujoco><worldbody>", ["MuJoCo refuses 'robot.xml'"]),
        (MODEL.replace('joint="slide"', 'joint="slyde"'), ["MuJoCo refuses 'robot.xml'", "slyde"]),
        (MODEL.replace('ctrlrange="-1 1"', ""), ["actuator 0 has no control range"]),
        ("\x00\x01 not XML", ["MuJoCo refuses 'robot.xml'"]),
    ],
    ids=["missing", "cut short", "an unknown joint", "no control range", "binary"],
)
def test_a_wrong_model_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, tmp_path: Path, xml: str | None, words: list[str]
) -> None:
    if xml is not None:
        (tmp_path / "robot.xml").write_text(xml)
    before = snapshot(tmp_path)
    assert_refused(train(metarl, "Robot", "run"), *words)
    assert snapshot(tmp_path) == before


def test_a_users_environment_trains_by_file_and_by_module(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "robot.xml").write_text(MODEL)
    assert train(metarl, "Robot", "robot")[0] == 0
    assert train(metarl, "Line", "by-file")[0] == 0
    shutil.copy(MINE, tmp_path / "my_package_of_tasks.py")
    monkeypatch.syspath_prepend(tmp_path)
    done = metarl("train", "my_package_of_tasks:Line", "maml-vpg", *OPTIONS, "--out", "by-module")
    assert done.code == 0, done
    assert end_result(tmp_path / "by-file") == end_result(tmp_path / "by-module")
    assert metarl("evaluate", "by-module", "--tasks", "2", "--trust").code == 0


def test_an_algorithm_by_module_and_attribute_trains_as_by_its_name(metarl: Command, tmp_path: Path) -> None:
    for algorithm, out in (("rl2", "by-name"), ("metarl.algorithms.rl2:RL2", "by-module")):
        done = metarl("train", "point-nav", algorithm, *TINY, "--iterations", "2", "--out", out)
        assert done.code == 0, done
    assert end_result(tmp_path / "by-name") == end_result(tmp_path / "by-module")
