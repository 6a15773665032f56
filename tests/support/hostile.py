"""Run folders as a stranger could hand them over: each damage is done to a sound run, and none of it may do harm.

A damage takes the run's folder. What it plants to be run would leave a file named `MARKER` in the working directory.
"""

import contextlib
import json
import os
import pickle
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from metarl.runs.checkpoint import _digest

MARKER = "executed"
Damage = Callable[[Path], None]
LAST = "checkpoints/iteration-000004"
MANIFEST, WEIGHTS = f"{LAST}.json", f"{LAST}.safetensors"


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def only_last(run: Path) -> None:
    """No sound checkpoint is left to fall back on but the last."""
    for path in (run / "checkpoints").iterdir():
        if "000004" not in path.name:
            path.unlink()


def in_place_of(name: str, make: Callable[[Path], None]) -> Damage:
    def damage(run: Path) -> None:
        only_last(run)
        remove(run / name)
        make(run / name)

    return damage


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path must be short
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def an_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def of(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def sparse(path: Path) -> None:
    """A terabyte of nothing."""
    with open(path, "wb") as file:
        file.truncate(2**40)


def config(**rooms: Any) -> Damage:
    """Other values in `config.yaml`; of a room that is given as a table, in addition to its own."""

    def damage(run: Path) -> None:
        values = yaml.safe_load((run / "config.yaml").read_text())
        for room, value in rooms.items():
            values[room] = values[room] | value if isinstance(value, dict) else value
        (run / "config.yaml").write_text(yaml.safe_dump(values))

    return damage


def config_line(old: str, new: str) -> Damage:
    """Another text in place of the line of `config.yaml` that starts with `old`."""

    def damage(run: Path) -> None:
        lines = (run / "config.yaml").read_text().splitlines()
        (position,) = [index for index, line in enumerate(lines) if line.lstrip().startswith(old)]
        lines[position] = new
        (run / "config.yaml").write_text("\n".join(lines))

    return damage


def manifest(**facts: Any) -> Damage:
    """Other facts in the last manifest, whose SHA-256 is right."""
    return rewritten(lambda old, weights: (old | facts, weights))


def rewritten(change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> Damage:
    """Other facts and weights in the last checkpoint, whose SHA-256 is right."""

    def damage(run: Path) -> None:
        only_last(run)
        facts = json.loads((run / MANIFEST).read_bytes())
        del facts["sha256"]
        facts, weights = change(facts, (run / WEIGHTS).read_bytes())
        (run / WEIGHTS).write_bytes(weights)
        (run / MANIFEST).write_text(json.dumps(facts | {"sha256": _digest(facts, weights)}))

    return damage


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Another header in the last weights."""

    def change_weights(facts: dict[str, Any], weights: bytes) -> tuple[dict[str, Any], bytes]:
        (size,) = struct.unpack("<Q", weights[:8])
        values = json.loads(weights[8 : 8 + size])
        changed = change(values)
        text = json.dumps(values if changed is None else changed).encode()
        return facts, struct.pack("<Q", len(text)) + text + weights[8 + size :]

    return rewritten(change_weights)


def weights(content: Callable[[bytes], bytes]) -> Damage:
    return rewritten(lambda facts, old: (facts, content(old)))


def first_matrix(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Damage:
    """Another entry for the first matrix in the header of the last weights."""

    def change_header(values: dict[str, Any]) -> None:
        name = next(name for name, value in values.items() if len(value.get("shape", ())) == 2)
        values[name] |= change(values[name])

    return header(change_header)


def metrics(text: bytes) -> Damage:
    def damage(run: Path) -> None:
        with open(run / "metrics.jsonl", "ab") as file:
            file.write(text + b"\n")

    return damage


class Planted:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARKER}",)


def names_code(room: str) -> Damage:
    """A name that is a file in the folder, which leaves its mark when it is imported."""

    def damage(run: Path) -> None:
        path = run / "evil.py"
        path.write_text(f"open({MARKER!r}, 'w').close()\nclass Evil:\n    class Config:\n        pass\n")
        config(**{room: f"{path}:Evil"})(run)

    return damage


def laughs() -> str:
    """A list of lists of … of ten words each, which would be 10 ** 9 words were they written out."""
    lists = ["&a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lists.append(f"&{name} [{', '.join([f'*{before}'] * 10)}]")
    return f"[{', '.join(lists)}]"


# fmt: off
CONFIG, METRICS, EVALUATION = "config.yaml", "metrics.jsonl", "evaluation.json"
UNREADABLE_CONFIGS: dict[str, Damage] = {
    f"a pipe for {CONFIG}": in_place_of(CONFIG, os.mkfifo),
    f"an endless device for {CONFIG}": in_place_of(CONFIG, an_endless_device),
    f"a link to itself for {CONFIG}": in_place_of(CONFIG, a_loop),
    f"a folder for {CONFIG}": in_place_of(CONFIG, Path.mkdir),
    f"a terabyte for {CONFIG}": in_place_of(CONFIG, sparse),
    f"a socket for {CONFIG}": in_place_of(CONFIG, a_socket),
    "an object's tag": config_line("seed:", f"  seed: !!python/object/apply:os.system ['touch {MARKER}']"),
    "a name's tag": config_line("seed:", "  seed: !!python/name:os.system"),
    "an unknown tag": config_line("seed:", "  seed: !seed 3"),
    "a bomb for a number": config_line("seed:", f"  seed: {laughs()}"),
    "a bomb beside the rest": config_line("environment:", f"bomb: {laughs()}\nenvironment: point-nav"),
    "a list in itself": config_line("seed:", "  seed: &a [*a]"),
    "a table in itself": config_line("train:", "train: &a\n  self: *a"),
    "nesting": config_line("seed:", f"  seed: {'[' * 20000}"),
    "nested tables": config_line("seed:", f"  seed: {'{a: ' * 20000}"),
    "a date": config_line("seed:", "  seed: 2001-01-01"),
    "no date": config_line("seed:", "  seed: 2001-99-99"),
    "a word that is said to be a number": config_line("seed:", "  seed: !!int many"),
    "a word that is said to be true": config_line("seed:", "  seed: !!bool perhaps"),
    "a huge number": config_line("inner_lr:", f"  inner_lr: 1{'0' * 400}"),
    "a number too long to read": config_line("seed:", f"  seed: 1{'0' * 5000}"),
    "keys that are numbers": config_line("seed:", "  seed: 0\n  1: 2"),
    "keys that are lists": config_line("seed:", "  seed: 0\n  ? [1, 2]\n  : 2"),
    "no text": config_line("environment:", "environment: null"),
    "Latin letters": in_place_of("config.yaml", of("environment: größe".encode("latin-1"))),
    "a zero byte": in_place_of("config.yaml", of(b"environment: \x00")),
    "binary junk": in_place_of("config.yaml", of(bytes(range(256)) * 100)),
    "the terminal's own language": config_line("environment:", 'environment: "\\e]0;owned\\a\\e[2J"'),
    "a long name": config(environment="x" * 200_000),
    "an environment from the folder": names_code("environment"),
    "an algorithm from the folder": names_code("algorithm"),
    "a function of Python's": config(environment="os:system"),
    "a list for a table": config(env=["horizon", 5]),
    "a table for a number": config(train={"tasks": {"many": 1}}),
    "a hidden layer of words": config(algo={"hidden": ["eight"]}),
    "lists in lists for hidden layers": config(algo={"hidden": [[8], [8]]}),
    "an infinity": config(train={"tasks": float("inf")}),
    "a negative horizon": config(env={"horizon": -1}),
}
UNREADABLE_CHECKPOINTS: dict[str, Damage] = {  # the last one, whose SHA-256 is right
    **{f"a pipe for {name}": in_place_of(name, os.mkfifo) for name in (MANIFEST, WEIGHTS, "checkpoints")},
    **{f"an endless device for {name}": in_place_of(name, an_endless_device) for name in (MANIFEST, WEIGHTS)},
    **{f"a link to itself for {name}": in_place_of(name, a_loop) for name in (MANIFEST, WEIGHTS, "checkpoints")},
    **{f"a folder for {name}": in_place_of(name, Path.mkdir) for name in (MANIFEST, WEIGHTS)},
    **{f"a terabyte for {name}": in_place_of(name, sparse) for name in (MANIFEST, WEIGHTS)},
    "a file for checkpoints": in_place_of("checkpoints", of(b"x")),
    "a header of a terabyte": weights(lambda old: struct.pack("<Q", 2**40) + old[8:]),
    "a header longer than any number": weights(lambda old: b"\xff" * 8 + old[8:]),
    "a header that is no JSON": weights(lambda old: struct.pack("<Q", 64) + b"{" * 64),
    "a header that is a list": header(lambda values: [1, 2]),
    "weights of eight bytes": weights(lambda old: old[:8]),
    "no weights": weights(lambda old: b""),
    "a pickle for weights": weights(lambda old: pickle.dumps(Planted())),
    "a tensor of another shape": first_matrix(lambda entry: {"shape": entry["shape"][::-1]}),
    "a tensor of another type": first_matrix(lambda entry: {"dtype": "I32"}),
    "a tensor of no type": first_matrix(lambda entry: {"dtype": "Q99"}),
    "a tensor beyond the end": first_matrix(lambda entry: {"data_offsets": [0, 2**50]}),
    "tensors over each other": first_matrix(lambda entry: {"data_offsets": [0, 4]}),
    "a negative shape": header(lambda values: {name: value | {"shape": [-1]} for name, value in values.items()}),
    "three of seven tensors": rewritten(lambda facts, old: (facts | {"tensors": facts["tensors"][:3]}, old)),
    "a tensor twice": rewritten(lambda facts, old: (facts | {"tensors": facts["tensors"] + facts["tensors"][:1]}, old)),
    "a tensor that is not there": rewritten(lambda facts, old: (facts | {"tensors": [*facts["tensors"], "x"]}, old)),
    "paths for tensors": manifest(tensors=["../../../evil", "/etc/passwd"]),
    "numbers for tensors": manifest(tensors=[1, 2, 3]),
    "a word for tensors": manifest(tensors="policy"),
    "an endless iteration": manifest(iteration=float("inf")),
    "a word for an iteration": manifest(iteration="four"),
    "a list for an iteration": manifest(iteration=[4]),
    "negative steps": manifest(env_steps=-5),
    "a fraction of steps": manifest(env_steps=0.5),
    "nested manifest": in_place_of(MANIFEST, of(b"[" * 200_000)),
    "a list for a manifest": in_place_of(MANIFEST, of(b"[1, 2]")),
    "a word for a manifest": in_place_of(MANIFEST, of(b'"iteration"')),
    "a manifest of null": in_place_of(MANIFEST, of(b"null")),
}
CLOSED = UNREADABLE_CONFIGS | UNREADABLE_CHECKPOINTS
BESIDE: dict[str, Damage] = {  # opens, and holds what those who report or resume it come across
    **{f"a pipe for {name}": in_place_of(name, os.mkfifo)
       for name in (METRICS, EVALUATION, f".{CONFIG}.partial", f".{METRICS}.partial")},
    **{f"an endless device for {name}": in_place_of(name, an_endless_device) for name in (METRICS, EVALUATION)},
    f"a link to itself for {METRICS}": in_place_of(METRICS, a_loop),
    **{f"a folder for {name}": in_place_of(name, Path.mkdir) for name in (METRICS, EVALUATION)},
    f"a terabyte for {METRICS}": in_place_of(METRICS, sparse),
    "nested metrics": metrics(b"[" * 200_000),
    "metrics too long to read": metrics(b'{"iteration": 1' + b"0" * 5000 + b"}"),
    "metrics that are words": metrics(b'{"iteration": 5, "return/round_0": "much", "return/round_1": {"a": []}}'),
    "metrics that are not finite": metrics(b'{"iteration": 5, "return/round_0": NaN, "return/round_1": Infinity}'),
    "metrics that no axis holds": metrics(b'{"iteration": 5, "return/round_0": 1e308, "return/round_1": -1e308}'),
    "metrics of a round that has no number": metrics(b'{"iteration": 5, "return/round_x": 1}'),
    "metrics of nothing": metrics(b'{"iteration": 5}'),
    "metrics of a true iteration": metrics(b'{"iteration": true}'),
    "binary metrics": metrics(bytes(range(256)) * 10),
    "an evaluation of words": in_place_of("evaluation.json", of(b'{"returns": {"mean": ["a"], "low": 1, "high": {}}}')),
    "a nested evaluation": in_place_of("evaluation.json", of(b"[" * 200_000)),
    "an evaluation with words for levels": in_place_of("evaluation.json", of(
        b'{"iteration": 4, "random": "low", "informed": [], "per_task": "x",'
        b' "returns": {"mean": [1], "low": [1], "high": [1]}}')),
}
# fmt: on
