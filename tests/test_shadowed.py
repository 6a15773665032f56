"""A folder of the user's own that is named like one of our packages: the documented commands work all the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MINE = Path(__file__).parent / "support" / "user_environments.py"
TINY = ["--tasks", "2", "--lanes", "2", "--iterations", "1", "--algo.hidden", "4", "--threads", "1"]


@pytest.fixture(params=["a package", "a module"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A working folder with an `envs` of its own, which marks that it was run, and an environment that uses ours."""
    place = tmp_path / "envs" / "__init__.py" if request.param == "a package" else tmp_path / "envs.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text("import pathlib\npathlib.Path('executed').touch()\n")
    shutil.copy(MINE, tmp_path / "mine.py")
    return tmp_path


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    # a process that looks for modules in its working folder before it does where metarl is installed
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_module_runs_beside_a_users_own_envs(project: Path) -> None:
    listed = run(project, "-m", "metarl", "list", "envs")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "half-cheetah-dir" in listed.stdout
    trained = run(project, "-m", "metarl", "train", "mine.py:Line", "maml-vpg", *TINY, "--out", "run")
    assert trained.returncode == 0, trained
    assert (project / "run" / "checkpoints" / "iteration-000001.json").exists()
    assert not (project / "executed").exists()


@pytest.mark.parametrize("project", ["a package"], indirect=True)
def test_torchrun_runs_beside_a_users_own_envs(project: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "metarl")
    trained = run(project, *launcher, "train", "point-nav", "maml-vpg", *TINY, "--env.horizon", "5", "--out", "run")
    assert trained.returncode == 0, trained
    assert (project / "run" / "checkpoints" / "iteration-000001.json").exists()
    assert not (project / "executed").exists()


def test_python_gets_our_envs_or_is_told_what_hides_it(project: Path) -> None:
    ours = run(
        project,
        "-c",
        "import metarl, envs; print(len(envs.names())); from envs.families.point.navigation import PointNav",
    )
    assert (ours.returncode, ours.stderr) == (0, "") and int(ours.stdout) > 10
    assert not (project / "executed").exists()
    told = run(project, "-c", "import envs, metarl").stderr.splitlines()[-1]
    assert told.startswith(f"ImportError: {project / 'envs'}") and "hides metarl's own package 'envs' — rename" in told
