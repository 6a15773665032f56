"""Where things are: what tasks share of what is seen of objects, and of how these start."""

from collections.abc import Callable

import numpy as np

from envs.families.metaworld.scene import Scene, single

Objects = Callable[[Scene], tuple[np.ndarray, ...]]
X, Y, Z = 0, 1, 2
MIDDLE, BACK = single(0, 0.6, 0.2), single(0, 0.4, 0.2)  # where the hand starts
DEEP = (-0.5, 0.4, -0.15)  # where the hand may be sent below the table's top
NO_QUATERNION = (0.0, 0.0, 0.0, 0.0)


def at_site(name: str, offset: tuple[float, float, float] = (0, 0, 0), turned: str = "") -> Objects:
    """A site's place, and a body's quaternion or zeros."""

    def objects(s: Scene) -> tuple[np.ndarray, ...]:
        return s.site(name) + np.array(offset), s.turned(turned) if turned else s.everywhere(*NO_QUATERNION)

    return objects


def at_body(name: str, offset: tuple[float, float, float] = (0, 0, 0), turned: bool = True) -> Objects:
    """A body's place and its quaternion or zeros."""

    def objects(s: Scene) -> tuple[np.ndarray, ...]:
        return s.body(name) + np.array(offset), s.turned(name) if turned else s.everywhere(*NO_QUATERNION)

    return objects


def at_geom(name: str) -> Objects:
    """A geom's place and quaternion."""
    return lambda s: (s.geom(name), s.rotated("geom", name))


def standing(body: str) -> tuple[str, int, tuple[float, float, float]]:
    """A body that stands where the vector begins."""
    return body, 0, (0.0, 0.0, 0.0)


def object_of(body: str, geom: str = "objGeom") -> Objects:
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
