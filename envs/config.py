"""Family configs: a field left None takes the value its variant gives it, and impossible values are refused by name.

A variant is a published definition of an environment; a config is its name plus whatever the user changes:
`resolve(Config(variant="pearl", horizon=50), VARIANTS)` is PEARL's environment with a shorter episode.
"""

import dataclasses
import math
import numbers
import typing
from collections.abc import Collection, Mapping
from typing import Any

from envs.errors import InputError, nearest


def resolve(
    config: Any,
    variants: Mapping[str, Mapping[str, Any]],
    *,
    positive: Collection[str] = (),
    nonnegative: Collection[str] = (),
) -> Any:
    """The same dataclass with every None filled from `variants[config.variant]`, and every value checked.

    A field is annotated `int | None`, `float | None`, `bool | None` or `Literal[...] | None`. The result holds no
    None, which the annotations cannot say: hence `Any`.

    Args:
        config: a frozen dataclass with a field `variant`.
        variants: variant name -> field name -> value.
        positive: the number fields that must be above 0.
        nonnegative: the number fields that must be 0 or above.

    Raises: InputError on an unknown variant and on an impossible value.
    """
    if config.variant not in variants:
        raise InputError(f"unknown env.variant '{config.variant}'" + nearest(str(config.variant), variants))
    hints = typing.get_type_hints(type(config))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        given = getattr(config, field.name)
        value = variants[config.variant][field.name] if given is None else given
        wanted = _fault(value, _kind(hints[field.name]), field.name in positive, field.name in nonnegative)
        if wanted:
            raise InputError(f"env.{field.name} is {value!r} — give {wanted}")
        values[field.name] = value
    return dataclasses.replace(config, **values)


def _kind(hint: Any) -> Any:
    """`X` of an annotation `X | None`."""
    return (
        next((kind for kind in typing.get_args(hint) if kind is not type(None)), hint)
        if _optional(hint)
        else hint
    )


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _fault(value: Any, kind: Any, positive: bool, nonnegative: bool) -> str:
    """What should have been given instead of `value`; empty if it is fine."""
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        return "" if value in choices else "one of: " + ", ".join(map(str, choices))
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind is str:
        return "" if isinstance(value, str) else "a name"
    number, noun = (numbers.Integral, "a whole number") if kind is int else (numbers.Real, "a finite number")
    bound = " above 0" if positive else ", 0 or above" if nonnegative else ""
    fine = isinstance(value, number) and not isinstance(value, bool)
    fine = (
        fine
        and (kind is int or math.isfinite(value))
        and not (positive and value <= 0)
        and not (nonnegative and value < 0)
    )
    return "" if fine else noun + bound
