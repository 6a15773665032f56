"""The `metarl` command inside the test's own process, and what a run leaves on disk.

`TINY` and `train_arguments` describe runs of a few milliseconds an iteration.
"""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metarl.cli import main

TINY = [
    *("--tasks", "2", "--lanes", "3", "--env.horizon", "5", "--algo.hidden", "8"),
    *("--threads", "1", "--torch-threads", "1", "--checkpoint-every", "1"),
]


class Result(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def metarl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `metarl` with the given arguments, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: Any) -> Result:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as refusal:  # by the command line's parser
            assert isinstance(refusal.code, int)
            code = refusal.code
        return Result(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


def train_arguments(
    out: str | Path, iterations: int = 3, environment: str = "point-nav", algorithm: str = "maml-vpg"
) -> list[str]:
    """`metarl train` of a tiny run."""
    return ["train", environment, algorithm, *TINY, "--iterations", str(iterations), "--out", str(out)]


def assert_refused(result: Result, *words: str, code: int = 2) -> None:
    """One line on stderr says what is wrong and what to do, nothing on stdout, and the exit code says whose fault."""
    assert result.code == code, result
    (line,) = result.err.splitlines()
    assert line.startswith("metarl: error: ")
    what, _, what_to_do = line.removeprefix("metarl: error: ").partition(" — ")
    assert what and what_to_do, line
    for word in words:
        assert word in line
    assert result.out == ""


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below `folder`, and what each file holds."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def numbers(run: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, but for what a clock measured."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("time/")} for line in lines]


def end_result(run: Path) -> tuple[list[dict[str, Any]], str, bytes, bytes]:
    """All that must not depend on how a run was interrupted: its metrics and its last checkpoint, bit for bit."""
    manifest = max((run / "checkpoints").glob("iteration-*.json"))
    weights = manifest.with_suffix(".safetensors")
    return numbers(run), manifest.name, manifest.read_bytes(), weights.read_bytes()
