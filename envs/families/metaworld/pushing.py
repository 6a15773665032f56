"""Meta-World's tasks of reaching a place and of moving something there along the table."""

from functools import partial

import numpy as np

from envs.families.metaworld.scene import Scene, Score, Shared, Task
from envs.families.metaworld.terms import distance, hamacher, tolerance
from envs.families.metaworld.things import (
    DEEP,
    MIDDLE,
    Y,
    Z,
    at_body,
    at_geom,
    at_height,
    both,
    both_on_table,
    object_of,
)

FINGER: Shared = {"radius": 0.015, "pad": 0.05, "xz": 0.005}  # a block between the fingers


# Reaching


def reach(s: Scene, wall: bool = False) -> Score:
    """The fingertips in place."""
    left = distance(s.tcp, s.target)
    in_place = tolerance(left, 0.05, distance(s.hand_start, s.target))
    return Score(10.0 * in_place, left <= 0.05, 0.0 if wall else left, 0.0 if wall else left, in_place, left)


# Pushing


def push(s: Scene) -> Score:
    """The object between the fingers, and in place."""
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER, density="high")
    at = (near < 0.02) & (s.opened > 0)
    reward = 2.0 * grasp + np.where(at, 1.0 + 2.0 * grasp + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.05, near <= 0.03, grasp, in_place, left)


def push_wall(s: Scene) -> Score:
    """As `push`, first around the wall."""
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
    """The object between the fingers × in place, and more while it is held."""
    near, left = distance(s.object, s.tcp), distance(s.object, s.target)
    start = distance(s.object_start, s.target)
    in_place = tolerance(left, 0.05, start)
    grasp = s.pinching(0.007, 0.007 + 0.003, 0.01)
    held = (near < 0.01) & (s.opened > 0) & (s.opened < 0.55) & (start - left > 0.01)
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_sweep(s: Scene, v: np.ndarray) -> None:
    """The object where the vector says; the target beside the table, at the same y."""
    start = at_height(v[:, :2], 0.02)
    s.keep(target=s.everywhere(0.5, 0.65, 0.01), object=start)
    s.keep(target=np.column_stack([s.target[:, 0], v[:, Y], s.target[:, Z]]))
    s.place(start)


def reset_sweep_into(s: Scene, v: np.ndarray) -> None:
    """The object where the vector says; the target is the hole."""
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.keep(target=s.everywhere(0.0, 0.84, 0.02), object=start)
    s.place(start)


def sweep(s: Scene, grip: float, xz: float, into: bool) -> Score:
    """The object between the fingers, and that × in place; `into`: at whatever height."""
    target = at_height(s.target[:, :2], s.object[:, Z]) if into else s.target
    left, near = distance(s.object, target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, target))
    grasp = s.pinching(0.02, 0.02 + grip, xz)
    reward = np.where(left < 0.05, 10.0, 2.0 * grasp + 6.0 * hamacher(grasp, in_place))
    return Score(reward, left <= 0.05, near <= 0.03, grasp, in_place, left)


def reset_soccer(s: Scene, v: np.ndarray) -> None:
    """The ball and the goal where the vector says."""
    start = at_height(v[:, :2], 0.03)
    s.keep(target=v[:, 3:], object=start)
    s.place(start)


def soccer(s: Scene) -> Score:
    """The ball between the fingers, and in the goal rather than beside it."""
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


# Mugs


def reset_mug(s: Scene, v: np.ndarray) -> None:
    """The mug where the vector says."""
    s.place(v[:, :3], at=0)
    s.keep(target=v[:, 3:], object=v[:, :3])


def mug(s: Scene) -> Score:
    """The mug held × in place, and more while the fingers are at it."""
    scale = (2.0, 2.0, 1.0)
    left, near = distance(s.object, s.target, scale), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target, scale))
    grasp = s.caging(s.object, effort=0.7, radius=0.02, pad=0.05, xz=0.05, reach=0.04, density="medium")
    reward = hamacher(grasp, in_place) + np.where((near < 0.04) & (s.opened > 0), 1.0 + 5.0 * in_place, 0.0)
    to_target = distance(s.object, s.target)
    return Score(np.where(left < 0.05, 10.0, reward), to_target <= 0.07, near <= 0.03, grasp, in_place, to_target)


# Into a hole


def reset_hand_insert(s: Scene, v: np.ndarray) -> None:
    """The block where the vector says."""
    start = at_height(v[:, :2], 0.05)
    s.keep(target=v[:, 3:], object=start)
    s.place(start)


def hand_insert(s: Scene) -> Score:
    """The block held × in the hole, and more while the fingers are at it."""
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER, density="high")
    reward = hamacher(grasp, in_place) + np.where((near < 0.02) & (s.opened > 0), 1.0 + 7.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.05, near <= 0.03, grasp, in_place, left)


BLOCK: Shared = {"low": (-0.1, 0.6, 0.02), "high": (0.1, 0.7, 0.02)}
APART: Shared = {"apart": 0.15}
WALL: Shared = {"objects": at_geom("objGeom")} | APART
MUG: Shared = {"objects": object_of("obj", "mug"), "reset": reset_mug, "reward": mug, "hand": (0.0, 0.4, 0.2)} | APART
HOLE = "sawyer_table_with_hole.xml"
PUSHING: dict[str, Task] = {
    "reach": Task(
        "sawyer_reach_v3.xml",
        (-0.1, 0.6, 0.02, -0.1, 0.8, 0.05),
        (0.1, 0.7, 0.02, 0.1, 0.9, 0.3),
        object_of("obj"),
        both,
        reach,
        **APART,
    ),
    "reach-wall": Task(
        "sawyer_reach_wall_v3.xml",
        (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05),
        (0.05, 0.65, 0.015, 0.05, 0.9, 0.3),
        object_of("obj"),
        both,
        partial(reach, wall=True),
        **APART,
    ),
    "push": Task(
        "sawyer_push_v3.xml",
        (-0.1, 0.6, 0.02, -0.1, 0.8, 0.01),
        (0.1, 0.7, 0.02, 0.1, 0.9, 0.02),
        object_of("obj"),
        both_on_table,
        push,
        **APART,
    ),
    "push-wall": Task(
        "sawyer_push_wall_v3.xml",
        (-0.05, 0.6, 0.015, -0.05, 0.85, 0.01),
        (0.05, 0.65, 0.015, 0.05, 0.9, 0.02),
        reset=partial(both_on_table, lies="geom", name="objGeom"),
        reward=push_wall,
        **WALL,
    ),
    "push-back": Task(
        "sawyer_push_back_v3.xml",
        (-0.1, 0.8, 0.02, -0.1, 0.6, 0.0199),
        (0.1, 0.85, 0.02, 0.1, 0.7, 0.0201),
        reset=partial(both_on_table, lies="geom", name="objGeom"),
        reward=push_back,
        hand=MIDDLE,
        **WALL,
    ),
    "sweep": Task(
        "sawyer_sweep_v3.xml",
        **BLOCK,
        objects=at_body("obj"),
        reset=reset_sweep,
        reward=partial(sweep, grip=0.01, xz=0.005, into=False),
        goal=((0.49, 0.6, 0.0), (0.51, 0.7, 0.02)),
    ),
    "sweep-into": Task(
        HOLE,
        (-0.1, 0.6, 0.02, -0.001, 0.8399, 0.0199),
        (0.1, 0.7, 0.02, 0.001, 0.8401, 0.0201),
        object_of("obj"),
        reset_sweep_into,
        partial(sweep, grip=0.005, xz=0.01, into=True),
        **APART,
        away_from=(0.0, 0.84),
    ),
    "soccer": Task(
        "sawyer_soccer.xml",
        (-0.1, 0.6, 0.03, -0.1, 0.8, 0.0),
        (0.1, 0.7, 0.03, 0.1, 0.9, 0.0),
        lambda s: (s.body("soccer_ball"), s.rotated("body", "soccer_ball")),
        reset_soccer,
        soccer,
        ("goal_whole", 3, (0.0, 0.0, 0.0)),
        **APART,
    ),
    "coffee-push": Task(
        "sawyer_coffee.xml",
        (-0.1, 0.55, -0.001, -0.05, 0.7, -0.001),
        (0.1, 0.65, 0.001, 0.05, 0.75, 0.001),
        **MUG,
        fixed=("coffee_machine", 3, (0.0, 0.22, 0.0)),
    ),
    "coffee-pull": Task(
        "sawyer_coffee.xml",
        (-0.05, 0.7, -0.001, -0.1, 0.55, -0.001),
        (0.05, 0.75, 0.001, 0.1, 0.65, 0.001),
        **MUG,
        fixed=("coffee_machine", 0, (0.0, 0.22, 0.0)),
    ),
    "hand-insert": Task(
        HOLE,
        (-0.1, 0.6, 0.05, -0.04, 0.8, -0.0201),
        (0.1, 0.7, 0.05, 0.04, 0.88, -0.0199),
        at_body("obj"),
        reset_hand_insert,
        hand_insert,
        hand=MIDDLE,
        reach_low=DEEP,
        **APART,
    ),
}
