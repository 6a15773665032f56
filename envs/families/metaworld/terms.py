"""The terms of Meta-World's rewards, over all lanes at once; letter: n lanes.

Tolerance is dm_control's (Tassa et al. 2018), the product Hamacher's (1978), a t-norm; what cages an object is from
Meta-World (`sawyer_xyz_env.py`, `_gripper_caging_reward`).
"""

from typing import Literal

import numpy as np

AT_MARGIN = 0.1  # what tolerance is a margin away from its interval
LONG_TAIL = np.sqrt(1.0 / AT_MARGIN - 1.0)


def distance(first: np.ndarray, second: np.ndarray, scale: tuple[float, ...] | float = 1.0) -> np.ndarray:
    """Euclidean between places `[n, D]`, with axes scaled, `[n]`."""
    apart = (first - second) * np.asarray(scale)
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", apart, apart)))


def tolerance(
    value: np.ndarray,
    high: np.ndarray | float,
    margin: np.ndarray | float,
    low: np.ndarray | float = 0.0,
    tail: Literal["long", "gaussian"] = "long",
) -> np.ndarray:
    """1 in `[low, high]`; beyond, it falls to 0.1 at `margin` from there, and is 0 where there is no margin."""
    inside = (low <= value) & (value <= high)
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(value < low, low - value, value - high) / margin
    fallen = 1.0 / ((beyond * LONG_TAIL) ** 2 + 1.0) if tail == "long" else AT_MARGIN ** (beyond**2)
    return np.where(inside, 1.0, fallen)


def hamacher(first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """The Hamacher product of numbers in [0, 1]: as low as the lower of both, and 0 where both are."""
    product = np.asarray(first * second)
    sum_ = first + second - product
    return np.divide(product, sum_, out=np.zeros_like(product), where=sum_ > 0)


def closing(action: np.ndarray, effort: float = 1.0) -> np.ndarray:
    """How much of an effort the gripper closes with, of actions `[n, 4]`: 0 to 1."""
    return np.asarray(np.clip(action[:, 3], 0.0, effort) / effort)


def beside(object_: np.ndarray, start: np.ndarray, tcp: np.ndarray, tcp_start: np.ndarray, xz: float) -> np.ndarray:
    """How near the tcp is to an object in the axes that the fingers do not close along, `[n]` in [0, 1]."""
    margin = distance(start[:, ::2], tcp_start[:, ::2]) - xz
    return tolerance(distance(tcp[:, ::2], object_[:, ::2]), xz, margin)


def caging(
    object_: np.ndarray,
    start: np.ndarray,
    tcp: np.ndarray,
    tcp_start: np.ndarray,
    pads: tuple[np.ndarray, np.ndarray],
    closed: np.ndarray,
    *,
    radius: float,
    pad: float,
    xz: float,
    density: Literal["", "high", "medium"] = "",
    reach: float = 0.01,
) -> np.ndarray:
    """How well the fingers hold an object, `[n]` in [0, 1].

    Args:
        object_: its place, `[n, 3]` (m), as all places; `start`: at the reset.
        tcp: the middle of the fingertips; `tcp_start`: at the reset.
        pads: the left and the right finger's.
        closed: how much the gripper closes.
        radius: of the object; `pad`: of the fingers from its middle, at most; `xz`: of the tcp, in the other axes (m).
        density: "high" adds half of the caging alone; "medium" half of how near the tcp is to it, from `reach` (m) on.
    """
    sides = []
    for finger in pads:
        margin = np.abs(np.abs(finger[:, 1] - start[:, 1]) - pad)
        sides.append(tolerance(np.abs(finger[:, 1] - object_[:, 1]), pad, margin, low=radius))
    caged = hamacher(hamacher(*sides), beside(object_, start, tcp, tcp_start, xz))
    held = hamacher(caged, np.where(caged > 0.97, closed, 0.0))
    if density == "high":
        return (held + caged) / 2
    if density == "medium":
        margin = np.abs(distance(start, tcp_start) - reach)
        return (held + tolerance(distance(object_, tcp), reach, margin)) / 2
    return held


def pinching(
    object_: np.ndarray,
    start: np.ndarray,
    tcp: np.ndarray,
    tcp_start: np.ndarray,
    pads: tuple[np.ndarray, np.ndarray],
    closed: np.ndarray,
    *,
    radius: float,
    grip: float | None,
    xz: float,
) -> np.ndarray:
    """As `caging`, of an older kind: which side of the object a finger is on counts.

    Args:
        grip: of the fingers from the object's middle where they grip it (m); None: where the gripper closes, it grips.
    """
    left, right = pads
    gaps = (left[:, 1] - object_[:, 1], object_[:, 1] - right[:, 1])
    margins = [np.abs(np.abs(object_[:, 1] - finger[:, 1]) - 0.05) for finger in pads]

    def sides(high: float) -> np.ndarray:
        both = (tolerance(gap, high, margin, low=radius) for gap, margin in zip(gaps, margins, strict=True))
        return hamacher(*both)

    caged = hamacher(sides(0.05), beside(object_, start, tcp, tcp_start, xz))
    if grip is None:
        return (hamacher(caged, np.where(caged > 0.97, closed, 0.0)) + caged) / 2
    return (caged + np.where(caged > 0.95, sides(grip), 0.0)) / 2


def floor_between(radius: np.ndarray, threshold: float, slope: float, height: float) -> np.ndarray:
    """How high a hand should be at a horizontal distance from what it goes for (m), `[n]`: a funnel around it."""
    away = radius > threshold
    return np.where(away, slope * np.log(np.where(away, radius - threshold, 1.0)) + height, 0.0)


def in_prism(place: np.ndarray, zero: np.ndarray, one: np.ndarray) -> np.ndarray:
    """From 0 at one corner of a box to 1 at the opposite one, and 1 outside; corners `[n, 3]` (m)."""
    low, high = np.minimum(zero, one), np.maximum(zero, one)
    inside = ((low <= place) & (place <= high)).all(axis=1)
    return np.where(inside, ((place - zero) / (one - zero)).prod(axis=1), 1.0)
