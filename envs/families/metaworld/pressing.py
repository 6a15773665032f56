"""Meta-World's tasks on what is pressed, pulled or slid: buttons, handles, windows, plates."""

from functools import partial
from typing import Literal

import numpy as np

from envs.families.metaworld.scene import Scene, Score, Shared, Task
from envs.families.metaworld.terms import distance, hamacher, tolerance
from envs.families.metaworld.things import BACK, MIDDLE, X, Y, Z, at_body, at_geom, at_site, standing

HINGE = range(9, 10)


# Buttons


def reset_button(s: Scene, v: np.ndarray, axis: int, sunk: bool) -> None:
    """The button where the vector says; `sunk`: its joint is set too."""
    s.place(0.0, still=HINGE) if sunk else s.forward()
    hole = s.site("hole").copy()
    s.keep(target=hole, object=v[:, :3], travel=np.abs(hole - s.site("buttonStart"))[:, axis])


def press(
    s: Scene, axis: int, near: float, weights: tuple[float, float], success: float, closed: bool = False
) -> Score:
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
    """As `press`, with what counts at the button doubled over: closed on the way, open at it."""
    reach, start = distance(s.object, s.tcp), distance(s.object, s.tcp_start)
    left = np.abs(s.target[:, Y] - s.object[:, Y])
    at, pressed = tolerance(reach, 0.01, start), tolerance(left, 0.005, s.start["travel"])
    away = 2.0 * hamacher((1.0 - s.opened) / 2.0, at)
    reward = np.where(reach > 0.07, away, 2.0 + 2.0 * (1.0 + s.opened) + 4.0 * pressed**2)
    return Score(reward, left <= 0.03, reach <= 0.05, at, pressed, left)


def reset_coffee_button(s: Scene, v: np.ndarray) -> None:
    """The machine where the vector says, and a mug before it."""
    s.place(v[:, :3] + (0.0, -0.22, 0.0), at=0)
    button = v[:, :3] + (0.0, -0.22, 0.3)
    s.keep(target=button + (0.0, 0.03, 0.0), object=v[:, :3], travel=np.full(len(v), 0.03))


# Handles and windows: reach × in place


def reset_handle(s: Scene, v: np.ndarray, angle: float, goal: str, handle: str = "") -> None:
    """The handle at an angle; the target is a site of it."""
    s.place(angle, still=HINGE)
    s.keep(target=s.site(goal).copy(), object=(s.site(handle) if handle else v[:, :3]).copy())


def reset_window(s: Scene, v: np.ndarray, handle: str, to: float, shift: float, slid: float) -> None:
    """The window where the vector says, slid so far (m)."""
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


# Plates


def reset_plate(s: Scene, v: np.ndarray, at: tuple[float, float]) -> None:
    """The plate moved by so much (m), along both its slides."""
    s.keep(target=v[:, 3:], object=v[:, :3])
    s.place(np.array(at), still=())


def plate(s: Scene, held: bool) -> Score:
    """Held: at the plate × the plate in place; else the plate in place once the hand is down at it."""
    near, left = distance(s.tcp, s.object), distance(s.object, s.target)
    less = 0.0 if held else 0.05
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target) - less)
    at = tolerance(near, 0.05, distance(s.tcp_start, s.object_start) - less)
    down = (s.tcp[:, Z] <= 0.03) & (near < 0.07)
    reward = 8.0 * hamacher(at, in_place) if held else np.where(down, 2.0 + 7.0 * in_place, 1.5 * at)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, at, in_place, left)


BOX: Shared = {"fixed": standing("box")}
BUTTON: Shared = BOX | {"hand": BACK}
TOP: Shared = {"low": (-0.1, 0.8, 0.115), "high": (0.1, 0.9, 0.115), "objects": at_body("button", (0, 0, 0.193))}
TOP |= BUTTON | {"reset": partial(reset_button, axis=Z, sunk=False)}
FRONT: Shared = BUTTON | {
    "objects": at_body("button", (0, -0.193, 0)),
    "reset": partial(reset_button, axis=Y, sunk=True),
}
PRESSED: Shared = {"reset": partial(reset_handle, angle=-0.001, goal="goalPress", handle="handleStart")} | BOX
PRESSED |= {
    "objects": at_site("handleStart"),
    "reward": partial(slide, handle="handleStart", axis=Z, radius=0.02, start="object"),
}
ON_TABLE: Shared = {"low": (-0.1, 0.8, -0.001), "high": (0.1, 0.9, 0.001)}
WINDOW: Shared = {"model": "sawyer_window_horizontal.xml", "fixed": standing("window"), "hand": BACK}
SIDEWAYS, ALONG = "sawyer_plate_slide_sideway.xml", "sawyer_plate_slide.xml"
PLATE: Shared = {"objects": at_geom("puck"), "hand": MIDDLE}
SLID: Shared = PLATE | {"reward": partial(plate, held=False)}
PRESSING: dict[str, Task] = {
    "button-press-topdown": Task(
        "sawyer_button_press_topdown.xml",
        **TOP,
        reward=partial(press, axis=Z, near=0.01, weights=(5, 5), success=0.024, closed=True),
    ),
    "button-press-topdown-wall": Task(
        "sawyer_button_press_topdown_wall.xml",
        **TOP,
        reward=partial(press, axis=Z, near=0.01, weights=(5, 5), success=0.024),
    ),
    "button-press": Task(
        "sawyer_button_press.xml",
        (-0.1, 0.85, 0.115),
        (0.1, 0.9, 0.115),
        **FRONT,
        reward=partial(press, axis=Y, near=0.05, weights=(2, 8), success=0.02),
    ),
    "button-press-wall": Task(
        "sawyer_button_press_wall.xml", (-0.05, 0.85, 0.1149), (0.05, 0.9, 0.1151), **FRONT, reward=press_behind_wall
    ),
    "coffee-button": Task(
        "sawyer_coffee.xml",
        **ON_TABLE,
        fixed=standing("coffee_machine"),
        hand=(0.0, 0.4, 0.2),
        objects=lambda s: (s.site("buttonStart"), s.everywhere(1, 0, 0, 0)),
        reset=reset_coffee_button,
        reward=partial(press, axis=Y, near=0.05, weights=(2, 8), success=0.02),
        goal=((-0.101, 0.61, 0.298), (0.101, 0.71, 0.302)),
    ),
    "handle-press": Task("sawyer_handle_press.xml", **ON_TABLE, **PRESSED, goal=((-0.1, 0.55, 0.04), (0.1, 0.7, 0.08))),
    "handle-press-side": Task(
        "sawyer_handle_press_sideways.xml", (-0.35, 0.65, -0.001), (-0.25, 0.75, 0.001), **PRESSED
    ),
    "handle-pull": Task(
        "sawyer_handle_press.xml",
        **ON_TABLE,
        **BOX,
        objects=at_site("handleRight"),
        reset=partial(reset_handle, angle=-0.1, goal="goalPull"),
        reward=partial(pull, whole=False, pad=0.05, radius=0.022, success=0.05),
        goal=((-0.1, 0.55, 0.04), (0.1, 0.7, 0.18)),
    ),
    "handle-pull-side": Task(
        "sawyer_handle_press_sideways.xml",
        (-0.35, 0.65, 0.0),
        (-0.25, 0.75, 0.0),
        **BOX,
        objects=at_site("handleCenter"),
        reset=partial(reset_handle, angle=-0.1, goal="goalPull", handle="handleCenter"),
        reward=partial(pull, whole=True, pad=0.06, radius=0.032, success=0.08),
    ),
    "window-open": Task(
        low=(-0.1, 0.7, 0.16),
        high=(0.1, 0.9, 0.16),
        **WINDOW,
        objects=at_site("handleOpenStart"),
        reset=partial(reset_window, handle="handleOpenStart", to=0.2, shift=0.0, slid=0.0),
        reward=partial(slide, handle="handleOpenStart", axis=X, radius=0.05, start="vector"),
    ),
    "window-close": Task(
        low=(0.0, 0.75, 0.2),
        high=(0.0, 0.9, 0.2),
        **WINDOW,
        objects=at_site("handleCloseStart"),
        reset=partial(reset_window, handle="handleCloseStart", to=0.0, shift=0.2, slid=0.2),
        reward=partial(slide, handle="handleCloseStart", axis=X, radius=0.05, start="handle", tail="gaussian"),
    ),
    "plate-slide": Task(
        ALONG,
        (0.0, 0.6, 0.0, -0.1, 0.85, 0.0),
        (0.0, 0.6, 0.0, 0.1, 0.9, 0.0),
        **PLATE,
        reset=partial(reset_plate, at=(0.0, 0.0)),
        reward=partial(plate, held=True),
        fixed=("puck_goal", 3, (0.0, 0.0, 0.0)),
    ),
    "plate-slide-side": Task(
        SIDEWAYS,
        (0.0, 0.6, 0.0, -0.3, 0.54, 0.0),
        (0.0, 0.6, 0.0, -0.25, 0.66, 0.0),
        **SLID,
        reset=partial(reset_plate, at=(0.0, 0.0)),
    ),
    "plate-slide-back": Task(
        ALONG,
        (0.0, 0.85, 0.0, -0.1, 0.6, 0.015),
        (0.0, 0.85, 0.0, 0.1, 0.6, 0.015),
        **SLID,
        reset=partial(reset_plate, at=(0.0, 0.15)),
    ),
    "plate-slide-back-side": Task(
        SIDEWAYS,
        (-0.25, 0.6, 0.0, -0.05, 0.6, 0.015),
        (-0.25, 0.6, 0.0, 0.15, 0.6, 0.015),
        **SLID,
        reset=partial(reset_plate, at=(-0.15, 0.0)),
        fixed=("puck_goal", 0, (0.0, 0.0, 0.0)),
    ),
}
