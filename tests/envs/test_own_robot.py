"""A robot is added from outside by one short file, and trained, evaluated and given its dynamics like any other."""

import ast
import json
from pathlib import Path

import numpy as np
from support.command import Command

import envs

ARM = Path(__file__).parents[2] / "scripts" / "examples" / "arm.py"


def test_it_is_one_file_of_at_most_60_lines_that_uses_public_names_alone() -> None:
    source = ARM.read_text()
    assert len(source.splitlines()) <= 60
    imported = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert set(imported) == {"pathlib", "envs"}


def test_its_tasks_scale_its_dynamics_lane_by_lane() -> None:
    env = envs.make(f"{ARM}:Arm", 2, 3, threads=1)
    assert isinstance(env, envs.MujocoTasks)
    env.set_tasks({"goal": np.zeros((2, 2)), "tool": [0.5, 3.0]})
    env.reset(seed=0)
    tool = env.model.body("tool").id
    np.testing.assert_allclose(
        env.batch.expand("body_mass")[:, tool], env.model.body_mass[tool] * np.repeat([0.5, 3.0], 3)
    )
    outside = env.sample_tasks(0, 100, split="outside")  # beyond 2 ** ±2; goals follow the training law
    assert outside["tool"].min() >= 4.0 and np.abs(outside["goal"]).max() <= 0.12


def test_the_command_trains_and_evaluates_it(metarl: Command) -> None:
    sizes = ("--tasks", "2", "--lanes", "2", "--threads", "1", "--torch-threads", "1")
    assert metarl("train", f"{ARM}:Arm", "--iterations", "1", *sizes, "--out", "run").code == 0
    record = json.loads(metarl("evaluate", "run", "--tasks", "2", "--split", "outside", "--json", "--trust").out)
    assert record["split"] == "outside" and record["env"] == f"{ARM}:Arm"
