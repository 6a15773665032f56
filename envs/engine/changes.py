"""A change of a MuJoCo model by a task parameter: how it is declared, what it moves, and what it may not be.

Letter: N tasks.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import mujoco
import numpy as np

from envs.contract.errors import InputError
from envs.contract.tasks import Law, Tasks
from envs.engine.effects import FLAGS, Fields
from envs.engine.elements import Rows, as_names, find
from envs.engine.quantities import ABOVE_0, Quantity


@dataclass(frozen=True)
class Change:
    """A task parameter that moves the model: by `Scale`, `Shift` or `Set`. Several in a row share one parameter."""

    field: str | tuple[str, ...]
    """A quantity, MjModel's name of a field, or `opt.` and MjOption's; or several, which one number changes alike."""
    law: Law | None = None
    """The distribution of the parameter; of several changes of one parameter, the first has it."""
    names: str | Sequence[str] = ()
    """The elements that are changed, by name, pattern (`*_calf`) or class (`class:foot`); all if none is named."""
    each: bool = False
    """Whether every number of these elements has one of its own; otherwise one changes them all."""
    axes: str = ""
    """Which of x, y and z are changed, of a quantity with these; by default all."""
    by: Callable[[np.ndarray], np.ndarray] | None = None
    """What the change is at parameters `[N, ...]`: one number, `[N]`, or one for each that changes; by default the
    parameter itself."""

    verb: ClassVar[str]
    noun: ClassVar[str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are changed."""
        return as_names(self.field)

    def changed(self, old: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """The new values, `[N, ...]`, of the old ones."""
        raise NotImplementedError

    def ratio(self, old: np.ndarray, new: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """New over old values."""
        return new / old


class Scale(Change):
    """A task parameter that multiplies."""

    verb, noun = "scales", "factors"

    def changed(self, old: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return old * amount

    def ratio(self, old: np.ndarray, new: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return np.broadcast_to(amount, old.shape)


class Shift(Change):
    """A task parameter that is added, in the unit of what it changes."""

    verb, noun = "shifts", "shifts"

    def changed(self, old: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return old + amount


class Set(Change):
    """A task parameter that stands instead, in the unit of what it changes."""

    verb, noun = "sets", "values"

    def changed(self, old: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return np.broadcast_to(amount, old.shape).copy()


class Part(NamedTuple):
    """One parameter's change of one field or quantity."""

    parameter: str
    change: Change
    name: str
    quantity: Quantity
    rows: Rows
    columns: Any
    """Those of the last axis that change: a list, or the slice of all."""

    def read(self, fields: Fields) -> np.ndarray:
        """The numbers that change, as they are: `[N, rows, ...]`."""
        return self.quantity.read(fields, self.rows)[..., self.columns]

    def write(self, fields: Fields, tasks: Tasks) -> None:
        """Change them.

        Raises: InputError on what they cannot be.
        """
        old = self.read(fields)
        drawn = tasks[self.parameter]
        amount = drawn if self.change.by is None else np.asarray(self.change.by(drawn), np.float64)
        amount = _spread(amount, old)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            new = self.change.changed(old, amount)
            ratio = self.change.ratio(old, new, amount)
        self._require_bound(amount, new)
        if isinstance(self.columns, list):
            whole = self.quantity.read(fields, self.rows).copy()
            ratios = np.ones_like(whole)
            whole[..., self.columns], ratios[..., self.columns] = new, ratio
            new, ratio = whole, ratios
        self.quantity.write(fields, self.rows, new, ratio)
        self._require_possible(fields)

    def shapes(self, defaults: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        """What a task's amount may be shaped like."""
        whole = self.read(Fields(defaults, 1)).shape[1:]
        if self.change.each:
            return [whole]
        alike = whole if self.quantity.fields[0].startswith("opt.") else whole[1:]
        return list(dict.fromkeys([(), alike, *[whole] * (self.change.by is not None)]))

    def _require_bound(self, amount: np.ndarray, new: np.ndarray) -> None:
        """Refuse numbers of impossible sign: of a Scale its factors, else the new values."""
        bound, factors = self.quantity.bound, isinstance(self.change, Scale)
        values = amount if factors else new
        good = np.ones(values.shape, bool) if not bound else values > 0 if bound == ABOVE_0 else values >= 0
        if good.all():
            return
        index = tuple(np.argwhere(~good)[0])
        is_what = f"is {values[index]}" if factors else f"makes {self.name} {values[index]:g}"
        cure = f"give {self.change.noun} {bound}" if factors else f"give {self.change.noun} that keep it {bound}"
        raise InputError(f"task parameter '{self.parameter}' of task {index[0]} {is_what} — {cure}")

    def _require_possible(self, fields: Fields) -> None:
        """Refuse fields that are no longer finite, and ranges that end before they begin."""
        for name in self.quantity.fields:
            values = fields[name]
            broken = ~np.isfinite(values)
            if name in FLAGS:
                broken |= values[..., :1] > values[..., 1:]
            if broken.any():
                task = np.argwhere(broken)[0][0]
                fault = "endless" if not np.isfinite(values).all() else "empty"
                raise InputError(
                    f"task parameter '{self.parameter}' of task {task} makes {name} {fault} — "
                    f"give other {self.change.noun}"
                )


def _spread(amount: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Amounts as they meet numbers `[N, rows, ...]`: given so, as `[N, ...]` for every row, or as `[N]` for all."""
    if amount.ndim == old.ndim or amount.ndim == 1:
        return amount.reshape(*amount.shape, *(1,) * (old.ndim - amount.ndim))
    return amount[:, None]


def model_values(model: mujoco.MjModel, field: str) -> Any:
    """The model's own values of a field: a live view, or a number."""
    return getattr(model.opt, field[4:]) if field.startswith("opt.") else getattr(model, field)


def find_part(
    model: mujoco.MjModel,
    parameter: str,
    change: Change,
    name: str,
    quantity: Quantity,
    defaults: Mapping[str, np.ndarray],
) -> Part:
    """The change of one field, with the rows that its names mean: each of them must have what is changed."""
    what, field = f"'{parameter}' {change.verb} {name}", quantity.fields[0]
    if change.each and len(change.fields) > 1:
        raise InputError(
            f"'{parameter}' gives each number a {change.noun[:-1]}, but {change.verb} {len(change.fields)} fields — "
            "name one of them"
        )
    found = find(model, field, change.names, what)
    has = np.ones(len(np.atleast_1d(defaults[field])), bool) if quantity.has is None else quantity.has(model)
    for given, group in found.items():
        if not has[group].any():
            raise InputError(f"{what} of {given}, {quantity.lacks} — {change.verb[:-1]} what has it")
    rows: Rows = ...
    if found:
        rows = [row for row in dict.fromkeys(sum(found.values(), [])) if has[row] or not quantity.own]
    elif not has.any() and len(has):
        raise InputError(f"{what}, {quantity.lacks} — {change.verb[:-1]} what has it")
    elif quantity.own and not field.startswith("opt."):
        rows = np.flatnonzero(has).tolist()
    part = Part(parameter, change, name, quantity, rows, slice(None))
    axes = change.axes or quantity.axes
    if not axes:
        return part
    shape = part.read(Fields(defaults, 1)).shape
    there = "xyz"[: shape[-1]] if shape[-1] <= 3 and (len(shape) > 2 or field.startswith("opt.")) else ""
    if not there or not set(axes) <= set(there):
        raise InputError(f"{what} along '{axes}' — " + (f"give some of '{there}'" if there else "it has no axes"))
    return part._replace(columns=["xyz".index(axis) for axis in axes])


def require_effect(model: mujoco.MjModel, part: Part, defaults: Mapping[str, np.ndarray]) -> None:
    """Refuse to scale what is 0, and to change what MuJoCo computes from other fields with its constants."""
    change, what = part.change, f"'{part.parameter}' {part.change.verb} {part.name}"
    if isinstance(change, Scale):
        groups: dict[str, Rows] = {**find(model, part.quantity.fields[0], change.names, what)} or {"": part.rows}
        for given, rows in groups.items():
            if not part._replace(rows=rows).read(Fields(defaults, 1)).any():
                raise InputError(f"{what}{f' of {given}' if given else ''}, which is 0 — scale what is not")
    if part.name.startswith("opt."):
        return
    fields = Fields(defaults, 1)
    values = part.quantity.read(fields, part.rows)
    moved = np.where(values == 0.0, 0.01, values * 1.5)
    part.quantity.write(fields, part.rows, moved, np.full(values.shape, 1.5))
    changed = copy.copy(model)
    mujoco.mj_setConst(changed, mujoco.MjData(changed))  # the file's rounding is not MuJoCo's
    plain = {name: np.array(model_values(changed, name)) for name in fields}
    for name in fields:
        model_values(changed, name)[...] = fields[name][0]
    try:
        mujoco.mj_setConst(changed, mujoco.MjData(changed))
    except mujoco.FatalError as error:
        reason = str(error).split(": ", 1)[-1]
        raise InputError(f"{what}, which MuJoCo refuses ({reason}) — change the XML") from error
    if all(np.array_equal(model_values(changed, name), plain[name]) for name in fields):
        raise InputError(f"{what}, which MuJoCo derives from other fields — {change.verb[:-1]} those")
