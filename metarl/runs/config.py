"""What a run is made of, as frozen values: everything needed to repeat it, and nothing else.

Importing this needs no torch, so that bad input is refused at once.
"""

import dataclasses
import platform
import sys
import types
import typing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml

from envs.contract.errors import InputError, nearest
from metarl.algorithms import RENAMED
from metarl.runs.migrations import RENAMED_OPTIONS, SCHEMA, renamed_options, values_of_then
from metarl.runs.task_sampling import ADROptions, PLROptions
from metarl.runs.until import target_of
from metarl.runtime.files import is_plain, read_yaml_file
from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class TrainConfig:
    """How long, how much at once, and on what."""

    iterations: int = number(100, least=1)
    """Meta-updates to train for."""
    seed: int = number(0, least=0, most=2**32 - 1)  # one word of an address
    """Where all randomness starts."""
    tasks: int = number(20, least=1, most=1_000_000)
    """Tasks N of an iteration (the meta-batch)."""
    lanes: int = number(20, least=1, most=1_000_000)
    """Lanes E: environments of each task side by side, with an episode each in every round (labelled data have
    `env.shots` instead)."""
    normalise_observations: bool = False
    """Show policies observations in units of their spread so far (means and deviations are learned with them, first of
    all in two rounds before the first iteration)."""
    reward_unit: float = number(1.0, least=0)
    """What agents count rewards in: they are told of rewards, and learn from them, divided by it (0: by the standard
    deviation of discounted returns so far). Metrics and evaluations are of rewards as they are."""
    task_sampling: Literal["uniform", "adr", "plr"] = "uniform"
    """Which tasks training meets: always any that its laws have; from laws as wide as it has come (automatic domain
    randomisation), or those again where most is left to gain (prioritised level replay). Evaluation draws uniformly."""
    adr: ADROptions = ADROptions()
    plr: PLROptions = PLROptions()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where adaptation and updates are computed; physics always runs on the CPU."""
    threads: int = number(0, least=0, most=1024)  # far more end the process without a word
    """Physics threads of a machine (0: one for each core). Never changes a result."""
    groups: int = number(0, least=0, most=1024)
    """Groups that an iteration's tasks are sampled in, side by side: one acts and adapts while another's physics runs
    (0: one or two; the first iterations find out what is faster here). Never changes a result."""
    tasks_at_once: int = number(0, least=0, most=1_000_000)
    """Tasks that an update works on at once; fewer need less memory, and more time (0: all, but half as many whenever
    torch finds no memory for them). Never changes a result."""
    torch_threads: int = number(0, least=0, most=1024)
    """Threads of torch's own arithmetic on a machine (0: one for each core). Its sums may depend on it."""
    checkpoint_every: int = number(5, least=1)
    """Iterations between checkpoints."""
    keep_checkpoints: int = number(3, least=1)
    """How many of the last checkpoints stay on disk."""
    evaluate_every: int = number(0, least=0)
    """Iterations between evaluations on tasks that training never meets (0: none), as many as it meets in an iteration.
    They change no bit of training, and the best checkpoint by them is kept beside the last."""
    until: str = ""
    """End early at a level after the last adaptation, e.g. return=250, loss=0.3, accuracy=0.95 (a mean of the last 5
    iterations), or unseen/return=250 (of the newest evaluation on unseen tasks)."""
    minutes: float = number(0.0, least=0.0)
    """End after so many minutes (0: no limit); `metarl resume` goes on for as many again."""
    log: tuple[Literal["tensorboard", "csv", "wandb"], ...] = ("tensorboard",)
    """Where curves are shown besides metrics.jsonl: TensorBoard, metrics.csv, Weights & Biases (`metarl[wandb]`)."""

    def __post_init__(self) -> None:
        check_ranges(self, "")
        target_of(self.until, unseen=self.evaluate_every > 0)


# Fields that may differ when a run is taken up again: they change where and how long, not what.
FREE_ON_RESUME = {
    "train": {
        *("iterations", "until", "minutes", "evaluate_every", "checkpoint_every", "keep_checkpoints", "log"),
        *("device", "threads", "groups", "tasks_at_once"),
    },
    "env": {"processes", "timeout"},
}


@dataclass(frozen=True)
class RunConfig:
    """One run: names, options, seed."""

    environment: str
    algorithm: str
    train: TrainConfig
    env: Any  # the environment family's own frozen dataclass, variant filled in
    algo: Any  # the algorithm's own frozen dataclass

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `config.yaml` holds them."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def options_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """An option dataclass from plain values (lists become tuples, and whole numbers floats where they must).

    InputError names a field that `kind` does not have, or a value of another type.
    """
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    options = {}
    for name, given in values.items():
        if name not in known:
            today = next((new[name] for new in RENAMED_OPTIONS.values() if new.get(name) in known), None)
            hint = f" — it is called '{today}' now" if today else nearest(name, known)
            raise InputError(f"{kind.__name__} has no field '{name}'{hint}")
        value: Any = tuple(given) if isinstance(given, list) else given
        if dataclasses.is_dataclass(hints[name]) and isinstance(given, dict):
            value = options_from_dict(typing.cast(type, hints[name]), given)
        if not _fits(value, hints[name]):
            wanted = "a value of type " + getattr(hints[name], "__name__", str(hints[name]).removeprefix("typing."))
            if typing.get_origin(hints[name]) is typing.Literal:
                wanted = "one of " + ", ".join(map(repr, typing.get_args(hints[name])))
            raise InputError(f"{kind.__name__}.{name} is {value!r} — give {wanted}")
        options[name] = float(value) if hints[name] is float else value
    return kind(**options)


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is of the annotated type, as far as option dataclasses use them."""
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin is typing.Literal:
        return value in parts
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple and parts and isinstance(value, tuple):
        return all(_fits(item, parts[0]) for item in value)
    if origin is Any or not isinstance(origin, type):
        return True
    if isinstance(value, bool):
        return origin is bool
    if origin is float:
        return isinstance(value, int | float) and (isinstance(value, float) or abs(value) <= sys.float_info.max)
    return isinstance(value, origin)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("metarl", "torch", "numpy", "mujoco", "gymnasium"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def to_yaml(config: RunConfig, **facts: Any) -> str:
    """The text of `config.yaml`: the schema, the config, and `facts` about what it ran with."""
    return yaml.safe_dump({"schema": SCHEMA, **config.as_dict(), "versions": versions(), **facts}, sort_keys=False)


def read_yaml(path: Path, whole: bool = True) -> dict[str, Any]:
    """Plain values of a `config.yaml`, with its `schema`; what was renamed since has its new name.

    One that is not to be `whole`, since nobody's run has written it, need not say more than the environment.

    InputError where there is no such file, or it is not a run's config, or one of a newer metarl.
    """
    try:
        values = read_yaml_file(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        wanted = f"is {path.parent} a run directory?" if whole else "give a run's config.yaml"
        raise InputError(f"{path} cannot be read ({reason}) — {wanted}") from error
    rooms = {"environment": str, "algorithm": str, "train": dict, "env": dict, "algo": dict}
    if isinstance(values, dict) and not whole and "versions" not in values:
        values = {"schema": SCHEMA, "algorithm": "", "train": {}, "env": {}, "algo": {}} | values
    told = isinstance(values, dict) and all(isinstance(values.get(room), rooms[room]) for room in rooms)
    if not told or not is_plain(values):
        wanted = f"is {path.parent} a run directory?" if whole else "it must say `environment` at least"
        raise InputError(f"{path} is not the config of a run — {wanted}")
    schema = values.setdefault("schema", 1)
    if type(schema) is not int or schema < 1:
        raise InputError(f"{path} is damaged (schema is {schema!r}) — train again")
    if schema > SCHEMA:
        raise InputError(f"{path} is of schema {schema}, this metarl knows up to {SCHEMA} — use a newer metarl")
    return renamed_options(values) | {"algorithm": RENAMED.get(values["algorithm"], values["algorithm"])}


def options_of_then(values: dict[str, Any], kinds: dict[str, type]) -> dict[str, dict[str, Any]]:
    """What a `config.yaml`, being older, does not say of the options of `kinds`, by room (`train`, `env`, `algo`)."""
    return {room: values_of_then(kind, values[room], values["schema"]) for room, kind in kinds.items()}
