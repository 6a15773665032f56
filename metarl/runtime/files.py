"""Files, read whole and within bounds, or refused; written whole, or not at all.

A folder may come from a stranger, or from a crash. In a file's place there can be a pipe, whose reader waits for ever,
or a device, which never ends. A few lines of YAML can say a billion values, a line of JSON can nest deeper than Python
calls. Whatever it is, the reader learns it as an `OSError` (what lies there) or a `ValueError` (what it says).

What is written is written aside, synced and moved into place: a crash or a power cut leaves the old or the new.
"""

import errno
import json
import math
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from metarl.runtime.errors import StorageError

MEBIBYTE = 2**20
MOST_CONFIG = MEBIBYTE
MOST_JSON = 256 * MEBIBYTE
MOST_LINES = 4096 * MEBIBYTE
PARTIAL = ".partial"  # how names of files end that are being written

YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_file(path: Path, at_most: int | None = None) -> bytes:
    """What an ordinary file holds; OSError where there is none, or one of more than `at_most` bytes."""
    with open(path, "rb", opener=_without_waiting) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        if at_most is not None and facts.st_size > at_most:
            raise OSError(errno.EFBIG, f"it is larger than {at_most // MEBIBYTE} MiB", str(path))
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe's reader would wait for a writer


def read_json(path: Path) -> Any:
    """The value that a JSON file holds; OSError as `read_file`, ValueError where it is no JSON."""
    return parse_json(read_file(path, MOST_JSON))


def parse_json(text: bytes | str) -> Any:
    """The value that a text holds; ValueError where it is no JSON, or nests too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes, of dicts, lists, words and numbers; NaN and infinities become `null`."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_yaml_file(path: Path, aliases: bool = False) -> Any:
    """The plain values that a YAML file holds; its tags make no objects.

    With `aliases` a value may stand for another (`*name`), and so many times as much as is written. OSError as
    `read_file`, ValueError where it is no such YAML.
    """
    content = read_file(path, MOST_CONFIG)
    try:
        repeats = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, YAML))
        values = None if repeats and not aliases else yaml.load(content, YAML)
    except Exception as error:  # a tag has its value converted, which fails in many ways
        raise ValueError("not valid YAML") from error
    if repeats and not aliases:
        raise ValueError("its YAML holds aliases")
    return values


def is_number(value: Any) -> bool:
    """Whether it is a number that arithmetic takes: no truth value, and no integer beyond 64 bits."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def is_plain(value: Any) -> bool:
    """Whether it is made of tables with text for keys, lists, text, numbers, truth values and nothing."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, bool) or is_number(value)


def slug(name: str) -> str:
    """A name, such as a `module:attribute`, as that of a file: what fits of its end."""
    return re.sub(r"[^\w.-]+", "-", name)[-100:]


def write_atomic(path: Path, content: bytes, remedy: str = "free space or fix permissions") -> None:
    """Write a file so that it holds either its old content or all of the new, whatever happens.

    Any number of processes may do so at once: each writes aside under a name of its own. StorageError where the file
    system refuses; `remedy` is what to do.
    """
    aside = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}{PARTIAL}")
    with _refusing(path, remedy):
        try:
            with open(aside, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
            _sync(path.parent)
        except OSError:
            with suppress(OSError):
                aside.unlink()  # a full disk has better use for it
            raise


@contextmanager
def folder_written_aside(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, for files alone, that takes its place if all goes well, and is gone otherwise.

    StorageError where the file system refuses.
    """
    beside = folder.absolute().parent
    with (
        _refusing(folder, "free space or fix permissions"),
        tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=beside) as aside,
    ):
        partial = Path(aside) / folder.name
        partial.mkdir()
        yield partial
        for path in partial.iterdir():
            _sync(path)
        os.replace(partial, folder)
        _sync(beside)


def _sync(path: Path) -> None:
    """Have what a file holds, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusing(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error}) — {remedy}") from error
