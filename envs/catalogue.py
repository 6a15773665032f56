"""The environments by name. The table holds strings, so that reading it imports no simulator."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A registered environment."""

    target: str
    """`module:attribute` of its class."""
    description: str
    """One line."""


ENVIRONMENTS: dict[str, Entry] = {
    "point-nav": Entry("envs.navigation:PointNav", "a point in the plane finds a goal that it does not see"),
    "half-cheetah-dir": Entry("envs.half_cheetah:HalfCheetahDir", "a cheetah runs forwards or backwards"),
    "half-cheetah-vel": Entry("envs.half_cheetah:HalfCheetahVel", "a cheetah runs at a velocity that it is not told"),
}
