"""What a robot's parts do, read by name from all lanes at once: sensors, and where bodies, sites and geoms are.

    self.sensor("gyro")                     [lanes, 3]
    self.site("tip").position               [lanes, 3] (m)
    self.body("trunk").local_velocity       [lanes, 3] (m/s), in the trunk's own axes
    self.body("trunk").projected_gravity    [lanes, 3], the direction of gravity in the trunk's own axes

All are of the present state. What is read is computed from then on, and nothing else.
"""

import numpy as np

from envs.contract.errors import InputError, require_known
from envs.engine.elements import rows_by_name
from envs.engine.lanes import Lanes

PREFIXES = {"body": "x", "site": "site_x", "geom": "geom_x"}


def sensor(lanes: Lanes, name: str) -> np.ndarray:
    """What a sensor says, `[num_envs, numbers]`: read only, and no copy.

    Raises: InputError on a sensor that the model lacks.
    """
    model = lanes.model
    known = rows_by_name(model, "sensor_type")
    if name not in known:
        add = f"give it one: load_model(sensors={{'{name}': (KIND, OF)}})"
        if not known:
            raise InputError(f"the model has no sensor '{name}', nor any — {add}")
        require_known("unknown sensor", [name], known)
    return lanes.sensor(known[name][0])


class Frame:
    """The frame of a body, a site or a geom in every lane."""

    def __init__(self, lanes: Lanes, kind: str, name: str) -> None:
        """Raises: InputError on a name that the model lacks."""
        model = lanes.model
        known = rows_by_name(model, f"{kind}_bodyid" if kind != "body" else "body_mass")
        require_known(f"unknown {kind}", [name], known)
        self._lanes, self._prefix, self._row = lanes, PREFIXES[kind], known[name][0]
        self._body = self._row if kind == "body" else int(getattr(model, f"{kind}_bodyid")[self._row])
        self._tree = int(model.body_rootid[self._body])

    @property
    def position(self) -> np.ndarray:
        """Where it is in the world, `[num_envs, 3]` (m)."""
        return self._lanes.bind(f"{self._prefix}pos")[:, self._row]

    @property
    def rotation(self) -> np.ndarray:
        """Its axes as columns, in the world's axes, `[num_envs, 3, 3]`."""
        return self._lanes.bind(f"{self._prefix}mat")[:, self._row].reshape(-1, 3, 3)

    @property
    def angular_velocity(self) -> np.ndarray:
        """In the world's axes, `[num_envs, 3]` (rad/s)."""
        return self._lanes.bind("cvel")[:, self._body, :3]

    @property
    def velocity(self) -> np.ndarray:
        """Of its origin, in the world's axes, `[num_envs, 3]` (m/s)."""
        spatial = self._lanes.bind("cvel")[:, self._body]  # at the centre of mass of the whole kinematic tree
        arm = self.position - self._lanes.bind("subtree_com")[:, self._tree]
        return spatial[:, 3:] + np.cross(spatial[:, :3], arm)

    @property
    def local_velocity(self) -> np.ndarray:
        """Of its origin, in its own axes, `[num_envs, 3]` (m/s)."""
        return into(self.rotation, self.velocity)

    @property
    def local_angular_velocity(self) -> np.ndarray:
        """In its own axes, as a gyroscope there has it, `[num_envs, 3]` (rad/s)."""
        return into(self.rotation, self.angular_velocity)

    @property
    def projected_gravity(self) -> np.ndarray:
        """The direction of gravity in its own axes, `[num_envs, 3]`: (0, 0, -1) of what is upright on level ground."""
        gravity = self._lanes.expand("opt.gravity")
        return into(self.rotation, gravity / np.linalg.norm(gravity, axis=1, keepdims=True))


def into(rotation: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors of the world, `[num_envs, 3]`, in the axes of frames, `[num_envs, 3, 3]`."""
    return np.einsum("nji,nj->ni", rotation, vectors)
