"""Code that a run names: it is not run unasked, it is found wherever one stands, and a change of it is said."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.command import Command, assert_refused, snapshot, train_arguments

import metarl as library
from envs.contract.errors import InputError

MINE = Path(__file__).parents[1] / "support" / "user_environments.py"
ENVIRONMENT, METHOD = "mine.py:Line", "method.py:Mine"
MARK = "\nfrom pathlib import Path\nPath(__file__).with_name('executed').touch()\n"
METHOD_CODE = "from metarl.algorithms.rl2 import RL2\n\n\nclass Mine(RL2):\n    pass\n"


@pytest.fixture
def project(metarl: Command, tmp_path: Path) -> Path:
    """A folder with an environment and a method of one's own, and a run of both that was trained there."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE.read_text() + MARK)
    (folder / "method.py").write_text(METHOD_CODE + MARK)
    os.chdir(folder)
    assert metarl(*arguments(ENVIRONMENT, METHOD)).code == 0
    (folder / "executed").unlink()
    return folder


def arguments(environment: str, algorithm: str, iterations: int = 2, out: str | Path = "runs/mine") -> list[str]:
    command = train_arguments(out, iterations, environment, algorithm)
    horizon = command.index("--env.horizon")
    return command[:horizon] + command[horizon + 2 :]


def code(run: Path) -> dict[str, dict[str, str]]:
    """What a config holds about the code."""
    found: dict[str, dict[str, str]] = yaml.safe_load((run / "config.yaml").read_text())["code"]
    return found


def opened(metarl: Command, *trust: str, run: str | Path = "runs/mine") -> int:
    result = metarl("evaluate", run, "--tasks", "2", "--adaptations", "1", *trust)
    assert result.code == 0, result
    return result.code


OPENINGS = {
    "evaluate": ("evaluate", "runs/mine", "--tasks", "2", "--adaptations", "1"),
    "render": ("render", "runs/mine", "--out", "film.gif"),
    "export": ("export", "runs/mine", "--out", "policy"),
}


@pytest.mark.parametrize("words", OPENINGS.values(), ids=OPENINGS)
def test_opening_a_run_executes_no_code_that_it_names_unless_it_is_trusted(
    metarl: Command, project: Path, words: tuple[str, ...]
) -> None:
    before = snapshot(project)
    refused = metarl(*words)
    assert_refused(refused, str(project / "mine.py"), METHOD, str(project / "method.py"), "--trust", "trust=True")
    assert snapshot(project) == before
    trusted = metarl(*words, "--trust")
    assert (project / "executed").exists()
    # a point on a line has no pictures, which is found once it is trusted
    assert trusted.code == 0 or (words[0] == "render" and "Line has no pictures" in trusted.err)


def test_a_trusted_run_is_filmed_with_its_evaluation(metarl: Command) -> None:
    Path("own.py").write_text(
        "from envs.families.point.navigation import PointNav\n\n\nclass Own(PointNav):\n    pass\n"
    )
    assert metarl(*train_arguments("own", 1, "own.py:Own")).code == 0
    result = metarl("evaluate", "own", "--tasks", "2", "--adaptations", "1", "--film", "--trust")
    assert result.code == 0 and "written: own/adaptation.gif" in result.out, result


def test_python_asks_for_trust_as_well(project: Path) -> None:
    for open_run in (library.load, library.evaluate):
        with pytest.raises(InputError, match="trust=True"):
            open_run("runs/mine")
    assert not (project / "executed").exists()
    assert library.load("runs/mine", trust=True).iteration == 2
    assert library.evaluate("runs/mine", tasks=2, adaptations=1, trust=True)["env"] == ENVIRONMENT


@pytest.mark.parametrize("name", ["mine.py:Line", "os:system", "sign.descent:Method"])
@pytest.mark.parametrize("room", ["environment", "algorithm"])
def test_a_crafted_config_executes_nothing_whatever_it_names(
    metarl: Command, project: Path, run: Path, room: str, name: str
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | {room: name}))
    for words in (["evaluate", run], ["render", run, "--out", "a.gif"], ["export", run, "--out", "b"]):
        assert_refused(metarl(*words), name, "--trust")
    # and where the user names something else, nor does going on with it, nor a comparison within it
    assert_refused(metarl(*train_arguments(run, 5), "--resume"), "holds another run", name)
    shutil.rmtree(run / "checkpoints")
    assert_refused(metarl(*train_arguments(run, 5), "--torch-threads", "0", "--resume"), "holds another run", name)
    assert metarl("report", run, "--out", "page.html").code == 0
    assert not (project / "executed").exists()


def test_a_run_of_registered_names_needs_no_trust_and_records_no_code(metarl: Command, run: Path) -> None:
    assert "code" not in yaml.safe_load((run / "config.yaml").read_text())
    opened(metarl, run=run)


def test_the_files_are_recorded_with_their_sha256(project: Path) -> None:
    # digests by coreutils
    said = subprocess.run(["sha256sum", "mine.py", "method.py"], capture_output=True, text=True, check=True).stdout
    digests = [line.split()[0] for line in said.splitlines()]
    recorded = code(project / "runs/mine")
    assert recorded == {
        "environment": {"file": str(project / "mine.py"), "from_run": "../../mine.py", "sha256": digests[0]},
        "algorithm": {"file": str(project / "method.py"), "from_run": "../../method.py", "sha256": digests[1]},
    }


def test_the_code_is_found_wherever_one_stands_and_wherever_it_went_together_with_its_run(
    metarl: Command, project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.chdir(tmp_path)
    opened(metarl, "--trust", run=project / "runs/mine")
    (tmp_path / "mine.py").write_text("raise SystemExit('another file of this name')")
    opened(metarl, "--trust", run="project/runs/mine")
    shutil.copytree(project / "runs", tmp_path / "elsewhere" / "deep" / "runs")
    opened(metarl, "--trust", run="elsewhere/deep/runs/mine")  # where it was trained the files still are
    project.rename(tmp_path / "moved")
    opened(metarl, "--trust", run="moved/runs/mine")
    assert caplog.text == ""
    assert_refused(
        metarl("evaluate", "elsewhere/deep/runs/mine", "--trust"), f"needs {project / 'mine.py'}", "put it back"
    )


def test_a_changed_file_is_said_when_the_run_is_opened_and_when_it_goes_on(
    metarl: Command, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open(project / "mine.py", "a") as file:
        file.write("# a thought\n")
    opened(metarl, "--trust")
    told = f"{project / 'mine.py'} has changed since runs/mine was trained"
    assert caplog.messages == [told]
    caplog.clear()
    assert metarl(*arguments(ENVIRONMENT, METHOD, 3), "--resume").code == 0
    assert caplog.messages == [told]
    caplog.clear()
    opened(metarl, "--trust")  # it was last trained with the file as it is
    assert caplog.messages == []


@pytest.mark.parametrize("option", ["train", "test"])
def test_a_changed_list_of_tasks_is_said(
    metarl: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    (tmp_path / "goals.json").write_text('{"goal": [[0.1, 0.1], [0.2, 0.2]]}')
    arguments = [*train_arguments("run", 1), f"--env.{option}-list", "goals.json"]
    assert metarl(*arguments).code == 0
    assert metarl(*arguments, "--resume").code == 0
    assert caplog.messages == []
    said = subprocess.run(["sha256sum", "goals.json"], capture_output=True, text=True, check=True).stdout.split()[0]
    assert code(tmp_path / "run")[f"{option}_list"]["sha256"] == said
    (tmp_path / "goals.json").write_text('{"goal": [[0.1, 0.1], [0.3, 0.3]]}')
    opened(metarl, run="run")
    assert metarl(*arguments, "--resume").code == 0
    assert caplog.messages == [f"{tmp_path / 'goals.json'} has changed since run was trained"] * 2


def test_a_copy_with_the_same_content_stands_for_the_file_that_is_elsewhere(
    metarl: Command, project: Path, tmp_path: Path
) -> None:
    before = yaml.safe_load((project / "runs/mine/config.yaml").read_text())["environment"]
    (tmp_path / "copies").mkdir()
    for name in ("mine.py", "method.py"):
        shutil.copy(name, tmp_path / "copies" / name)
    os.chdir(tmp_path)
    run = project / "runs/mine"
    resumed = metarl(*arguments("copies/mine.py:Line", "copies/method.py:Mine", 3, run), "--resume")
    assert resumed.code == 0, resumed
    assert yaml.safe_load((run / "config.yaml").read_text())["environment"] == before == ENVIRONMENT


def test_resuming_from_another_folder_goes_on_with_the_recorded_file_alone(
    metarl: Command, project: Path, tmp_path: Path
) -> None:
    run = project / "runs/mine"
    os.chdir(tmp_path)
    assert metarl(*arguments("project/mine.py:Line", "project/method.py:Mine", 3, run), "--resume").code == 0
    # a file of the same name here is another one
    (tmp_path / "mine.py").write_text(MINE.read_text())
    before = snapshot(run)
    words = (f"was trained with {project / 'mine.py'}", "mine.py is another file here")
    assert_refused(metarl(*arguments(ENVIRONMENT, "project/method.py:Mine", 4, run), "--resume"), *words)
    assert_refused(
        metarl(*arguments("project/mine.py:Raises", "project/method.py:Mine", 4, run), "--resume"), "holds another run"
    )
    assert snapshot(run) == before


def test_a_module_of_ones_own_needs_trust_and_a_change_of_it_is_said(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "my_line.py").write_text(MINE.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metarl(*arguments("my_line:Line", "maml-vpg")).code == 0
    assert_refused(metarl("evaluate", "runs/mine"), "my_line:Line", str(tmp_path / "my_line.py"), "--trust")
    opened(metarl, "--trust")
    assert caplog.text == ""
    with open(tmp_path / "my_line.py", "a") as file:
        file.write("# a thought\n")
    opened(metarl, "--trust")
    assert "my_line.py has changed since runs/mine was trained" in caplog.text


def test_a_damaged_record_of_code_is_refused(metarl: Command, project: Path) -> None:
    path = project / "runs/mine/config.yaml"
    values = yaml.safe_load(path.read_text())
    for broken in ([1], {"environment": "mine.py"}, {"environment": {"file": 3}}, None):
        path.write_text(yaml.safe_dump(values | {"code": broken}))
        assert_refused(metarl("evaluate", "runs/mine", "--trust"), "config.yaml is damaged")
        assert_refused(metarl(*arguments(ENVIRONMENT, METHOD, 3), "--resume"), "config.yaml is damaged")


def test_a_grid_hands_on_the_trust_that_naming_code_is(metarl: Command, project: Path) -> None:
    suite = {"iterations": 1, "seeds": [0], "evaluation": {"tasks": 2, "adaptations": 1}}
    sizes = {"train": {"tasks": 2, "lanes": 2}, "algo": {"hidden": [4]}}
    cells = [{"environments": ["mine.py:Line", "point-nav"], "algorithms": ["maml-vpg"], **sizes}]
    (project / "suite.yaml").write_text(yaml.safe_dump({**suite, "cells": cells}))
    mine, theirs = metarl("compare", "suite.yaml", "--dry-run").out.splitlines()
    assert mine.endswith("--trust") and "--trust" not in theirs
