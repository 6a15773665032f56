"""May a run go on? What it was is held against what is asked for, and what has changed around it is said."""

import dataclasses
from pathlib import Path
from typing import Any

from metarl.runs.config import FREE_ON_RESUME, RunConfig, TrainConfig, options_from_dict, options_of_then, versions
from metarl.runs.migrations import plain_default
from metarl.runs.presets import default_config
from metarl.runs.user_code import changed_files, under_recorded_names

ROOMS = ("train", "env", "algo")


def taken_up(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """What is asked for, with what the `values` of a run's `config.yaml` say where it leaves that open.

    These are torch's threads; and options that came after the run, which keep the values that it was trained with
    unless others than their defaults are asked for.
    """
    threads = {"torch_threads": values["train"].get("torch_threads", 0)}
    torch_threads = config.train.torch_threads or options_from_dict(TrainConfig, threads).torch_threads
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, torch_threads=torch_threads))
    then = _of_then(values, config)
    if not any(then.values()):
        return config
    variant, algo = getattr(config.env, "variant", None), config.as_dict()["algo"]
    defaults = default_config(config.environment, config.algorithm, variant, algo)
    for room, options in then.items():
        asked, default = config.as_dict()[room], defaults.as_dict()[room]
        kept = {name: value for name, value in options.items() if asked[name] == default[name] != value}
        config = dataclasses.replace(config, **{room: options_from_dict(type(getattr(config, room)), asked | kept)})
    return config


def mismatch(config: RunConfig, values: dict[str, Any], run: Path) -> str | None:
    """The first thing in which `config` is another run than the one in the folder `run`, with these `values`, or None.

    InputError where the name of the user's own code means another file here than in training.
    """
    mine, then = under_recorded_names(config, values, run).as_dict(), _of_then(values, config)
    theirs = {room: values[room] | then[room] for room in ROOMS}
    theirs["train"] = dataclasses.asdict(TrainConfig()) | theirs["train"]  # an older run says nothing of later ones
    for name in ("environment", "algorithm"):
        if mine[name] != values[name]:
            return f"{name} is {mine[name]}, there it is {values[name]}"
    for room in ("env", "algo", "train"):
        a, b = _flat(mine[room]), _flat(theirs[room])
        for name in sorted((a.keys() | b.keys()) - FREE_ON_RESUME.get(room, set())):
            one, other = a.get(name), b.get(name)
            if one != other and (one == one or other == other):  # NaN goes on with NaN
                return f"{room}.{name} is {one}, there it is {other}"
    return None


def changes(
    config: RunConfig, values: dict[str, Any], ran_on: str, files: dict[str, dict[str, str]], run: Path
) -> list[str]:
    """A line about everything that is no longer as when the run in the folder `run` was trained.

    These are options that came since, versions, the device (it goes on with `ran_on`), and the user's own `files`, as
    `user_code.files_of` finds them now.
    """
    came = [
        f"{room}.{name} {value!r}"
        for room, then in _of_then(values, config).items()
        for name, value in then.items()
        if value != plain_default(type(getattr(config, room)), name)
    ]
    lines = [f"{run} is older than some options, which stay as they were: {', '.join(came)}"] if came else []
    then = values.get("versions")
    then = {**(then if isinstance(then, dict) else {}), "device": values.get("ran_on")}
    now = {name: found for name, found in versions().items() if name != "python"} | {"device": ran_on}
    lines += [
        f"{run} was trained with {what} {then[what]} and goes on with {new}, which may change its numbers"
        for what, new in now.items()
        if then.get(what) not in (None, new)
    ]
    return lines + [f"{file} has changed since {run} was trained" for file in changed_files(values, files, run)]


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    """Options that have options of their own, taken apart: `adr.step`."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        flat |= {f"{name}.{part}": each for part, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _of_then(values: dict[str, Any], config: RunConfig) -> dict[str, dict[str, Any]]:
    return options_of_then(values, {room: type(getattr(config, room)) for room in ROOMS})
