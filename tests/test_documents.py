"""What the documents say is what the sources do: tables written by scripts are current, examples run."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import list_environments

    return list_environments


def test_the_environments_document_is_current(environments: ModuleType) -> None:
    written = (ROOT / "docs" / "environments.md").read_text()
    definitions, levels = written.split(environments.LEVELS)
    assert definitions == environments.definitions(), "run scripts/list_environments.py"
    # The levels are measurements, which may differ elsewhere in their last digits: every environment must have some.
    rows = [line.split("|")[1].strip(" `") for line in levels.splitlines() if line.startswith("| `")]
    assert rows == environments.envs.names()


def test_the_readmes_table_of_environments_is_current(environments: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.split(environments.BEGIN)[1].split(environments.END)[0]
    assert table == environments.short_table(), "run scripts/list_environments.py"


def test_the_readmes_own_tasks_are_good_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [block.split("```")[0] for block in (ROOT / "README.md").read_text().split("```python\n")[1:]]
    (cartpole,) = [block for block in blocks if "gymnasium_tasks" in block]
    (robot,) = [block for block in blocks if "MyRobot" in block]
    namespace: dict[str, object] = {}
    exec(cartpole, namespace)
    env = namespace["CartPoleLengths"](2, 2)  # type: ignore[operator]
    assert env.reset(seed=0)[0].shape == (4, 4) and env.horizon == 200

    import gymnasium

    monkeypatch.chdir(tmp_path)
    xml = Path(gymnasium.__file__).parent / "envs/mujoco/assets/half_cheetah.xml"  # it has 9 positions and a torso
    (tmp_path / "my_robot.xml").write_text(xml.read_text())
    exec(robot, namespace)
    env = namespace["MyRobot"](3, 2, threads=1)  # type: ignore[operator]
    assert set(env.tasks) == {"velocity", "load", "friction", "gravity"}
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[1].shape == (6,)
    assert sys.modules["envs"].MujocoTasks in type(env).__mro__
