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
        value, name = getattr(config, option.name), f"{room}.{option.name}" if room else option.name
        if option.name.endswith("hidden") and not all(1 <= units <= 1_000_000 for units in value):
            raise InputError(f"{name} is {value} — it must be sizes from 1 to 1000000")
        if option.metadata:
            check_number(name, value, **option.metadata)


def check_number(
    name: str, value: Any, above: Any = -math.inf, least: Any = -math.inf, below: Any = math.inf, most: Any = LARGEST
) -> None:
    """Refuse an impossible value by name.

    Raises:
        InputError: says the name, the value and what it must be.
    """
    checks = (
        (not isinstance(value, float) or math.isfinite(value), "a finite number"),
        (value > above, f"above {above}"),
        (value >= least, f"at least {least}"),
        (value < below, f"below {below}"),
        (value <= most, f"at most {most if isinstance(most, int) else format(most, 'g')}"),
    )
    for holds, requirement in checks:
        if not holds:
            raise InputError(f"{name} is {value} — it must be {requirement}")
