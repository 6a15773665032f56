"""Meta-World's tasks of picking something up, and of using it."""

from functools import partial

import numpy as np

from envs.families.metaworld.pressing import BACK, MIDDLE, X, Y, Z, at_body, at_geom
from envs.families.metaworld.pushing import APART, FINGER, at_height, both, object_of
from envs.families.metaworld.scene import Scene, Score, Task, single
from envs.families.metaworld.terms import distance, floor_between, hamacher, in_prism, tolerance


def lifted(s: Scene, near: np.ndarray, within: float, rise: float = 0.01) -> np.ndarray:
    """Whether the gripper, not closed altogether, is at an object that has left the table."""
    return (near < within) & (s.opened > 0) & (s.object[:, Z] - rise > s.object_start[:, Z])


def pick_place(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.pinching(0.015, None, 0.005)
    reward = hamacher(grasp, in_place) + np.where(lifted(s, near, 0.02), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def pick_place_wall(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    midpoint = np.column_stack([s.target[:, X], np.full(len(near), 0.77), np.full(len(near), 0.25)])
    scale = (1.0, 1.0, 3.0)
    above = tolerance(distance(s.object, midpoint, scale), 0.05, distance(s.object_start, midpoint, scale))
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, **FINGER)
    beyond = np.where(s.object[:, Y] > 0.75, 4.0 + 3.0 * in_place, 4.0 * above)
    reward = hamacher(grasp, above) + np.where(lifted(s, near, 0.02, 0.015), 1.0 + beyond, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def pick_out_of_hole(s: Scene) -> Score:
    tcp = s.tcp
    left, near = distance(s.object, s.target), distance(s.object, tcp)
    floor = floor_between(distance(tcp[:, :2], s.object_start[:, :2]), 0.03, 0.015, 0.15)
    height = tcp[:, Z]
    above = np.where(height >= floor, 1.0, tolerance(np.maximum(floor - height, 0.0), 0.01, 0.02))
    grasp = s.caging(s.object, effort=0.1, radius=0.015, pad=0.02, xz=0.03, density="high")
    in_place = tolerance(left, 0.02, distance(s.object_start, s.target))
    held = (near < 0.04) & (s.object[:, Z] - 0.02 > s.object_start[:, Z]) & (s.opened >= 0.33)
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * hamacher(in_place, above), 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_bin(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.place(start)
    s.keep(target=s.body("bin_goal").copy(), object=start)


def bin_picking(s: Scene) -> Score:
    left, hand = distance(s.object, s.target), s.hand
    first = s.first  # how far it was after the first step
    first[:] = np.where(np.isnan(first), left, first)
    in_place = tolerance(left, 0.05, first)
    funnels = (floor_between(distance(hand[:, :2], at[:, :2]), 0.03, 0.02, 0.2) for at in (s.object_start, s.target))
    floor = np.minimum(*funnels)
    above = np.where(hand[:, Z] >= floor, 1.0, tolerance(np.maximum(floor - hand[:, Z], 0.0), 0.01, 0.05))
    grasp = s.caging(s.object, effort=0.7, radius=0.015, pad=0.05, xz=0.01, density="high")
    near = distance(s.object, hand) < 0.04
    held = near & (s.object[:, Z] - 0.02 > s.object_start[:, Z]) & (s.opened >= 0.43)
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * hamacher(above, in_place), 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.05, near, grasp, in_place, left)


def reset_shelf(s: Scene, v: np.ndarray) -> None:
    model = s.batch.model
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.keep(target=model.site_pos[s.row("site", "goal")] + (v[:, 3:] - (0.0, 0.0, 0.3)), object=start)
    s.place(start)


def shelf_place(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, radius=0.02, pad=0.05, xz=0.01)
    reward = hamacher(grasp, in_place)
    (x, y, z), (goal_x, goal_y, _) = s.object.T, s.target.T
    below = (0.0 < z) & (z < 0.24) & (goal_x - 0.15 < x) & (x < goal_x + 0.15)
    front = below & (goal_y - 0.15 < y) & (y < goal_y)
    deep, low = np.where(front, (y - (goal_y - 0.15)) / 0.15, 0.0), np.where(front, (0.24 - z) / 0.24, 0.0)
    in_place = np.where(front, np.clip(in_place - hamacher(deep, low), 0.0, 1.0), in_place)
    in_place = np.where(below & (y > goal_y), 0.0, in_place)
    reward = reward + np.where(lifted(s, near, 0.025), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_basketball(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], single(0.03)[0])
    s.place(start)
    s.keep(target=s.site("goal").copy(), object=start)


def basketball(s: Scene) -> Score:
    target, scale = at_height(s.target[:, :2], 0.3), (1.0, 1.0, 2.0)
    left, near = distance(s.object, target, scale), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.08, distance(s.object_start, target, scale))
    held = lifted(s, near, 0.035)
    grasp = np.where(held, 1.0, s.caging(s.object, radius=0.025, pad=0.06, xz=0.005, density="high"))
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.08, 10.0, reward), left <= 0.08, near <= 0.05, grasp, in_place, left)


# Pegs


def reset_peg_insert(s: Scene, v: np.ndarray) -> None:
    s.keep(target=v[:, 3:] + (0.03, 0.0, 0.13), object=v[:, :3], head=s.site("pegHead").copy())
    s.place(v[:, :3])


def peg_insert(s: Scene) -> Score:
    head, scale, near = s.site("pegHead"), (1.0, 2.0, 2.0), distance(s.object, s.tcp)
    left = distance(head, s.target, scale)
    in_place = tolerance(left, 0.07, distance(s.start["head"], s.target, scale))
    first, second = (
        in_prism(
            head,
            s.site(f"bottom_right_corner_collision_box_{box}"),
            s.site(f"top_left_corner_collision_box_{box}"),
        )
        for box in (1, 2)
    )
    in_place = hamacher(in_place, hamacher(second, first))
    held = lifted(s, near, 0.08)
    grasp = np.where(held, 1.0, s.caging(s.object, radius=0.0075, pad=0.03, xz=0.005, density="high"))
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left <= 0.07, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_peg_unplug(s: Scene, v: np.ndarray) -> None:
    plug = v[:, :3] + (0.044, 0.0, 0.131)
    s.place(np.column_stack([plug, np.tile((1.0, 0.0, 0.0, 0.0), (len(plug), 1))]), still=range(9, 12))
    s.keep(target=plug + (0.15, 0.0, 0.0), object=s.site("pegEnd").copy())


def peg_unplug(s: Scene) -> Score:
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    grasp = s.caging(s.object, effort=0.8, radius=0.025, pad=0.05, xz=0.005, density="high")
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    out = (s.opened > 0.5) & (s.object[:, X] - s.object_start[:, X] > 0.015)
    reward = 2.0 * grasp + np.where(out & (near < 0.035), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left <= 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


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
    return s.site("RoundNut-8"), s.turned("RoundNut")


def reset_assembly(s: Scene, v: np.ndarray) -> None:
    s.keep(target=v[:, 3:], object=v[:, :3])
    s.place(v[:, :3])


def assembly(s: Scene) -> Score:
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
    s.keep(target=v[:, :3] + (0.0, 0.0, 0.15), object=v[:, :3])
    s.place(v[:, :3])


def disassemble(s: Scene) -> Score:
    straight, center = upright(s, (0.707, 0, 0, 0.707), 0.4), s.site("RoundNut")
    grasp = s.caging(handle_at_hand(s, 0.01), radius=0.015, pad=0.02, xz=0.01, density="high")
    off = tolerance(distance(s.target + (0.0, 0.0, 0.1), center), 0.02, 0.2)
    in_place = 0.1 * (center[:, Z] > 0.02) + 0.9 * off
    success = s.object[:, Z] > s.target[:, Z]
    reward = np.where(success, 10.0, (2.0 * grasp + 6.0 * in_place) * straight)
    return Score(reward, success, straight, grasp, in_place)


def reset_hammer(s: Scene, v: np.ndarray) -> None:
    s.keep(target=s.site("goal").copy(), object=v[:, :3])
    s.place(v[:, :3])


def hammer(s: Scene) -> Score:
    straight, head = upright(s, (1.0, 0.0, 0.0, 0.0), 0.4), s.object + (0.16, 0.06, 0.0)
    grasp = s.caging(handle_at_hand(s, 0.07), radius=0.015, pad=0.02, xz=0.01, density="high")
    in_place = 0.1 * (head[:, Z] > 0.02) + 0.9 * tolerance(distance(s.target, head), 0.02, 0.2)
    reward = (2.0 * grasp + 6.0 * in_place) * straight
    success = s.joint("NailSlideJoint") > 0.09
    return Score(np.where(success & (reward > 5.0), 10.0, reward), success, straight, grasp, in_place)


def reset_box(s: Scene, v: np.ndarray) -> None:
    start = at_height(v[:, :2], single(0.02)[0])
    s.keep(target=v[:, 3:], object=start)
    s.settle(5)
    s.place(start)


def box_close(s: Scene) -> Score:
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
    zeros = s.everywhere(0.0, 0.0, 0.0, 0.0)
    return s.body("stick"), s.rotated("body", "stick"), s.site("insertion") + offset, zeros


def reset_stick(s: Scene, v: np.ndarray, to: tuple[float, float], height: str) -> None:
    start = at_height(v[:, :2], 0.02)
    target_height = s.site(height)[:, Z].copy() if height else 0.02
    s.place(start)
    s.place(np.array(to), at=16, still=(16,))
    s.keep(target=at_height(v[:, 3:5], target_height), stick=start, object=s.body("object").copy())


def stick_pull(s: Scene) -> Score:
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


BLOCK = {"objects": object_of("obj")} | APART
NUT = {"model": "sawyer_assembly_peg.xml", "objects": nut, "apart": 0.1}
STICK = {"model": "sawyer_stick_obj.xml", "apart": 0.1}
PICKING: dict[str, Task] = {
    "pick-place": Task(
        "sawyer_pick_place_v3.xml", (-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3), **BLOCK,
        reset=both, reward=pick_place,
    ),
    "pick-place-wall": Task(
        "sawyer_pick_place_wall_v3.xml", (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3),
        at_geom("objGeom"), both, pick_place_wall, **APART,
    ),
    "pick-out-of-hole": Task(
        "sawyer_pick_out_of_hole.xml", (0.0, 0.75, 0.02, -0.1, 0.5, 0.15), (0.0, 0.75, 0.02, 0.1, 0.6, 0.3),
        at_body("obj"), both, pick_out_of_hole, reach_low=(-0.5, 0.4, -0.05), **APART,
    ),
    "bin-picking": Task(
        "sawyer_bin_picking.xml", (-0.21, 0.65, 0.02, 0.1199, 0.699, -0.001), (-0.03, 0.75, 0.02, 0.1201, 0.701, 0.001),
        at_body("obj"), reset_bin, bin_picking, reach_low=(-0.5, 0.4, 0.07),
    ),
    "shelf-place": Task(
        "sawyer_shelf_placing.xml", (-0.1, 0.5, 0.019, -0.1, 0.8, 0.299), (0.1, 0.6, 0.021, 0.1, 0.9, 0.301),
        object_of("obj"), reset_shelf, shelf_place, ("shelf", 3, (0.0, 0.0, -0.3)), MIDDLE, apart=0.1,
    ),
    "basketball": Task(
        "sawyer_basketball.xml", (-0.1, 0.6, 0.0299, -0.1, 0.85, 0.0), (0.1, 0.7, 0.0301, 0.1, 0.9000001, 0.0),
        at_body("bsktball"), reset_basketball, basketball, ("basket_goal", 3, (0.0, 0.0, 0.0)), MIDDLE, **APART,
        goal=((-0.1, 0.767, 0.2499), (0.1, 0.8170001, 0.2501)),
    ),
    "peg-insert-side": Task(
        "sawyer_peg_insertion_side.xml", (0.0, 0.5, 0.02, -0.35, 0.4, -0.001), (0.2, 0.7, 0.02, -0.25, 0.7, 0.001),
        lambda s: (s.site("pegGrasp"), s.rotated("site", "pegGrasp")), reset_peg_insert, peg_insert,
        ("box", 3, (0.0, 0.0, 0.0)), apart=0.1, goal=((-0.32, 0.4, 0.129), (-0.22, 0.7, 0.131)),
    ),
    "peg-unplug-side": Task(
        "sawyer_peg_unplug_side.xml", (-0.25, 0.6, -0.001), (-0.15, 0.8, 0.001),
        lambda s: (s.site("pegEnd"), s.turned("plug1")), reset_peg_unplug, peg_unplug,
        ("box", 0, (0.0, 0.0, 0.0)), goal=((-0.056, 0.6, 0.13), (0.044, 0.8, 0.132)),
    ),
    "assembly": Task(
        low=(0.0, 0.6, 0.02, -0.1, 0.75, 0.1), high=(0.0, 0.6, 0.02, 0.1, 0.85, 0.1), **NUT,
        reset=reset_assembly, reward=assembly, fixed=("peg", 3, (0.0, 0.0, -0.05)), hand=MIDDLE,
    ),
    "disassemble": Task(
        low=(0.0, 0.6, 0.025, -0.1, 0.6, 0.1699), high=(0.1, 0.75, 0.02501, 0.1, 0.75, 0.1701), **NUT,
        reset=reset_disassemble, reward=disassemble, fixed=("peg", 0, (0.0, 0.0, 0.03)), hand=BACK,
        goal=((-0.1, 0.6, 0.1749), (0.1, 0.75, 0.1751)),
    ),
    "hammer": Task(
        "sawyer_hammer.xml", (-0.1, 0.4, 0.0), (0.1, 0.5, 0.0),
        lambda s: (s.body("hammer"), s.turned("hammer"), s.body("nail_link"), s.turned("nail_link")),
        reset_hammer, hammer, ("box", None, (0.24, 0.85, 0.0)), (0.0, 0.4, 0.2),
        goal=((0.2399, 0.7399, 0.109), (0.2401, 0.7401, 0.111)),
    ),
    "box-close": Task(
        "sawyer_box.xml", (-0.05, 0.5, 0.02, -0.1, 0.7, 0.133), (0.05, 0.55, 0.02, 0.1, 0.8, 0.133), at_body("top_link"),
        reset_box, box_close, ("boxbody", 3, (0.0, 0.0, np.nan)), MIDDLE, apart=0.25,
    ),
    "stick-push": Task(
        low=(-0.08, 0.58, 0.0, 0.399, 0.55, 0.1319), high=(-0.03, 0.62, 0.001, 0.401, 0.6, 0.1321), **STICK,
        objects=partial(stick, offset=(0.0, 0.09, 0.0)), reset=partial(reset_stick, to=(0.0, 0.0), height="insertion"),
        reward=stick_push, touch=True,
    ),
    "stick-pull": Task(
        low=(-0.1, 0.55, 0.0, 0.35, 0.45, 0.0199), high=(0.0, 0.65, 0.001, 0.45, 0.55, 0.0201), **STICK,
        objects=partial(stick, offset=(0.0, 0.0, 0.0)), reset=partial(reset_stick, to=(0.0, 0.09), height=""),
        reward=stick_pull, reach_low=(-0.5, 0.35, 0.05),
    ),
}  # fmt: skip
