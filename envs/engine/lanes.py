"""The lanes of a MuJoCo model: a `mujoco.batch.Batch` whose bound fields are those of the present state.

MuJoCo's own leaves a derived field (`xpos`, `sensordata`, …) at 0 until the next call, and a physics step behind after
a step, unless it is told up to which stage to compute. Here, what is bound says it: no field lags, and nothing is
computed that nobody looks at. Computing forces at the new state takes a sixth of a step of a Go2: where those that have
acted are meant, `as_it_acted` has them for nothing.
"""

import threading

import mujoco
import numpy as np
from mujoco.batch import Batch

from envs.contract.errors import InputError

POSITIONS = int(mujoco.mjtStage.mjSTAGE_POS.value)
POSITION_FIELDS = {
    "xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis", "geom_xpos", "geom_xmat", "site_xpos",
    "site_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir", "subtree_com", "cdof", "cinert", "crb",
    "M", "qLD", "qLDiagInv", "ten_length", "ten_J", "wrap_xpos", "actuator_length", "actuator_moment",
    "flexvert_xpos", "flexedge_length", "ncon", "nefc", "ne", "nf", "nl",
}  # fmt: skip
"""Fields that follow from positions alone."""
VELOCITY_FIELDS = {
    "ten_velocity", "actuator_velocity", "flexedge_velocity", "cvel", "cdof_dot", "qfrc_bias", "qfrc_spring",
    "qfrc_damper", "qfrc_gravcomp", "qfrc_fluid", "qfrc_passive", "subtree_linvel", "subtree_angmom", "energy",
}  # fmt: skip
"""Fields that follow from positions and velocities; all others are computed with accelerations."""
# What MuJoCo computes only for certain sensors: such a sensor, and all their types.
SUBTREE = "subtreelinvel", (mujoco.mjtSensor.mjSENS_SUBTREELINVEL, mujoco.mjtSensor.mjSENS_SUBTREEANGMOM)
FORCES = (
    "framelinacc",
    (
        mujoco.mjtSensor.mjSENS_ACCELEROMETER,
        mujoco.mjtSensor.mjSENS_FORCE,
        mujoco.mjtSensor.mjSENS_TORQUE,
        mujoco.mjtSensor.mjSENS_FRAMELINACC,
        mujoco.mjtSensor.mjSENS_FRAMEANGACC,
    ),
)
SENSOR_FIELDS = {
    "subtree_linvel": SUBTREE,
    "subtree_angmom": SUBTREE,
    "cacc": FORCES,
    "cfrc_int": FORCES,
    "cfrc_ext": FORCES,
}


class Lanes(Batch):
    """Simulations of one model; use it as a `Batch`, with `stage` as the stage of its steps and forward calls."""

    stage: int
    """The last stage (mjtStage) that a bound field needs; 0 where only the state is bound."""

    def __init__(self, model: mujoco.MjModel, nsim: int, nthread: int = 0) -> None:
        super().__init__(model, nsim, nthread)
        self.stage = mujoco.mjtStage.mjSTAGE_NONE.value
        self._current: set[str] = set()

    def bind(self, name: str) -> np.ndarray:
        """A live array over an MjData field, `[num_envs, ...]`: the state's can be written to, derived ones only read.

        Raises: InputError on a field that MuJoCo does not compute for this model.
        """
        values = super().bind(name)
        if not values.flags.writeable and name not in self._current:
            _require_computed(self.model, name)
            self._compute(name, _stage(self.model, name))
        return values

    def sensor(self, number: int) -> np.ndarray:
        """What a sensor says, `[num_envs, numbers]`, read only: computed as far as this one needs, not others."""
        model, values = self.model, super().bind("sensordata")
        if not {f"sensor {number}", "sensordata"} & self._current:
            self._compute(f"sensor {number}", max(int(model.sensor_needstage[number]), POSITIONS))
        return values[:, model.sensor_adr[number] : model.sensor_adr[number] + model.sensor_dim[number]]

    def _compute(self, what: str, stage: int) -> None:
        """From now on, up to a stage."""
        self._current.add(what)
        self.stage = max(self.stage, stage)
        self.forward(None, self.stage)  # changes nothing of the state

    def as_it_acted(self, name: str) -> np.ndarray:
        """A derived field as the last physics step left it, `[num_envs, ...]`, read only: forces that moved what is
        there now. It costs nothing, and says nothing before the first step."""
        return super().bind(name)


def _stage(model: mujoco.MjModel, name: str) -> int:
    """The stage that computes a derived field."""
    if name == "sensordata":
        return int(model.sensor_needstage.max(initial=POSITIONS))
    if name in POSITION_FIELDS:
        return POSITIONS
    return (mujoco.mjtStage.mjSTAGE_VEL if name in VELOCITY_FIELDS else mujoco.mjtStage.mjSTAGE_ACC).value


def _require_computed(model: mujoco.MjModel, name: str) -> None:
    """Refuse what MuJoCo computes only for models that ask for it: elsewhere it is 0, or another lane's."""
    cure = ""
    if name in SENSOR_FIELDS:
        example, types = SENSOR_FIELDS[name]
        if not np.isin(model.sensor_type, [kind.value for kind in types]).any():
            cure = f"give it a sensor such as {example}"
    elif name == "energy" and not model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_ENERGY.value:
        cure = "set its option flag energy"
    if cure:
        raise InputError(f"MuJoCo does not compute '{name}' for this model — {cure}")


class Silence:
    """Keeps MuJoCo's warnings off the console and out of a log file, as long as any thread is within."""

    def __init__(self) -> None:
        self.lock, self.within = threading.Lock(), 0
        self.loud = mujoco.MjLogConfig.get()

    def __enter__(self) -> None:
        with self.lock:  # the settings are the whole process's
            if self.within == 0:
                self.loud, quiet = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
                quiet.logto_console = quiet.logto_file = False
                quiet.set()
            self.within += 1

    def __exit__(self, *raised: object) -> None:
        with self.lock:
            self.within -= 1
            if self.within == 0:
                self.loud.set()


silence = Silence()
