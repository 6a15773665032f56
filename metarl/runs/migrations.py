"""What older configs mean today: every option that came after them, with the value that they were run with.

A `config.yaml` says by which schema it was written; one that does not say is of schema 1. Whoever adds an option to a
class of options adds a line to `CHANGES`: there the option's default may change, here its value of then does not. The
schema is raised with the first option that comes after runs of the last one have been made.
"""

import dataclasses
from typing import Any, NamedTuple

SCHEMA = 5

RENAMED_OPTIONS = {"train": {"episodes": "lanes"}, "env": {}, "algo": {"episodes_per_trial": "rounds"}}
"""What options were called before schema 3, by room, and what they are called now."""


GONE_OPTIONS = {"first_order": ("reptile", "imaml", "random-init", "multitask", "oracle")}
"""Options that some methods had before schema 3 and could not follow, with these methods."""

OF_METHOD = object()
"""The value that a method's options have by default, which is what older runs of it did."""


class Change(NamedTuple):
    """An option that came later than some runs."""

    since: int
    """The first schema that has it."""
    options: str
    """Name of the class of options, e.g. `VariBADConfig`; classes derived from it are meant as well."""
    field: str
    """Name of the option."""
    value: Any
    """What older runs did, as a plain value (lists, no tuples); or OF_METHOD."""


CHANGES: tuple[Change, ...] = (
    Change(2, "FamilyConfig", "shared_tasks", False),
    Change(2, "FamilyConfig", "train_list", ""),
    Change(2, "FamilyConfig", "test_list", ""),
    Change(2, "RobotConfig", "clip_actions", True),
    Change(2, "HalfCheetahVelConfig", "velocities", "uniform"),
    Change(2, "PEARLConfig", "pool_meetings", False),
    Change(2, "VariBADConfig", "episode_starts", False),
    Change(2, "OmniglotConfig", "validation_alphabets", []),
    Change(3, "VariBADConfig", "memory", "gru"),
    Change(3, "PairOptions", "inner", OF_METHOD),
    Change(3, "PairOptions", "outer", OF_METHOD),
    *(Change(3, "PolicyOptions", field, OF_METHOD) for field in ("sees_task", "policy", "memory_size")),
    # of labelled data; with experience they were there
    Change(3, "StepOptions", "inner_steps", OF_METHOD),
    Change(3, "ProximalOptions", "inner_steps", OF_METHOD),
    Change(3, "AdamOptions", "max_gradient_norm", OF_METHOD),
    Change(4, "RL2Config", "head", "memory"),
    Change(4, "VariBADConfig", "head", "state"),
    Change(4, "PPOOptions", "desired_kl", 0.0),
    Change(4, "TrainConfig", "evaluate_every", 0),
    Change(4, "TrainConfig", "until", ""),
    Change(4, "TrainConfig", "minutes", 0.0),
    Change(4, "TrainConfig", "log", ["tensorboard"]),
    Change(5, "PPOOptions", "entropy_bonus_decay", 1.0),
    Change(5, "TrainConfig", "reward_unit", 1.0),
    Change(5, "TrainConfig", "task_sampling", "uniform"),
    *(Change(5, "TrainConfig", field, OF_METHOD) for field in ("adr", "plr")),
    *(Change(5, options, "ends_at_success", False) for options in ("MetaWorldConfig", "SuiteConfig")),
)


def renamed_options(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a `config.yaml` with every option by the name that it has today, less those that are gone."""
    if values["schema"] >= 3:
        return values
    gone = {name for name, methods in GONE_OPTIONS.items() if values["algorithm"] in methods}
    return values | {
        room: {names.get(name, name): value for name, value in values[room].items() if name not in gone}
        for room, names in RENAMED_OPTIONS.items()
    }


def values_of_then(kind: type, values: dict[str, Any], schema: int) -> dict[str, Any]:
    """The options of `kind` that `values`, written by `schema`, leave out because they came later: as they were then.

    Of two lines about one option the later one counts, so that a derived class may say otherwise than its base.
    """
    classes = {base.__name__ for base in kind.__mro__}
    return {
        change.field: plain_default(kind, change.field) if change.value is OF_METHOD else change.value
        for change in CHANGES
        if schema < change.since and change.options in classes and change.field not in values
    }


def plain_default(kind: type, field: str) -> Any:
    """What an option of `kind` is where nobody says anything, as a plain value."""
    value: Any = next(each.default for each in dataclasses.fields(kind) if each.name == field)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, tuple) else value
