"""A run divided over ranks is the run of one process: tasks, data and parameters; and no rank outlives another."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from support.command import Command, metarl, numbers
from support.processes import Job
from support.ranked import Ranks, environment_of_rank

from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.presets import default_config
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.training.loop import set_new_tasks
from metarl.training.ranks import threads_of_rank
from metarl.training.setup import set_up

__all__ = ["metarl"]
ROOT = Path(__file__).parents[2]
ITERATIONS = 5
OWN = "support.undivided:Undivided"
ALGORITHMS = {
    "maml-trpo": ["--normalise-observations"],
    "promp": ["--algo.adaptive-kl", "--algo.kl-coefficient", "0.1", "--algo.target-kl", "1e-5"],
    "reptile": [],
    "e-maml": [],
    "rl2": ["--normalise-observations"],
    "varibad": ["--algo.replay-size", "2000", "--algo.decoder-hidden", "8"],
    "pearl": ["--algo.replay-size", "2000", "--algo.rounds", "2"],
    "recurrent-sac": ["--algo.replay-size", "2000", "--algo.memory-size", "8"],
}


def train_arguments(algorithm: str, *more: str, iterations: int = ITERATIONS, out: str = "run") -> list[str]:
    sizes = ["--tasks", "4", "--lanes", "3", "--env.horizon", "10", "--threads", "1", "--torch-threads", "1"]
    names = ["train", "point-nav", algorithm, "--iterations", str(iterations), "--out", out, "--algo.hidden", "8"]
    return [*names, *sizes, *ALGORITHMS[algorithm], *more]


def parameters(run: Path) -> torch.Tensor:
    """All that the last checkpoint holds, as one vector in double."""
    tensors = safetensors.torch.load_file(max((run / "checkpoints").glob("*.safetensors")))
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def alone(folder: Path, algorithm: str) -> Path:
    folder.mkdir(exist_ok=True)
    job = Job(train_arguments(algorithm, out=str(folder / "run")), folder / "log")
    assert job.end() == 0, job.log.read_text()
    return folder / "run"


def assert_alike(run: Path, reference: Path) -> None:
    ours, theirs = parameters(run), parameters(reference)
    assert (ours - theirs).norm() / theirs.norm() < 1e-5
    assert [line.keys() for line in numbers(run)] == [line.keys() for line in numbers(reference)]
    for line, other in zip(numbers(run), numbers(reference), strict=True):
        assert line == pytest.approx(other, rel=1e-4, abs=1e-6)
    first, same = numbers(run)[0], numbers(reference)[0]
    for name in ("return/round_0", "env_steps", "sampling/diverged"):  # nothing was learned yet: the very same data
        assert first[name] == same[name]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_several_ranks_train_like_one_and_the_first_alone_writes(tmp_path: Path, algorithm: str) -> None:
    reference = alone(tmp_path, algorithm)
    for world_size in (2, 4) if algorithm == "maml-trpo" else (4,):
        ranks = Ranks(world_size, train_arguments(algorithm), tmp_path / str(world_size))
        assert ranks.end() == [0] * world_size, ranks.log()
        assert_alike(ranks.folder / "rank-0" / "run", reference)
        for other in range(1, world_size):
            assert list((ranks.folder / f"rank-{other}").iterdir()) == []
            assert (ranks.folder / f"log-{other}").read_text() == ""


def test_a_block_of_tasks_is_met_as_within_the_whole_bit_for_bit() -> None:
    defaults = default_config("point-nav", "maml-trpo")
    train = TrainConfig(tasks=4, lanes=3, threads=1, torch_threads=1)
    setups = [set_up(RunConfig("point-nav", "maml-trpo", train, defaults.env, defaults.algo), n) for n in (4, 2, 2)]
    state, address = setups[0].initial_state(Address(0)), Address(1)
    trials = []
    for setup, first_task in zip(setups, (0, 0, 2), strict=True):
        set_new_tasks(setup.env, address, first_task=first_task)
        trials.append(collect(setup.env, setup.algorithm, state, 2, address, first_task))
    whole, *blocks = (trial.rollouts for trial in trials)
    for round_ in range(2):
        for field in whole[round_]._fields:
            parts = torch.cat([getattr(block[round_], field) for block in blocks])
            assert torch.equal(getattr(whole[round_], field), parts), (round_, field)


def test_a_run_may_be_resumed_with_another_number_of_ranks(tmp_path: Path) -> None:
    reference = alone(tmp_path / "reference", "promp")
    ranks = Ranks(2, train_arguments("promp", iterations=2), tmp_path)
    assert ranks.end() == [0, 0], ranks.log()
    ranks = Ranks(4, train_arguments("promp", "--resume", iterations=4), tmp_path)
    assert ranks.end() == [0] * 4, ranks.log()
    run = tmp_path / "rank-0" / "run"
    job = Job(train_arguments("promp", "--resume", out=str(run)), tmp_path / "log")
    assert job.end() == 0, job.log.read_text()
    assert_alike(run, reference)


def finished(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_others_and_costs_nothing_that_was_finished(tmp_path: Path, victim: int) -> None:
    every = ["--checkpoint-every", "2" if victim == 0 else "100000"]
    ranks = Ranks(2, train_arguments("maml-trpo", *every, iterations=100_000), tmp_path)
    run = tmp_path / "rank-0" / "run"
    ranks.wait_for(lambda: finished(run) >= 4)
    ranks.processes[victim].kill()
    codes = ranks.end(timeout=30)
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] == 143, (codes, ranks.log())
    line = (tmp_path / f"log-{1 - victim}").read_text().splitlines()[-1]
    lost = "another rank has ended — see what it said, then add --resume to go on"
    assert line == f"metarl: error: rank {1 - victim}: {lost}"
    done = int(max((run / "checkpoints").glob("*.json")).stem.removeprefix("iteration-"))
    assert done >= finished(run) - (0 if victim else 2)
    arguments = train_arguments("maml-trpo", "--resume", iterations=done + 1, out=str(run))
    job = Job(arguments, tmp_path / "log")
    assert job.end() == 0, job.log.read_text()
    assert [line["iteration"] for line in numbers(run)] == list(range(1, done + 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "point-nav", "--tasks", "3"], "--tasks is 3, which 2 ranks cannot share — give a multiple of 2"),
        (["train", "point-nav", OWN], f"{OWN} does not divide its tasks over ranks — train it without torchrun"),
        (["train", "sinusoid"], "labelled data do not divide over ranks — train without torchrun"),
    ],
)
def test_what_ranks_cannot_share_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    ranks = Ranks(2, arguments, tmp_path)
    assert ranks.end() == [2, 2], ranks.log()
    for rank in range(2):
        assert (tmp_path / f"log-{rank}").read_text() == f"metarl: error: rank {rank}: {words}\n"
        assert list((tmp_path / f"rank-{rank}").iterdir()) == []


def test_only_training_is_divided(metarl: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of_rank(1, 2, 0).items():
        monkeypatch.setenv(name, value)
    result = metarl("list")
    assert (result.code, result.out) == (2, "")
    assert result.err == "metarl: error: rank 1: torchrun is for metarl train and resume — run this without it\n"


def test_the_ranks_of_a_machine_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_of_rank(16) == 16
    monkeypatch.setattr("metarl.training.ranks.world_size", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # two such machines
    assert [threads_of_rank(threads) for threads in (16, 6, 1)] == [4, 1, 1]


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A long run by two processes of torchrun itself; ended with all it started."""
    arguments = train_arguments("maml-trpo", "--checkpoint-every", "100000", iterations=100_000)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with open(tmp_path / "log", "wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen(
            [*command, "-m", "metarl", *arguments], cwd=tmp_path, stdout=log, stderr=log, env=environment
        )
    yield process
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)
    process.kill()
    process.wait()


def children(pid: int) -> list[int]:
    return [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
        if b"torchrun" not in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("ended_by", ["kill of a rank", "SIGTERM of torchrun"])
def test_torchrun_ends_within_thirty_seconds_and_the_run_goes_on(
    tmp_path: Path, torchrun: "subprocess.Popen[bytes]", ended_by: str
) -> None:
    run, log, deadline = tmp_path / "run", tmp_path / "log", time.monotonic() + 90
    while finished(run) < 3:
        assert torchrun.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    ranks = children(torchrun.pid)
    assert len(ranks) == 2
    if ended_by == "kill of a rank":
        os.kill(ranks[1], signal.SIGKILL)
    else:
        torchrun.send_signal(signal.SIGTERM)
    try:
        torchrun.wait(timeout=30)
    except subprocess.TimeoutExpired:
        for number in children(torchrun.pid):
            os.kill(number, signal.SIGABRT)  # says where it stands
        torchrun.wait(timeout=30)
        pytest.fail(f"not within thirty seconds:\n{log.read_text()}")
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks), log.read_text()
    (checkpoint,) = (run / "checkpoints").glob("*.json")
    done = int(checkpoint.stem.removeprefix("iteration-"))
    assert done >= finished(run) - 1
    job = Job(train_arguments("maml-trpo", "--resume", iterations=done + 1, out=str(run)), log)
    assert job.end() == 0, log.read_text()
