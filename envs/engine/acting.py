"""From actions to controls, all lanes at once: full control at the action box's border, around a range's middle or
around a home pose; no faster than a rate.

Letter: A actions.
"""

import mujoco
import numpy as np

from envs.contract.errors import InputError, require_known
from envs.engine.effects import is_servo
from envs.engine.elements import JOINT_TRANSMISSIONS

HOME = "home"
"""The keyframe that controls are around where a definition names none."""


def find_keyframe(model: mujoco.MjModel, name: str | None, controls: str) -> int:
    """The number of the keyframe that episodes start from; -1 for the model's own pose.

    Raises: InputError on a keyframe that the model lacks, and on controls that are neither of the two kinds.
    """
    require_known("controls are unknown:", [controls], ["range", "around-home"])
    if name is None and controls == "range":
        return -1
    wanted, known = HOME if name is None else name, [model.key(key).name for key in range(model.nkey)]
    if not any(known):
        raise InputError(
            f"the model has no keyframe '{wanted}', nor any — add <key name=\"{wanted}\" qpos=…> to the XML"
        )
    require_known("unknown keyframe", [wanted], known)
    return known.index(wanted)


def home_controls(model: mujoco.MjModel, key: int) -> np.ndarray:
    """What the actuators are told in a keyframe, [A]: its controls or, where it has none, its joints' positions.

    Raises: InputError on an actuator for which neither says anything.
    """
    controls: np.ndarray = model.key_ctrl[key].copy()
    if controls.any():
        return controls
    servos = is_servo(model) & np.isin(model.actuator_trntype, JOINT_TRANSMISSIONS)
    if not servos.all():
        actuator = int(np.argmin(servos))
        raise InputError(
            f"the keyframe has no controls, and actuator {actuator} is no position servo — give it a ctrl in the XML"
        )
    joints = model.actuator_trnid[:, 0]
    return np.asarray(model.actuator_gear[:, 0] * model.key_qpos[key][model.jnt_qposadr[joints]])


class Controls:
    """What full control means in every lane, and how fast it may change."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num_envs: int,
        home: np.ndarray | None,
        reach: object,
        rate: float | None,
        dt: float,
    ) -> None:
        """Take controls from the ranges or, where there is one, around `home` [A].

        Args:
            reach: how far from home full control is, in the controls' unit: a number, or one for each actuator.
            rate: the most that a control changes in a second; None for any.
            dt: seconds in a step.

        Raises: InputError on an impossible reach or rate.
        """
        self.home = home
        self.low, self.high = np.zeros((2, num_envs, model.nu))
        self.center, self.radius = np.zeros((2, num_envs, model.nu))
        if rate is not None and not rate > 0:
            raise InputError(f"control_rate is {rate!r} — give a number above 0, or None")
        self.step = None if rate is None else rate * dt
        if home is not None:
            radius = np.asarray(reach, np.float64)
            if radius.shape not in ((), (model.nu,)) or not (np.isfinite(radius) & (radius > 0)).all():
                raise InputError(f"control_reach is {reach!r} — give a number above 0, or one for each of {model.nu}")
            self.center[:], self.radius[:] = home, radius
        self.set_ranges(np.ones(num_envs, bool), model.actuator_ctrlrange)

    def set_ranges(self, lanes: np.ndarray, ranges: np.ndarray) -> None:
        """Take `ranges` `[..., A, 2]` as those of `lanes` (bool `[num_envs]`)."""
        low, high = ranges[..., 0], ranges[..., 1]
        self.low[lanes], self.high[lanes] = low, high
        if self.home is None:
            self.center[lanes], self.radius[lanes] = (low + high) / 2, (high - low) / 2

    def at(self, fractions: np.ndarray) -> np.ndarray:
        """The controls at fractions of full control, [num_envs, A]."""
        controls = self.center + self.radius * fractions
        return controls if self.home is None else np.clip(controls, self.low, self.high)

    def no_faster(self, controls: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The controls, as far from those before as their rate lets them."""
        return controls if self.step is None else np.clip(controls, before - self.step, before + self.step)


class ControlHistory:
    """The old controls that a model keeps for its actuators' latency: after a reset they are those of the start."""

    def __init__(self, model: mujoco.MjModel) -> None:
        places, owners = [], []
        for actuator in np.flatnonzero(model.actuator_history[:, 0] > 0):
            kept, start = model.actuator_history[actuator, 0], model.actuator_historyadr[actuator]
            places += list(range(start + 2 + kept, start + 2 + 2 * kept))  # a header of 2, the times, the controls
            owners += [actuator] * kept
        self.places, self.owners = np.array(places, int), np.array(owners, int)

    def start(self, history: np.ndarray, lanes: np.ndarray, controls: np.ndarray) -> None:
        """Fill `history` `[num_envs, …]` of `lanes` (bool `[num_envs]`) with their `controls` `[num_envs, A]`."""
        history[np.ix_(lanes, self.places)] = controls[np.ix_(lanes, self.owners)]
