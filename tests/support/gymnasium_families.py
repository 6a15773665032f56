"""Families of Gymnasium environments as a user would write them, in files of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import envs
from envs.contract.seeding import RUN_LANES, generators
from envs.registry import environment_class

# A package that Gymnasium knows only once "drifting:Drift-v0" has imported it.
PACKAGE = """
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Drift(gymnasium.Env):
    observation_space = Dict({"mode": Discrete(3), "position": Box(-np.inf, np.inf, (2,), np.float32)})
    action_space = Box(-1.0, 1.0, (2,), np.float32)
    wind = np.zeros(2)

    def __init__(self, wind=(0.0, 0.0)):
        self.set_wind(wind)

    def set_wind(self, wind):
        self.wind = np.asarray(wind)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.set_wind((options or {}).get("wind", self.wind))
        self.position, self.mode, self.over = self.np_random.normal(size=2), self.np_random.integers(3), False
        return self.see(), {}

    def step(self, action):
        assert not self.over, "stepped after its end"
        assert action in self.action_space, f"{action} is not in {self.action_space}"
        self.position = self.position + 0.2 * action + self.wind + 0.1 * self.np_random.normal(size=2)
        distance = np.linalg.norm(self.position)
        self.over = bool(distance > 4.0)
        return self.see(), -distance, self.over, False, {}

    def see(self):
        return {"mode": self.mode, "position": self.position.astype(np.float32)}


gymnasium.register(id="Drift-v0", entry_point="drifting:Drift", max_episode_steps=8)
"""
# A user's file.
FAMILIES = '''
import os
import time
from dataclasses import dataclass

import gymnasium
from envs import Choice, TaskDistribution, Uniform, gymnasium_tasks
from envs.adapters.gymnasium_tasks import GymnasiumConfig


def set_length(env, task):
    env.length = task["length"]
    env.polemass_length = env.masspole * env.length


CartPoleLengths = gymnasium_tasks(
    "CartPole-v1", TaskDistribution(length=Uniform(0.25, 1.0)), set_task=set_length, horizon=200
)
Drift = gymnasium_tasks(
    "drifting:Drift-v0", TaskDistribution(wind=Uniform(-0.1, 0.1, (2,))), set_task="constructor-keywords"
)


@dataclass(frozen=True)
class TwoWorkers(GymnasiumConfig):
    processes: int = 2


class DriftInWorkers(Drift):
    Config = TwoWorkers


class Bomb(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    fuse, way = 10**9, "raise"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self.observation_space.sample() * 0, {}

    def step(self, action):
        if self.age == self.fuse:
            self.explode()
        self.age += 1
        return self.observation_space.sample() * 0, 0.0, False, False, {}

    def explode(self):
        if self.way == "raise":
            raise Peculiar("the fuse", "is out")
        if self.way == "exit":
            os._exit(3)
        time.sleep(1000)


class Peculiar(Exception):
    """An exception that pickle cannot bring back."""

    def __init__(self, what, state):
        super().__init__(f"{what} {state}")


def bombs(way):
    def light(env, task):
        env.fuse, env.way = task["fuse"], way

    return gymnasium_tasks(Bomb, TaskDistribution(fuse=Choice((2, 2))), set_task=light, horizon=5)


raising, exiting, hanging = bombs("raise"), bombs("exit"), bombs("hang")
'''


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the package and the user's file are; both can be imported."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "drifting").mkdir()
    (folder / "drifting" / "__init__.py").write_text(PACKAGE)
    (folder / "families.py").write_text(FAMILIES)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def family(name: str) -> Any:
    return environment_class(f"families:{name}")


def lane_seed(seed: int, env: envs.TaskEnv, lane: int) -> int:
    """What lane `lane` is seeded with at the first reset(seed): the one of its copy, from its task's generator."""
    task, copy = divmod(lane, env.lanes_per_task)
    rng = generators(seed, env.num_tasks, RUN_LANES)[task]
    return int(rng.integers(2**31, size=env.lanes_per_task)[copy])
