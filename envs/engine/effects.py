"""Which elements of a model a quantity means anything of, and which values no body, contact or buffer can have.

Letter: N tasks.
"""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from envs.engine.elements import collide, name_of

Masks = Callable[[mujoco.MjModel], np.ndarray]
"""Which rows of a field, bool `[rows]`, of a model."""
Fault = Callable[["Fields", list[int]], tuple[np.ndarray, str]]
"""Which tasks have impossible values in some rows, bool `[N]`, and what is wrong with them."""
GAIN, BIAS = mujoco.mjtGain, mujoco.mjtBias
# Fields of the model that only count where a flag says so.
FLAGS = {
    "actuator_ctrlrange": "actuator_ctrllimited",
    "actuator_forcerange": "actuator_forcelimited",
    "actuator_actrange": "actuator_actlimited",
    "jnt_range": "jnt_limited",
    "jnt_actfrcrange": "jnt_actfrclimited",
    "tendon_range": "tendon_limited",
    "tendon_actfrcrange": "tendon_actfrclimited",
}
# Model fields that mean nothing below 0, or at 0.
POSITIVE_FIELDS = ("body_mass", "body_inertia", "geom_size")
NONNEGATIVE_FIELDS = (
    "actuator_armature", "actuator_damping", "actuator_delay", "dof_armature", "dof_damping", "dof_frictionloss",
    "geom_friction", "jnt_stiffness", "opt.density", "opt.impratio", "opt.viscosity", "pair_friction", "tendon_damping",
    "tendon_frictionloss", "tendon_stiffness",
)  # fmt: skip


class Fields(dict[str, np.ndarray]):
    """Model fields of N tasks, `[N, *shape]` by name: those of the model until one is written to."""

    def __init__(self, defaults: Mapping[str, np.ndarray], count: int) -> None:
        super().__init__()
        self.defaults, self.count = defaults, count

    def __missing__(self, name: str) -> np.ndarray:
        default = self.defaults[name]
        self[name] = values = np.tile(default, (self.count, *(1,) * default.ndim))
        return values


# What counts.


def effect_of(field: str) -> tuple[Masks | None, str]:
    """Which rows of a field count at all, and what the others are."""
    if field in FLAGS:
        return lambda model: np.asarray(getattr(model, FLAGS[field]), bool), "which has no limit"
    if field in ("body_mass", "body_inertia", "body_ipos", "body_iquat"):
        return moves, "which cannot move"
    if field in ("body_pos", "body_quat"):
        return lambda model: ~floats(model), "which its free joint places"
    if field == "geom_friction":
        return touches, "which touches nothing"
    return None, ""


def moves(model: mujoco.MjModel) -> np.ndarray:
    """Which bodies forces move, bool `[nbody]`."""
    return np.asarray(model.body_treeid >= 0)


def touches(model: mujoco.MjModel) -> np.ndarray:
    """Which geoms may touch another, bool `[ngeom]`."""
    return np.asarray(collide(model).any(axis=1))


def floats(model: mujoco.MjModel) -> np.ndarray:
    """Which bodies have a free joint, bool `[nbody]`."""
    floats = np.zeros(model.nbody, bool)
    floats[model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]] = True
    return floats


def is_servo(model: mujoco.MjModel) -> np.ndarray:
    """Which actuators are position servos: force = kp (control - length) - kv velocity."""
    gain, bias = model.actuator_gainprm[:, 0], model.actuator_biasprm
    affine = (model.actuator_gaintype == GAIN.mjGAIN_FIXED) & (model.actuator_biastype == BIAS.mjBIAS_AFFINE)
    servos: np.ndarray = affine & (gain != 0) & (bias[:, 1] == -gain)
    return servos


def is_linear(model: mujoco.MjModel) -> np.ndarray:
    """Whose force is proportional to the parameters of its gain and bias, bool `[nu]`; of a muscle's, to some."""
    gain, bias = model.actuator_gaintype, model.actuator_biastype
    linear = np.isin(gain, (GAIN.mjGAIN_FIXED.value, GAIN.mjGAIN_AFFINE.value))
    linear &= np.isin(bias, (BIAS.mjBIAS_NONE.value, BIAS.mjBIAS_AFFINE.value))
    return linear | ((gain == GAIN.mjGAIN_MUSCLE) & (bias == BIAS.mjBIAS_MUSCLE))


def gravity_falls(model: mujoco.MjModel) -> np.ndarray:
    """Whether gravity falls along z, bool `[3]` all alike."""
    x, y, z = model.opt.gravity
    return np.full(3, x == y == 0.0 and z < 0.0)


# What cannot be.


def impossible_inertia(fields: Fields, rows: list[int]) -> tuple[np.ndarray, str]:
    """The triangle inequality of principal moments, which integrals of squares fulfil."""
    ordered = np.sort(fields["body_inertia"][:, rows], axis=2)  # [N, rows, 3]
    broken = ordered[..., 2] > (ordered[..., 0] + ordered[..., 1]) * (1 + 1e-9)
    return broken.any(axis=1), "gives a body a moment of inertia above the sum of its other two"


def overruled_friction(model: mujoco.MjModel) -> Fault:
    """Two geoms in contact have the friction of the one of higher priority, else the larger friction."""
    touch, static = collide(model), model.body_weldid[model.geom_bodyid] == 0
    grounded = touch & (static[:, None] != static[None])
    touch = grounded if grounded.any() else touch
    priority = model.geom_priority

    def fault(fields: Fields, rows: list[int]) -> tuple[np.ndarray, str]:
        chosen = np.isin(np.arange(model.ngeom), rows)
        first, second = np.nonzero(touch & chosen[:, None])  # pairs whose first is chosen
        friction = fields["geom_friction"][:, :, 0]
        outranked = priority[second] > priority[first]
        less = (priority[second] == priority[first]) & (friction[:, second] > friction[:, first])
        counts = chosen[second] | ~(outranked | less)  # [N, pairs]
        other = name_of(model, "geom", second[0]) if len(second) else ""
        text = (
            f"gives friction that contacts do not have: they take that of '{other}', the larger or of higher priority"
        )
        return (len(second) > 0) & ~counts.any(axis=1), text

    return fault


def too_late(model: mujoco.MjModel) -> Fault:
    """MuJoCo keeps so many old controls, one a physics step, and takes the oldest for what is older."""

    def fault(fields: Fields, rows: list[int]) -> tuple[np.ndarray, str]:
        kept = model.actuator_history[rows, 0] * model.opt.timestep
        late = fields["actuator_delay"][:, rows] > kept * (1 + 1e-9)
        return late.any(axis=1), f"is later than the controls that the model keeps, {kept.min():g} s"

    return fault
