"""Dynamics as task parameters: which numbers of a MuJoCo model a task scales, declared by field and by name.

    dynamics={
        "mass": Scale("body_mass", LogUniform(2.0, -1.0, 1.0), names=("torso", "thigh")),
        "friction": Scale("geom_friction", Uniform(0.5, 1.5), each=True),
        "gravity": Scale("opt.gravity", Uniform(0.5, 1.5)),
    }

Every entry is a task parameter like any other: `env.tasks["mass"]` holds the factors, `[N]`, by which each task
multiplies the model's own values; nothing compounds from task to task. Fields are those of MuJoCo's MjModel, and
those of MjOption after `opt.`; rows go by the names in the XML. Letter: N tasks.
"""

import copy
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS

from envs.contract.errors import InputError, require_known
from envs.contract.tasks import Law, LogUniform, TaskDistribution, TaskList, Tasks, Uniform

# Model fields that mean nothing below 0, or at 0.
POSITIVE_FIELDS = ("body_mass", "body_inertia", "geom_size")
NONNEGATIVE_FIELDS = ("dof_armature", "dof_damping", "dof_frictionloss", "geom_friction", "jnt_stiffness")
# Model fields whose rows are a lower and an upper bound.
RANGE_FIELDS = ("actuator_ctrlrange", "actuator_forcerange", "jnt_actfrcrange", "jnt_range", "tendon_range")
# What a field's rows are rows of, by how the field's name begins.
KINDS = {
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "dof": mujoco.mjtObj.mjOBJ_JOINT,
    "geom": mujoco.mjtObj.mjOBJ_GEOM,
    "jnt": mujoco.mjtObj.mjOBJ_JOINT,
    "site": mujoco.mjtObj.mjOBJ_SITE,
    "tendon": mujoco.mjtObj.mjOBJ_TENDON,
}
JOINT_TRANSMISSIONS = (mujoco.mjtTrn.mjTRN_JOINT.value, mujoco.mjtTrn.mjTRN_JOINTINPARENT.value)


@dataclass(frozen=True)
class Scale:
    """A task parameter that multiplies a model field."""

    field: str | tuple[str, ...]
    """MjModel's name of the field, or `opt.` and MjOption's; or several fields, which one factor scales alike."""
    law: Law
    """The distribution of the factor."""
    names: Sequence[str] = ()
    """The elements that are scaled; all if none is named. A `dof_` field goes by the names of joints, an actuator
    without a name by that of its joint."""
    each: bool = False
    """Whether every number of these elements has a factor of its own; otherwise one factor scales them all."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are scaled."""
        return (self.field,) if isinstance(self.field, str) else self.field


class Dynamics:
    """The declared scales of a model: the laws of their parameters, and the field values of given tasks."""

    def __init__(self, model: mujoco.MjModel, scales: Mapping[str, Scale]) -> None:
        """Raises: InputError on an unknown field or name, and on a scale that would change nothing."""
        self.scales = dict(scales)
        self.defaults: dict[str, np.ndarray] = {}
        self.rows: dict[tuple[str, str], list[int] | EllipsisType] = {}
        """The rows that a parameter scales of a field, by their names."""
        for parameter, scale in self.scales.items():
            if scale.each and len(scale.fields) > 1:
                count = len(scale.fields)
                raise InputError(
                    f"'{parameter}' gives each number a factor, but scales {count} fields — name one of them"
                )
            for field in scale.fields:
                # A copy, as the model's arrays are live views: what anyone does to the model does not move the tasks.
                self.defaults[field] = _default(model, field)
                rows = self.rows[parameter, field] = _rows(model, parameter, field, scale.names)
                _require_effect(model, parameter, field, rows, scale.names)

    def with_laws(self, distribution: TaskDistribution) -> TaskDistribution:
        """The distribution with the laws of the scales added; a law that it names itself stands instead of theirs.

        Raises: InputError on a law that draws neither one factor nor one for each number, and on a list without them.
        """
        _require_whole(distribution, self.scales)
        completed = copy.copy(distribution)
        for name, scale in self.scales.items():
            completed[name] = self._fit(name, distribution.get(name, scale.law))
        return completed

    def complete(self, distribution: TaskDistribution | None, train: TaskDistribution) -> TaskDistribution | None:
        """The distribution of another split, in which parameters that it does not name follow the training law.

        Raises: InputError on a parameter that training tasks lack, and on a list that lacks one of theirs.
        """
        if distribution is None:
            return None
        require_known("a split has the unknown task parameter", distribution, train)
        _require_whole(distribution, train)
        completed = copy.copy(distribution)
        completed.update({name: law for name, law in train.items() if name not in distribution})
        return self.with_laws(completed)

    def scaled(self, tasks: Tasks) -> Tasks:
        """The scaled fields of tasks, each `[N, *field shape]`.

        Raises: InputError on a factor that no field of its kind can have.
        """
        fields: Tasks = {}
        for (parameter, field), rows in self.rows.items():
            factors, default = tasks[parameter], self.defaults[field]
            if field not in fields:
                fields[field] = np.tile(default, (len(factors), *(1,) * default.ndim))
            values = fields[field]
            part = values[:, rows]  # [N, rows, ...]
            values[:, rows] = part * factors.reshape(*factors.shape, *(1,) * (part.ndim - factors.ndim))
            _require_possible(parameter, field, factors, values)
        return fields

    def _fit(self, parameter: str, law: Law) -> Law:
        """The law with one factor for each number where the scale asks for it."""
        scale = self.scales[parameter]
        field = scale.fields[0]  # the only one, where each number has a factor
        shape = self.defaults[field][self.rows[parameter, field]].shape
        if scale.each and isinstance(law, Uniform | LogUniform):
            law = dataclasses.replace(law, shape=shape)
        wanted = shape if scale.each else ()
        drawn = np.shape(law.draw(np.random.default_rng(0)))
        if drawn != wanted:
            raise InputError(f"the law of '{parameter}' draws shape {drawn} — give one that draws {wanted}")
        return law


def _require_whole(distribution: TaskDistribution, names: Collection[str]) -> None:
    """Refuse a list of tasks without a parameter: its rows belong together, so that none can be drawn apart."""
    lacking = [name for name in names if name not in distribution]
    if isinstance(distribution, TaskList) and lacking:
        raise InputError(f"a list of tasks lacks '{lacking[0]}' — list it too, one row per task")


def _default(model: mujoco.MjModel, field: str) -> np.ndarray:
    """A copy of the model's own values."""
    require_known("unknown model field", [field], MODEL_FIELDS)
    holder, attribute = (model.opt, field[4:]) if field.startswith("opt.") else (model, field)
    values = np.array(getattr(holder, attribute))
    if values.dtype.kind != "f" or field == "opt.timestep":
        raise InputError(f"model field '{field}' cannot be scaled — name a physical quantity")
    return values


def _rows(model: mujoco.MjModel, parameter: str, field: str, names: Sequence[str]) -> list[int] | EllipsisType:
    """The rows of a field that belong to elements; all if none is named."""
    if not names:
        return ...
    by_name = _rows_by_name(model, field)
    require_known(f"'{parameter}' scales {field} of unknown", _each_name(names), by_name)
    return [row for name in dict.fromkeys(_each_name(names)) for row in by_name[name]]


def _each_name(names: Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def _require_effect(
    model: mujoco.MjModel, parameter: str, field: str, rows: list[int] | EllipsisType, names: Sequence[str]
) -> None:
    """Refuse to scale what is 0, and what MuJoCo computes from other fields whenever its constants are computed."""
    if not _default(model, field)[rows].any():
        of = f" of {', '.join(_each_name(names))}" if names else ""
        raise InputError(f"'{parameter}' scales {field}{of}, which is 0 — scale what is not")
    if field.startswith("opt."):
        return
    changed = copy.copy(model)
    mujoco.mj_setConst(changed, mujoco.MjData(changed))  # the file's rounding is not MuJoCo's
    values = getattr(changed, field)
    plain = values[rows].copy()
    values[rows] *= 1.5
    mujoco.mj_setConst(changed, mujoco.MjData(changed))
    if np.array_equal(values[rows], plain):
        raise InputError(f"'{parameter}' scales {field}, which MuJoCo derives from other fields — scale those")


def _rows_by_name(model: mujoco.MjModel, field: str) -> dict[str, list[int]]:
    """The rows of a field by the names of the elements that they belong to."""
    prefix = field.split("_")[0]
    if prefix not in KINDS:
        return {}
    rows: dict[str, list[int]] = {}
    owners = model.dof_jntid if prefix == "dof" else range(len(getattr(model, field)))
    for row, owner in enumerate(owners):
        name = mujoco.mj_id2name(model, KINDS[prefix], owner)
        if not name and prefix == "actuator" and model.actuator_trntype[owner] in JOINT_TRANSMISSIONS:
            name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, model.actuator_trnid[owner, 0])
        if name:
            rows.setdefault(name, []).append(row)
    return rows


def _require_possible(parameter: str, field: str, factors: np.ndarray, values: np.ndarray) -> None:
    """Refuse factors `[N, ...]` of impossible sign, and field values `[N, ...]` that they break."""
    good, wanted = np.ones(factors.shape, bool), ""
    if field in POSITIVE_FIELDS:
        good, wanted = factors > 0, "above 0"
    elif field in NONNEGATIVE_FIELDS:
        good, wanted = factors >= 0, "of 0 or above"
    if not good.all():
        index = tuple(np.argwhere(~good)[0])
        raise InputError(f"task parameter '{parameter}' of task {index[0]} is {factors[index]} — give factors {wanted}")
    broken = ~np.isfinite(values)
    if field in RANGE_FIELDS:
        broken |= values[..., :1] > values[..., 1:]
    if broken.any():
        task = np.argwhere(broken)[0][0]
        fault = "endless" if not np.isfinite(values).all() else "empty"
        raise InputError(f"task parameter '{parameter}' of task {task} makes {field} {fault} — give other factors")
