"""Quantities of a robot by the names that its builder uses, each with the model fields that it moves together.

    mass             kg, of bodies that move; their inertia goes with it, as if their density changed
    inertia          kg m², the three principal moments of bodies that move
    center_of_mass   m, of bodies, in their own frame
    friction         sliding friction of geoms that touch something
    strength         1 is the model's: a factor of all force that an actuator can give, its limits and gains included
    stiffness        N m/rad (N/m), of position servos: what MJCF calls kp
    damping          N m s/rad (N s/m), of position servos: kv
    latency          s, from a control to its actuator; of a model that keeps old controls (`load_model(latency=…)`)
    slope            rad, of the ground, uphill along x (axis x, the default) and y: gravity leans instead

What else a model has goes by MuJoCo's own name: `dof_damping`, `jnt_stiffness`, `opt.gravity` … A quantity knows what
is impossible and what has no effect. Letter: N tasks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.engine.effects import (
    GAIN,
    NONNEGATIVE_FIELDS,
    POSITIVE_FIELDS,
    Fault,
    Fields,
    Masks,
    effect_of,
    gravity_falls,
    impossible_inertia,
    is_linear,
    is_servo,
    moves,
    overruled_friction,
    too_late,
    touches,
)
from envs.engine.elements import Rows

ABOVE_0, FROM_0 = "above 0", "of 0 or above"
Read = Callable[[Fields, Rows], np.ndarray]
"""The values of rows, `[N, rows, ...]`."""
Write = Callable[[Fields, Rows, np.ndarray, np.ndarray], None]
"""Writes new values of rows, given what they are of the old ones, `[N, rows, ...]` both."""


@dataclass(frozen=True)
class Quantity:
    """How a quantity is read from model fields and written to them."""

    fields: tuple[str, ...]
    """All that it moves; the rows are those of the first, the field that it is."""
    read: Read
    write: Write
    bound: str = ""
    """What its values must be."""
    has: Masks | None = None
    """Which rows have it, bool `[rows]`; by default all."""
    lacks: str = ""
    """What rows are that do not have it."""
    axes: str = ""
    """Which of the axes x, y and z change where a task parameter does not say."""
    fault: Fault | None = None
    """Which tasks it makes impossible, or does not reach, once all is changed, bool `[N]`; and what is wrong then."""
    own: bool = True
    """Whether without names it means the rows that have it; a field of MuJoCo's means them all."""


def field_quantity(field: str) -> Quantity:
    """A field of MuJoCo's model, as it is."""

    def write(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
        fields[field][:, rows] = new

    bound = ABOVE_0 if field in POSITIVE_FIELDS else FROM_0 if field in NONNEGATIVE_FIELDS else ""
    has, lacks = effect_of(field)
    frame = f"{field.split('_')[0]}_sameframe"
    if field not in ("geom_pos", "geom_quat", "site_pos", "site_quat"):
        return Quantity((field,), lambda fields, rows: fields[field][:, rows], write, bound, has, lacks, own=False)

    def write_place(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
        write(fields, rows, new, ratio)
        fields[frame][:, rows] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE  # or MuJoCo takes the body's frame instead

    return Quantity((field, frame), lambda fields, rows: fields[field][:, rows], write_place, own=False)


def _column(field: str, column: int) -> tuple[Read, Write]:
    """One column of a field, alone."""

    def write(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
        fields[field][:, rows, column] = new

    return lambda fields, rows: fields[field][:, rows, column], write


def _write_mass(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
    fields["body_mass"][:, rows] = new
    fields["body_inertia"][:, rows] *= ratio[..., None]


def _write_stiffness(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
    fields["actuator_gainprm"][:, rows, 0], fields["actuator_biasprm"][:, rows, 1] = new, -new


def _read_damping(fields: Fields, rows: Rows) -> np.ndarray:
    return -fields["actuator_biasprm"][:, rows, 2]


def _write_damping(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
    fields["actuator_biasprm"][:, rows, 2] = -new


def _strength(model: mujoco.MjModel) -> Quantity:
    """All force is linear in the gains' and biases' parameters, but for a muscle's two ranges, then limited."""
    on_joint = np.isin(model.actuator_trntype, (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT))
    muscle = model.actuator_gaintype == GAIN.mjGAIN_MUSCLE

    def write(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
        chosen = np.arange(len(muscle))[rows]
        for place, actuator in enumerate(chosen):
            factor = ratio[:, place, None]
            columns = slice(2, 4) if muscle[actuator] else slice(0, 3)
            fields["actuator_gainprm"][:, actuator, columns] *= factor
            fields["actuator_biasprm"][:, actuator, columns] *= factor
            fields["actuator_forcerange"][:, actuator] *= factor
            joint = model.actuator_trnid[actuator, 0]
            if on_joint[actuator] and model.jnt_actfrclimited[joint]:
                fields["jnt_actfrcrange"][:, joint] *= factor

    moved = ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "jnt_actfrcrange")
    lacks = "whose force is not linear in its gains"
    return Quantity(
        moved, lambda fields, rows: np.ones((fields.count, len(muscle)))[:, rows], write, FROM_0, is_linear, lacks
    )


def _write_slope(fields: Fields, rows: Rows, new: np.ndarray, ratio: np.ndarray) -> None:
    gravity = fields["opt.gravity"]
    strength, along_x, along_y = np.linalg.norm(gravity, axis=1), new[:, 0], new[:, 1]
    gravity[:, 0] = -strength * np.sin(along_x)
    gravity[:, 1] = -strength * np.cos(along_x) * np.sin(along_y)
    gravity[:, 2] = -strength * np.cos(along_x) * np.cos(along_y)


def quantities(model: mujoco.MjModel) -> dict[str, Quantity]:
    """The quantities that have names of their own, for a model."""
    bias, gain = "actuator_biasprm", "actuator_gainprm"
    servo = "which is no position servo"
    return {
        "mass": Quantity(
            ("body_mass", "body_inertia"),
            lambda fields, rows: fields["body_mass"][:, rows],
            _write_mass,
            ABOVE_0,
            lambda model: moves(model) & (model.body_mass > 0),
            "which cannot move, or has no mass",
        ),
        "inertia": Quantity(
            *_plain("body_inertia"), ABOVE_0, moves, "which cannot move", fault=impossible_inertia
        ),
        "center_of_mass": Quantity(*_plain("body_ipos"), "", moves, "which cannot move"),
        "friction": Quantity(
            ("geom_friction",),
            *_column("geom_friction", 0),
            FROM_0,
            touches,
            "which touches nothing",
            fault=overruled_friction(model),
        ),
        "strength": _strength(model),
        "stiffness": Quantity((gain, bias), _column(gain, 0)[0], _write_stiffness, FROM_0, is_servo, servo),
        "damping": Quantity((bias,), _read_damping, _write_damping, FROM_0, is_servo, servo),
        "latency": Quantity(
            *_plain("actuator_delay"),
            FROM_0,
            lambda model: model.actuator_history[:, 0] > 0,
            "whose controls are not kept: load the model with load_model(latency=SECONDS)",
            fault=too_late(model),
        ),
        "slope": Quantity(
            ("opt.gravity",),
            lambda fields, rows: np.zeros((fields.count, 2)),
            _write_slope,
            "",
            gravity_falls,
            "which does not fall along z",
            axes="x",
        ),
    }  # fmt: skip


def _plain(field: str) -> tuple[tuple[str, ...], Read, Write]:
    quantity = field_quantity(field)
    return quantity.fields, quantity.read, quantity.write
