"""Meta-World's tasks on things that are fixed to the table but for a joint: buttons, handles, doors, drawers, taps."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from envs.families.metaworld.scene import Scene, Score, Task, single
from envs.families.metaworld.terms import closing, distance, floor_between, hamacher, tolerance

Objects = Callable[[Scene], tuple[np.ndarray, ...]]
X, Y, Z = 0, 1, 2
MIDDLE, BACK = single(0, 0.6, 0.2), single(0, 0.4, 0.2)
DEEP = (-0.5, 0.4, -0.15)  # where the hand may be sent below the table's top
NO_QUATERNION = (0.0, 0.0, 0.0, 0.0)
HINGE = range(9, 10)


def at_site(name: str, offset: tuple[float, float, float] = (0, 0, 0), turned: str = "") -> Objects:
    """A site's place, and a body's quaternion or zeros."""

    def objects(s: Scene) -> tuple[np.ndarray, ...]:
        return s.site(name) + np.array(offset), s.turned(turned) if turned else s.everywhere(*NO_QUATERNION)

    return objects


def at_body(name: str, offset: tuple[float, float, float] = (0, 0, 0), turned: bool = True) -> Objects:
    """A body's place and its quaternion or zeros."""

    def objects(s: Scene) -> tuple[np.ndarray, ...]:
        return s.body(name) + np.array(offset), s.turned(name) if turned else s.everywhere(*NO_QUATERNION)

    return objects


def at_geom(name: str) -> Objects:
    """A geom's place and quaternion."""
    return lambda s: (s.geom(name), s.rotated("geom", name))


# Buttons


def reset_button(s: Scene, v: np.ndarray, axis: int, sunk: bool) -> None:
    s.place(0.0, still=HINGE) if sunk else s.forward()
    hole = s.site("hole").copy()
    s.keep(target=hole, object=v[:, :3], travel=np.abs(hole - s.site("buttonStart"))[:, axis])


def press(s: Scene, axis: int, near: float, weights: tuple[float, float], success: float, closed: bool = False) -> Score:
    """Close, or open, to the button; and it pressed."""
    reach, start = distance(s.object, s.tcp), distance(s.object, s.tcp_start)
    left = np.abs(s.target[:, axis] - s.object[:, axis])
    at = tolerance(reach, near, start)
    pressed = tolerance(left, 0.005, s.start["travel"])
    gripper = 1.0 - s.opened if closed else np.maximum(s.opened, 0.0)
    within = 0.03 if axis == Z else 0.05
    reward = weights[0] * hamacher(gripper, at) + np.where(reach <= within, weights[1] * pressed, 0.0)
    return Score(reward, left <= success, reach <= 0.05, at, pressed, left)


def press_behind_wall(s: Scene) -> Score:
    reach, start = distance(s.object, s.tcp), distance(s.object, s.tcp_start)
    left = np.abs(s.target[:, Y] - s.object[:, Y])
    at, pressed = tolerance(reach, 0.01, start), tolerance(left, 0.005, s.start["travel"])
    away = 2.0 * hamacher((1.0 - s.opened) / 2.0, at)
    reward = np.where(reach > 0.07, away, 2.0 + 2.0 * (1.0 + s.opened) + 4.0 * pressed**2)
    return Score(reward, left <= 0.03, reach <= 0.05, at, pressed, left)


def reset_coffee_button(s: Scene, v: np.ndarray) -> None:
    s.place(v[:, :3] + (0.0, -0.22, 0.0), at=0)
    button = v[:, :3] + (0.0, -0.22, 0.3)
    s.keep(target=button + (0.0, 0.03, 0.0), object=v[:, :3], travel=np.full(len(v), 0.03))


# Handles and windows: reach × in place


def reset_handle(s: Scene, v: np.ndarray, angle: float, goal: str, handle: str = "") -> None:
    s.place(angle, still=HINGE)
    s.keep(target=s.site(goal).copy(), object=(s.site(handle) if handle else v[:, :3]).copy())


def reset_window(s: Scene, v: np.ndarray, handle: str, to: float, shift: float, slid: float) -> None:
    s.keep(target=v[:, :3] + (to, 0.0, 0.0), object=v[:, :3], handle=s.site(handle) + (shift, 0.0, 0.0))
    s.place(slid, still=(), forward=False)


def slide(
    s: Scene, handle: str, axis: int, radius: float, start: str, tail: Literal["long", "gaussian"] = "long"
) -> Score:
    """At the handle × the handle in place along an axis."""
    object_, handle_start = s.site(handle), s.start["object" if start == "object" else "handle"]
    left = np.abs(object_[:, axis] - s.target[:, axis])
    from_ = s.object_start if start == "vector" else handle_start
    left_start = np.abs(from_[:, axis] - s.target[:, axis])
    in_place = tolerance(left, radius, np.abs(left_start - radius))
    reach, reach_start = distance(object_, s.tcp), distance(handle_start, s.tcp_start)
    at = tolerance(reach, 0.02, np.abs(reach_start - 0.02), tail=tail)
    reward = 10.0 * hamacher(at, in_place)
    if axis == Z:
        reward = np.where(left <= radius, 10.0, reward)
    return Score(reward, left <= radius, reach <= 0.05, at, in_place, left)


def pull(s: Scene, whole: bool, pad: float, radius: float, success: float) -> Score:
    """Hold a handle and lift it."""
    left = distance(s.object, s.target) if whole else np.abs(s.target - s.object)[:, Z]
    start = distance(s.object_start, s.target) if whole else np.abs(s.target - s.object_start)[:, Z]
    in_place = tolerance(left, 0.05, start)
    grasp = s.caging(s.object, pad=pad, radius=radius, xz=0.01, density="high")
    reach = distance(s.object, s.tcp)
    height = s.object[:, Z if whole else Y]  # of the other handle the package compares y with a height
    lifted = (reach < 0.035) & (s.opened > 0) & (height - 0.01 > s.object_start[:, Z])
    reward = hamacher(grasp, in_place) + np.where(lifted, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= success, reach <= 0.05, grasp, in_place, left)


# Drawers, dials, taps


def reset_drawer_close(s: Scene, v: np.ndarray) -> None:
    s.place(-0.15, still=())
    s.keep(target=v[:, :3] + (0.0, -0.16, 0.09), object=s.body("drawer_link") + (0.0, -0.16, 0.05))


def drawer_close(s: Scene) -> Score:
    left, start = distance(s.object, s.target), distance(s.object_start, s.target)
    in_place = tolerance(left, 0.05, np.abs(start - 0.05))
    reach, reach_start = distance(s.object, s.tcp), distance(s.object_start, s.tcp_start)
    at = tolerance(reach, 0.005, np.abs(reach_start - 0.005), tail="gaussian")
    at = hamacher(at, closing(s.action))
    closed = left <= 0.05 + 0.015
    reward = 10.0 * np.where(closed, 1.0, hamacher(at, in_place))
    return Score(reward, closed, reach <= 0.01, at, in_place, left)


def reset_drawer_open(s: Scene, v: np.ndarray) -> None:
    s.keep(target=v[:, :3] + (0.0, -0.36, 0.09), object=v[:, :3])


def drawer_open(s: Scene) -> Score:
    left = distance(s.object, s.target)
    opening = tolerance(left, 0.02, 0.2)
    scale = (3.0, 3.0, 1.0)
    handle_start = s.target + (0.0, 0.2, 0.0)
    margin = distance(handle_start, s.tcp_start, scale)
    at = tolerance(distance(s.object, s.hand, scale), 0.01, margin)
    near = distance(s.object, s.hand) <= 0.03
    return Score(5.0 * (at + opening), left <= 0.03, near, at, opening, left)


def dial(s: Scene) -> tuple[np.ndarray, ...]:
    angle = s.joint("knob_Joint_1")
    mark = 0.05 * np.stack([np.sin(angle), -np.cos(angle), np.zeros_like(angle)], axis=1)
    return s.body("dial") + mark, s.turned("dial")


def reset_dial(s: Scene, v: np.ndarray) -> None:
    s.keep(target=v[:, :3] + (0, 0.03, 0.03), object=v[:, :3], push=dial(s)[0] + (0.05, 0.02, 0.09))


def dial_turn(s: Scene) -> Score:
    mark = dial(s)[0]
    left, start = distance(mark, s.target), distance(s.start["push"], s.target)
    in_place = tolerance(left, 0.07, np.abs(start - 0.07))
    reach = distance(mark + (0.05, 0.02, 0.09), s.tcp)
    reach_start = distance(s.start["push"], s.tcp_start)
    at = tolerance(reach, 0.005, np.abs(reach_start - 0.005), tail="gaussian")
    at = hamacher(at, closing(s.action))
    return Score(10.0 * hamacher(at, in_place), left <= 0.07, reach <= 0.01, at, in_place, left)


def reset_faucet(s: Scene, v: np.ndarray, side: float) -> None:
    s.keep(target=v[:, :3] + (side * 0.175, 0.0, 0.125), object=v[:, :3])
    if side < 0:
        s.forward()


def faucet(s: Scene, offset: tuple[float, float, float]) -> Score:
    handle = s.object + offset
    left, start = distance(handle, s.target), distance(s.object_start, s.target)
    in_place = tolerance(left, 0.07, np.abs(start - 0.07))
    reach, reach_start = distance(handle, s.tcp), distance(s.object_start, s.tcp_start)
    at = tolerance(reach, 0.01, np.abs(reach_start - 0.01), tail="gaussian")
    reward = np.where(left <= 0.07, 10.0, 4.0 * at + 6.0 * in_place)
    return Score(reward, left <= 0.07, reach <= 0.01, at, in_place, left)


def reset_lever(s: Scene, v: np.ndarray) -> None:
    s.keep(target=v[:, :3] + (0.12, 0.0, 0.45), object=v[:, :3], lever=v[:, :3] + (0.12, -0.2, 0.25))


def lever_pull(s: Scene) -> Score:
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
    s.keep(target=v[:, :3] + to, object=v[:, :3])
    s.place(angle, still=HINGE)


def door_open(s: Scene) -> Score:
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
    left = distance(s.object, s.target)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target), tail="gaussian")
    margin = distance(s.hand_start, s.object) + 0.1
    hand = tolerance(distance(s.tcp, s.target), 0.25 * 0.05, margin, tail="gaussian")
    reward = np.where(left < 0.05, 10.0, 3.0 * hand + 6.0 * in_place)
    return Score(reward, left <= 0.08, 0.0, 1.0, hand, left)


def reset_lock(s: Scene, v: np.ndarray) -> None:
    s.settle(5)
    s.keep(target=s.body("lock_link") + (0.0, -0.04, -0.1), object=v[:, :3])


def door_lock(s: Scene) -> Score:
    reach = distance(s.object, s.pads[0], (0.25, 1.0, 0.5))
    left = np.abs(s.target[:, Z] - s.object[:, Z])
    at = tolerance(reach, 0.01, reach)  # the package's start of the finger is where it is now
    pressed = tolerance(left, 0.005, 0.1)
    reward = 2.0 * hamacher(np.maximum(s.opened, 0.0), at) + 8.0 * pressed
    return Score(reward, left <= 0.02, reach <= 0.05, at, pressed, left)


def reset_unlock(s: Scene, v: np.ndarray) -> None:
    s.place(1.5708, still=HINGE)
    s.keep(target=s.body("lock_link") + (0.1, -0.04, 0.0), object=v[:, :3])


def door_unlock(s: Scene) -> Score:
    offset, scale = np.array([0.0, 0.055, 0.07]), (0.25, 1.0, 0.5)
    shoulder = distance(s.hand + offset, s.object, scale)
    margin = distance(s.tcp_start + offset, s.body("lock_link"), scale)  # the package's start is where it is now
    ready = tolerance(shoulder, 0.02, margin)
    left = np.abs(s.target[:, X] - s.object[:, X])
    pushed = tolerance(left, 0.005, 0.1)
    return Score(2.0 * ready + 8.0 * pushed, left <= 0.02, shoulder <= 0.05, ready, pushed, left)


def standing(body: str) -> tuple[str, int, tuple[float, float, float]]:
    """A body that stands where the vector begins."""
    return body, 0, (0.0, 0.0, 0.0)


BOX = {"fixed": standing("box")}
BUTTON = BOX | {"hand": BACK}
TOP = {"low": (-0.1, 0.8, 0.115), "high": (0.1, 0.9, 0.115), "objects": at_body("button", (0, 0, 0.193))}
TOP |= BUTTON | {"reset": partial(reset_button, axis=Z, sunk=False)}
FRONT = BUTTON | {"objects": at_body("button", (0, -0.193, 0)), "reset": partial(reset_button, axis=Y, sunk=True)}
PRESSED = {"reset": partial(reset_handle, angle=-0.001, goal="goalPress", handle="handleStart")} | BOX
PRESSED |= {"objects": at_site("handleStart"), "reward": partial(slide, handle="handleStart", axis=Z, radius=0.02, start="object")}
ON_TABLE = {"low": (-0.1, 0.8, -0.001), "high": (0.1, 0.9, 0.001)}
WINDOW = {"model": "sawyer_window_horizontal.xml", "fixed": standing("window"), "hand": BACK}
DRAWER = {"model": "sawyer_drawer.xml", "low": (-0.1, 0.9, 0.0), "high": (0.1, 0.9, 0.0), "hand": MIDDLE}
DRAWER |= {"fixed": standing("drawer")}
DOOR = {"model": "sawyer_door_pull.xml", "low": (0.0, 0.85, 0.15), "high": (0.1, 0.95, 0.15)}
DOOR |= {"objects": at_geom("handle"), "fixed": standing("door")}
LOCK = {"model": "sawyer_door_lock.xml", "low": (-0.1, 0.8, 0.15), "high": (0.1, 0.85, 0.15), "hand": MIDDLE}
LOCK |= {"fixed": standing("door"), "reach_low": DEEP}
FAUCET = {"model": "sawyer_faucet.xml", "fixed": standing("faucetBase"), "hand": (0.0, 0.4, 0.2), "reach_low": DEEP}
PRESSING: dict[str, Task] = {
    "button-press-topdown": Task("sawyer_button_press_topdown.xml", **TOP, reward=partial(press, axis=Z, near=0.01, weights=(5, 5), success=0.024, closed=True)),
    "button-press-topdown-wall": Task("sawyer_button_press_topdown_wall.xml", **TOP, reward=partial(press, axis=Z, near=0.01, weights=(5, 5), success=0.024)),
    "button-press": Task("sawyer_button_press.xml", (-0.1, 0.85, 0.115), (0.1, 0.9, 0.115), **FRONT, reward=partial(press, axis=Y, near=0.05, weights=(2, 8), success=0.02)),
    "button-press-wall": Task("sawyer_button_press_wall.xml", (-0.05, 0.85, 0.1149), (0.05, 0.9, 0.1151), **FRONT, reward=press_behind_wall),
    "coffee-button": Task(
        "sawyer_coffee.xml", **ON_TABLE, fixed=standing("coffee_machine"), hand=(0.0, 0.4, 0.2),
        objects=lambda s: (s.site("buttonStart"), s.everywhere(1, 0, 0, 0)), reset=reset_coffee_button,
        reward=partial(press, axis=Y, near=0.05, weights=(2, 8), success=0.02),
        goal=((-0.101, 0.61, 0.298), (0.101, 0.71, 0.302)),
    ),
    "handle-press": Task("sawyer_handle_press.xml", **ON_TABLE, **PRESSED, goal=((-0.1, 0.55, 0.04), (0.1, 0.7, 0.08))),
    "handle-press-side": Task("sawyer_handle_press_sideways.xml", (-0.35, 0.65, -0.001), (-0.25, 0.75, 0.001), **PRESSED),
    "handle-pull": Task(
        "sawyer_handle_press.xml", **ON_TABLE, **BOX, objects=at_site("handleRight"),
        reset=partial(reset_handle, angle=-0.1, goal="goalPull"),
        reward=partial(pull, whole=False, pad=0.05, radius=0.022, success=0.05),
        goal=((-0.1, 0.55, 0.04), (0.1, 0.7, 0.18)),
    ),
    "handle-pull-side": Task(
        "sawyer_handle_press_sideways.xml", (-0.35, 0.65, 0.0), (-0.25, 0.75, 0.0), **BOX, objects=at_site("handleCenter"),
        reset=partial(reset_handle, angle=-0.1, goal="goalPull", handle="handleCenter"),
        reward=partial(pull, whole=True, pad=0.06, radius=0.032, success=0.08),
    ),
    "window-open": Task(
        low=(-0.1, 0.7, 0.16), high=(0.1, 0.9, 0.16), **WINDOW, objects=at_site("handleOpenStart"),
        reset=partial(reset_window, handle="handleOpenStart", to=0.2, shift=0.0, slid=0.0),
        reward=partial(slide, handle="handleOpenStart", axis=X, radius=0.05, start="vector"),
    ),
    "window-close": Task(
        low=(0.0, 0.75, 0.2), high=(0.0, 0.9, 0.2), **WINDOW, objects=at_site("handleCloseStart"),
        reset=partial(reset_window, handle="handleCloseStart", to=0.0, shift=0.2, slid=0.2),
        reward=partial(slide, handle="handleCloseStart", axis=X, radius=0.05, start="handle", tail="gaussian"),
    ),
    "drawer-close": Task(**DRAWER, objects=at_body("drawer_link", (0, -0.16, 0.05), turned=False), reset=reset_drawer_close, reward=drawer_close),
    "drawer-open": Task(**DRAWER, objects=at_body("drawer_link", (0, -0.16, 0)), reset=reset_drawer_open, reward=drawer_open),
    "dial-turn": Task(
        "sawyer_dial.xml", (-0.1, 0.7, 0.0), (0.1, 0.8, 0.0), dial, reset_dial, dial_turn, standing("dial"), MIDDLE,
        goal=((-0.1, 0.73, 0.0299), (0.1, 0.83, 0.0301)),
    ),
    "faucet-open": Task(
        low=(-0.05, 0.8, 0.0), high=(0.05, 0.85, 0.0), **FAUCET, objects=at_site("handleStartOpen", (0, 0, -0.01), "faucetBase"),
        reset=partial(reset_faucet, side=1.0), reward=partial(faucet, offset=(-0.04, 0.0, 0.03)),
    ),
    "faucet-close": Task(
        low=(-0.1, 0.8, 0.0), high=(0.1, 0.85, 0.0), **FAUCET, objects=at_site("handleStartClose", (0, 0, -0.01), "faucetBase"),
        reset=partial(reset_faucet, side=-1.0), reward=partial(faucet, offset=(0.0, 0.0, 0.0)),
    ),
    "lever-pull": Task(
        "sawyer_lever_pull.xml", (-0.1, 0.7, 0.0), (0.1, 0.8, 0.0),
        lambda s: (s.site("leverStart"), s.rotated("geom", "objGeom")), reset_lever, lever_pull,
        standing("lever"), BACK, DEEP,
    ),
    "door-open": Task(
        **DOOR, reset=partial(reset_door, angle=0.0, to=(-0.3, -0.45, 0.0)), reward=door_open,
        goal=((-0.3, 0.4, 0.1499), (-0.2, 0.5, 0.1501)),
    ),
    "door-close": Task(
        **DOOR, hand=single(-0.5, 0.6, 0.2), reset=partial(reset_door, angle=-1.5708, to=(0.2, -0.2, 0.0)), reward=door_close,
        goal=((0.2, 0.65, 0.1499), (0.3, 0.75, 0.1501)),
    ),
    "door-lock": Task(**LOCK, objects=at_site("lockStartLock", turned="door_link"), reset=reset_lock, reward=door_lock),
    "door-unlock": Task(
        **LOCK, objects=at_site("lockStartUnlock", turned="door_link"), reset=reset_unlock, reward=door_unlock,
        goal=((0.0, 0.64, 0.21), (0.2, 0.7, 0.2111)),
    ),
}  # fmt: skip
