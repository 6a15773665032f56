"""What the first version of Meta-World's rewards is made of: ways to go, and what going them pays; letter: n lanes."""

from collections.abc import Callable

import numpy as np

from envs.families.metaworld.scene import Scene
from envs.families.metaworld.terms import distance
from envs.families.metaworld.things import Z

Values = Callable[[Scene], np.ndarray]
"""A number of every lane, `[n]`."""


def along(axis: int) -> Values:
    """How far the object is from the target along an axis."""
    return lambda s: np.asarray(np.abs(s.object[:, axis] - s.target[:, axis]))


def across(s: Scene) -> np.ndarray:
    """How far the object is from the target on the table."""
    return distance(s.object[:, :2], s.target[:, :2])


def whole(s: Scene) -> np.ndarray:
    """How far the object is from the target."""
    return distance(s.object, s.target)


def across_at_start(s: Scene) -> np.ndarray:
    """How far the object was from the target on the table."""
    return distance(s.object_start[:, :2], s.target[:, :2])


def whole_at_start(s: Scene) -> np.ndarray:
    """How far the object was from the target."""
    return distance(s.object_start, s.target)


def always(number: float) -> Values:
    """The same in all lanes."""
    return lambda s: np.full(s.batch.nsim, number)


def between(site: str, axis: int) -> Values:
    """How far a site is from the target along an axis."""
    return lambda s: np.asarray(np.abs(s.site(site) - s.target)[:, axis])


def geom_across(name: str) -> Values:
    """How far a geom is from the target on the table."""
    return lambda s: distance(s.geom(name)[:, :2], s.target[:, :2])


def local_height(site: str) -> Values:
    """How far the target is from as high as a site is in its body's frame."""
    return lambda s: np.asarray(np.abs(s.local(site) - s.target)[:, Z])


def progress(most: np.ndarray, left: np.ndarray) -> np.ndarray:
    """What the way pays that is done, and being near."""
    return 1000.0 * (most - left) + 1000.0 * (np.exp(-(left**2) / 0.01) + np.exp(-(left**2) / 0.001))


def approach(s: Scene, height: np.ndarray, weight: float, over: float = 0.05, at: float = 0.05) -> np.ndarray:
    """To over the object, at the height of the start; then down to it, then closing the gripper."""
    reach_ = distance(s.object, s.tcp)
    aside = distance(s.object[:, :2], s.tcp[:, :2])
    to_it = np.where(aside < over, -reach_, -aside - weight * np.abs(s.tcp[:, Z] - height))
    return np.where(reach_ < at, -reach_ + np.maximum(s.action[:, 3], 0.0) / 50.0, to_it)


def lifting(s: Scene, held: np.ndarray, near: np.ndarray, high: np.ndarray, within: float = 0.1) -> np.ndarray:
    """What an object pays that is off the table, or as high as it should be (`held`)."""
    up = s.object[:, Z]
    rising = (near < within) & (up > s.start["height"] + 0.005)
    return np.where(held, 100.0 * high, np.where(rising, 100.0 * np.minimum(high, up), 0.0))


def fallen(s: Scene, near: np.ndarray, left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Whether the object lies on the table, away from the target and the gripper."""
    return np.asarray((up < s.start["height"] + 0.005) & (left > 0.02) & (near > 0.02))
