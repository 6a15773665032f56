"""Files of a folder that may come from a stranger, or from a crash: read whole and within bounds, or refused.

In a file's place there can be a pipe, whose reader waits for ever, or a device, which never ends. A few lines of YAML
can say a billion values, a line of JSON can nest deeper than Python calls. Whatever it is, the reader learns it as an
`OSError` (what lies there) or a `ValueError` (what it says).
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml

MEBIBYTE = 2**20
MOST_CONFIG = MEBIBYTE
MOST_JSON = 256 * MEBIBYTE
MOST_LINES = 4096 * MEBIBYTE

YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_file(path: Path, at_most: int | None = None) -> bytes:
    """What an ordinary file holds.

    Raises:
        OSError: there is none, it is no ordinary file, or one of more than `at_most` bytes.
    """
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
    """The value that a JSON file holds.

    Raises:
        OSError: as `read_file`.
        ValueError: it is no JSON.
    """
    return parse_json(read_file(path, MOST_JSON))


def parse_json(text: bytes | str) -> Any:
    """The value that a text holds.

    Raises:
        ValueError: it is no JSON, or nests too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def read_yaml_file(path: Path, aliases: bool = False) -> Any:
    """The plain values that a YAML file holds; its tags make no objects.

    Args:
        path: where it is.
        aliases: whether a value may stand for another (`*name`), and so many times as much as is written.

    Raises:
        OSError: as `read_file`.
        ValueError: it is no such YAML.
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
