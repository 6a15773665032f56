"""Runs of older versions load, are evaluated and go on, with every option as it was then.

`schema_1` holds runs of two iterations from before configs had a schema, and all options that there were; `schema_2`
one whose lanes were called episodes, and whose rounds episodes of a trial.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import Command, assert_refused, numbers, snapshot, train_arguments

import metarl as library
from envs.contract.errors import InputError
from envs.registry import ENVIRONMENTS, environment_class
from metarl.algorithms import config_class, names_for
from metarl.fewshot import SOURCES
from metarl.runs import migrations
from metarl.runs.config import TrainConfig, options_from_dict, read_yaml
from metarl.runs.continuing import mismatch, taken_up
from metarl.runs.load import load_config
from metarl.runs.migrations import CHANGES, SCHEMA, Change, renamed_options, values_of_then
from metarl.runs.run_directory import RunDirectory

VPG: Any = config_class("maml-vpg")
HERE = Path(__file__).parent
TRAINED = {
    "schema_1/point-nav-maml-trpo": ["train", "point-nav", "maml-trpo", "--env.horizon", "5"],
    "schema_1/grid-navi-varibad": [
        *("train", "grid-navi", "varibad", "--env.horizon", "5", "--algo.memory-size", "4"),
        *("--algo.embedding-size", "4", "--algo.decoder-hidden", "4", "--algo.latent-size", "2"),
        *("--algo.model-updates", "1", "--algo.model-batch", "2", "--algo.replay-size", "100"),
        *("--algo.minibatches", "1", "--algo.epochs", "1", "--algo.rounds", "2"),
    ],
    "schema_1/sinusoid-maml": ["train", "sinusoid", "maml"],
    "schema_2/point-nav-rl2": [
        *("train", "point-nav", "rl2", "--env.horizon", "5", "--algo.memory-size", "4"),
        *("--algo.minibatches", "1", "--algo.epochs", "1", "--algo.rounds", "2"),
    ],
}


def resume_arguments(name: str, iterations: int = 3) -> list[str]:
    """What the old run was trained by, to go on with the copy in `old`."""
    lanes = [] if "sinusoid" in name else ["--lanes", "2"]
    sizes = ["--tasks", "2", *lanes, "--algo.hidden", "4", "--threads", "1", "--device", "cpu"]
    return [*TRAINED[name], *sizes, "--iterations", str(iterations), "--out", "old", "--resume"]


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / request.param, tmp_path / "old"))


def values(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text())
    return read


@pytest.mark.parametrize(("name", "old"), [(name, name) for name in TRAINED], indirect=["old"], ids=TRAINED)
def test_a_run_of_an_older_schema_is_evaluated_and_goes_on_with_its_options_as_they_were(
    metarl: Command, name: str, old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, lines = {"schema": 1} | values(old), numbers(old)
    assert before["schema"] == int(name[len("schema_")])
    record = library.evaluate(old, tasks=3, adaptations=1)
    assert record["iteration"] == 2 and record["tasks"] == 3
    if "sinusoid" not in name:
        assert library.load(old).iteration == 2
    resumed = metarl(*resume_arguments(name))
    assert resumed.code == 0, resumed
    told = [message for message in caplog.messages if "is older than" in message]
    came_since = before["schema"] == 1 and "sinusoid" not in name
    assert len(told) == came_since  # one line, whatever it was
    after = values(old)
    assert after["schema"] == SCHEMA
    for room, was in renamed_options(before).items():
        if room in ("env", "algo"):
            assert {option: after[room][option] for option in was} == was
    assert [line["iteration"] for line in numbers(old)] == [1, 2, 3]
    assert numbers(old)[:2] == lines


def names_of(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_every_option_that_came_since_the_first_schema_says_what_runs_before_it_did() -> None:
    then = json.loads((HERE / "schema_1/options.json").read_text())
    worlds = {
        "env": {name: environment_class(name).Config for name in ENVIRONMENTS}
        | {name: source.config for name, source in SOURCES.items()},
        "algo": {name: config_class(name) for name in names_for("experience")},
        "learner": {name: config_class(name, labelled=True) for name in names_for("labels")},
    }
    kinds = [("train", TrainConfig, then["train"])]
    kinds += [
        (f"{room} {name}", kinds[name], options)
        for room, kinds in worlds.items()
        for name, options in then[room].items()
        if name in kinds
    ]
    for name, kind, options in kinds:
        room = {"learner": "algo"}.get(name.split()[0], name.split()[0])
        today = renamed_options(
            {
                "schema": 1,
                "algorithm": name.split()[-1],
                "train": {},
                "env": {},
                "algo": {},
                room: dict.fromkeys(options),
            }
        )
        options = list(today[room])
        came, went = names_of(kind) - set(options), set(options) - names_of(kind)
        filled = values_of_then(kind, dict.fromkeys(options), 1)
        assert filled.keys() == came, f"{name}: see runs/migrations.py"
        assert options_from_dict(kind, filled) is not None  # values that fit
        assert went == set(), f"{name}: runs that hold this cannot be read"


def test_changes_are_of_known_schemas() -> None:
    assert all(1 < change.since <= SCHEMA for change in CHANGES)


# An option that comes later, by example: the discount, as if runs of schema 1 had lived without it, at 0.5.
LATER = Change(2, "PolicyOptions", "discount", 0.5)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch, run: Path) -> Path:
    """A finished run from before the discount was an option."""
    monkeypatch.setattr(migrations, "CHANGES", (*CHANGES, LATER))
    written = values(run)
    assert written.pop("schema") == SCHEMA
    del written["algo"]["discount"]
    (run / "config.yaml").write_text(yaml.safe_dump(written))
    return run


def test_an_option_that_came_later_has_its_value_of_then(
    metarl: Command, later: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert VPG().discount == 0.99
    assert load_config(RunDirectory(later)).algo.discount == 0.5
    assert metarl(*train_arguments("run", 5), "--resume").code == 0
    assert values(later)["algo"]["discount"] == 0.5 and values(later)["schema"] == SCHEMA
    assert "run is older than some options, which stay as they were: algo.discount 0.5" in caplog.messages


def test_who_asks_for_another_value_of_it_asks_for_another_run(metarl: Command, later: Path) -> None:
    before = snapshot(later)
    refused = metarl(*train_arguments("run", 5), "--resume", "--algo.discount", "0.9")
    assert_refused(refused, "algo.discount is 0.9, there it is 0.5")
    assert snapshot(later) == before
    assert metarl(*train_arguments("run", 5), "--resume", "--algo.discount", "0.5").code == 0


def test_what_a_config_of_today_leaves_out_is_not_filled_from_then(later: Path) -> None:
    (later / "config.yaml").write_text(yaml.safe_dump(values(later) | {"schema": 2}))
    assert load_config(RunDirectory(later)).algo.discount == 0.99


def test_of_two_lines_about_an_option_the_later_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    derived = Change(2, VPG.__name__, "discount", 0.25)
    monkeypatch.setattr(migrations, "CHANGES", (LATER, derived, Change(2, "VariBADConfig", "clip", 1.0)))
    assert values_of_then(VPG, {"inner_lr": 0.1}, 1) == {"discount": 0.25}
    assert values_of_then(VPG, {"discount": 0.9}, 1) == {}
    assert values_of_then(VPG, {}, 2) == {}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (SCHEMA + 1, [f"is of schema {SCHEMA + 1}", "use a newer metarl"]),
        *((broken, ["config.yaml is damaged"]) for broken in ("two", 0, True, None)),
    ],
)
def test_a_schema_that_is_newer_or_none_is_refused_in_one_line(
    metarl: Command, run: Path, schema: object, words: list[str]
) -> None:
    (run / "config.yaml").write_text(yaml.safe_dump(values(run) | {"schema": schema}))
    before = snapshot(run)
    assert_refused(metarl("evaluate", "run"), *words)
    assert_refused(metarl(*train_arguments("run", 5), "--resume"), *words)
    with pytest.raises(InputError):
        library.load(run)
    assert snapshot(run) == before


def test_another_version_or_device_is_said_once_when_a_run_goes_on(
    metarl: Command, run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = values(run)
    assert written["ran_on"] == "cpu"
    now = written["versions"]
    old = {"ran_on": "NVIDIA A100", "versions": now | {"torch": "2.11.0", "mujoco": "3.17.1", "python": "3.11.0"}}
    (run / "config.yaml").write_text(yaml.safe_dump(written | old))
    assert metarl(*train_arguments("run", 4), "--resume").code == 0
    for what, then in (("torch", "2.11.0"), ("mujoco", "3.17.1")):
        assert f"run was trained with {what} {then} and goes on with {now[what]}" in caplog.text
    assert "run was trained with device NVIDIA A100 and goes on with cpu" in caplog.text
    assert len(caplog.records) == 3
    caplog.clear()
    assert metarl(*train_arguments("run", 4), "--resume").code == 0
    assert caplog.text == ""


def test_the_environment_of_a_grid_may_be_older_as_well(later: Path) -> None:
    config = load_config(RunDirectory(later))
    asked = dataclasses.replace(config, algo=dataclasses.replace(config.algo, discount=0.99))
    read = read_yaml(later / "config.yaml")
    assert mismatch(asked, read, later) == "algo.discount is 0.99, there it is 0.5"
    assert mismatch(taken_up(asked, read), read, later) is None
