"""Five hundred command lines that cannot be meant: each is refused in a few lines, without a traceback or a trace."""
# ruff: noqa: F811 (a fixture is imported, and asked for by its name)

import os
import threading
from pathlib import Path

import pytest
from support.bad_commands import MISTAKES, bad_commands
from support.command import Command, metarl  # noqa: F401

SEEDS, EACH = range(10), 50  # in parts, so that processors share them
MOST_LINES = 25  # the parser's own words; ours are one line


def test_the_grammar_makes_every_mistake_and_the_same_lines_again() -> None:
    lines = [words for seed in SEEDS for words in bad_commands(seed, EACH)]
    assert len(lines) == 500
    assert len({tuple(words) for words in lines}) > 400 and len(MISTAKES) == 14
    assert lines[:EACH] == bad_commands(0, EACH)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_bad_command_line_is_refused(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    threads = threading.active_count()
    for words in bad_commands(seed, EACH):
        code, out, err = metarl(*words)
        said = f"metarl {words}: {code}\n{out}\n{err}"
        assert code == (5 if "File name too long" in err else 2), said  # which is the file system's word
        assert out == "" and "Traceback" not in err, said
        lines = err.splitlines()
        assert 1 <= len(lines) <= MOST_LINES and all(len(line) < 1200 for line in lines), said
        if err.startswith("metarl: error: "):
            assert len(lines) == 1 and " — " in err and err.removesuffix("\n").isprintable(), said
        assert os.listdir(tmp_path) == [], said
    assert threading.active_count() == threads
