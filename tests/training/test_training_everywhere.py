"""Every registered environment is trained on and evaluated by the two commands, whatever its actions are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from support.command import Command, train_arguments

from envs.registry import environment_class, names
from metarl.runs.presets import default_config


@pytest.mark.parametrize("environment", names())
def test_every_environment_trains_and_evaluates(metarl: Command, tmp_path: Path, environment: str) -> None:
    assert metarl(*train_arguments("run", 2, environment, "maml-trpo")).code == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2]
    # 2 rounds x 2 tasks x 3 episodes of at most 5 steps an iteration; an episode has at least one.
    assert all(12 <= line["env_steps"] / line["iteration"] <= 60 for line in lines)
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    record = json.loads(metarl("evaluate", "run", "--tasks", "2", "--adaptations", "1", "--json").out)
    assert np.shape(record["per_task"]) == (2, 2) and np.isfinite(record["per_task"]).all()
    assert record["informed"] is None or np.isfinite(record["informed"])


@pytest.mark.parametrize("algorithm", ["pearl", "varibad", "recurrent-sac"])
def test_what_is_remembered_by_default_holds_the_default_trial(algorithm: str) -> None:
    for environment in names():
        config = default_config(environment, algorithm)
        env: Any = environment_class(environment)(1, 1, config.env)
        if isinstance(env.single_action_space, Discrete) and algorithm in ("pearl", "recurrent-sac"):
            continue  # its actions are continuous
        size = config.train.tasks * config.train.lanes * config.algo.rounds * env.horizon
        assert size <= config.algo.replay_size, environment
