"""Family configs: a field left None takes its variant's value, and impossible values are refused by name.

A variant is a published definition of an environment; a config is its name and whatever the user changes:
`resolve(Config(variant="pearl", horizon=50), VARIANTS)` is PEARL's environment with a shorter episode.
"""

import dataclasses
import math
import numbers
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.contract.errors import InputError, nearest

LARGEST = 1e9  # beyond it squares, products and counts of steps overflow


def option(default: Any = None, *, above: float = -math.inf, least: float = -math.inf, unsaid: Any = None) -> Any:
    """A field of a config with its range, `above` 0 or at `least` 0, and its value where a variant does not say."""
    return dataclasses.field(default=default, metadata={"above": above, "least": least, "unsaid": unsaid})


@dataclass(frozen=True)
class FamilyConfig:
    """The options of every family; what is None comes from the variant."""

    variant: str = "metarl"
    """Published definition that fills every option left open."""
    horizon: int | None = option(above=0)
    """Steps in an episode."""
    train_tasks: int | None = option(least=0, unsaid=0)
    """Size of the fixed list that training tasks come from; 0: all that there are, or fresh ones without end."""
    test_tasks: int | None = option(least=0, unsaid=0)
    """Size of the fixed list of test tasks, none of them a training task; 0: all others, or fresh ones without end."""
    train_list: str | None = option(unsaid="")
    """File (.npz or .json) that lists the training tasks: an array by parameter, one row per task."""
    test_list: str | None = option(unsaid="")
    """File that lists the test tasks, none of them a training task."""
    shared_tasks: bool | None = option(unsaid=False)
    """Whether test tasks are the training tasks, as in some publications."""


# Remarks on variants.
SAME_TASKS = "the same two tasks in both splits, as published: none is unseen"
OTHER_TASKS = "as many tasks as published, but not those: their code drew them without a seed"


def resolve(config: Any, variants: Mapping[str, Mapping[str, Any]]) -> Any:
    """The same dataclass with every None filled from `variants[config.variant]`, and every value checked.

    A field is annotated `int | None`, `float | None`, `bool | None` or `Literal[...] | None`. The result
    has no None, which the annotations cannot say: hence `Any`.

    Args:
        config: a frozen dataclass with a field `variant`.
        variants: variant name -> field name -> value.

    Raises: InputError on an unknown variant, on an impossible value, and on a `min_…` above its `max_…`.
    """
    if config.variant not in variants:
        raise InputError(f"unknown env.variant '{config.variant}'" + nearest(str(config.variant), variants))
    variant, hints = variants[config.variant], typing.get_type_hints(type(config))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None:
            value = variant.get(field.name, field.metadata.get("unsaid"))
        wanted = _fault(value, _kind(hints[field.name]), field.metadata)
        if wanted:
            raise InputError(f"env.{field.name} is {value!r} — give {wanted}")
        values[field.name] = value
    for name, low in values.items():
        largest = "max_" + name.removeprefix("min_")
        if name.startswith("min_") and low > values.get(largest, low):
            raise InputError(f"env.{name} is {low}, above env.{largest} at {values[largest]} — swap them")
    return dataclasses.replace(config, **values)


def _kind(hint: Any) -> Any:
    """`X` of an annotation `X | None`."""
    parts = typing.get_args(hint)
    return next(part for part in parts if part is not type(None)) if type(None) in parts else hint


def _fault(value: Any, kind: Any, bounds: Mapping[str, Any]) -> str:
    """What should have been given instead of `value`; empty if it is fine."""
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        return "" if value in choices else "one of: " + ", ".join(sorted(map(str, choices)))
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind is str:
        return "" if isinstance(value, str) else "a name"
    whole = kind is int
    good = isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)
    good = good and (whole or math.isfinite(value))
    bound = ""
    if bounds.get("above", -math.inf) == 0:
        good, bound = good and value > 0, " above 0"
    elif bounds.get("least", -math.inf) == 0:
        good, bound = good and value >= 0, ", 0 or above"
    if good and abs(value) > LARGEST:
        good, bound = False, f" of at most {LARGEST:g}"
    return "" if good else ("a whole number" if whole else "a finite number") + bound
