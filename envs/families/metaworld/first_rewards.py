"""The first version of Meta-World's rewards (Yu et al. 2019): to the object, then the object to the target, in steps.

Most are one of two: `move`, which pays for the object's way once the fingers are at it, and `pick`, which pays for
lifting it first. They reach about 1,200 a step.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from envs.families.metaworld.first_terms import (
    Values,
    across,
    across_at_start,
    along,
    always,
    approach,
    between,
    fallen,
    geom_across,
    lifting,
    local_height,
    progress,
    whole,
    whole_at_start,
)
from envs.families.metaworld.scene import Scene, Score
from envs.families.metaworld.terms import distance
from envs.families.metaworld.things import X, Y, Z
from envs.families.metaworld.tools import stick_pull


class First(NamedTuple):
    """The first version of a task's reward."""

    reward: Callable[[Scene], Score]
    most: Values | None = None
    """What a reset keeps as `most`: how far the object is to go (m)."""
    height: tuple[str, str] | None = None
    """Whose height a reset keeps as `height`: "body" or "geom", and its name."""


def move(
    s: Scene, left: Values, success: float, told: Values | None = None, floor: bool = True, finger: bool = False
) -> Score:
    """To the object, or with the left finger; within 5 cm the object's way counts, from 0 on if there is a `floor`."""
    reach, way = distance(s.object, s.site("leftEndEffector") if finger else s.tcp), left(s)
    paid = progress(s.start["most"], way)
    paid = np.maximum(paid, 0.0) if floor else paid
    told_left = way if told is None else told(s)
    reward = -reach + np.where(reach < 0.05, paid, 0.0)
    return Score(reward, told_left <= success, obj_to_target=told_left)


def reach(s: Scene) -> Score:
    """The fingertips in place."""
    left = distance(s.tcp, s.target)
    paid = progress(distance(s.tcp_start, s.target), left)
    return Score(np.maximum(paid, 0.0), left <= 0.05, obj_to_target=left)


def hand_insert(s: Scene) -> Score:
    """The hand over the hole, then in it."""
    over, above = distance(s.tcp[:, :2], s.target[:, :2]), np.abs(s.tcp[:, Z] - s.target[:, Z])
    paid = np.maximum(progress(np.abs(s.hand_start[:, Z] - s.target[:, Z]), above), 0.0)
    left = whole_at_start(s)
    return Score(-over + np.where(over < 0.05, paid, 0.0), left <= 0.05, obj_to_target=left)


def door_open(s: Scene) -> Score:
    """As `move`; it succeeds as in the second version."""
    return move(s, across, 0.0)._replace(success=along(X)(s) <= 0.08)


def sweep(s: Scene, inside: bool) -> Score:
    """As `move`; what has fallen is in place, where it may fall."""
    fell = s.object[:, Z] < s.object_start[:, Z] - 0.05
    fell &= ((s.object[:, Y] > 0.4) & (s.object[:, Y] < 1.0)) | (not inside)
    reach_ = distance(s.object, s.tcp)
    left = np.where(fell, 0.0, across(s))
    paid = np.maximum(progress(s.start["most"], left), 0.0)
    reward = np.where(fell, 0.0, -reach_) + np.where(reach_ < 0.05, paid, 0.0)
    return Score(reward, left <= 0.05, obj_to_target=left)


def coffee_pull(s: Scene) -> Score:
    """As `move`, but for what is taken as the way to the mug: its place on the table, and the height of the start."""
    near, left = distance(s.object, s.tcp), across(s)
    apart = np.sqrt(s.object[:, X] ** 2 + s.object[:, Y] ** 2 + s.tcp_start[:, Z] ** 2)
    at = -near + 0.1 + np.where(near < 0.05, np.maximum(s.action[:, 3], 0.0) / 50.0, 0.0)
    paid = np.maximum(progress(s.start["most"], left), 0.0)
    reward = np.where(apart < 0.05, at, -apart) + np.where(near < 0.05, paid, 0.0)
    return Score(reward, whole(s) <= 0.07, obj_to_target=whole(s))


def peg_unplug(s: Scene) -> Score:
    """As `move`, from above."""
    near, left = distance(s.object, s.tcp), across(s)
    paid = np.maximum(progress(s.start["most"], left), 0.0)
    reward = approach(s, s.hand_start[:, Z], 2.0) + np.where(near < 0.05, paid, 0.0)
    return Score(reward, left <= 0.07, obj_to_target=left)


def pick(s: Scene, lift: float, success: float, weight: float = 2.0, head: str = "", from_below: bool = False) -> Score:
    """To the object from above, lift it by so much (m), then the object, or a site that is its head, to the target.

    `from_below`: what lifting pays is counted from 2 cm below where the object was.
    """
    near, left, height = distance(s.object, s.tcp), whole(s), s.start["height"]
    high = height + lift
    up = s.object[:, Z]
    held = (up >= high - 0.01) & ~fallen(s, near, left, up)
    lifted = lifting(s, held, near, high)
    if from_below:
        lifted = np.where(lifted > 0, lifted + 100.0 * (0.02 - height), 0.0)
    above = np.column_stack([s.object_start[:, :2], high])
    way = left
    if head:
        to_head = distance(s.site(head), s.target)
        way = np.where(to_head <= 0.05, left, to_head)
    paid = np.maximum(progress(distance(above, s.target) + high, way), 0.0)
    reward = approach(s, s.tcp_start[:, Z], weight) + lifted + np.where(held & (near < 0.1), paid, 0.0)
    return Score(reward, left <= success, obj_to_target=left)


def box_close(s: Scene) -> Score:
    """As `pick`; it succeeds as in the second version."""
    return pick(s, 0.12, 0.0)._replace(success=whole(s) < 0.08)


def disassemble(s: Scene) -> Score:
    """To the wrench, lift it off the peg."""
    near, left, high = distance(s.object, s.tcp), whole(s), s.start["height"] + 0.05
    up, nut = s.object[:, Z], s.body("RoundNut")
    held = (up >= high - 0.01) & (near < 0.04) & ~fallen(s, near, left, up)
    most = distance(np.column_stack([s.object_start[:, :2], high]), s.target) + high
    paid = np.where(held & (near < 0.03), np.maximum(progress(most, left), 0.0), 0.0)
    off = (np.abs(nut - s.object_start)[:, :2] > 0.05).any(axis=1)
    to_it = approach(s, s.tcp_start[:, Z], 2.0, over=0.04, at=0.04) + lifting(s, held, near, high, within=0.04)
    return Score(np.where(off, 100.0 * high, to_it) + paid, up > s.target[:, Z])


def assembly(s: Scene) -> Score:
    """To the wrench, lift it, over the peg, and down."""
    near, nut, height = distance(s.object, s.tcp), s.body("RoundNut"), s.start["height"]
    high, up, left = height + 0.1, nut[:, Z], distance(nut[:, :2], s.target[:, :2])
    last = np.abs(up - height)
    held = (up >= high - 0.01) & (near < 0.03) & ~fallen(s, near, left, up)
    placed = (np.abs(nut - s.target)[:, :2] < 0.03).all(axis=1)
    rising = np.where((near < 0.04) & (up > height + 0.005), 100.0 * np.minimum(high, up), 0.0)
    most = distance(np.column_stack([s.object_start[:, :2], high]), s.target) + high
    down = 2000.0 * (high - last) + 2000.0 * (np.exp(-(last**2) / 0.003) + np.exp(-(last**2) / 0.0003))
    paid = np.maximum(progress(most, left) + np.where(placed, down, 0.0), 0.0)
    reward = approach(s, s.tcp_start[:, Z], 1.0, over=0.04, at=0.04) + np.where(placed | held, 100.0 * high, rising)
    reward = reward + np.where(placed | (held & (near < 0.04)), paid, 0.0)
    return Score(reward, placed & (last <= 0.04))


def hammer(s: Scene) -> Score:
    """To the hammer, lift it, its head to the nail, and the nail in."""
    near, head, nail = distance(s.object, s.tcp), s.geom("HammerHead"), s.site("nailHead")
    high, up, left = s.start["height"] + 0.09, s.object[:, Z], distance(nail, head)
    out = np.abs(nail - s.target)[:, Y]
    held = (up >= high - 0.01) & ~fallen(s, near, left, up)
    above = np.column_stack([s.object_start[:, :2], high])
    most = distance(above, s.object_start) + high + np.abs(s.object_start - s.target)[:, Y]
    paid = np.where(held & (near < 0.1), np.maximum(progress(most, left + out), 0.0), 0.0)
    to_it = -near + np.where(near < 0.05, np.maximum(s.action[:, 3], 0.0) / 50.0, 0.0)
    return Score(to_it + lifting(s, held, near, high) + paid, s.joint("NailSlideJoint") > 0.09)


def bin_picking(s: Scene) -> Score:
    """To the object, lift it, over to the other bin, and let go."""
    near, left, high, up = distance(s.object, s.tcp), across(s), s.start["height"] + 0.1, s.object[:, Z]
    held = (up >= high - 0.01) & ~fallen(s, near, left, up)
    there = (np.abs(s.object - s.target)[:, :2] < 0.05).all(axis=1)
    placed = there & (up < s.start["height"] + 0.05)
    paid, open_ = np.maximum(progress(across_at_start(s) + high, left), 0.0), -200.0 * s.action[:, 3]
    carried = np.where(held & (near < 0.1), paid + np.where(there, open_, 0.0), 0.0)
    to_it = approach(s, s.tcp_start[:, Z], 1.0, over=0.06) + lifting(s, held, near, high) + carried
    return Score(np.where(placed, open_ + paid, to_it), left <= 0.05, obj_to_target=left)


def stick(s: Scene, sharp: float, success: Values) -> Score:
    """To the stick, lift it, and what the package takes for the thermos: three numbers from the stick's height on."""
    near, thing, start = distance(s.object, s.tcp), s.seen[:, 6:9], s.start["stick"]
    high, up, left = s.start["height"] + 0.04, s.object[:, Z], distance(thing[:, :2], s.target[:, :2])
    apart = distance(s.object, thing)
    held = (up >= high - 0.01) & ~fallen(s, near, left, up)
    most = distance(np.column_stack([s.object_start[:, :2], high]), start) + high
    bump = np.exp(-(left**2) / sharp) + np.exp(-(left**2) / (sharp / 10))
    moved = 1000.0 * (across_at_start(s) - left) + 2000.0 * bump
    paid = np.maximum(progress(most, apart) + np.where(apart < 0.05, moved, 0.0), 0.0)
    to_it = -near + np.where(near < 0.05, np.maximum(s.action[:, 3], 0.0) / 50.0, 0.0)
    reward = to_it + lifting(s, held, near, high) + np.where(held & (near < 0.1), paid, 0.0)
    return Score(reward, success(s).astype(bool), obj_to_target=left)


press = partial(move, finger=True)
BLOCK = ("geom", "objGeom")
PRESSED_DOWN = First(partial(press, left=along(Z), success=0.02), between("handleStart", Z))
FIRST: dict[str, First] = {
    "reach": First(reach),
    "reach-wall": First(reach),
    "hand-insert": First(hand_insert),
    "button-press-topdown": First(partial(move, left=along(Z), success=0.024), between("buttonStart", Z)),
    "button-press-topdown-wall": First(partial(move, left=along(Z), success=0.024), between("buttonStart", Z)),
    "button-press": First(partial(press, left=along(Y), success=0.02), between("buttonStart", Y)),
    "button-press-wall": First(partial(press, left=along(Y), success=0.03), between("buttonStart", Z)),
    "coffee-button": First(partial(press, left=along(Y), success=0.02), between("buttonStart", Y)),
    "handle-press": PRESSED_DOWN,
    "handle-press-side": PRESSED_DOWN,
    "handle-pull": First(partial(press, left=along(Z), success=0.05), local_height("handleStart")),
    "handle-pull-side": First(partial(press, left=along(Z), success=0.08), between("handleStart", Z)),
    "window-open": First(partial(move, left=along(X), success=0.05, floor=False), always(0.2)),
    "window-close": First(partial(move, left=along(X), success=0.05, floor=False), always(0.2)),
    "drawer-close": First(partial(move, left=along(Y), success=0.05 + 0.015), always(0.15)),
    "drawer-open": First(partial(move, left=along(Y), success=0.03), always(0.2)),
    "dial-turn": First(partial(move, left=along(Y), success=0.07), lambda s: np.abs(s.target - s.object_start)[:, Y]),
    "faucet-open": First(partial(move, left=whole, success=0.07), whole_at_start),
    "faucet-close": First(partial(move, left=whole, success=0.07), whole_at_start),
    "lever-pull": First(partial(move, left=whole, success=np.pi / 24), whole_at_start),
    "door-open": First(door_open, geom_across("handle")),
    "door-close": First(partial(move, left=across, success=0.08), geom_across("handle")),
    "door-lock": First(partial(move, left=whole, success=0.02), always(float(np.hypot(0.04, 0.1)))),
    "door-unlock": First(partial(move, left=whole, success=0.02), always(float(np.hypot(0.1, 0.04)))),
    "push": First(partial(move, left=across, success=0.05), across_at_start),
    "push-wall": First(partial(move, left=across, success=0.07), across_at_start),
    "push-back": First(partial(move, left=across, success=0.07), across_at_start),
    "soccer": First(partial(move, left=across, success=0.07), across_at_start),
    "sweep": First(partial(sweep, inside=False), across_at_start),
    "sweep-into": First(partial(sweep, inside=True), across_at_start),
    "coffee-push": First(partial(move, left=across, success=0.07, told=whole), across_at_start),
    "coffee-pull": First(coffee_pull, across_at_start),
    "plate-slide": First(partial(move, left=across, success=0.07), across_at_start),
    "plate-slide-side": First(partial(move, left=across, success=0.07), across_at_start),
    "plate-slide-back": First(partial(move, left=across, success=0.07), geom_across("puck")),
    "plate-slide-back-side": First(partial(move, left=across, success=0.07), geom_across("puck")),
    "peg-unplug-side": First(peg_unplug, whole_at_start),
    "pick-place": First(partial(pick, lift=0.04, success=0.07), height=BLOCK),
    "pick-place-wall": First(partial(pick, lift=0.04, success=0.07), height=BLOCK),
    "shelf-place": First(partial(pick, lift=0.04, success=0.07), height=BLOCK),
    "basketball": First(partial(pick, lift=0.3, success=0.08), height=BLOCK),
    "box-close": First(box_close, height=("geom", "BoxHandleGeom")),
    "peg-insert-side": First(
        partial(pick, lift=0.11, success=0.07, weight=1.0, head="pegHead"), height=("body", "peg")
    ),
    "pick-out-of-hole": First(partial(pick, lift=0.11, success=0.07, from_below=True), height=BLOCK),
    "disassemble": First(disassemble, height=("body", "RoundNut")),
    "assembly": First(assembly, height=("site", "RoundNut-8")),
    "hammer": First(hammer, height=("body", "hammer")),
    "bin-picking": First(bin_picking, height=("body", "obj")),
    "stick-pull": First(partial(stick, sharp=0.01, success=lambda s: stick_pull(s).success), height=("body", "stick")),
    # the package takes the gripper for closed in this version of stick-push, so that it never succeeds
    "stick-push": First(partial(stick, sharp=0.001, success=always(0.0)), height=("body", "stick")),
}
