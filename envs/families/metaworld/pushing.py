"""Meta-World's tasks of reaching a place and of moving something there along the table."""

from functools import partial
from typing import Any

import numpy as np

from envs.families.metaworld.pressing import DEEP, MIDDLE, Y, Z, at_body, at_geom
from envs.families.metaworld.scene import Scene, Score, Task
from envs.families.metaworld.terms import distance, hamacher, tolerance

FINGER = {"radius": 0.015, "pad": 0.05, "xz": 0.005}  # a block between the fingers


def object_of(body: str, geom: str = "objGeom") -> Any:
    """A body's place, and the quaternion of its geom."""
    return lambda s: (s.body(body), s.rotated("geom", geom))


def at_height(places: np.ndarray, height: np.ndarray | float) -> np.ndarray:
    """Places `[n, 2]` at a height (m), `[n, 3]`."""
    return np.column_stack([places, np.broadcast_to(height, len(places))])


def both(s: Scene, v: np.ndarray) -> None:
    """The object at the vector's first place, the target at its second."""
    s.keep(target=v[:, 3:], object=v[:, :3])
    s.place(v[:, :3])


def both_on_table(s: Scene, v: np.ndarray, lies: str = "body", name: str = "obj") -> None:
    """As `both`, both at the height that the object has settled to."""
    height = getattr(s, lies)(name)[:, Z].copy()
    start = at_height(v[:, :2], height)
    s.keep(target=at_height(v[:, 3:5], height), object=start)
    s.place(start)


# Reaching


def reach(s: Scene, wall: bool = False) -> Score:
    left = distance(s.tcp, s.target)
    in_place = tolerance(left, 0.05, distance(s.hand_start, s.target))
    return Score(10.0 * in_place, left <= 0.05, 0.0 if wall else left, 0.0 if wall else left, in_place, left)


# Pushing


def push(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER, density="high")
    at = (near < 0.02) & (s.opened > 0)
    reward = 2.0 * grasp + np.where(at, 1.0 + 2.0 * grasp + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.05, near <= 0.03, grasp, in_place, left)


def push_wall(s: Scene) -> Score:
    near, left = distance(s.object, s.tcp), distance(s.object, s.target)
    midpoint = np.column_stack([np.full(len(near), -0.05), np.full(len(near), 0.77), s.object[:, Z]])
    scale = (3.0, 1.0, 1.0)
    around = tolerance(distance(s.object, midpoint, scale), 0.05, distance(s.object_start, midpoint, scale))
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER, density="high")
    beyond = np.where(s.object[:, Y] > 0.75, 4.0 + 3.0 * in_place, 4.0 * around)
    reward = 2.0 * grasp + np.where((near < 0.02) & (s.opened > 0), 1.0 + beyond, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def push_back(s: Scene) -> Score:
    near, left = distance(s.object, s.tcp), distance(s.object, s.target)
    start = distance(s.object_start, s.target)
    in_place = tolerance(left, 0.05, start)
    grasp = s.pinching(0.007, 0.007 + 0.003, 0.01)
    held = (near < 0.01) & (0 < s.opened) & (s.opened < 0.55) & (start - left > 0.01)
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_sweep(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], 0.02)
    s.keep(target=s.everywhere(0.5, 0.65, 0.01), object=start)
    s.keep(target=np.column_stack([s.target[:, 0], v[:, Y], s.target[:, Z]]))
    s.place(start)


def reset_sweep_into(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.keep(target=s.everywhere(0.0, 0.84, 0.02), object=start)
    s.place(start)


def sweep(s: Scene, grip: float, xz: float, into: bool) -> Score:
    target = at_height(s.target[:, :2], s.object[:, Z]) if into else s.target
    left, near = distance(s.object, target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, target))
    grasp = s.pinching(0.02, 0.02 + grip, xz)
    reward = np.where(left < 0.05, 10.0, 2.0 * grasp + 6.0 * hamacher(grasp, in_place))
    return Score(reward, left <= 0.05, near <= 0.03, grasp, in_place, left)


def reset_soccer(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], 0.03)
    s.keep(target=v[:, 3:], object=start)
    s.place(start)


def soccer(s: Scene) -> Score:
    scale = (3.0, 1.0, 1.0)
    left, near = distance(s.object, s.target, scale), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.07, distance(s.object, s.object_start, scale))
    line = s.target[:, Y] - 0.1
    beside = (s.object[:, Y] > line) & (np.abs(s.object[:, 0] - s.target[:, 0]) > 0.1)
    missed = np.clip(in_place - 2.0 * (s.object[:, Y] - line) / (1.0 - line), 0.0, 1.0)
    in_place = np.where(beside, missed, in_place)
    grasp = s.pinching(0.013, 0.013 + 0.01, 0.005)
    reward = np.where(left < 0.07, 10.0, 3.0 * grasp + 6.5 * in_place)
    to_target = distance(s.object, s.target)
    return Score(reward, to_target <= 0.07, near <= 0.03, grasp, in_place, to_target)


# Plates


def reset_plate(s: Scene, v: np.ndarray, at: tuple[float, float]) -> None:
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


# Mugs


def reset_mug(s: Scene, v: np.ndarray) -> None:
    s.place(v[:, :3], at=0)
    s.keep(target=v[:, 3:], object=v[:, :3])


def mug(s: Scene) -> Score:
    scale = (2.0, 2.0, 1.0)
    left, near = distance(s.object, s.target, scale), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target, scale))
    grasp = s.caging(s.object, effort=0.7, radius=0.02, pad=0.05, xz=0.05, reach=0.04, density="medium")
    reward = hamacher(grasp, in_place) + np.where((near < 0.04) & (s.opened > 0), 1.0 + 5.0 * in_place, 0.0)
    to_target = distance(s.object, s.target)
    return Score(np.where(left < 0.05, 10.0, reward), to_target <= 0.07, near <= 0.03, grasp, in_place, to_target)


# Into a hole


def reset_hand_insert(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], 0.05)
    s.keep(target=v[:, 3:], object=start)
    s.place(start)


def hand_insert(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER, density="high")
    reward = hamacher(grasp, in_place) + np.where((near < 0.02) & (s.opened > 0), 1.0 + 7.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.05, near <= 0.03, grasp, in_place, left)


BLOCK = {"low": (-0.1, 0.6, 0.02), "high": (0.1, 0.7, 0.02)}
APART = {"apart": 0.15}
WALL = {"objects": at_geom("objGeom")} | APART
SIDEWAYS, ALONG = "sawyer_plate_slide_sideway.xml", "sawyer_plate_slide.xml"
PLATE = {"objects": at_geom("puck"), "hand": MIDDLE}
SLID = PLATE | {"reward": partial(plate, held=False)}
MUG = {"objects": object_of("obj", "mug"), "reset": reset_mug, "reward": mug, "hand": (0.0, 0.4, 0.2)} | APART
HOLE = "sawyer_table_with_hole.xml"
PUSHING: dict[str, Task] = {
    "reach": Task(
        "sawyer_reach_v3.xml", (-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3),
        object_of("obj"), both, reach, **APART,
    ),
    "reach-wall": Task(
        "sawyer_reach_wall_v3.xml", (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3),
        object_of("obj"), both, partial(reach, wall=True), **APART,
    ),
    "push": Task(
        "sawyer_push_v3.xml", (-0.1, 0.6, 0.02, -0.1, 0.8, 0.01), (0.1, 0.7, 0.02, 0.1, 0.9, 0.02),
        object_of("obj"), both_on_table, push, **APART,
    ),
    "push-wall": Task(
        "sawyer_push_wall_v3.xml", (-0.05, 0.6, 0.015, -0.05, 0.85, 0.01), (0.05, 0.65, 0.015, 0.05, 0.9, 0.02),
        reset=partial(both_on_table, lies="geom", name="objGeom"), reward=push_wall, **WALL,
    ),
    "push-back": Task(
        "sawyer_push_back_v3.xml", (-0.1, 0.8, 0.02, -0.1, 0.6, 0.0199), (0.1, 0.85, 0.02, 0.1, 0.7, 0.0201),
        reset=partial(both_on_table, lies="geom", name="objGeom"), reward=push_back, hand=MIDDLE, **WALL,
    ),
    "sweep": Task(
        "sawyer_sweep_v3.xml", **BLOCK, objects=at_body("obj"), reset=reset_sweep,
        reward=partial(sweep, grip=0.01, xz=0.005, into=False), goal=((0.49, 0.6, 0.0), (0.51, 0.7, 0.02)),
    ),
    "sweep-into": Task(
        HOLE, (-0.1, 0.6, 0.02, -0.001, 0.8399, 0.0199), (0.1, 0.7, 0.02, 0.001, 0.8401, 0.0201), object_of("obj"),
        reset_sweep_into, partial(sweep, grip=0.005, xz=0.01, into=True), **APART, away_from=(0.0, 0.84),
    ),
    "soccer": Task(
        "sawyer_soccer.xml", (-0.1, 0.6, 0.03, -0.1, 0.8, 0.0), (0.1, 0.7, 0.03, 0.1, 0.9, 0.0),
        lambda s: (s.body("soccer_ball"), s.rotated("body", "soccer_ball")), reset_soccer, soccer,
        ("goal_whole", 3, (0.0, 0.0, 0.0)), **APART,
    ),
    "plate-slide": Task(
        ALONG, (0.0, 0.6, 0.0, -0.1, 0.85, 0.0), (0.0, 0.6, 0.0, 0.1, 0.9, 0.0), **PLATE,
        reset=partial(reset_plate, at=(0.0, 0.0)), reward=partial(plate, held=True),
        fixed=("puck_goal", 3, (0.0, 0.0, 0.0)),
    ),
    "plate-slide-side": Task(
        SIDEWAYS, (0.0, 0.6, 0.0, -0.3, 0.54, 0.0), (0.0, 0.6, 0.0, -0.25, 0.66, 0.0), **SLID,
        reset=partial(reset_plate, at=(0.0, 0.0)),
    ),
    "plate-slide-back": Task(
        ALONG, (0.0, 0.85, 0.0, -0.1, 0.6, 0.015), (0.0, 0.85, 0.0, 0.1, 0.6, 0.015), **SLID,
        reset=partial(reset_plate, at=(0.0, 0.15)),
    ),
    "plate-slide-back-side": Task(
        SIDEWAYS, (-0.25, 0.6, 0.0, -0.05, 0.6, 0.015), (-0.25, 0.6, 0.0, 0.15, 0.6, 0.015), **SLID,
        reset=partial(reset_plate, at=(-0.15, 0.0)), fixed=("puck_goal", 0, (0.0, 0.0, 0.0)),
    ),
    "coffee-push": Task(
        "sawyer_coffee.xml", (-0.1, 0.55, -0.001, -0.05, 0.7, -0.001), (0.1, 0.65, 0.001, 0.05, 0.75, 0.001), **MUG,
        fixed=("coffee_machine", 3, (0.0, 0.22, 0.0)),
    ),
    "coffee-pull": Task(
        "sawyer_coffee.xml", (-0.05, 0.7, -0.001, -0.1, 0.55, -0.001), (0.05, 0.75, 0.001, 0.1, 0.65, 0.001), **MUG,
        fixed=("coffee_machine", 0, (0.0, 0.22, 0.0)),
    ),
    "hand-insert": Task(
        HOLE, (-0.1, 0.6, 0.05, -0.04, 0.8, -0.0201), (0.1, 0.7, 0.05, 0.04, 0.88, -0.0199), at_body("obj"),
        reset_hand_insert, hand_insert, hand=MIDDLE, reach_low=DEEP, **APART,
    ),
}  # fmt: skip
