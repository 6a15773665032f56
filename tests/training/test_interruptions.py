"""However often and wherever a run is killed, resumed it ends as if it never was: bit for bit."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import end_result, numbers, train_arguments
from support.processes import Job, Sabotage, WithinSave

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


def lines_of(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


CALLS_OF_A_SAVE = 18  # of the operating system, until both of a checkpoint's files are safe


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(tmp_path: Path, seed: int) -> None:
    # Twenty kills in all: eight before a random call within the writing of a checkpoint, which the log says, the others
    # at random moments.
    run, rng, log = tmp_path / "run", random.Random(seed), tmp_path / "log"
    algorithm = list(ALGORITHMS)[seed % 2]
    within = rng.sample(range(5), 2)
    for kill in range(5):
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        command = [*arguments(run, algorithm, iterations=100_000, every=rng.choice((1, 2))), *resume]
        if kill in within:
            moment = WithinSave(rng.randint(1, 3), rng.randint(1, CALLS_OF_A_SAVE))
            job = Job(command, log, moment)
        else:
            job, lines = Job(command, log), lines_of(run) + rng.randint(0, 5)
            job.wait_for(lambda run=run, lines=lines: lines_of(run) >= lines)
            time.sleep(rng.uniform(0, 0.05))
            job.send(signal.SIGKILL)
        assert job.end() == -signal.SIGKILL, log.read_text()
    assert log.read_text().count("killed within the writing of a checkpoint") == 2

    done = max([0, *(line["iteration"] for line in numbers(run))])
    train(run, algorithm, "--resume", iterations=done + 2)
    train(tmp_path / "whole", algorithm, iterations=done + 2)
    assert_whole(run, done + 2)
    assert end_result(run) == end_result(tmp_path / "whole")


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
    job.wait_for(lambda: lines_of(run) >= 3)
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
    job.wait_for(lambda: lines_of(run) >= 3)
    for _ in range(3):
        job.send(signal.SIGINT)
    assert job.end(timeout=5) == 130
    train(run, "promp", "--resume", iterations=ITERATIONS)
    assert_whole(run)
