"""What can be wrong with a run's folder, and what is then said and done."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.command import Command, assert_refused, end_result, snapshot, train_arguments


def make_file(path: Path) -> None:
    path.write_text("something of mine")


def make_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("months of work")


@pytest.mark.parametrize(
    ("make", "out", "words"),
    [
        (make_full_folder, "there", ["there is not empty", "choose another --out"]),
        (make_file, "there", ["there cannot be a folder", "choose another --out"]),
        (make_file, "there/run", ["there/run cannot be a folder", "choose another --out"]),
    ],
    ids=["a folder with something else", "a file", "below a file"],
)
def test_training_never_touches_what_is_already_there(
    metarl: Command, tmp_path: Path, make: Callable[[Path], None], out: str, words: list[str]
) -> None:
    make(tmp_path / "there")
    before = snapshot(tmp_path)
    assert_refused(metarl(*train_arguments(out)), *words)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("out", ["/proc/run", "/sys/run", "x" * 300], ids=["/proc", "/sys", "a name too long"])
def test_a_folder_that_the_file_system_refuses_is_a_storage_error(metarl: Command, tmp_path: Path, out: str) -> None:
    assert_refused(metarl(*train_arguments(out)), out, code=5)
    assert not any(tmp_path.iterdir())


def test_a_run_is_not_overwritten(metarl: Command, tmp_path: Path, run: Path) -> None:
    before = snapshot(tmp_path)
    assert_refused(metarl(*train_arguments("run", iterations=5)), "run is not empty", "metarl resume run")
    assert snapshot(tmp_path) == before


def test_without_out_every_run_gets_a_folder_of_its_own_and_resume_takes_the_newest(
    metarl: Command, tmp_path: Path
) -> None:
    *arguments, _, _ = train_arguments("ignored", iterations=1)
    for _ in range(2):
        assert metarl(*arguments).code == 0
    home = tmp_path / "runs" / "point-nav" / "maml-vpg"
    assert sorted(path.name for path in home.iterdir()) == ["seed-0", "seed-0-2"]
    first = snapshot(home / "seed-0")
    assert metarl(*arguments, "--iterations", "2", "--resume").code == 0
    assert snapshot(home / "seed-0") == first
    assert end_result(home / "seed-0-2")[1] == "iteration-000002.json"


@pytest.mark.parametrize("out", [["--out", "nowhere"], []], ids=["--out", "default"])
def test_there_must_be_something_to_resume(metarl: Command, tmp_path: Path, out: list[str]) -> None:
    *arguments, _, _ = train_arguments("ignored")
    assert_refused(metarl(*arguments, *out, "--resume"), "nowhere" if out else "nothing to resume")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--seed", "1"], ["train.seed is 1, there it is 0"]),
        (["--tasks", "3"], ["train.tasks is 3, there it is 2"]),
        (["--torch-threads", "2"], ["train.torch_threads is 2, there it is 1"]),
        (["--env.horizon", "6"], ["env.horizon is 6, there it is 5"]),
        (["--algo.inner-lr", "0.2"], ["algo.inner_lr is 0.2, there it is 0.1"]),
        (["--iterations", "3"], ["has trained 4 iterations", "--iterations 4"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("--") else "",
)
def test_a_run_is_not_resumed_as_another_one(
    metarl: Command, tmp_path: Path, run: Path, change: list[str], words: list[str]
) -> None:
    before = snapshot(tmp_path)
    assert_refused(metarl(*train_arguments("run", iterations=5), "--resume", *change), *words)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("environment", "algorithm"), [("half-cheetah-dir", "maml-vpg"), ("point-nav", "maml-ppo")])
def test_a_run_is_not_resumed_with_another_environment_or_algorithm(
    metarl: Command, tmp_path: Path, run: Path, environment: str, algorithm: str
) -> None:
    before = snapshot(tmp_path)
    arguments = train_arguments("run", 5, environment, algorithm)
    changed = environment if algorithm == "maml-vpg" else algorithm
    assert_refused(metarl(*arguments, "--resume"), "run holds another run", changed)
    assert snapshot(tmp_path) == before


def test_what_only_says_where_and_how_long_may_change_on_resume(metarl: Command, run: Path) -> None:
    changes = ["--threads", "2", "--checkpoint-every", "2", "--keep-checkpoints", "2", "--device", "cpu"]
    assert metarl(*train_arguments("run", iterations=6), "--resume", *changes).code == 0
    checkpoints = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert [name for name in checkpoints if name.endswith(".json")] == [
        "iteration-000004.json",
        "iteration-000006.json",
    ]


def test_resuming_a_finished_run_changes_no_result(metarl: Command, run: Path) -> None:
    before = end_result(run)
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    assert end_result(run) == before


def no_run(path: Path) -> None:
    shutil.rmtree(path)


def a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no folder")


def no_config(path: Path) -> None:
    (path / "config.yaml").unlink()


def config_with(text: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / "config.yaml").write_bytes(text)

    return damage


def config_field(room: str, name: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        config = yaml.safe_load((path / "config.yaml").read_text())
        config[room] = config[room] | {name: value} if name else value
        (path / "config.yaml").write_text(yaml.safe_dump(config))

    return damage


def config_is_a_folder(path: Path) -> None:
    no_config(path)
    (path / "config.yaml").mkdir()


BROKEN = {
    "missing": (no_run, ["no run at run", "does not exist"]),
    "a file": (a_file, ["no run at run", "it is a file"]),
    "without config": (no_config, ["no run at run", "no config.yaml"]),
    "config is a folder": (config_is_a_folder, ["run/config.yaml cannot be read"]),
    "config is empty": (config_with(b""), ["run/config.yaml is not the config of a run"]),
    "config is no YAML": (config_with(b"a: [1, 2\nb: {"), ["run/config.yaml cannot be read", "YAML"]),
    "config is binary": (config_with(bytes(range(256))), ["run/config.yaml cannot be read"]),
    "config is a list": (config_with(b"- 1\n- 2\n"), ["run/config.yaml is not the config of a run"]),
    "config is another program's": (config_with(b"train: yes\n"), ["is not the config of a run"]),
    "options are no table": (config_field("train", "", 5), ["is not the config of a run"]),
}
BROKEN_OPTIONS = {
    "a word for a number": (config_field("train", "tasks", "many"), ["TrainConfig.tasks is 'many'"]),
    "a NaN": (config_field("algo", "inner_lr", float("nan")), ["algo.inner_lr is nan"]),
    "an unknown field": (config_field("algo", "inner_rl", 0.1), ["inner_rl", "did you mean 'inner_lr'?"]),
    "an unknown environment": (config_field("environment", "", "point-nva"), ["'point-nav'"]),
    "an unknown algorithm": (config_field("algorithm", "", "maml-vpq"), ["'maml-vpg'"]),
}


@pytest.mark.parametrize("job", ["resume", "evaluate"])
@pytest.mark.parametrize(("damage", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_run_is_refused_in_one_line_and_left_as_it_is(
    metarl: Command, tmp_path: Path, run: Path, job: str, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(run)
    before = snapshot(tmp_path)
    arguments = ["evaluate", "run"] if job == "evaluate" else [*train_arguments("run", 5), "--resume"]
    assert_refused(metarl(*arguments), *words)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("damage", "words"), BROKEN_OPTIONS.values(), ids=BROKEN_OPTIONS.keys())
def test_an_impossible_option_in_the_config_of_a_run_is_named_and_the_run_left_as_it_is(
    metarl: Command, tmp_path: Path, run: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(run)
    before = snapshot(tmp_path)
    assert_refused(metarl("evaluate", "run"), *words)
    assert_refused(metarl(*train_arguments("run", 5), "--resume"), "run holds another run")
    assert snapshot(tmp_path) == before


def test_lost_metrics_are_said_and_do_not_stop_a_run(
    metarl: Command, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "metrics.jsonl").unlink()
    assert metarl(*train_arguments("run", iterations=4), "--resume").code == 0
    assert "metrics.jsonl has 0 of the 4 iterations done" in caplog.text


def test_a_run_that_went_on_from_a_checkpoint_is_not_begun_again_whatever_its_metrics_say(
    metarl: Command, tmp_path: Path
) -> None:
    # Six of six iterations are on record, and the first checkpoint would be due after the ninth; but it had others.
    assert metarl(*train_arguments("run", iterations=4)).code == 0
    often = metarl(*train_arguments("run", iterations=6), "--checkpoint-every", "9", "--resume")
    assert often.code == 0
    shutil.rmtree(tmp_path / "run/checkpoints")
    (tmp_path / "run/checkpoints").mkdir()
    before = snapshot(tmp_path)
    for arguments in (["evaluate", "run"], [*train_arguments("run", iterations=7), "--resume"]):
        assert_refused(metarl(*arguments), "run has lost its checkpoints, of 6 iterations", code=5)
    assert snapshot(tmp_path) == before


def test_a_folder_in_the_place_of_the_metrics_is_a_storage_error(metarl: Command, run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    code, _, err = metarl(*train_arguments("run", iterations=5), "--resume")
    assert code == 5
    assert err.startswith("metarl: error: run/metrics.jsonl cannot be read") and err.count("\n") == 1


@pytest.mark.parametrize(
    "full_at", ["config.yaml", "metrics.jsonl", "iteration-000003.safetensors", "iteration-000003.json"]
)
def test_a_full_disk_ends_the_run_in_one_line_and_it_resumes_to_the_same_end(
    metarl: Command, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    def fsync(file: int) -> None:
        name = os.readlink(f"/proc/self/fd/{file}")
        done = len(list((tmp_path / "run").glob("checkpoints/iteration-*.json")))
        is_meant = name.endswith(f"/{full_at}") or f"/.{full_at}." in name  # in place, or aside
        if is_meant and (done >= 2 or "config" in name):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", fsync)
        code, _, err = metarl(*train_arguments("run", iterations=4))
    assert code == 5
    assert "No space left on device" in err and " — " in err and err.count("\n") == 1
    assert not list((tmp_path / "run").rglob(".*.partial"))

    resume = ["--resume"] if full_at != "config.yaml" else []
    assert metarl(*train_arguments("run", iterations=4), *resume).code == 0
    assert end_result(tmp_path / "run") == end_result(finished_run)


def test_a_folder_may_have_any_name(metarl: Command, tmp_path: Path) -> None:
    out = "läufe/目录 mit leerzeichen/[/b]:smile:/a'b"
    done = metarl(*train_arguments(out, iterations=1))
    assert done.code == 0, done
    assert f"metrics:     {out}/metrics.jsonl\n" in done.out
    done = metarl("evaluate", out, "--tasks", "2", "--adaptations", "1")
    assert done.code == 0 and f"written: {out}/evaluation.json\n" in done.out
    assert (tmp_path / out / "evaluation.json").is_file()


def test_an_environment_may_lie_in_any_file(metarl: Command, tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30) / "ünïcode [b]"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / "support" / "user_environments.py", folder / "mine.py")
    *arguments, _, _ = train_arguments("ignored", 1, f"{folder / 'mine.py'}:Line")
    horizon = arguments.index("--env.horizon")
    done = metarl(*arguments[:horizon], *arguments[horizon + 2 :])
    assert done.code == 0, done
    (config,) = tmp_path.glob("runs/*/*/*/config.yaml")
    assert metarl("evaluate", config.parent, "--tasks", "2", "--trust").code == 0
