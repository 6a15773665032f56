"""Models from MJCF files, with what the file lacks: sensors, servos in place of motors, controls kept for latency."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco

from envs.contract.errors import InputError, require_known
from envs.engine.elements import SPECS, as_names, matching

SENSORS = {
    name.removeprefix("mjSENS_").lower(): getattr(mujoco.mjtSensor, name)
    for name in dir(mujoco.mjtSensor)
    if name.startswith("mjSENS_")
}
"""Sensors by MJCF's names."""
# What they may be attached to, by how their names begin, in the order in which a name is looked for.
ATTACHED = {
    ("gyro", "accelerometer", "velocimeter", "magnetometer", "force", "torque", "touch", "rangefinder"): ("site",),
    ("joint", "ball"): ("joint",),
    ("actuator",): ("actuator",),
    ("tendon",): ("tendon",),
    ("subtree",): ("body",),
    ("frame",): ("site", "xbody", "geom"),
    ("contact",): ("geom", "xbody"),
}
OBJECTS = {kind: getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}") for kind in ("site", "joint", "actuator", "tendon")}
OBJECTS |= {kind: getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}") for kind in ("body", "xbody", "geom")}
ON_A_BODY = ("gyro", "accelerometer", "velocimeter", "magnetometer")
JOINT_ACTUATORS = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
NET_FORCE = [1 << mujoco.mjtConDataField.mjCONDATA_FORCE.value, 3, 1]  # data="force" reduce="netforce" num="1"


@dataclass(frozen=True)
class Servos:
    """Position servos on joints, torque = stiffness (target - angle) - damping velocity in every physics step."""

    stiffness: float
    """N m/rad, or N/m: kp."""
    damping: float
    """N m s/rad, or N s/m: kv."""
    torque: float | None = None
    """The most that a servo gives, N m or N; by default what the actuator before it could, which may be endless."""
    names: str | Sequence[str] = "*"
    """The joints, by name or pattern; by default those that have an actuator, or all if none has."""


def load_model(
    path: str | Path,
    *,
    timestep: float | None = None,
    edit: Callable[[mujoco.MjSpec], None] | None = None,
    sensors: Mapping[str, tuple[str, str]] | None = None,
    servos: Servos | Sequence[Servos] = (),
    latency: float = 0.0,
) -> mujoco.MjModel:
    """Compile an MJCF file, with what it lacks.

    Args:
        timestep: seconds of a physics step; by default the file's.
        edit: adds anything else; it comes first.
        sensors: by name, what is sensed, as MJCF calls it, and of what: `{"gyro": ("gyro", "trunk")}`. A site that a
            sensor needs is put into the named body's frame. `("contact", "foot")` is the force on a geom or a body
            by all its contacts, in the world's axes (N).
        servos: position servos in place of joints' actuators, or where they have none.
        latency: the most seconds that a control may need to its actuator, for the task parameter `latency`.

    The `settotalmass` of older files, which MuJoCo is about to drop, is applied to the compiled model.

    Raises: InputError on a file that is missing or that MuJoCo refuses, and on an unknown sensor, element or joint.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no model file '{path}' — check the path")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        if timestep is not None:
            spec.option.timestep = timestep
        if edit is not None:
            edit(spec)
        for name, (what, of) in (sensors or {}).items():
            _add_sensor(spec, name, what, of)
        for given in (servos,) if isinstance(servos, Servos) else servos:
            _add_servos(spec, given)
        if latency > 0:
            for actuator in spec.actuators:
                actuator.nsample = max(math.ceil(latency / spec.option.timestep - 1e-9), 1)
        total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1.0
        model = spec.compile()
    except InputError:
        raise
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"MuJoCo refuses '{path}' ({reason}) — repair the XML") from error
    if total_mass > 0:
        mujoco.mj_setTotalmass(model, total_mass)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    SPECS[model] = spec
    return model


def _add_sensor(spec: mujoco.MjSpec, name: str, what: str, of: str) -> None:
    kinds = next((kinds for starts, kinds in ATTACHED.items() if what.startswith(starts)), ())
    known = [sensor for sensor in SENSORS if any(sensor.startswith(starts) for starts in ATTACHED)]
    require_known(f"'{name}' is the unknown sensor", [what], known)
    if any(sensor.name == name for sensor in spec.sensors):
        raise InputError(f"the model has a sensor '{name}' already — give the new one another name")
    there = {kind: [element.name for element in _elements(spec, kind)] for kind in kinds}
    kind = next((kind for kind in kinds if of in there[kind]), "")
    bodies = {body.name: body for body in spec.bodies}
    if not kind and what in ON_A_BODY and of in bodies:
        bodies[of].add_site(name=(of := f"{name} site"))
        kind = "site"
    elif not kind:
        offered = [*sum(there.values(), []), *(bodies if what in ON_A_BODY else [])]
        require_known(f"'{name}' senses {what} of unknown", [of], [each for each in offered if each])
    side = "ref" if what == "contact" else "obj"  # the second of a contact's two is whom its force acts on
    sensor = spec.add_sensor(name=name, type=SENSORS[what], **{f"{side}type": OBJECTS[kind], f"{side}name": of})
    if what == "contact":
        sensor.intprm = NET_FORCE


def _elements(spec: mujoco.MjSpec, kind: str) -> Any:
    return spec.bodies if kind in ("body", "xbody") else getattr(spec, f"{kind}s")


def _add_servos(spec: mujoco.MjSpec, servos: Servos) -> None:
    slide_or_hinge = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    joints = [joint.name for joint in spec.joints if joint.type in slide_or_hinge]
    motors = [actuator for actuator in spec.actuators if actuator.trntype in JOINT_ACTUATORS]
    driven = {actuator.target: actuator for actuator in motors}
    for pattern in as_names(servos.names):
        found = matching(pattern, joints)
        require_known("there are servos on the unknown joint", [] if found else [pattern], joints)
        for joint in found:
            if joint not in driven and pattern == "*" and driven:
                continue
            if sum(actuator.target == joint for actuator in motors) > 1:
                raise InputError(f"joint '{joint}' has several actuators — name other joints for the servos")
            actuator = driven.get(joint) or spec.add_actuator(name=joint, target=joint, trntype=JOINT_ACTUATORS[0])
            limit = servos.torque
            if limit is None and actuator.biastype == mujoco.mjtBias.mjBIAS_NONE and actuator.ctrlrange.any():
                limit = float(max(abs(actuator.ctrlrange)) * abs(actuator.gear[0] * actuator.gainprm[0]))  # a motor's
            actuator.gear[0], actuator.ctrlrange = 1.0, (0.0, 0.0)
            actuator.set_to_position(kp=servos.stiffness, kv=servos.damping, inheritrange=True)
            if limit is not None:
                actuator.forcerange, actuator.forcelimited = (-limit, limit), mujoco.mjtLimited.mjLIMITED_TRUE
