"""Files of the user's own that a run names: nobody runs code unasked, and it is found wherever one stands.

A run may be of `path/to/file.py:attribute` or `module:attribute`, and so may an option of its algorithm (a memory, …:
what stands with a colon there). Whoever opens it runs that code, so that a folder from elsewhere could do anything;
names that are registered are safe. `config.yaml` holds under `code`, for environment, algorithm, such options and lists
of tasks, the file (`file`, and `from_run`, as seen from the run's folder) and its `sha256`.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envs.catalogue import ENVIRONMENTS
from metarl.algorithms import ALGORITHMS
from metarl.fewshot import SOURCES
from metarl.runs.config import RunConfig
from metarl.runtime.errors import InputError

TASK_LISTS = ("train_list", "test_list")  # options of environments that name a file
REGISTERED = {"environment": {*ENVIRONMENTS, *SOURCES}, "algorithm": set(ALGORITHMS)}


def own_names(environment: str, algorithm: str, options: Mapping[str, Any] = MappingProxyType({})) -> dict[str, str]:
    """Which names mean code of the user's own, by `environment`, `algorithm` and the name of the algorithm's option."""
    named = {option: value for option, value in options.items() if isinstance(value, str)}
    names = {**named, "environment": environment, "algorithm": algorithm}
    return {room: name for room, name in names.items() if ":" in name and name not in REGISTERED.get(room, ())}


def files_of(config: RunConfig, run: Path) -> dict[str, dict[str, str]]:
    """The files of the user's own that a config depends on as it was loaded, as `config.yaml` in `run` holds them."""
    files: dict[str, Any] = {option: getattr(config.env, option, None) for option in TASK_LISTS}
    for room, name in own_names(config.environment, config.algorithm, vars(config.algo)).items():
        module = _module(name)
        files[room] = module if module.endswith(".py") else getattr(sys.modules.get(module), "__file__", None)
    return {
        what: {
            "file": os.path.abspath(file),
            "from_run": os.path.relpath(os.path.realpath(file), os.path.realpath(run)),
            "sha256": _digest(file),
        }
        for what, file in files.items()
        if isinstance(file, str) and os.path.isfile(file)
    }


def names_to_load(values: dict[str, Any], run: Path, trust: bool) -> tuple[str, str, dict[str, Any]]:
    """Environment, algorithm and its options of a run, by its config's `values`, as they are to be loaded from here.

    Nothing is run to find them. InputError where it names code and is not to be trusted, or the code is not there.
    """
    names = {room: str(values[room]) for room in ("environment", "algorithm")}
    own = own_names(**names, options=values["algo"])
    places = {room: _place(name, _record(values, room, run), run) for room, name in own.items()}
    if own and not trust:
        told = " and ".join(
            f"{name} ({places[room]})" if places[room] not in (None, _module(name)) else name
            for room, name in own.items()
        )
        raise InputError(
            f"{run} names code that opening it would run: {told} — "
            "add --trust (in Python trust=True) if you know where it comes from"
        )
    for room, name in own.items():
        record, place = _record(values, room, run), places[room]
        if not _module(name).endswith(".py"):
            continue
        if record and place is None:
            raise InputError(f"{run} needs {record['file']}, which is not there — put it back")
        if place and not _same_file(_module(name), place):
            names[room] = f"{place}:{name.rpartition(':')[2]}"
    return names.pop("environment"), names.pop("algorithm"), values["algo"] | names


def under_recorded_names(config: RunConfig, values: dict[str, Any], run: Path) -> RunConfig:
    """`config`, as it was loaded, with the run's own names for files that it names otherwise, e.g. from elsewhere.

    InputError where the name is the one in the run's `values`, but from here it means another file.
    """
    names = {"environment": config.environment, "algorithm": config.algorithm}
    for room, mine in own_names(config.environment, config.algorithm, vars(config.algo)).items():
        theirs, record = str((values["algo"] | values)[room]), _record(values, room, run)
        if not record or not _module(mine).endswith(".py") or mine.rpartition(":")[2] != theirs.rpartition(":")[2]:
            continue
        place = _place(theirs, record, run)
        as_recorded = _digest(_module(mine)) == record["sha256"]
        if as_recorded or (_same_file(_module(mine), place) if place else mine == theirs):
            names[room] = theirs
        elif mine == theirs:
            raise InputError(
                f"{run} was trained with {place}, and {_module(mine)} is another file here — name that one,"
                " or choose another --out"
            )
    return replace(
        config,
        environment=names.pop("environment"),
        algorithm=names.pop("algorithm"),
        algo=replace(config.algo, **names),
    )


def changed_files(values: dict[str, Any], files: dict[str, dict[str, str]], run: Path) -> list[str]:
    """Those of a run's `files`, as they are now, whose content is no longer what its `config.yaml` says."""
    then = {what: _record(values, what, run) for what in files}
    return [now["file"] for what, now in files.items() if (was := then[what]) and was["sha256"] != now["sha256"]]


def _module(name: str) -> str:
    return name.rpartition(":")[0]


def _record(values: dict[str, Any], room: str, run: Path) -> dict[str, str] | None:
    """What `config.yaml` holds about a file; None where it was written before that was recorded."""
    code = values.get("code", {})
    record = code.get(room) if isinstance(code, dict) else ()
    fields = ("file", "from_run", "sha256")
    if record is None:
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(field), str) for field in fields):
        raise InputError(f"{run / 'config.yaml'} is damaged (code) — train again")
    return record


def _place(name: str, record: dict[str, str] | None, run: Path) -> str | None:
    """Where the code behind a name lies, if it is there; nothing is run to find it.

    Of the recorded places (as seen from the run, as it was in training) the one counts whose content is unchanged.
    """
    module = _module(name)
    if not module.endswith(".py"):
        places = [_origin(module)]
    elif record is None:
        places = [module]
    else:
        places = [os.path.normpath(os.path.join(os.path.realpath(run), record["from_run"])), record["file"]]
    there = [place for place in places if os.path.isfile(place)]
    unchanged = [place for place in there if record and _digest(place) == record["sha256"]]
    return next(iter(unchanged + there), None)


def _origin(module: str) -> str:
    """The file of a module that is importable; empty for a part of a package, which would be run to find it."""
    try:
        spec = None if "." in module else importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return (spec.origin if spec else None) or ""


def _same_file(a: str, b: str) -> bool:
    return os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b)


def _digest(file: str) -> str:
    """SHA-256 of a file; InputError where it cannot be read."""
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}) — fix its permissions") from error
