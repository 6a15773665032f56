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
    """Refuse impossible values by name; `room` is what the command line puts before a field's name.

    Raises:
        InputError: names the field, its value and what it must be.
    """
    for option in fields(config):  # type: ignore[arg-type]
        value, bounds = getattr(config, option.name), option.metadata
        requirement = None
        if option.name.endswith("hidden") and not all(1 <= units <= 1_000_000 for units in value):
            requirement = "sizes from 1 to 1000000"
        elif bounds and isinstance(value, float) and not math.isfinite(value):
            requirement = "a finite number"
        elif bounds and value <= bounds["above"]:
            requirement = f"above {bounds['above']}"
        elif bounds and value < bounds["least"]:
            requirement = f"at least {bounds['least']}"
        elif bounds and value >= bounds["below"]:
            requirement = f"below {bounds['below']}"
        elif bounds and value > bounds["most"]:
            requirement = f"at most {bounds['most']:g}"
        if requirement:
            raise InputError(f"{room}.{option.name} is {value} — it must be {requirement}")
