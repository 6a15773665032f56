"""Lanes in this process and in workers: the same numbers; and however they fail, a name and no process left behind."""
# ruff: noqa: F811 (a fixture is imported, and asked for by its name)

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from support.command import numbers
from support.gymnasium_families import family, folder, lane_seed  # noqa: F401
from support.processes import CONTEXT, Job, _work

import envs
from envs import TaskDistribution, Uniform, gymnasium_tasks
from envs.adapters.gymnasium_tasks import GymnasiumConfig, LaneFailed


def test_results_do_not_depend_on_the_number_of_processes() -> None:
    actions = np.random.default_rng(3).uniform(-2.0, 2.0, (8, 15, 2))
    runs = []
    for processes in (0, 1, 2, 7):
        env = family("Drift")(5, 3, GymnasiumConfig(processes=processes))
        assert len(multiprocessing.active_children()) == {7: 5}.get(processes, processes)  # 15 lanes, 3 in a worker
        run = [env.reset(seed=1)[0]]
        for step, action in enumerate(actions):
            if step == 4:
                env.set_tasks(env.sample_tasks(8))
                run.append(env.reset(options={"reset_mask": np.arange(15) % 4 == 0})[0])
            run += env.step(action)[:4]
        runs.append(run)
        env.close()
    for run in runs[1:]:
        for array, expected in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("processes", [0, 2])
def test_closing_closes_every_environment_but_waits_for_none_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    closed = tmp_path / "closed"

    class Closing(gymnasium.Env[Any, Any]):
        observation_space = action_space = gymnasium.spaces.Discrete(2)
        hangs = False

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return 0, {}

        def close(self) -> None:
            with closed.open("a") as file:
                file.write("x")
            time.sleep(1000 * self.hangs)

    def set_task(env: Any, task: dict[str, Any]) -> None:
        env.hangs = task["x"] == 2.0

    make = gymnasium_tasks(Closing, TaskDistribution(x=Uniform(0, 1)), set_task=set_task, horizon=3)
    env = make(3, 2, GymnasiumConfig(processes=processes))
    closed.unlink()  # one was built to look at its spaces
    env.reset(seed=0)
    env.close(), env.close()
    assert closed.read_text() == 6 * "x"
    if processes:
        monkeypatch.setattr("envs.adapters.workers.GRACE", 0.2)
        env = make(3, 2, GymnasiumConfig(processes=processes))
        env.set_tasks({"x": [2.0, 0.0, 0.0]})
        env.reset(seed=0)
        env.close()
    assert multiprocessing.active_children() == []


DEEDS = {
    "raising": "Bomb raised Peculiar: the fuse is out at ",
    "exiting": r"Bomb ended its worker process \(exit code 3\) at ",
    "hanging": "Bomb took more than 1 s at ",
}


@pytest.mark.parametrize(
    ("way", "processes"),
    [("raising", 0), ("raising", 1), ("raising", 2), ("exiting", 2), ("hanging", 1), ("hanging", 2)],
)
def test_a_lane_that_fails_is_named_and_no_worker_stays(way: str, processes: int) -> None:
    env = family(way)(4, 2, GymnasiumConfig(processes=processes, timeout=1.0 if way == "hanging" else 60.0))
    env.set_tasks({"fuse": [9, 9, 3, 9]})
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(8, int))
    start = time.monotonic()
    with pytest.raises(LaneFailed, match=DEEDS[way]) as failure:
        env.step(np.zeros(8, int))
    assert time.monotonic() - start < 10.0
    assert str(failure.value).endswith("at task 2, lane 0, step 3")
    assert multiprocessing.active_children() == []
    (note,) = failure.value.__notes__
    assert f"The lane's task: {{'fuse': 3}}; it was reset with seed={lane_seed(0, env, 4)}." in note
    assert ("in explode\n    raise Peculiar" in note) == (way == "raising")
    env.close(), env.close()
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.reset()


def test_a_failure_at_a_reset_says_so() -> None:
    def refuse(env: Any, task: dict[str, Any]) -> None:
        if task["length"] > 0.9:
            raise ValueError("too long")

    law = TaskDistribution(length=Uniform(0.25, 1.0))
    env = gymnasium_tasks("CartPole-v1", law, set_task=refuse)(2, 1)
    env.set_tasks({"length": [0.5, 0.95]})
    with pytest.raises(LaneFailed, match="CartPole-v1 raised ValueError: too long at task 1, lane 0, its reset"):
        env.reset(seed=0)


def test_a_worker_that_something_else_killed_is_named_by_its_lanes() -> None:
    env = family("CartPoleLengths")(3, 2, GymnasiumConfig(processes=2))
    env.reset(seed=0)
    worker = env._workers.processes[1]
    worker.kill()
    worker.join()
    with pytest.raises(LaneFailed, match=r"CartPole-v1 ended its worker process \(SIGKILL\) between .* lanes 3 to 5$"):
        env.step(np.zeros(6, int))
    assert multiprocessing.active_children() == []


def test_workers_end_with_the_environment_that_nobody_closed() -> None:
    env = family("Drift")(2, 1, GymnasiumConfig(processes=2))
    env.reset(seed=0)
    assert len(multiprocessing.active_children()) == 2
    del env
    assert multiprocessing.active_children() == []


class Running(Job):
    """A running `metarl` command that may have children of its own."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.log = log
        self.process = CONTEXT.Process(target=_work, args=(arguments, str(log), None, None, True), daemon=False)
        self.process.start()


def train_command(folder: Path, name: str, out: Path, *more: str) -> list[str]:
    sizes = ["--tasks", "3", "--lanes", "2", "--torch-threads", "1", "--algo.hidden", "8"]
    return ["train", f"{folder / 'families.py'}:{name}", *sizes, "--out", str(out), *more]


@pytest.mark.parametrize(("way", "trace"), [("raising", "raise Peculiar("), ("exiting", ""), ("hanging", "in explode")])
def test_a_failing_environment_ends_the_command_with_its_name(
    folder: Path, tmp_path: Path, way: str, trace: str
) -> None:
    timeout = ["--env.timeout", "1"] if way == "hanging" else []
    arguments = train_command(folder, way, tmp_path / "run", "--env.processes", "2", *timeout)
    job = Running(arguments, tmp_path / "log")
    assert job.end(timeout=30) == 4, job.log.read_text()  # and no process of its group is left
    *before, last = job.log.read_text().splitlines()
    pattern = (
        f"metarl: error: BombTasks raised LaneFailed at step 2: {DEEDS[way]}task [0-2], lane [01], step 2 — repair"
    )
    assert re.match(pattern, last), last
    assert trace in "\n".join(before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_processes_ends_the_command_as_ever(
    folder: Path, tmp_path: Path, number: int, code: int
) -> None:
    run = tmp_path / "run"
    more = ("--env.processes", "2", "--env.horizon", "5", "--iterations", "100000")
    job = Running(train_command(folder, "CartPoleLengths", run, *more), tmp_path / "log")
    job.wait_for(lambda: (run / "metrics.jsonl").exists() and bool((run / "metrics.jsonl").read_bytes()))
    assert job.process.pid is not None
    os.killpg(job.process.pid, number)  # as a terminal does
    assert job.end(timeout=10) == code, job.log.read_text()
    assert "Traceback" not in job.log.read_text()


def test_workers_do_not_outlive_an_owner_that_is_killed(folder: Path) -> None:
    """Even a worker in the midst of a step that never ends."""
    script = """
import multiprocessing, threading, families, numpy
env = families.hanging(2, 1, families.GymnasiumConfig(processes=2))
env.set_tasks({"fuse": [0, 9]})
env.reset(seed=0)
print("ready", flush=True)
env.step(numpy.zeros(2, int))
"""
    path = os.pathsep.join([str(folder), str(Path(envs.__file__).parents[1])])
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    with pytest.raises(ProcessLookupError):  # the group is empty
        while time.monotonic() < deadline:
            os.killpg(owner.pid, 0)
            time.sleep(0.05)


def test_trains_the_same_in_this_process_and_in_workers(folder: Path, tmp_path: Path) -> None:
    runs = [tmp_path / f"run-{processes}" for processes in (0, 2)]
    for run in runs:
        more = ("--iterations", "2", "--env.processes", run.name[-1])
        job = Running(train_command(folder, "CartPoleLengths", run, *more), tmp_path / "log")
        assert job.end() == 0, job.log.read_text()
    assert len(numbers(runs[0])) == 2 and numbers(runs[0]) == numbers(runs[1])
