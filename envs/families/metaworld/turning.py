"""Meta-World's tasks on what turns or slides and stays: drawers, dials, taps, levers, doors and their locks."""

from functools import partial

import numpy as np

from envs.families.metaworld.pressing import HINGE
from envs.families.metaworld.scene import Scene, Score, Shared, Task, single
from envs.families.metaworld.terms import closing, distance, floor_between, hamacher, tolerance
from envs.families.metaworld.things import BACK, DEEP, MIDDLE, X, Z, at_body, at_geom, at_site, standing

# Drawers, dials, taps


def reset_drawer_close(s: Scene, v: np.ndarray) -> None:
    """The drawer pulled out."""
    s.place(-0.15, still=())
    s.keep(target=v[:, :3] + (0.0, -0.16, 0.09), object=s.body("drawer_link") + (0.0, -0.16, 0.05))


def drawer_close(s: Scene) -> Score:
    """At the handle with a closed gripper × the drawer in place."""
    left, start = distance(s.object, s.target), distance(s.object_start, s.target)
    in_place = tolerance(left, 0.05, np.abs(start - 0.05))
    reach, reach_start = distance(s.object, s.tcp), distance(s.object_start, s.tcp_start)
    at = tolerance(reach, 0.005, np.abs(reach_start - 0.005), tail="gaussian")
    at = hamacher(at, closing(s.action))
    closed = left <= 0.05 + 0.015
    reward = 10.0 * np.where(closed, 1.0, hamacher(at, in_place))
    return Score(reward, closed, reach <= 0.01, at, in_place, left)


def reset_drawer_open(s: Scene, v: np.ndarray) -> None:
    """The drawer where the vector says, closed."""
    s.keep(target=v[:, :3] + (0.0, -0.36, 0.09), object=v[:, :3])


def drawer_open(s: Scene) -> Score:
    """At the handle, and the drawer open."""
    left = distance(s.object, s.target)
    opening = tolerance(left, 0.02, 0.2)
    scale = (3.0, 3.0, 1.0)
    handle_start = s.target + (0.0, 0.2, 0.0)
    margin = distance(handle_start, s.tcp_start, scale)
    at = tolerance(distance(s.object, s.hand, scale), 0.01, margin)
    near = distance(s.object, s.hand) <= 0.03
    return Score(5.0 * (at + opening), left <= 0.03, near, at, opening, left)


def dial(s: Scene) -> tuple[np.ndarray, ...]:
    """The dial's mark, 5 cm from its middle, and its quaternion."""
    angle = s.joint("knob_Joint_1")
    mark = 0.05 * np.stack([np.sin(angle), -np.cos(angle), np.zeros_like(angle)], axis=1)
    return s.body("dial") + mark, s.turned("dial")


def reset_dial(s: Scene, v: np.ndarray) -> None:
    """The dial where the vector says."""
    s.keep(target=v[:, :3] + (0, 0.03, 0.03), object=v[:, :3], push=dial(s)[0] + (0.05, 0.02, 0.09))


def dial_turn(s: Scene) -> Score:
    """At the mark with a closed gripper × the mark in place."""
    mark = dial(s)[0]
    left, start = distance(mark, s.target), distance(s.start["push"], s.target)
    in_place = tolerance(left, 0.07, np.abs(start - 0.07))
    reach = distance(mark + (0.05, 0.02, 0.09), s.tcp)
    reach_start = distance(s.start["push"], s.tcp_start)
    at = tolerance(reach, 0.005, np.abs(reach_start - 0.005), tail="gaussian")
    at = hamacher(at, closing(s.action))
    return Score(10.0 * hamacher(at, in_place), left <= 0.07, reach <= 0.01, at, in_place, left)


def reset_faucet(s: Scene, v: np.ndarray, side: float) -> None:
    """The tap where the vector says; it is to be turned to a side."""
    s.keep(target=v[:, :3] + (side * 0.175, 0.0, 0.125), object=v[:, :3])
    if side < 0:
        s.forward()


def faucet(s: Scene, offset: tuple[float, float, float]) -> Score:
    """At the handle, and the handle in place."""
    handle = s.object + offset
    left, start = distance(handle, s.target), distance(s.object_start, s.target)
    in_place = tolerance(left, 0.07, np.abs(start - 0.07))
    reach, reach_start = distance(handle, s.tcp), distance(s.object_start, s.tcp_start)
    at = tolerance(reach, 0.01, np.abs(reach_start - 0.01), tail="gaussian")
    reward = np.where(left <= 0.07, 10.0, 4.0 * at + 6.0 * in_place)
    return Score(reward, left <= 0.07, reach <= 0.01, at, in_place, left)


def reset_lever(s: Scene, v: np.ndarray) -> None:
    """The lever where the vector says."""
    s.keep(target=v[:, :3] + (0.12, 0.0, 0.45), object=v[:, :3], lever=v[:, :3] + (0.12, -0.2, 0.25))


def lever_pull(s: Scene) -> Score:
    """The hand below the lever × the lever up."""
    offset, scale = np.array([0.0, 0.055, 0.07]), (4.0, 1.0, 4.0)
    below = distance(s.hand + offset, s.object, scale)
    ready = tolerance(below, 0.02, distance(s.tcp_start + offset, s.start["lever"], scale))
    error = np.abs(-s.joint("LeverAxis") - np.pi / 2.0)
    engaged = tolerance(error, np.pi / 48.0, np.pi / 2.0 - np.pi / 12.0)
    in_place = tolerance(distance(s.object, s.target), 0.04, distance(s.start["lever"], s.target))
    reward = 10.0 * hamacher(ready, in_place)
    return Score(reward, error <= np.pi / 24, below < 0.03, ready, engaged, below)


# Doors and locks


def reset_door(s: Scene, v: np.ndarray, angle: float, to: tuple[float, float, float]) -> None:
    """The door where the vector says, at an angle (rad)."""
    s.keep(target=v[:, :3] + to, object=v[:, :3])
    s.place(angle, still=HINGE)


def door_open(s: Scene) -> Score:
    """At the handle, from above, with a closed gripper; and the door open."""
    angle, threshold = s.joint("doorjoint"), 0.12
    grab = (np.clip(s.action[:, 3], -1, 1) + 1.0) / 2.0
    door = s.object + (-0.05, 0.0, 0.0)
    floor = floor_between(distance(s.hand[:, :2], door[:, :2]), threshold, 0.04, 0.4)
    height = s.hand[:, Z]
    above = np.where(height >= floor, 1.0, tolerance(floor - height, 0.01, floor / 2.0))
    at = tolerance(distance(s.hand, door + (0.05, 0.03, -0.01)), threshold / 2.0, 0.5)
    ready = hamacher(above, at)
    wide = tolerance(np.pi / 2.0 + np.pi / 6 + angle, 0.5, np.pi / 3.0)
    opened = 0.2 * (angle < -np.pi / 90.0) + 0.8 * wide
    done = np.abs(s.object[:, X] - s.target[:, X]) <= 0.08
    reward = np.where(done, 10.0, 2.0 * hamacher(ready, grab) + 8.0 * opened)
    return Score(reward, done, ready, grab, opened)


def door_close(s: Scene) -> Score:
    """The hand and the handle at the target."""
    left = distance(s.object, s.target)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target), tail="gaussian")
    margin = distance(s.hand_start, s.object) + 0.1
    hand = tolerance(distance(s.tcp, s.target), 0.25 * 0.05, margin, tail="gaussian")
    reward = np.where(left < 0.05, 10.0, 3.0 * hand + 6.0 * in_place)
    return Score(reward, left <= 0.08, 0.0, 1.0, hand, left)


def reset_lock(s: Scene, v: np.ndarray) -> None:
    """The lock where the vector says."""
    s.settle(5)
    s.keep(target=s.body("lock_link") + (0.0, -0.04, -0.1), object=v[:, :3])


def door_lock(s: Scene) -> Score:
    """A finger at the lock, and the lock down."""
    reach = distance(s.object, s.pads[0], (0.25, 1.0, 0.5))
    left = np.abs(s.target[:, Z] - s.object[:, Z])
    at = tolerance(reach, 0.01, reach)  # the package's start of the finger is where it is now
    pressed = tolerance(left, 0.005, 0.1)
    reward = 2.0 * hamacher(np.maximum(s.opened, 0.0), at) + 8.0 * pressed
    return Score(reward, left <= 0.02, reach <= 0.05, at, pressed, left)


def reset_unlock(s: Scene, v: np.ndarray) -> None:
    """The lock where the vector says, locked."""
    s.place(1.5708, still=HINGE)
    s.keep(target=s.body("lock_link") + (0.1, -0.04, 0.0), object=v[:, :3])


def door_unlock(s: Scene) -> Score:
    """The hand behind the lock, and the lock aside."""
    offset, scale = np.array([0.0, 0.055, 0.07]), (0.25, 1.0, 0.5)
    shoulder = distance(s.hand + offset, s.object, scale)
    margin = distance(s.tcp_start + offset, s.body("lock_link"), scale)  # the package's start is where it is now
    ready = tolerance(shoulder, 0.02, margin)
    left = np.abs(s.target[:, X] - s.object[:, X])
    pushed = tolerance(left, 0.005, 0.1)
    return Score(2.0 * ready + 8.0 * pushed, left <= 0.02, shoulder <= 0.05, ready, pushed, left)


DRAWER: Shared = {"model": "sawyer_drawer.xml", "low": (-0.1, 0.9, 0.0), "high": (0.1, 0.9, 0.0), "hand": MIDDLE}
DRAWER |= {"fixed": standing("drawer")}
DOOR: Shared = {"model": "sawyer_door_pull.xml", "low": (0.0, 0.85, 0.15), "high": (0.1, 0.95, 0.15)}
DOOR |= {"objects": at_geom("handle"), "fixed": standing("door")}
LOCK: Shared = {"model": "sawyer_door_lock.xml", "low": (-0.1, 0.8, 0.15), "high": (0.1, 0.85, 0.15), "hand": MIDDLE}
LOCK |= {"fixed": standing("door"), "reach_low": DEEP}
FAUCET: Shared = {
    "model": "sawyer_faucet.xml",
    "fixed": standing("faucetBase"),
    "hand": (0.0, 0.4, 0.2),
    "reach_low": DEEP,
}
TURNING: dict[str, Task] = {
    "drawer-close": Task(
        **DRAWER,
        objects=at_body("drawer_link", (0, -0.16, 0.05), turned=False),
        reset=reset_drawer_close,
        reward=drawer_close,
    ),
    "drawer-open": Task(
        **DRAWER, objects=at_body("drawer_link", (0, -0.16, 0)), reset=reset_drawer_open, reward=drawer_open
    ),
    "dial-turn": Task(
        "sawyer_dial.xml",
        (-0.1, 0.7, 0.0),
        (0.1, 0.8, 0.0),
        dial,
        reset_dial,
        dial_turn,
        standing("dial"),
        MIDDLE,
        goal=((-0.1, 0.73, 0.0299), (0.1, 0.83, 0.0301)),
    ),
    "faucet-open": Task(
        low=(-0.05, 0.8, 0.0),
        high=(0.05, 0.85, 0.0),
        **FAUCET,
        objects=at_site("handleStartOpen", (0, 0, -0.01), "faucetBase"),
        reset=partial(reset_faucet, side=1.0),
        reward=partial(faucet, offset=(-0.04, 0.0, 0.03)),
    ),
    "faucet-close": Task(
        low=(-0.1, 0.8, 0.0),
        high=(0.1, 0.85, 0.0),
        **FAUCET,
        objects=at_site("handleStartClose", (0, 0, -0.01), "faucetBase"),
        reset=partial(reset_faucet, side=-1.0),
        reward=partial(faucet, offset=(0.0, 0.0, 0.0)),
    ),
    "lever-pull": Task(
        "sawyer_lever_pull.xml",
        (-0.1, 0.7, 0.0),
        (0.1, 0.8, 0.0),
        lambda s: (s.site("leverStart"), s.rotated("geom", "objGeom")),
        reset_lever,
        lever_pull,
        standing("lever"),
        BACK,
        DEEP,
    ),
    "door-open": Task(
        **DOOR,
        reset=partial(reset_door, angle=0.0, to=(-0.3, -0.45, 0.0)),
        reward=door_open,
        goal=((-0.3, 0.4, 0.1499), (-0.2, 0.5, 0.1501)),
    ),
    "door-close": Task(
        **DOOR,
        hand=single(-0.5, 0.6, 0.2),
        reset=partial(reset_door, angle=-1.5708, to=(0.2, -0.2, 0.0)),
        reward=door_close,
        goal=((0.2, 0.65, 0.1499), (0.3, 0.75, 0.1501)),
    ),
    "door-lock": Task(**LOCK, objects=at_site("lockStartLock", turned="door_link"), reset=reset_lock, reward=door_lock),
    "door-unlock": Task(
        **LOCK,
        objects=at_site("lockStartUnlock", turned="door_link"),
        reset=reset_unlock,
        reward=door_unlock,
        goal=((0.0, 0.64, 0.21), (0.2, 0.7, 0.2111)),
    ),
}
