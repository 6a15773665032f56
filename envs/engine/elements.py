"""Which elements of a MuJoCo model a name means: whole names, patterns, default classes, elements without a name.

    "FR_calf"        the element of that name
    "*_calf"         all whose name fits; `*`, `?` and `[…]` as in a shell
    "class:foot"     all of the default class `foot` of the MJCF, and of the classes within it

What has no name goes by that of what it belongs to: geoms, sites and joints (free ones too) by their body's, actuators
by their joint's.
"""

import fnmatch
import weakref
from collections.abc import Collection, Iterable, Sequence
from types import EllipsisType
from xml.etree import ElementTree

import mujoco
import numpy as np

from envs.contract.errors import InputError, require_known

Rows = list[int] | EllipsisType
"""Rows of a field; all of them where it is an ellipsis."""
# What a field's rows are rows of, by how the field's name begins.
KINDS = {
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "dof": mujoco.mjtObj.mjOBJ_JOINT,
    "eq": mujoco.mjtObj.mjOBJ_EQUALITY,
    "geom": mujoco.mjtObj.mjOBJ_GEOM,
    "jnt": mujoco.mjtObj.mjOBJ_JOINT,
    "sensor": mujoco.mjtObj.mjOBJ_SENSOR,
    "site": mujoco.mjtObj.mjOBJ_SITE,
    "tendon": mujoco.mjtObj.mjOBJ_TENDON,
}
# Where MjSpec keeps the elements that may have a default class.
SPEC_LISTS = {"actuator": "actuators", "dof": "joints", "geom": "geoms", "jnt": "joints", "site": "sites"}
OWNERS = {"geom": "geom_bodyid", "jnt": "jnt_bodyid", "dof": "jnt_bodyid", "site": "site_bodyid"}
JOINT_TRANSMISSIONS = (mujoco.mjtTrn.mjTRN_JOINT.value, mujoco.mjtTrn.mjTRN_JOINTINPARENT.value)
SPECS: weakref.WeakKeyDictionary[mujoco.MjModel, mujoco.MjSpec] = weakref.WeakKeyDictionary()
"""What models were compiled from, as they do not remember the default classes."""


def as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """The names, of which one may stand alone."""
    return (names,) if isinstance(names, str) else tuple(names)


def matching(name: str, known: Collection[str]) -> list[str]:
    """Which of the known names a name or pattern means."""
    return [name] if name in known else fnmatch.filter(known, name)


def rows_by_name(model: mujoco.MjModel, field: str) -> dict[str, list[int]]:
    """The rows of a field by the names that their elements have or go by; none of a field without elements."""
    prefix = field.split("_")[0]
    if prefix not in KINDS:
        return {}
    rows: dict[str, list[int]] = {}
    unnamed: dict[str, list[int]] = {}
    for row, element in enumerate(_elements(model, field)):
        if name := mujoco.mj_id2name(model, KINDS[prefix], element):
            rows.setdefault(name, []).append(row)
        elif name := _owner(model, prefix, element):
            unnamed.setdefault(name, []).append(row)
    return unnamed | rows


def find(model: mujoco.MjModel, field: str, names: str | Sequence[str], what: str) -> dict[str, list[int]]:
    """The rows of a field that belong to each of `names`, patterns or classes.

    Raises: InputError on what nothing matches, beginning with `what`.
    """
    known = rows_by_name(model, field)
    return {name: _rows_of(model, field, name, known, what) for name in as_names(names)}


def _rows_of(model: mujoco.MjModel, field: str, name: str, known: dict[str, list[int]], what: str) -> list[int]:
    if name.startswith("class:") and name not in known:
        return _rows_of_class(model, field, name.removeprefix("class:"), what)
    found = matching(name, known)
    require_known(f"{what} of unknown", [] if found else [name], known)
    return [row for match in found for row in known[match]]


def _rows_of_class(model: mujoco.MjModel, field: str, name: str, what: str) -> list[int]:
    """The rows of the elements whose default class is `name`, or within it."""
    if model not in SPECS:
        raise InputError(f"{what} of class '{name}', but the model has none — take it from load_model, or give names")
    spec = SPECS[model]
    classes = {
        default.get("class", "main"): default for default in ElementTree.fromstring(spec.to_xml()).iter("default")
    }
    require_known(f"{what} of the unknown class", [name], classes)
    within = {default.get("class") for default in classes[name].iter("default")}
    listed = getattr(spec, SPEC_LISTS.get(field.split("_")[0], ""), [])
    members = {element.id for element in listed if element.classname.name in within}
    if not members:
        raise InputError(f"{what} of class '{name}', which none of them has — give another class, or names")
    return [row for row, element in enumerate(_elements(model, field)) if element in members]


def _elements(model: mujoco.MjModel, field: str) -> Sequence[int]:
    """The number of the element that each row of a field belongs to."""
    return model.dof_jntid.tolist() if field.startswith("dof_") else range(len(getattr(model, field)))


def name_of(model: mujoco.MjModel, prefix: str, element: int) -> str:
    """The name that an element has or goes by; empty if neither it nor what it belongs to has one."""
    return str(mujoco.mj_id2name(model, KINDS[prefix], element) or _owner(model, prefix, element))


def _owner(model: mujoco.MjModel, prefix: str, element: int) -> str:
    """The name of what an element without a name belongs to."""
    if prefix in OWNERS:
        return name_of(model, "body", getattr(model, OWNERS[prefix])[element])
    if prefix == "actuator" and model.actuator_trntype[element] in JOINT_TRANSMISSIONS:
        return name_of(model, "jnt", int(model.actuator_trnid[element, 0]))
    return ""


def collide(model: mujoco.MjModel) -> np.ndarray:
    """Which geoms may touch which, bool `[ngeom, ngeom]`: by their masks, and neither of one body nor both static."""
    pairs = (model.geom_contype[:, None] & model.geom_conaffinity[None]) != 0
    welded = model.body_weldid[model.geom_bodyid]
    touch: np.ndarray = (pairs | pairs.T) & (welded[:, None] != welded[None])
    for first, second in zip(model.pair_geom1, model.pair_geom2, strict=True):
        touch[first, second] = touch[second, first] = True
    return touch
