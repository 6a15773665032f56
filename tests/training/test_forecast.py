"""What a run says before it starts: how many steps it will make, how fast the robot alone makes them here."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.command import Command, train_arguments

from metarl.runs.presets import default_config
from metarl.training.forecast import forecast
from metarl.training.setup import Setup, set_up


def cheetahs() -> Setup:
    config = default_config("half-cheetah-vel", "maml-trpo")
    return set_up(replace(config, train=replace(config.train, tasks=3, lanes=2, threads=1)))


def test_time_is_steps_over_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = cheetahs()
    # by hand: 100 iterations × 2 rounds × 6 lanes × 200 steps
    for speed, said in ((100.0, "40 minutes"), (4000.0, "60 seconds")):
        monkeypatch.setattr("metarl.training.forecast.steps_per_second", lambda env, speed=speed: speed)
        assert setup.env.horizon == 200
        line = forecast(setup, 100)
        assert (
            line == f"0.2 million steps · the environment alone makes {speed / 1000:.1f}k a second: {said}, and updates"
        )
    assert forecast(setup, 0) == ""


def test_what_takes_no_time_or_breaks_forecasts_nothing() -> None:
    assert forecast(set_up(default_config("point-nav", "maml-trpo")), 10) == ""

    def broken(**options: Any) -> None:
        raise ValueError("broken")

    env = SimpleNamespace(
        native_steps=True, reset=broken, action_space=cheetahs().env.action_space, num_envs=1, horizon=5
    )
    setup: Any = SimpleNamespace(env=env, envs=[env], algorithm=SimpleNamespace(rounds=1))
    assert forecast(setup, 10) == ""


def test_a_run_says_it_before_it_starts(metarl: Command, tmp_path: Path) -> None:
    out = metarl(*train_arguments("run", 2, "half-cheetah-vel")).out
    first, second, *_ = out.splitlines()
    assert "half-cheetah-vel · maml-vpg" in first
    assert re.fullmatch(
        r"0.0 million steps · the environment alone makes \S+k a second: \d+ seconds, and updates", second
    )
    assert "million steps" not in metarl(*train_arguments("point", 1, "point-nav")).out
