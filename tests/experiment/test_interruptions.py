"""However often and wherever a run is killed, resumed it ends as if it never was: bit for bit."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from experiment.command import end_result, numbers, train_arguments
from experiment.processes import Job, Sabotage

ITERATIONS = 6
# small batches: what is tested is what goes from one iteration to the next
ALGORITHMS = {
    "maml-trpo": ["--algo.cg-iterations", "2", "--algo.max-backtracks", "3"],
    "promp": ["--algo.epochs", "1", "--algo.adaptive-kl", "--algo.kl-coefficient", "0.1"],
}


def arguments(out: Path, algorithm: str, iterations: int = ITERATIONS, every: int = 2) -> list[str]:
    command = train_arguments(out, iterations, algorithm=algorithm)
    return [*command, *ALGORITHMS[algorithm], "--checkpoint-every", str(every)]


def train(out: Path, algorithm: str, *more: str, iterations: int = ITERATIONS) -> None:
    job = Job([*arguments(out, algorithm, iterations), *more], out.parent / "log")
    assert job.end() == 0, job.log.read_text()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run that an algorithm makes when nobody disturbs it."""
    folder, runs = tmp_path_factory.mktemp("uninterrupted"), {}

    def run(algorithm: str) -> Path:
        if algorithm not in runs:
            runs[algorithm] = folder / algorithm
            train(runs[algorithm], algorithm)
        return runs[algorithm]

    return run


def assert_whole(run: Path, iterations: int = ITERATIONS) -> None:
    """One line for each iteration, in order."""
    assert [line["iteration"] for line in numbers(run)] == list(range(1, iterations + 1))


def has_iterations(run: Path, least: int) -> bool:
    metrics = run / "metrics.jsonl"
    return metrics.exists() and metrics.read_bytes().count(b"\n") >= least


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(
    tmp_path: Path, uninterrupted: Callable[[str], Path], algorithm: str
) -> None:
    run, delays = tmp_path / "run", random.Random(20)
    for kill in range(4):
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        job = Job([*arguments(run, algorithm, every=1 + kill % 2), *resume], tmp_path / "log")
        job.wait_for((run / "config.yaml").exists)
        time.sleep(delays.uniform(0.05, 0.35))
        job.send(signal.SIGKILL)
        assert job.end() in (-signal.SIGKILL, 0)
    train(run, algorithm, "--resume")
    assert_whole(run)
    assert end_result(run) == end_result(uninterrupted(algorithm))


@pytest.mark.parametrize(
    "sabotage",
    [
        ("halfway", "replace", "config.yaml"),
        ("after", "replace", "config.yaml"),
        ("before", "replace", "metrics.jsonl"),
        ("halfway", "replace", "iteration-000004.safetensors"),
        ("before", "replace", "iteration-000004.safetensors"),
        ("after", "replace", "iteration-000004.safetensors"),
        ("halfway", "replace", "iteration-000004.json"),
        ("before", "replace", "iteration-000004.json"),
        ("after", "replace", "iteration-000004.json"),
        ("after", "unlink", "iteration-000002.json"),
    ],
    ids=lambda sabotage: "-".join(sabotage),
)
def test_a_kill_in_the_middle_of_writing_costs_nothing(
    tmp_path: Path, uninterrupted: Callable[[str], Path], sabotage: Sabotage
) -> None:
    run = tmp_path / "run"
    keep = ["--keep-checkpoints", "1"]
    job = Job([*arguments(run, "promp"), *keep], tmp_path / "log", sabotage)
    assert job.end() == -signal.SIGKILL, job.log.read_text()
    resume = ["--resume"] if (run / "config.yaml").exists() else []
    train(run, "promp", *keep, *resume)
    assert_whole(run)
    assert end_result(run) == end_result(uninterrupted("promp"))


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "hung up")],
)
def test_an_interrupted_run_ends_soon_saves_what_it_has_and_goes_on(
    tmp_path: Path, number: int, code: int, word: str
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    job = Job(arguments(run, "promp", iterations=100_000, every=100_000), tmp_path / "log")
    job.wait_for(lambda: has_iterations(run, 3))
    job.send(number)
    assert job.end(timeout=5) == code
    assert job.log.read_text().splitlines()[-1] == f"metarl: error: {word} — add --resume to go on"
    assert "Traceback" not in job.log.read_text()

    (manifest,) = (run / "checkpoints").glob("*.json")
    done = int(manifest.stem.removeprefix("iteration-"))
    assert done >= 2  # the iteration that was under way when the signal came does not count
    train(run, "promp", "--resume", iterations=done + 2)
    train(whole, "promp", iterations=done + 2)
    assert_whole(run, done + 2)
    assert end_result(run) == end_result(whole)


def test_a_signal_in_the_midst_of_torch_func_breaks_nothing(tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    job = Job(arguments(run, "promp", every=100), tmp_path / "log", signal.SIGTERM)
    assert job.end() == 143, job.log.read_text()
    assert job.log.read_text().splitlines()[-1] == "metarl: error: terminated — add --resume to go on"
    train(run, "promp", "--resume")
    train(whole, "promp")
    assert end_result(run) == end_result(whole)


def test_an_impatient_user_loses_at_most_what_was_not_saved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    job = Job(arguments(run, "promp", iterations=100_000), tmp_path / "log")
    job.wait_for(lambda: has_iterations(run, 3))
    for _ in range(3):
        job.send(signal.SIGINT)
    assert job.end(timeout=5) == 130
    train(run, "promp", "--resume", iterations=ITERATIONS)
    assert_whole(run)
