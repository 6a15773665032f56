"""`metarl resume`, `train --config`, `train --from`, `--name`: what is asked for once is not typed again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.command import Command, assert_refused, end_result, numbers, snapshot, train_arguments

import metarl as library
from metarl.runs.checkpoint import Checkpoint, load_checkpoint, shapes_of
from metarl.runs.config import RunConfig
from metarl.runs.load import config_from
from metarl.training.setup import fresh_state, set_up


def config_of(run: Path) -> dict[str, object]:
    values = yaml.safe_load((run / "config.yaml").read_text())
    return {room: values[room] for room in ("environment", "algorithm", "train", "env", "algo")}


def checkpoint_of(folder: Path, config: RunConfig) -> Checkpoint:
    found, _ = load_checkpoint(folder, torch.device("cpu"), shapes_of(fresh_state(set_up(config))))
    assert found is not None
    return found


def test_a_run_goes_on_by_its_folder_alone_and_ends_as_if_never_stopped(metarl: Command, run: Path) -> None:
    straight = metarl(*train_arguments("straight", iterations=6))
    assert straight.code == 0
    assert metarl("resume", "run", "--iterations", "6").code == 0
    assert numbers(run) == numbers(run.parent / "straight")
    assert end_result(run) == end_result(run.parent / "straight")


def test_a_killed_run_goes_on_to_the_end_that_it_was_to_have(metarl: Command, tmp_path: Path, run: Path) -> None:
    for path in (run / "checkpoints").glob("iteration-000004.*"):
        path.unlink()
    assert metarl("resume", "run").code == 0
    assert [line["iteration"] for line in numbers(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere/config.yaml cannot be read", "is nowhere a run directory?"]),
        (["run", "--seed", "1"], ["train.seed is 1, there it is 0"]),
        (["run", "--tasks", "3"], ["train.tasks is 3, there it is 2"]),
        (["run", "--iterations", "3"], ["has trained 4 iterations", "--iterations 4"]),
        (["run", "--minutes", "-1"], ["minutes is -1.0", "at least 0"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_go_on_is_refused_in_one_line(
    metarl: Command, tmp_path: Path, run: Path, arguments: list[str], words: list[str]
) -> None:
    before = snapshot(tmp_path)
    assert_refused(metarl("resume", *arguments), *words)
    assert snapshot(tmp_path) == before


def test_a_config_file_repeats_a_run_bit_for_bit(metarl: Command, run: Path) -> None:
    assert metarl("train", "--config", "run/config.yaml", "--out", "again").code == 0
    assert config_of(run.parent / "again") == config_of(run)
    assert numbers(run.parent / "again") == numbers(run)


def test_what_stands_beside_a_config_file_counts_more(metarl: Command, run: Path) -> None:
    beside = ["--iterations", "1", "--algo.inner-lr", "0.3", "--env.horizon", "4"]
    assert metarl("train", "--config", "run/config.yaml", "--out", "again", *beside).code == 0
    before, after = config_of(run), config_of(run.parent / "again")
    assert after["train"] == before["train"] | {"iterations": 1}  # type: ignore[operator]
    assert after["algo"] == before["algo"] | {"inner_lr": 0.3}  # type: ignore[operator]
    assert after["env"] == before["env"] | {"horizon": 4}  # type: ignore[operator]


@pytest.mark.parametrize("unit", ["10", "0", "1"])
def test_who_begins_from_a_run_counts_rewards_in_a_unit_of_its_own(metarl: Command, tmp_path: Path, unit: str) -> None:
    assert metarl(*train_arguments("tens"), "--reward-unit", "10").code == 0
    assert metarl(*train_arguments("other"), "--reward-unit", unit, "--from", "tens").code == 0
    path = max((tmp_path / "other/checkpoints").glob("*.safetensors"))
    units = {"10": ["unit"], "0": ["count", "mean", "squares"], "1": []}[unit]
    assert sorted(name for name in load_file(path) if name.startswith("rewards/")) == [f"rewards/{x}" for x in units]
    assert unit != "10" or load_file(path)["rewards/unit"] == 10


def test_names_beside_a_config_file_count_more_too(metarl: Command, run: Path) -> None:
    assert metarl("train", "point-nav", "fomaml", "--config", "run/config.yaml", "--out", "again").code == 0
    before, after = config_of(run), config_of(run.parent / "again")
    assert (before.pop("algorithm"), after.pop("algorithm")) == ("maml-vpg", "fomaml")
    # what it says of another method is left out: FOMAML with its options would be that method
    assert after.pop("algo")["first_order"] and not before.pop("algo")["first_order"]  # type: ignore[index]
    assert after == before


def test_a_file_that_says_little_leaves_the_rest_to_presets(tmp_path: Path) -> None:
    file = tmp_path / "little.yaml"
    file.write_text("environment: point-nav\nalgo: {inner_lr: 0.25}\n")
    assert config_from(file, None, None, {}, {}, {}) == config_from(
        None, "point-nav", "maml-trpo", {}, {}, {"inner_lr": 0.25}
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {tasks: 3}\n", ["is not the config of a run", "`environment`"]),
        ("environment: point-nva\n", ["'point-nav'"]),
        ("environment: point-nav\nalgo: {inner_rl: 3}\n", ["inner_rl", "did you mean 'inner_lr'?"]),
        ("environment: evil.py:Evil\n", ["names code", "--trust"]),
        ("environment: point-nav\nalgorithm: evil.py:Evil\n", ["names code", "--trust"]),
        (None, ["cannot be read", "give a run's config.yaml"]),
    ],
)
def test_an_impossible_config_file_is_refused_in_one_line(
    metarl: Command, tmp_path: Path, text: str | None, words: list[str]
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('it was run')\n")
    if text is not None:
        (tmp_path / "mine.yaml").write_text(text)
    before = snapshot(tmp_path)
    assert_refused(metarl("train", "--config", "mine.yaml"), *words)
    assert snapshot(tmp_path) == before


def test_training_begins_from_what_another_run_has_learned(metarl: Command, run: Path) -> None:
    begun = metarl(*train_arguments("begun", iterations=1), "--from", "run")
    assert begun.code == 0, begun
    config = config_from(run / "config.yaml", None, None, {}, {}, {})
    theirs = checkpoint_of(run / "checkpoints", config)
    # what was learned is there before the first iteration, as a checkpoint of its own
    folder = run.parent / "begun"
    assert (folder / "checkpoints/iteration-000000.json").exists()
    (folder / "checkpoints/iteration-000001.json").unlink()
    start = checkpoint_of(folder / "checkpoints", config)
    assert start.iteration == 0
    for name, tensor in theirs.state["policy"].items():
        assert torch.equal(start.state["policy"][name], tensor)
    # the optimiser begins anew
    assert not any(torch.any(moment) for moment in start.state["optimiser"]["exp_avg"].values())
    assert yaml.safe_load((folder / "config.yaml").read_text())["began_from"] == {"run": "run", "iteration": 4}


def test_a_run_that_began_from_another_goes_on_without_it(metarl: Command, run: Path) -> None:
    for out in ("straight", "stopped"):
        begun = metarl(*train_arguments(out, iterations=3), "--from", "run", "--checkpoint-every", "9")
        assert begun.code == 0
    stopped = run.parent / "stopped"
    shutil.rmtree(run)
    for path in (stopped / "checkpoints").glob("iteration-000003.*"):  # as if killed within its first iteration
        path.unlink()
    (stopped / "metrics.jsonl").unlink()
    assert metarl("resume", "stopped").code == 0
    assert numbers(stopped) == numbers(run.parent / "straight")
    assert yaml.safe_load((stopped / "config.yaml").read_text())["began_from"]["run"] == "run"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--algo.hidden", "9"], ["policy/", "choose the same"]),
        (["--from", "nowhere"], ["no run at nowhere"]),
    ],
)
def test_what_another_run_has_learned_must_fit(
    metarl: Command, tmp_path: Path, run: Path, options: list[str], words: list[str]
) -> None:
    before = snapshot(tmp_path)
    assert_refused(metarl(*train_arguments("begun"), "--from", "run", *options), *words)
    assert snapshot(tmp_path) == before


def test_a_name_is_part_of_the_default_folder_alone(metarl: Command, tmp_path: Path) -> None:
    *arguments, _, _ = train_arguments("ignored", iterations=1)
    for _ in range(2):
        assert metarl(*arguments, "--name", "slow feet").code == 0
    home = tmp_path / "runs/point-nav/maml-vpg"
    assert sorted(path.name for path in home.iterdir()) == ["slow-feet-seed-0", "slow-feet-seed-0-2"]
    assert_refused(metarl(*train_arguments("there"), "--name", "slow"), "--name is for the default folder")


def test_quiet_says_nothing(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("run", iterations=1), "--quiet") == (0, "", "")
    assert metarl("resume", "run", "--iterations", "2", "--quiet") == (0, "", "")


def test_the_version_is_said(metarl: Command) -> None:
    from importlib.metadata import version

    assert metarl("--version") == (0, f"metarl {version('metarl')}\n", "")


def test_python_resumes_and_iterates_as_the_command_does(
    metarl: Command, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"tasks": 2, "lanes": 3, "threads": 1, "torch_threads": 1, "checkpoint_every": 5, "iterations": 4}
    more = {"env": {"horizon": 5}, "algo": {"hidden": [8]}}
    capsys.readouterr()
    steps = library.iterate("point-nav", "maml-vpg", out="stepped", **options, **more)
    seen = [next(steps), next(steps)]
    steps.close()  # who stops reading stops training, and the last iteration is saved
    assert (run.parent / "stepped/checkpoints/iteration-000002.json").exists()
    resumed = library.resume("stepped")
    assert [line["iteration"] for line in resumed.metrics] == [1, 2, 3, 4]
    assert numbers(run.parent / "stepped") == numbers(run)
    lines = [json.loads(line) for line in (run.parent / "stepped/metrics.jsonl").read_text().splitlines()]
    assert seen == lines[:2]
    assert capsys.readouterr().out == ""


def test_the_folder_is_free_again_where_a_reader_of_iterations_fails(metarl: Command, run: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        for step in library.iterate(config="run/config.yaml", out="read"):
            print(1 / (step["iteration"] - 2))
    assert len(library.resume("read").metrics) == 4


def test_iterate_refuses_at_once(metarl: Command) -> None:
    with pytest.raises(library_error(), match="point-nva"):
        library.iterate("point-nva")


def library_error() -> type[Exception]:
    from metarl.runtime.errors import InputError

    return InputError
