"""The methods that a family or a robot may override, and when each is called, as their classes' docstrings say."""

import inspect
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import envs
from envs.contract.definition import Outcome

ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
LAW = envs.TaskDistribution(goal=envs.Uniform(-1.0, 1.0))


class Line(envs.TaskEnv):
    def define(self, options: Any) -> dict[str, Any]:
        return {"task_distribution": LAW, "action_space": Box(-1.0, 1.0, (1,), np.float64), "horizon": 3}

    def reset_lanes(self, mask: np.ndarray) -> None:
        for _lanes, _copies, rng in self.tasks_to_reset(mask):
            rng.random()

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        return Outcome(np.zeros(self.num_envs))

    def observe(self) -> np.ndarray:
        return np.zeros((self.num_envs, 1))


class Hopper(envs.MujocoTasks):
    def define(self, options: Any) -> dict[str, Any]:
        model = envs.load_model(ASSETS / "hopper.xml")
        return {"model": model, "task_distribution": LAW, "horizon": 3}

    def observe(self) -> np.ndarray:
        return self.qpos

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.zeros(self.num_envs), {}


def documented(family: type) -> dict[str, bool]:
    """The hooks of a class's docstring, and whether they must be overridden."""
    rows = re.findall(r"^    (\w+)\([\w, ]*\) +(must be)?", str(inspect.getdoc(family)), re.MULTILINE)
    return {name: bool(must) for name, must in rows}


def recording(family: type[envs.TaskEnv], calls: list[str]) -> type[envs.TaskEnv]:
    """The family, with each call of a documented hook noted."""

    def noted(name: str) -> Any:
        def hook(self: Any, *arguments: Any) -> Any:
            calls.append(name)
            return getattr(family, name)(self, *arguments)

        return hook

    return type("Noted", (family,), {name: noted(name) for name in documented(family.__base__)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "reset", "step"),
    [
        (Line, ["reset_lanes"], ["advance"]),
        (Hopper, ["initial_state", "initial_state"], ["controls", "reward", "terminated"]),  # once a task
    ],
)
def test_each_hook_is_called_when_its_class_says(family: Any, reset: list[str], step: list[str]) -> None:
    calls: list[str] = []

    def since() -> list[str]:
        made = calls.copy()
        calls.clear()
        return made

    env = recording(family, calls)(2, 3)
    assert since() == ["define", "build", "prepare_tasks", "observe"]
    env.reset(seed=0)
    assert since() == ["apply_tasks", *reset, "observe"]
    env.reset()
    assert since() == [*reset, "observe"]
    env.set_tasks(env.sample_tasks(1))
    assert since() == ["prepare_tasks"]
    env.step(env.action_space.sample())
    assert since() == [*step, "observe"]
    env.reset(options={"reset_mask": np.arange(6) < 2})  # two lanes of the first task, which is new
    assert since() == ["apply_tasks", *reset[:1], "observe"]
    env.summary()
    assert since() == ["summary"] * ("summary" in documented(family.__base__))


@pytest.mark.parametrize("family", [envs.TaskEnv, envs.MujocoTasks])
def test_what_must_be_overridden_is_all_that_must(family: Any) -> None:
    hooks = documented(family)
    assert {name for name, must in hooks.items() if must} <= {"define", "reset_lanes", "advance", "observe", "reward"}
    assert len(hooks) >= 9 and all(callable(getattr(family, name)) for name in hooks)
    for name in (name for name, must in hooks.items() if must and name != "define"):
        assert "NotImplementedError" in inspect.getsource(getattr(family, name))
