"""What a task's functions see of its lanes, all of them at once; and what a task says of itself.

Places are in the world (m). Derived ones are as old as MuJoCo's own: right after physics at a reset, they are those
before its last step, as in the package, whose numbers depend on it. Letter: n lanes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from envs.engine.lanes import Lanes
from envs.families.metaworld import terms

FIELDS = ("xpos", "xquat", "xmat", "site_xpos", "site_xmat", "geom_xpos", "geom_xmat")
HAND_LOW, HAND_HIGH = np.array([-0.525, 0.348, -0.0525]), np.array([0.525, 1.025, 0.7])
FREE = range(9, 15)  # velocities of what comes after the arm's nine joints, where that is free


class Score(NamedTuple):
    """What a step is worth, `[n]` each."""

    reward: np.ndarray
    success: np.ndarray
    near_object: Any = 0.0
    grasp_reward: Any = 0.0
    in_place_reward: Any = 0.0
    obj_to_target: Any = 0.0


class Scene:
    """All lanes of a task."""

    def __init__(self, batch: Lanes, fields: Mapping[str, np.ndarray], hand_start: Sequence[float]) -> None:
        self.batch, self.fields = batch, fields
        self.qpos, self.qvel = batch.bind("qpos"), batch.bind("qvel")
        self.hand_start = np.broadcast_to(np.asarray(hand_start, np.float64), (batch.nsim, 3))
        self._rows: dict[tuple[str, str], int] = {}
        self.leaders = np.zeros(batch.nsim, bool)
        """The lanes that a reset is of."""
        self.first = np.zeros(batch.nsim)
        """How far something was after an episode's first step; nan before."""
        self.touches: tuple[np.ndarray, ...] = ()
        """Forces of the left and the right finger on the object (N), the normal one first, `[n, 3]` each."""
        self.start: dict[str, np.ndarray] = {}
        """What a reset leaves to be remembered, by name, `[n, ...]`."""
        self.action = np.zeros((batch.nsim, 4))
        self.seen = np.zeros((batch.nsim, 39))
        """The observation, as the policy gets it but for the goal."""

    # What is where

    def row(self, kind: str, name: str) -> int:
        """The number of a body, a site, a geom or a joint."""
        if (kind, name) not in self._rows:
            self._rows[kind, name] = getattr(self.batch.model, kind)(name).id
        return self._rows[kind, name]

    def body(self, name: str) -> np.ndarray:
        """A body's place, `[n, 3]`."""
        return self.fields["xpos"][:, self.row("body", name)]

    def site(self, name: str) -> np.ndarray:
        """A site's place, `[n, 3]`."""
        return self.fields["site_xpos"][:, self.row("site", name)]

    def local(self, site: str) -> np.ndarray:
        """A site's place in its body, `[n, 3]`."""
        return self.everywhere(*self.batch.model.site_pos[self.row("site", site)])

    def geom(self, name: str) -> np.ndarray:
        """A geom's place, `[n, 3]`."""
        return self.fields["geom_xpos"][:, self.row("geom", name)]

    def turned(self, body: str) -> np.ndarray:
        """A body's quaternion, scalar first, `[n, 4]`."""
        return self.fields["xquat"][:, self.row("body", body)]

    def rotated(self, kind: str, name: str) -> np.ndarray:
        """The quaternion of a body, a site or a geom, scalar last, as the package has it of matrices, `[n, 4]`."""
        field = "xmat" if kind == "body" else f"{kind}_xmat"
        matrices = self.fields[field][:, self.row(kind, name)].reshape(-1, 3, 3)
        return np.asarray(Rotation.from_matrix(matrices).as_quat())

    def joint(self, name: str) -> np.ndarray:
        """A hinge's angle or a slide's place, `[n]`."""
        return self.qpos[:, self.batch.model.jnt_qposadr[self.row("joint", name)]]

    @property
    def tcp(self) -> np.ndarray:
        """The middle of the fingertips, `[n, 3]`."""
        return (self.site("rightEndEffector") + self.site("leftEndEffector")) / 2.0

    @property
    def pads(self) -> tuple[np.ndarray, np.ndarray]:
        """The left and the right finger's place, `[n, 3]` each."""
        return self.body("leftpad"), self.body("rightpad")

    # What the policy sees of it

    @property
    def hand(self) -> np.ndarray:
        """The hand's place, `[n, 3]`, clipped to where hands are."""
        return self.seen[:, :3]

    @property
    def opened(self) -> np.ndarray:
        """How far the gripper is open, 0 to 1, `[n]`."""
        return self.seen[:, 3]

    @property
    def object(self) -> np.ndarray:
        """The object's place, `[n, 3]`."""
        return self.seen[:, 4:7]

    @property
    def quaternion(self) -> np.ndarray:
        """The object's, `[n, 4]`."""
        return self.seen[:, 7:11]

    @property
    def second(self) -> np.ndarray:
        """The second object's place, `[n, 3]`."""
        return self.seen[:, 11:14]

    @property
    def touching(self) -> np.ndarray:
        """Whether both fingers touch the object, `[n]`."""
        return np.asarray((self.touches[0][:, 0] > 0) & (self.touches[1][:, 0] > 0))

    # What a reset remembers

    @property
    def target(self) -> np.ndarray:
        """Where the object is to go, `[n, 3]`."""
        return self.start["target"]

    @property
    def object_start(self) -> np.ndarray:
        """Where the object was at the reset, `[n, 3]`."""
        return self.start["object"]

    @property
    def tcp_start(self) -> np.ndarray:
        """Where the middle of the fingertips was at the reset, `[n, 3]`."""
        return self.start["tcp"]

    # Terms

    def caging(
        self, held: np.ndarray, start: np.ndarray | None = None, effort: float = 1.0, **sizes: Any
    ) -> np.ndarray:
        """How well the fingers hold an object at `held`; `start`: where it was at the reset."""
        closed = terms.closing(self.action, effort)
        start = self.object_start if start is None else start
        return terms.caging(held, start, self.tcp, self.tcp_start, self.pads, closed, **sizes)

    def pinching(self, radius: float, grip: float | None, xz: float) -> np.ndarray:
        """As `caging`, of an older kind."""
        closed = terms.closing(self.action)
        return terms.pinching(
            self.object, self.object_start, self.tcp, self.tcp_start, self.pads, closed, radius=radius, grip=grip, xz=xz
        )

    # What a reset does, in the lanes that lead (bool `[n]`)

    def lead(self, lanes: np.ndarray) -> None:
        """Make these the lanes that a reset is of."""
        self.leaders = lanes

    def fix(self, body: str, place: np.ndarray) -> None:
        """Put a body, which nothing moves, at `place` `[n, 3]` in its parent."""
        lanes = self.leaders
        self.batch.expand("body_pos")[lanes, self.row("body", body)] = np.broadcast_to(place, (len(lanes), 3))[lanes]

    def place(self, values: np.ndarray | float, at: int = 9, still: Sequence[int] = FREE, forward: bool = True) -> None:
        """Set positions from number `at` on to `values` `[n, k]`, or one to a number; velocities `still` to 0."""
        lanes = self.leaders
        rows = np.atleast_2d(values) if np.ndim(values) else np.full((1, 1), values)
        rows = np.broadcast_to(rows, (len(lanes), rows.shape[1]))
        self.qpos[lanes, at : at + rows.shape[1]] = rows[lanes]
        self.qvel[np.ix_(lanes, np.array(still, int))] = 0.0
        if forward:
            self.forward()

    def forward(self) -> None:
        """Compute what follows from positions."""
        self.batch.forward(self.leaders, self.batch.stage)

    def settle(self, steps: int) -> None:
        """So many steps of physics, after which derived places are those before the last one."""
        self.batch.step(self.leaders, steps, mujoco.mjtStage.mjSTAGE_NONE.value)

    def keep(self, **values: np.ndarray) -> None:
        """Remember values, `[n, ...]` each, by name."""
        for name, value in values.items():
            self.start.setdefault(name, np.zeros(value.shape))[self.leaders] = value[self.leaders]

    def everywhere(self, *numbers: float) -> np.ndarray:
        """A place that is the same in all lanes, `[n, 3]`."""
        return np.tile(numbers, (self.batch.nsim, 1))


class Task(NamedTuple):
    """A task of Meta-World."""

    model: str
    """File of the package."""
    low: tuple[float, ...]
    """Of the random vector of a task: one place (m), or two."""
    high: tuple[float, ...]
    objects: Callable[[Scene], tuple[np.ndarray, ...]]
    """What is seen besides the hand: places `[n, 3]` and quaternions `[n, 4]`, of one object or two."""
    reset: Callable[[Scene, np.ndarray], None]
    """After the hand has settled: puts things where the vector, `[n, 6]`, says; keeps `target` and `object`."""
    reward: Callable[[Scene], Score]
    """The second version of the reward."""
    fixed: tuple[str, int | None, tuple[float, float, float]] | None = None
    """A body that stands where the vector says: its name, where its place begins in the vector, and what is added."""
    hand: tuple[float, float, float] = (0.0, 0.6, 0.2)
    """Where the hand starts."""
    reach_low: tuple[float, float, float] = (-0.5, 0.4, 0.05)
    """Where the hand may be sent."""
    reach_high: tuple[float, float, float] = (0.5, 1.0, 0.5)
    apart: float = 0.0
    """The least horizontal distance between both places of the vector (m)."""
    away_from: tuple[float, float] | None = None
    """What the first place is that far from, where it is not the second."""
    goal: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Where the goal is, if it is shown; by default the second place's range or, without one, where hands may be."""
    touch: bool = False
    """Whether the force of each finger on the object is sensed."""


def single(x: float, y: float, z: float) -> tuple[float, float, float]:
    """A place as the package keeps it in some tasks: in single precision."""
    return float(np.float32(x)), float(np.float32(y)), float(np.float32(z))


Shared = dict[str, Any]
"""Fields of `Task` that several tasks have alike."""
