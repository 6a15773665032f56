"""A run's config: what is written is what is read, from Python as from the command, and nothing impossible gets in."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, end_result, train_arguments

import metarl as library
from envs.contract.errors import InputError
from envs.families.point.navigation import PointNavConfig
from envs.registry import environment_class
from envs.registry import names as environments
from metarl.algorithms import config_class, names_for
from metarl.runs.config import RunConfig, TrainConfig, options_from_dict
from metarl.runs.continuing import mismatch
from metarl.runs.load import load_config
from metarl.runs.migrations import SCHEMA
from metarl.runs.presets import default_config
from metarl.runs.run_directory import RunDirectory

TRPO: Any = config_class("maml-trpo")
CHANGES: dict[type, dict[str, Any]] = {
    TrainConfig: {"iterations": 10**12, "seed": 2**32 - 1, "device": "cpu", "threads": 3},
    TRPO: {"hidden": (3,), "cg_damping": 1e-7, "first_order": True, "activation": "relu"},
}


# Every environment with some algorithm, and every algorithm with some environment: their options never meet.
PAIRS = zip(itertools.cycle(environments()), itertools.cycle(names_for("experience")))
EACH_ONCE = list(itertools.islice(PAIRS, max(len(environments()), len(names_for("experience")))))


@pytest.mark.parametrize(("environment", "algorithm"), EACH_ONCE)
def test_the_config_of_a_run_is_the_one_it_was_trained_with(tmp_path: Path, environment: str, algorithm: str) -> None:
    default = default_config(environment, algorithm)
    train = dataclasses.replace(default.train, **CHANGES[TrainConfig])
    algo = dataclasses.replace(default.algo, **CHANGES.get(type(default.algo), {"hidden": ()}))
    family: Any = environment_class(environment)
    env = family(1, 1, dataclasses.replace(default.env, horizon=7)).config
    config = RunConfig(environment, algorithm, train, env, algo)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.create(config)
    assert load_config(run) == config


def test_training_from_python_equals_the_command(metarl: Command, tmp_path: Path, finished_run: Path) -> None:
    run = library.train(
        "point-nav",
        "maml-vpg",
        iterations=4,
        tasks=2,
        lanes=3,
        threads=1,
        torch_threads=1,
        checkpoint_every=1,
        env={"horizon": 5},
        algo={"hidden": [8]},
        out=str(tmp_path / "python"),
    )
    assert run.path == tmp_path / "python"
    assert end_result(run.path) == end_result(finished_run)
    assert (run.path / "config.yaml").read_text() == (finished_run / "config.yaml").read_text()
    assert [line["iteration"] for line in run.metrics] == [1, 2, 3, 4]
    assert "return/round_1" in run.metrics[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"iteratons": 3}, "no field 'iteratons' — did you mean 'iterations'?"),
        ({"env": {"varaint": "pearl"}}, "no field 'varaint' — did you mean 'variant'?"),
        ({"algo": {"inner_rl": 0.1}}, "no field 'inner_rl' — did you mean 'inner_lr'?"),
        ({"algorithm": "maml-trop"}, "did you mean 'maml-trpo'?"),
        ({"iterations": 0}, "iterations is 0"),
        ({"iterations": "3"}, "TrainConfig.iterations is '3'"),
        ({"iterations": 2.5}, "TrainConfig.iterations is 2.5"),
        ({"iterations": True}, "TrainConfig.iterations is True"),
        ({"iterations": float("nan")}, "TrainConfig.iterations is nan"),
        ({"device": "gpu"}, "TrainConfig.device is 'gpu' — give one of 'auto', 'cpu', 'cuda'"),
        ({"iterations": None}, "TrainConfig.iterations is None — give a value of type int"),
        ({"env": {"horizon": "5"}}, "PointNavConfig.horizon is '5'"),
        ({"env": {"goals": "circle"}}, "PointNavConfig.goals is 'circle'"),
        ({"algo": {"inner_lr": "0.1"}}, f"{TRPO.__name__}.inner_lr is '0.1'"),
        ({"algo": {"inner_lr": None}}, f"{TRPO.__name__}.inner_lr is None"),
        ({"algo": {"hidden": 64}}, f"{TRPO.__name__}.hidden is 64"),
        ({"algo": {"hidden": (64, 0.5)}}, f"{TRPO.__name__}.hidden is (64, 0.5)"),
        ({"algo": {"first_order": 1}}, f"{TRPO.__name__}.first_order is 1"),
    ],
    ids=str,
)
def test_what_python_asks_for_is_checked_by_name_and_nothing_is_written(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as refusal:
        library.train("point-nav", out=tmp_path / "run", **arguments)
    assert words in str(refusal.value) and " — " in str(refusal.value)
    assert not any(tmp_path.iterdir())


def test_fitting_values_pass() -> None:
    assert options_from_dict(PointNavConfig, {"horizon": None, "goal_range": 1}) == PointNavConfig(goal_range=1)
    config = options_from_dict(TRPO, {"hidden": [], "inner_lr": 1})
    assert config == TRPO(hidden=(), inner_lr=1.0)
    assert isinstance(config.inner_lr, float)


def numeric_fields(kind: type) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(kind)
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    ]


# Zero means something for these: nothing to add, nothing to look ahead, as many as there are cores.
ZERO_IS_FINE = {
    *("seed", "threads", "torch_threads", "groups", "tasks_at_once", "evaluate_every", "minutes", "reward_unit"),
    *("discount", "gae_lambda", "later_inner_lr", "cg_damping", "kl_coefficient", "entropy_bonus", "sampling_credit"),
    *("warmup_iterations", "update_ratio", "kl_weight", "transition_weight", "embedding_size", "desired_kl"),
}


@pytest.mark.parametrize("kind", [TrainConfig, *(config_class(name) for name in names_for("experience"))])
def test_no_number_of_training_or_an_algorithm_may_be_impossible(kind: type) -> None:
    for name in numeric_fields(kind):
        for value in (-1, float("nan"), float("inf"), -float("inf"), "many"):
            with pytest.raises(InputError, match=name):
                options_from_dict(kind, {name: value})
        if name in ZERO_IS_FINE:
            options_from_dict(kind, {name: 0})
        else:
            with pytest.raises(InputError, match=name):
                options_from_dict(kind, {name: 0})


@pytest.mark.parametrize("environment", environments())
def test_no_number_of_an_environment_may_be_impossible(environment: str) -> None:
    family: Any = environment_class(environment)
    resolved = family(1, 1, family.Config()).config
    for name in numeric_fields_of(resolved):
        for value in (float("nan"), float("inf"), -float("inf"), "many"):
            with pytest.raises(InputError, match=name):
                family(1, 1, options_from_dict(family.Config, {name: value}))
    for value in (0, -1):
        with pytest.raises(InputError, match="horizon"):
            family(1, 1, family.Config(horizon=value))


def numeric_fields_of(options: Any) -> list[str]:
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return [name for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)]


@pytest.mark.parametrize("environment", [name for name in environments() if name in ("point-nav", "half-cheetah-dir")])
def test_physics_threads_change_no_bit(metarl: Command, tmp_path: Path, environment: str) -> None:
    for threads in ("1", "2"):
        arguments = train_arguments(threads, 2, environment)
        assert metarl(*arguments, "--threads", threads).code == 0
    one, two = end_result(tmp_path / "1"), end_result(tmp_path / "2")
    assert one == two


def test_a_run_from_before_an_option_was_there_goes_on_with_its_default() -> None:
    mine = default_config("point-nav")
    older = {"schema": SCHEMA, **mine.as_dict()}
    del older["train"]["normalise_observations"]
    assert mismatch(mine, older, Path("run")) is None
    changed = dataclasses.replace(mine, train=dataclasses.replace(mine.train, normalise_observations=True))
    told = "train.normalise_observations is True, there it is False"
    assert mismatch(changed, older, Path("run")) == told


def test_a_run_of_a_method_that_was_renamed_goes_on_and_is_evaluated(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("whole", 2, "point-nav", "lslr")).code == 0
    assert metarl(*train_arguments("run", 1, "point-nav", "lslr")).code == 0
    config = tmp_path / "run/config.yaml"
    config.write_text(config.read_text().replace("algorithm: lslr", "algorithm: maml++"))
    assert metarl(*train_arguments("run", 2, "point-nav", "lslr"), "--resume").code == 0
    assert end_result(tmp_path / "run") == end_result(tmp_path / "whole")
    assert metarl("evaluate", "run", "--tasks", "2", "--json").code == 0
