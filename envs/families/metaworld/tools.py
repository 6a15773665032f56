"""Meta-World's tasks of using something: a wrench on a peg, a hammer, a lid, a stick."""

from functools import partial

import numpy as np

from envs.families.metaworld.scene import Scene, Score, Shared, Task, single
from envs.families.metaworld.terms import distance, floor_between, hamacher, tolerance
from envs.families.metaworld.things import BACK, MIDDLE, X, Y, Z, at_body, at_height

# Nuts, hammer, lid


def upright(s: Scene, ideal: tuple[float, ...], most: float) -> np.ndarray:
    """1 less how far the object's quaternion is from an ideal one, 0 from `most` on."""
    return np.maximum(1.0 - distance(s.quaternion, np.array([ideal])) / most, 0.0)


def handle_at_hand(s: Scene, half: float) -> np.ndarray:
    """The object's place, as far along its handle (x) as the hand is, `[n, 3]`."""
    place = s.object.copy()
    place[:, X] = np.where(np.abs(place[:, X] - s.hand[:, X]) < half, s.hand[:, X], place[:, X])
    return place


def nut(s: Scene) -> tuple[np.ndarray, ...]:
    """The wrench's handle, and its quaternion."""
    return s.site("RoundNut-8"), s.turned("RoundNut")


def reset_assembly(s: Scene, v: np.ndarray) -> None:
    """The wrench and the peg where the vector says."""
    s.keep(target=v[:, 3:], object=v[:, :3])
    s.place(v[:, :3])


def assembly(s: Scene) -> Score:
    """The wrench held level, and over the peg."""
    straight, center = upright(s, (0.707, 0, 0, 0.707), 0.4), s.site("RoundNut")
    grasp = s.caging(handle_at_hand(s, 0.01), radius=0.015, pad=0.02, xz=0.01, density="medium")
    error = s.target - center
    radius = distance(s.target[:, :2], center[:, :2])
    success = (radius < 0.02) & (error[:, Z] > 0.0)
    threshold = np.where(success, 0.02, 0.01)
    away = radius > threshold
    height = np.where(away, 0.02 * np.log(np.where(away, radius - threshold, 1.0)) + 0.2, 0.0)
    error[:, Z] = height - center[:, Z]
    up = (center[:, Z] > 0.02) | (radius < threshold)
    in_place = 0.1 * up + 0.9 * tolerance(distance(error, np.zeros(3), (1.0, 1.0, 3.0)), 0.02, 0.4)
    reward = np.where(success, 10.0, (2.0 * grasp + 6.0 * in_place) * straight)
    return Score(reward, success, straight, grasp, in_place)


def reset_disassemble(s: Scene, v: np.ndarray) -> None:
    """The wrench on the peg where the vector says."""
    s.keep(target=v[:, :3] + (0.0, 0.0, 0.15), object=v[:, :3])
    s.place(v[:, :3])


def disassemble(s: Scene) -> Score:
    """The wrench held level, and above the peg."""
    straight, center = upright(s, (0.707, 0, 0, 0.707), 0.4), s.site("RoundNut")
    grasp = s.caging(handle_at_hand(s, 0.01), radius=0.015, pad=0.02, xz=0.01, density="high")
    off = tolerance(distance(s.target + (0.0, 0.0, 0.1), center), 0.02, 0.2)
    in_place = 0.1 * (center[:, Z] > 0.02) + 0.9 * off
    success = s.object[:, Z] > s.target[:, Z]
    reward = np.where(success, 10.0, (2.0 * grasp + 6.0 * in_place) * straight)
    return Score(reward, success, straight, grasp, in_place)


def reset_hammer(s: Scene, v: np.ndarray) -> None:
    """The hammer where the vector says."""
    s.keep(target=s.site("goal").copy(), object=v[:, :3])
    s.place(v[:, :3])


def hammer(s: Scene) -> Score:
    """The hammer held level, and its head at the nail."""
    straight, head = upright(s, (1.0, 0.0, 0.0, 0.0), 0.4), s.object + (0.16, 0.06, 0.0)
    grasp = s.caging(handle_at_hand(s, 0.07), radius=0.015, pad=0.02, xz=0.01, density="high")
    in_place = 0.1 * (head[:, Z] > 0.02) + 0.9 * tolerance(distance(s.target, head), 0.02, 0.2)
    reward = (2.0 * grasp + 6.0 * in_place) * straight
    success = s.joint("NailSlideJoint") > 0.09
    return Score(np.where(success & (reward > 5.0), 10.0, reward), success, straight, grasp, in_place)


def reset_box(s: Scene, v: np.ndarray) -> None:
    """The lid and the box where the vector says."""
    start = at_height(v[:, :2], single(0, 0, 0.02)[Z])
    s.keep(target=v[:, 3:], object=start)
    s.settle(5)
    s.place(start)


def box_close(s: Scene) -> Score:
    """At the lid, from above, with a closed gripper; and the lid on the box; all × how level it is."""
    grab = (np.clip(s.action[:, 3], -1, 1) + 1.0) / 2.0
    lid, hand = s.object + (0.0, 0.0, 0.02), s.hand
    floor = floor_between(distance(hand[:, :2], lid[:, :2]), 0.02, 0.04, 0.4)
    above = np.where(hand[:, Z] >= floor, 1.0, tolerance(floor - hand[:, Z], 0.01, floor / 2.0))
    ready = hamacher(above, tolerance(distance(hand, lid), 0.02, 0.5))
    left = distance(s.target, lid, (1.0, 1.0, 3.0))
    closed = 0.2 * (lid[:, Z] > 0.04) + 0.8 * tolerance(left, 0.05, 0.25)
    success = distance(s.object, s.target) < 0.08
    reward = np.where(success, 10.0, 2.0 * hamacher(grab, ready) + 8.0 * closed)
    return Score(reward * upright(s, (0.707, 0, 0, 0.707), 0.2), success, ready, grab, closed)


# Sticks


def stick(s: Scene, offset: tuple[float, float, float]) -> tuple[np.ndarray, ...]:
    """The stick and the thermos's handle, with quaternions."""
    zeros = s.everywhere(0.0, 0.0, 0.0, 0.0)
    return s.body("stick"), s.rotated("body", "stick"), s.site("insertion") + offset, zeros


def reset_stick(s: Scene, v: np.ndarray, to: tuple[float, float], height: str) -> None:
    """The stick where the vector says; the thermos at a place of its own slides (m)."""
    start = at_height(v[:, :2], 0.02)
    target_height = s.site(height)[:, Z].copy() if height else 0.02
    s.place(start)
    s.place(np.array(to), at=16, still=(16,))
    s.keep(target=at_height(v[:, 3:5], target_height), stick=start, object=s.body("object").copy())


def stick_pull(s: Scene) -> Score:
    """The stick held × in the handle, then the thermos in place."""
    end, handle, on_stick = s.site("stick_end"), s.second, s.object
    offset, scale, start = (0.05, 0.0, 0.0), (1.0, 1.0, 2.0), s.start["stick"]
    container = handle + offset
    near, left = distance(on_stick, s.tcp), distance(handle, s.target)
    margin = distance(start, s.object_start + offset, scale)
    in_place = tolerance(distance(on_stick, container, scale), 0.05, margin)
    stick_there = tolerance(distance(on_stick, s.target), 0.05, distance(start, s.target))
    there = tolerance(distance(container, s.target), 0.05, distance(s.object_start, s.target))
    held = (near < 0.02) & (s.opened > 0) & (on_stick[:, Z] - 0.01 > start[:, Z])
    grasp = s.caging(on_stick, radius=0.014, pad=0.05, xz=0.01, density="high")
    grasp = np.where(held, 1.0, grasp)
    inside = (end[:, X] >= handle[:, X]) & (np.abs(end - handle)[:, Y] <= 0.04) & (np.abs(end - handle)[:, Z] <= 0.06)
    both_ = hamacher(grasp, in_place)
    pulled = np.where(left <= 0.12, 10.0, 1.0 + both_ + 5.0 + 2.0 * stick_there + there)
    reward = np.where(held, np.where(inside, pulled, 1.0 + both_ + 5.0 * in_place), both_)
    return Score(reward, (left <= 0.12) & inside, near <= 0.03, grasp, in_place, left)


def stick_push(s: Scene) -> Score:
    """The stick held, then the thermos in place."""
    on_stick, start = s.object + (0.015, 0.0, 0.0), s.start["stick"]
    near, left = distance(on_stick, s.tcp), distance(s.second, s.target)
    in_place = tolerance(distance(on_stick, s.target), 0.12, distance(start, s.target) - 0.12)
    there = tolerance(left, 0.12, distance(s.object_start, s.target) - 0.12)
    grasp = s.caging(on_stick, start, radius=0.04, pad=0.05, xz=0.01, density="high")
    held = (near < 0.02) & (s.opened > 0) & (on_stick[:, Z] - 0.01 > start[:, Z])
    pushed = np.where(left <= 0.12, 10.0, 2.0 + 5.0 * in_place + 3.0 * there)
    touched = s.touching & (s.opened > 0) & (s.object[:, Z] - 0.01 > start[:, Z])
    success = touched & (left <= 0.12)
    return Score(np.where(held, pushed, grasp), success, near <= 0.03, np.where(held, 1.0, grasp), in_place, left)


NUT: Shared = {"model": "sawyer_assembly_peg.xml", "objects": nut, "apart": 0.1}
STICK: Shared = {"model": "sawyer_stick_obj.xml", "apart": 0.1}
USING: dict[str, Task] = {
    "assembly": Task(
        low=(0.0, 0.6, 0.02, -0.1, 0.75, 0.1),
        high=(0.0, 0.6, 0.02, 0.1, 0.85, 0.1),
        **NUT,
        reset=reset_assembly,
        reward=assembly,
        fixed=("peg", 3, (0.0, 0.0, -0.05)),
        hand=MIDDLE,
    ),
    "disassemble": Task(
        low=(0.0, 0.6, 0.025, -0.1, 0.6, 0.1699),
        high=(0.1, 0.75, 0.02501, 0.1, 0.75, 0.1701),
        **NUT,
        reset=reset_disassemble,
        reward=disassemble,
        fixed=("peg", 0, (0.0, 0.0, 0.03)),
        hand=BACK,
        goal=((-0.1, 0.6, 0.1749), (0.1, 0.75, 0.1751)),
    ),
    "hammer": Task(
        "sawyer_hammer.xml",
        (-0.1, 0.4, 0.0),
        (0.1, 0.5, 0.0),
        lambda s: (s.body("hammer"), s.turned("hammer"), s.body("nail_link"), s.turned("nail_link")),
        reset_hammer,
        hammer,
        ("box", None, (0.24, 0.85, 0.0)),
        (0.0, 0.4, 0.2),
        goal=((0.2399, 0.7399, 0.109), (0.2401, 0.7401, 0.111)),
    ),
    "box-close": Task(
        "sawyer_box.xml",
        (-0.05, 0.5, 0.02, -0.1, 0.7, 0.133),
        (0.05, 0.55, 0.02, 0.1, 0.8, 0.133),
        at_body("top_link"),
        reset_box,
        box_close,
        ("boxbody", 3, (0.0, 0.0, np.nan)),
        MIDDLE,
        apart=0.25,
    ),
    "stick-push": Task(
        low=(-0.08, 0.58, 0.0, 0.399, 0.55, 0.1319),
        high=(-0.03, 0.62, 0.001, 0.401, 0.6, 0.1321),
        **STICK,
        objects=partial(stick, offset=(0.0, 0.09, 0.0)),
        reset=partial(reset_stick, to=(0.0, 0.0), height="insertion"),
        reward=stick_push,
        touch=True,
    ),
    "stick-pull": Task(
        low=(-0.1, 0.55, 0.0, 0.35, 0.45, 0.0199),
        high=(0.0, 0.65, 0.001, 0.45, 0.55, 0.0201),
        **STICK,
        objects=partial(stick, offset=(0.0, 0.0, 0.0)),
        reset=partial(reset_stick, to=(0.0, 0.09), height=""),
        reward=stick_pull,
        reach_low=(-0.5, 0.35, 0.05),
    ),
}
