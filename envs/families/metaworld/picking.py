"""Meta-World's tasks of picking something up, and of using it."""

import numpy as np

from envs.families.metaworld.pushing import APART, FINGER
from envs.families.metaworld.scene import Scene, Score, Shared, Task, single
from envs.families.metaworld.terms import distance, floor_between, hamacher, in_prism, tolerance
from envs.families.metaworld.things import MIDDLE, X, Y, Z, at_body, at_geom, at_height, both, object_of


def lifted(s: Scene, near: np.ndarray, within: float, rise: float = 0.01) -> np.ndarray:
    """Whether the gripper, not closed altogether, is at an object that has left the table."""
    return (near < within) & (s.opened > 0) & (s.object[:, Z] - rise > s.object_start[:, Z])


def pick_place(s: Scene) -> Score:
    """The object held × in place, and more once it is lifted."""
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.pinching(0.015, None, 0.005)
    reward = hamacher(grasp, in_place) + np.where(lifted(s, near, 0.02), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def pick_place_wall(s: Scene) -> Score:
    """As `pick_place`, first to above the wall."""
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
    """The object held × in place, and more once it is lifted without touching the rim."""
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
    """The object in its bin; the target is the other bin."""
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.place(start)
    s.keep(target=s.body("bin_goal").copy(), object=start)


def bin_picking(s: Scene) -> Score:
    """The object held × in the other bin, and more once it is lifted over the wall between them."""
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
    """The shelf and the object where the vector says."""
    model = s.batch.model
    start = at_height(v[:, :2], s.body("obj")[:, Z].copy())
    s.keep(target=model.site_pos[s.row("site", "goal")] + (v[:, 3:] - (0.0, 0.0, 0.3)), object=start)
    s.place(start)


def shelf_place(s: Scene) -> Score:
    """The object held × on the shelf, less what it is in the way of the shelf's front."""
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    grasp = s.caging(s.object, radius=0.02, pad=0.05, xz=0.01)
    reward = hamacher(grasp, in_place)
    (x, y, z), (goal_x, goal_y, _) = s.object.T, s.target.T
    below = (z > 0.0) & (z < 0.24) & (goal_x - 0.15 < x) & (x < goal_x + 0.15)
    front = below & (goal_y - 0.15 < y) & (y < goal_y)
    deep, low = np.where(front, (y - (goal_y - 0.15)) / 0.15, 0.0), np.where(front, (0.24 - z) / 0.24, 0.0)
    in_place = np.where(front, np.clip(in_place - hamacher(deep, low), 0.0, 1.0), in_place)
    in_place = np.where(below & (y > goal_y), 0.0, in_place)
    reward = reward + np.where(lifted(s, near, 0.025), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


def reset_basketball(s: Scene, v: np.ndarray) -> None:
    """The ball and the basket where the vector says."""
    start = at_height(v[:, :2], single(0, 0, 0.03)[Z])
    s.place(start)
    s.keep(target=s.site("goal").copy(), object=start)


def basketball(s: Scene) -> Score:
    """The ball held × in the basket, and more once it is lifted."""
    target, scale = at_height(s.target[:, :2], 0.3), (1.0, 1.0, 2.0)
    left, near = distance(s.object, target, scale), distance(s.object, s.tcp)
    in_place = tolerance(left, 0.08, distance(s.object_start, target, scale))
    held = lifted(s, near, 0.035)
    grasp = np.where(held, 1.0, s.caging(s.object, radius=0.025, pad=0.06, xz=0.005, density="high"))
    reward = hamacher(grasp, in_place) + np.where(held, 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left < 0.08, 10.0, reward), left <= 0.08, near <= 0.05, grasp, in_place, left)


# Pegs


def reset_peg_insert(s: Scene, v: np.ndarray) -> None:
    """The peg and the box where the vector says."""
    s.keep(target=v[:, 3:] + (0.03, 0.0, 0.13), object=v[:, :3], head=s.site("pegHead").copy())
    s.place(v[:, :3])


def peg_insert(s: Scene) -> Score:
    """The peg held × its head in the hole, without scraping along the box."""
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
    """The box where the vector says, with the plug in it."""
    plug = v[:, :3] + (0.044, 0.0, 0.131)
    s.place(np.column_stack([plug, np.tile((1.0, 0.0, 0.0, 0.0), (len(plug), 1))]), still=range(9, 12))
    s.keep(target=plug + (0.15, 0.0, 0.0), object=s.site("pegEnd").copy())


def peg_unplug(s: Scene) -> Score:
    """The plug held, and out."""
    left, near = distance(s.object, s.target), distance(s.object, s.tcp)
    grasp = s.caging(s.object, effort=0.8, radius=0.025, pad=0.05, xz=0.005, density="high")
    in_place = tolerance(left, 0.05, distance(s.object_start, s.target))
    out = (s.opened > 0.5) & (s.object[:, X] - s.object_start[:, X] > 0.015)
    reward = 2.0 * grasp + np.where(out & (near < 0.035), 1.0 + 5.0 * in_place, 0.0)
    return Score(np.where(left <= 0.05, 10.0, reward), left <= 0.07, near <= 0.03, grasp, in_place, left)


BLOCK: Shared = {"objects": object_of("obj")} | APART
PICKING: dict[str, Task] = {
    "pick-place": Task(
        "sawyer_pick_place_v3.xml",
        (-0.1, 0.6, 0.02, -0.1, 0.8, 0.05),
        (0.1, 0.7, 0.02, 0.1, 0.9, 0.3),
        **BLOCK,
        reset=both,
        reward=pick_place,
    ),
    "pick-place-wall": Task(
        "sawyer_pick_place_wall_v3.xml",
        (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05),
        (0.05, 0.65, 0.015, 0.05, 0.9, 0.3),
        at_geom("objGeom"),
        both,
        pick_place_wall,
        **APART,
    ),
    "pick-out-of-hole": Task(
        "sawyer_pick_out_of_hole.xml",
        (0.0, 0.75, 0.02, -0.1, 0.5, 0.15),
        (0.0, 0.75, 0.02, 0.1, 0.6, 0.3),
        at_body("obj"),
        both,
        pick_out_of_hole,
        reach_low=(-0.5, 0.4, -0.05),
        **APART,
    ),
    "bin-picking": Task(
        "sawyer_bin_picking.xml",
        (-0.21, 0.65, 0.02, 0.1199, 0.699, -0.001),
        (-0.03, 0.75, 0.02, 0.1201, 0.701, 0.001),
        at_body("obj"),
        reset_bin,
        bin_picking,
        reach_low=(-0.5, 0.4, 0.07),
    ),
    "shelf-place": Task(
        "sawyer_shelf_placing.xml",
        (-0.1, 0.5, 0.019, -0.1, 0.8, 0.299),
        (0.1, 0.6, 0.021, 0.1, 0.9, 0.301),
        object_of("obj"),
        reset_shelf,
        shelf_place,
        ("shelf", 3, (0.0, 0.0, -0.3)),
        MIDDLE,
        apart=0.1,
    ),
    "basketball": Task(
        "sawyer_basketball.xml",
        (-0.1, 0.6, 0.0299, -0.1, 0.85, 0.0),
        (0.1, 0.7, 0.0301, 0.1, 0.9000001, 0.0),
        at_body("bsktball"),
        reset_basketball,
        basketball,
        ("basket_goal", 3, (0.0, 0.0, 0.0)),
        MIDDLE,
        **APART,
        goal=((-0.1, 0.767, 0.2499), (0.1, 0.8170001, 0.2501)),
    ),
    "peg-insert-side": Task(
        "sawyer_peg_insertion_side.xml",
        (0.0, 0.5, 0.02, -0.35, 0.4, -0.001),
        (0.2, 0.7, 0.02, -0.25, 0.7, 0.001),
        lambda s: (s.site("pegGrasp"), s.rotated("site", "pegGrasp")),
        reset_peg_insert,
        peg_insert,
        ("box", 3, (0.0, 0.0, 0.0)),
        apart=0.1,
        goal=((-0.32, 0.4, 0.129), (-0.22, 0.7, 0.131)),
    ),
    "peg-unplug-side": Task(
        "sawyer_peg_unplug_side.xml",
        (-0.25, 0.6, -0.001),
        (-0.15, 0.8, 0.001),
        lambda s: (s.site("pegEnd"), s.turned("plug1")),
        reset_peg_unplug,
        peg_unplug,
        ("box", 0, (0.0, 0.0, 0.0)),
        goal=((-0.056, 0.6, 0.13), (0.044, 0.8, 0.132)),
    ),
}
