"""Options as fields of frozen dataclasses that know their range; read without torch."""

import math
from dataclasses import field, fields
from typing import Any

from envs.contract.errors import InputError

LARGEST = 1e37  # single precision holds hardly more


def number(
    default: Any,
    *,
    above: int | float = -math.inf,
    least: int | float = -math.inf,
    below: int | float = math.inf,
    most: int | float = LARGEST,
) -> Any:
    """A field with a default and the range that `check_ranges` holds it to."""
    return field(default=default, metadata={"above": above, "least": least, "below": below, "most": most})


def check_ranges(config: object, room: str = "algo") -> None:
    """Refuse impossible values by name.

    Args:
        config: a dataclass of options.
        room: what the command line puts before a field's name; nothing where it is empty.

    Raises:
        InputError: names the field, its value and what it must be.
    """
    for option in fields(config):  # type: ignore[arg-type]
        value, requirement = getattr(config, option.name), None
        if option.name.endswith("hidden") and not all(1 <= units <= 1_000_000 for units in value):
            requirement = "sizes from 1 to 1000000"
        elif option.metadata:
            requirement = _unmet(value, **option.metadata)
        if requirement:
            name = f"{room}.{option.name}" if room else option.name
            raise InputError(f"{name} is {value} — it must be {requirement}")


def _unmet(value: Any, above: Any, least: Any, below: Any, most: Any) -> str | None:
    """What a value is not, although it must be."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    checks = (
        (value > above, f"above {above}"),
        (value >= least, f"at least {least}"),
        (value < below, f"below {below}"),
        (value <= most, f"at most {most if isinstance(most, int) else format(most, 'g')}"),
    )
    return next((said for holds, said in checks if not holds), None)


def check_evaluation(tasks: int, rounds: int, seed: int) -> None:
    """Refuse impossible numbers by name.

    Raises:
        InputError: names the option.
    """
    limits = (("tasks", tasks, 1, 1_000_000), ("rounds", rounds, 0, 1_000_000), ("seed", seed, 0, 2**32 - 1))
    for name, value, least, most in limits:
        if not least <= value <= most:
            bound = f"at least {least}" if value < least else f"at most {most}"
            raise InputError(f"--{name} is {value} — it must be {bound}")
