"""Pictures of lanes, drawn off screen: robots by MuJoCo's renderer, tasks in the plane by matplotlib.

Neither needs a display: on Linux without one, EGL draws unless MUJOCO_GL says otherwise.
"""

import atexit
import copy
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.contract.errors import InputError

SIZE = 480  # pixels of a side
SOFTWARE = ("llvmpipe", "softpipe", "swrast")  # what draws without a GPU
NO_PATHS: Mapping[str, np.ndarray] = MappingProxyType({})


class RobotCamera:
    """Draws a robot in any state, followed by the camera; whose body it draws stands in `model`, which may change."""

    def __init__(self, model: Any, width: int = SIZE, height: int = SIZE) -> None:
        """Raises: InputError where there is no way to draw off screen."""
        import mujoco
        from gymnasium.envs.mujoco.mujoco_rendering import OffScreenViewer

        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            os.environ.setdefault("MUJOCO_GL", "egl")
        self.model = copy.copy(model)
        self._data = mujoco.MjData(self.model)
        try:
            self._viewer = OffScreenViewer(self.model, self._data, width, height)
            self._spare_software()
        except Exception as error:  # which one depends on what the machine lacks
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"MuJoCo cannot draw off screen ({reason}) — set MUJOCO_GL to egl or osmesa") from error
        release = weakref.finalize(self, _release, self._viewer)
        release.atexit = False  # which is too late: the graphics library, imported after weakref, ends before it
        atexit.register(release)
        camera = self._viewer.cam
        if model.nbody > 1:
            camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
            camera.trackbodyid = 1
        mujoco.mj_forward(self.model, self._data)
        spread = np.linalg.norm(np.ptp(self._data.xpos[1:], axis=0)) if model.nbody > 1 else 0.0
        camera.distance = max(3.0 * spread, 5.0 * model.stat.meansize)
        camera.azimuth, camera.elevation = 90.0, -15.0

    def _spare_software(self) -> None:
        """Without a GPU, draw what is dear in a coarser way: an ant in 0.024 s instead of 0.15 s."""
        import mujoco
        from OpenGL.GL import GL_RENDERER, glGetString

        self._viewer.make_context_current()  # type: ignore[no-untyped-call]
        if any(name in str(glGetString(GL_RENDERER)) for name in SOFTWARE):
            quality = self.model.vis.quality
            quality.offsamples, quality.shadowsize = 0, min(1024, quality.shadowsize)
            self._viewer.con.free()
            self._viewer.con = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_150)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._viewer.con)

    def picture(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """uint8 [height, width, 3] of a state."""
        import mujoco

        self._data.qpos[:], self._data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self.model, self._data)
        self._viewer.make_context_current()  # type: ignore[no-untyped-call]
        return np.array(self._viewer.render("rgb_array"))


def _release(viewer: Any) -> None:
    """Free what a viewer holds, from within its own OpenGL context: in another one it would free others' things."""
    viewer.make_context_current()
    viewer.con.free()
    viewer.close()


def draw_plane(
    position: np.ndarray,
    goals: np.ndarray,
    reach: float,
    *,
    walls: Sequence[np.ndarray] = (),
    cells: bool = False,
    paths: Mapping[str, np.ndarray] = NO_PATHS,
) -> np.ndarray:
    """A point among goals in the plane.

    Args:
        position: [2]
        goals: [goals, 2]
        reach: half the side of the square that is shown around the origin; with `cells`, the square is [0, reach].
        walls: lines to draw, [points, 2] each.
        cells: draw the unit grid.
        paths: lines with names, [points, 2] each, the last one darkest; an empty name stays out of the legend.

    Returns: uint8 [SIZE, SIZE, 3].
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE / 100, SIZE / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.11, 0.08, 0.87, 0.87))  # room for the numbers at both axes
    low = -0.5 if cells else -reach
    axes.set(xlim=(low, reach), ylim=(low, reach), aspect="equal")
    if cells:
        axes.set_xticks(np.arange(low, reach + 0.5), minor=True)
        axes.set_yticks(np.arange(low, reach + 0.5), minor=True)
        axes.grid(which="minor", color="0.85")
    for wall in walls:
        axes.plot(wall[:, 0], wall[:, 1], color="0.3", linewidth=2)
    for number, (name, line) in enumerate(paths.items(), start=1):
        shade = colormaps["viridis_r"](number / len(paths))
        axes.plot(line[:, 0], line[:, 1], color=shade, linewidth=1.5, marker=".", markersize=4, label=name)
    axes.scatter(goals[:, 0], goals[:, 1], marker="*", s=200, color="tab:green", zorder=2)
    axes.scatter(position[0], position[1], s=80, color="tab:blue", zorder=3)
    if any(paths):
        axes.legend(loc="best", fontsize=9, framealpha=0.8)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
