"""Names become environments, wrong names become one line, and listing names stays light."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.families.locomotion.half_cheetah import HalfCheetahVel
from envs.registry import ENVIRONMENTS, describe, environment_class, names

OWN = """
import numpy as np
from dataclasses import dataclass
from gymnasium.spaces import Box
from envs.contract.base import Outcome, TaskEnv
from envs.contract.tasks import TaskDistribution, Uniform

@dataclass(frozen=True)
class Options:
    horizon: int = 5

class Line(TaskEnv):
    Config = Options

    def __init__(self, num_tasks, lanes_per_task, config=Options(), *, threads=0):
        super().__init__(
            num_tasks, lanes_per_task, config, horizon=config.horizon, observation_size=1,
            task_distribution=TaskDistribution(goal=Uniform(-1.0, 1.0)),
            action_space=Box(-1.0, 1.0, (1,), np.float64),
        )
        self.place = np.zeros((self.num_envs, 1))

    def reset_lanes(self, mask):
        self.place[mask] = 0.0

    def advance(self, actions, live):
        self.place[live] += actions[live]
        none = np.zeros(self.num_envs, bool)
        return Outcome(-np.abs(self.place[:, 0] - self.lane_tasks["goal"]), none, none, {})

    def observe(self):
        return self.place

not_an_environment = 3
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_line.py"
    path.write_text(OWN)
    return path


def test_importing_and_listing_load_no_simulator() -> None:
    code = "import envs, sys; from envs.registry import describe; envs.names(); describe(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "envs.registry" in loaded
    assert not {"mujoco", "torch", "metarl"} & set(loaded)


def test_environments_need_neither_torch_nor_metarl() -> None:
    code = "import envs, sys; [envs.make(name, 1, 1) for name in envs.names()]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mujoco" in loaded
    assert not {"torch", "metarl"} & set(loaded)


def test_every_registered_name_is_described_and_makes_its_class() -> None:
    assert set(describe()) == set(ENVIRONMENTS)
    assert set(names()) == {name for name, entry in ENVIRONMENTS.items() if not entry.needs}
    for name, description in describe().items():
        assert description and "\n" not in description
        assert issubclass(environment_class(name), envs.TaskEnv)
    assert environment_class("half-cheetah-vel") is HalfCheetahVel
    assert environment_class("envs.families.locomotion.half_cheetah:HalfCheetahVel") is HalfCheetahVel


def test_the_simulator_room_is_a_lazy_name() -> None:
    assert issubclass(HalfCheetahVel, envs.MujocoTasks)
    with pytest.raises(AttributeError):
        envs.MujocoTask  # noqa: B018


def test_fields_reach_the_environment() -> None:
    env = envs.make("half-cheetah-vel", 2, 3, threads=1, variant="pearl", horizon=7, max_velocity=1.0)
    assert (env.num_envs, env.horizon, env.config.variant, env.config.max_velocity) == (6, 7, "pearl", 1.0)
    assert env.sample_tasks(0, num_tasks=50)["velocity"].max() <= 1.0


def test_a_users_file_is_an_environment(own_file: Path) -> None:
    env = envs.make(f"{own_file}:Line", 2, 2, horizon=3)
    env.set_tasks({"goal": [1.0, -1.0]})
    env.reset(seed=0)
    np.testing.assert_array_equal(env.step(np.full((4, 1), 0.5))[1], [-0.5, -0.5, -1.5, -1.5])
    assert env.horizon == 3


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("half-cheetah-vle", {}, "unknown environment 'half-cheetah-vle' — did you mean 'half-cheetah-vel'?"),
        ("zzz", {}, "unknown environment 'zzz' — `metarl list envs` names them all"),
        ("point-nav", {"horzion": 3}, "'point-nav' has no option env.horzion — did you mean 'horizon'?"),
        ("point-nav", {"horizon": -3}, "env.horizon is -3 — give a whole number above 0"),
        ("half-cheetah-dir", {"timestep": 0.0}, "env.timestep is 0.0 — give a finite number above 0"),
        (
            "half-cheetah-vel",
            {"min_velocity": 4.0},
            "env.min_velocity is 4.0, above env.max_velocity at 3.0 — swap them",
        ),
        ("half-cheetah-vel", {"threads": -1}, "threads is -1 — give a whole number, 0 for one per CPU"),
        (
            "envs.families.locomotion.half_cheetah:HalfCheetahVle",
            {},
            "'envs.families.locomotion.half_cheetah' has no 'HalfCheetahVle' — did you mean 'HalfCheetahVel'?",
        ),
        (
            "envs.contract.base:Outcome",
            {},
            "'envs.contract.base:Outcome' is no environment — name a subclass of envs.TaskEnv",
        ),
        ("nowhere.py:Line", {}, "there is no file 'nowhere.py' — check the path"),
    ],
)
def test_a_wrong_name_or_value_is_refused_in_one_line(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError) as error:
        envs.make(name, 1, 1, **fields)
    assert str(error.value) == message


def test_a_module_that_does_not_import_is_refused_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    for text, reason in (
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def", "SyntaxError"),
        ("1 / 0", "Zero"),
    ):
        broken.write_text(text)
        with pytest.raises(envs.InputError, match=reason) as error:
            envs.make(f"{broken}:Line", 1, 1)
        assert "\n" not in str(error.value)
    with pytest.raises(envs.InputError, match="module 'no_such_module' does not import .* give its file"):
        envs.make("no_such_module:Line", 1, 1)


def test_a_file_without_the_attribute_names_the_nearest(own_file: Path) -> None:
    with pytest.raises(envs.InputError, match="has no 'Lime' — did you mean 'Line'?"):
        envs.make(f"{own_file}:Lime", 1, 1)
    with pytest.raises(envs.InputError, match="is no environment"):
        envs.make(f"{own_file}:not_an_environment", 1, 1)
