"""Bound fields against closed forms and MuJoCo's own `mj_forward` of the present state."""

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from mujoco.batch import DATA_FIELDS

import envs
from envs.engine.lanes import Lanes
from envs.engine.mujoco_tasks import MujocoTasks, load_model

ANT = Path(gymnasium.__file__).parent / "envs/mujoco/assets/ant.xml"
# A pendulum of 0.7 m, whose tip is at (0.7 sin q, -0.7 cos q) in the plane of x and z.
PENDULUM = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="rod">
      <joint name="hinge" type="hinge" axis="0 -1 0"/>
      <geom type="sphere" size="0.05" mass="1" pos="0 0 -0.7"/>
      <site name="tip" pos="0 0 -0.7"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" gear="3" ctrlrange="-1 1"/></actuator>
  <sensor><framelinvel objtype="site" objname="tip"/></sensor>
</mujoco>
"""


class Pendulum(MujocoTasks):
    """Sees the fields that it is told to bind, in its constructor or at its first look."""

    def __init__(self, model: mujoco.MjModel, fields: tuple[str, ...], late: bool = False) -> None:
        super().__init__(
            1, 2, None, model=model, frame_skip=3, horizon=50, observation_size=1 + 3 * len(fields), threads=1
        )
        self.fields = fields
        if not late:
            for field in fields:
                self.batch.bind(field)

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.uniform(-1.0, 1.0, (2, 1)), rng.uniform(-1.0, 1.0, (2, 1))

    def observe(self) -> np.ndarray:
        return np.concatenate([self.qpos, *(self.batch.bind(name).reshape(2, 3) for name in self.fields)], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.qvel[:, 0], {}


@pytest.fixture
def pendulum(tmp_path: Path) -> mujoco.MjModel:
    path = tmp_path / "pendulum.xml"
    path.write_text(PENDULUM)
    return load_model(path)


@pytest.mark.parametrize("late", [False, True])
def test_bound_fields_are_those_of_the_present_state_from_the_first_observation_on(
    pendulum: mujoco.MjModel, late: bool
) -> None:
    env = Pendulum(pendulum, ("site_xpos", "sensordata"), late)
    observation, _ = env.reset(seed=0)
    for _ in range(4):
        q, rate = env.qpos[:, 0], env.qvel[:, 0]
        tip = 0.7 * np.stack([np.sin(q), 0 * q, -np.cos(q)], axis=1)
        velocity = 0.7 * rate[:, None] * np.stack([np.cos(q), 0 * q, np.sin(q)], axis=1)
        np.testing.assert_allclose(observation[:, 1:4], tip, rtol=0, atol=1e-12)
        np.testing.assert_allclose(observation[:, 4:], velocity, rtol=0, atol=1e-12)
        observation, *_ = env.step(np.ones((2, 1)))


def test_nothing_is_computed_that_is_not_bound(pendulum: mujoco.MjModel) -> None:
    stages = {(): "NONE", ("site_xpos",): "POS", ("site_xpos", "sensordata"): "VEL", ("qfrc_actuator",): "ACC"}
    for fields, stage in stages.items():
        assert Pendulum(pendulum, ()).batch.stage == mujoco.mjtStage.mjSTAGE_NONE.value
        lanes = Lanes(pendulum, 1, 1)
        for field in fields:
            lanes.bind(field)
        assert lanes.stage == getattr(mujoco.mjtStage, f"mjSTAGE_{stage}").value


def test_forces_as_they_acted_are_those_of_the_last_physics_step(pendulum: mujoco.MjModel) -> None:
    lanes, alone = Lanes(pendulum, 2, 1), mujoco.MjData(pendulum)
    acted, bias = lanes.as_it_acted("actuator_force"), lanes.as_it_acted("qfrc_bias")
    lanes.bind("sensordata")
    assert lanes.stage == mujoco.mjtStage.mjSTAGE_VEL.value
    for control in (0.2, -1.0):
        lanes.ctrl, alone.ctrl[:] = control, control
        lanes.step(None, 3)
        for _ in range(3):
            mujoco.mj_step(pendulum, alone)
        np.testing.assert_array_equal(acted, [alone.actuator_force] * 2)
        np.testing.assert_array_equal(acted, np.full((2, 1), control))
        np.testing.assert_array_equal(bias, [alone.qfrc_bias] * 2)
    assert not acted.flags.writeable


def test_binding_changes_no_bit_of_the_motion(pendulum: mujoco.MjModel) -> None:
    plain, looking = Pendulum(pendulum, ()), Pendulum(pendulum, ("site_xpos", "sensordata"))
    looking.batch.bind("qacc")
    plain.reset(seed=0), looking.reset(seed=0)
    for step in range(10):
        if step == 5:
            plain.batch.bind("qfrc_bias")
        action = np.full((2, 1), np.sin(step))
        plain.step(action), looking.step(action)
        np.testing.assert_array_equal(plain.qpos, looking.qpos)
        np.testing.assert_array_equal(plain.qvel, looking.qvel)


def add_sensors(spec: mujoco.MjSpec) -> None:
    """What MuJoCo computes some fields for."""
    torso: dict[str, Any] = {"objtype": mujoco.mjtObj.mjOBJ_BODY, "objname": "torso"}
    spec.add_sensor(name="velocity", type=mujoco.mjtSensor.mjSENS_SUBTREELINVEL, **torso)
    spec.add_sensor(name="acceleration", type=mujoco.mjtSensor.mjSENS_FRAMELINACC, **torso)
    spec.body("torso").add_site(name="middle", pos=[0.0, 0.0, 0.1])
    spec.option.enableflags = mujoco.mjtEnableBit.mjENBL_ENERGY


# Counters and caches of MuJoCo's, and what only other calls (inverse dynamics, implicit integration) fill.
ELSEWHERE = {"qfrc_inverse", "qDeriv", "qLU", "qH", "qHDiagInv", "solver_fwdinv", "solver_niter", "solver_nnz"}


def test_each_field_bound_alone_is_what_mj_forward_computes() -> None:
    model = load_model(ANT, edit=add_sensors)
    rng = np.random.default_rng(0)
    qpos, qvel, ctrl = model.qpos0 + rng.normal(0, 0.1, model.nq), rng.normal(size=model.nv), rng.uniform(-1, 1, 8)
    qpos[2] = 0.15  # with contacts
    expected = mujoco.MjData(model)
    expected.qpos[:], expected.qvel[:], expected.ctrl[:] = qpos, qvel, ctrl
    mujoco.mj_forward(model, expected)
    assert expected.ncon and expected.cfrc_ext.any() and expected.subtree_linvel.any()
    compared = 0
    for field in sorted(DATA_FIELDS - ELSEWHERE):
        lanes = Lanes(model, 1, 1)
        try:
            lanes.bind(field)
        except ValueError:
            continue  # not of one size, such as the contacts
        lanes.qpos, lanes.qvel, lanes.ctrl = qpos, qvel, ctrl
        lanes.forward(None, lanes.stage)
        np.testing.assert_array_equal(lanes.bind(field)[0], getattr(expected, field), err_msg=field)
        compared += 1
    assert compared > 50


@pytest.mark.parametrize(
    ("field", "cure"),
    [
        ("cfrc_ext", "framelinacc"),
        ("cacc", "framelinacc"),
        ("subtree_linvel", "subtreelinvel"),
        ("energy", "energy"),
    ],
)
def test_a_field_that_the_model_never_computes_is_refused_by_name(field: str, cure: str) -> None:
    lanes = Lanes(load_model(ANT), 1, 1)
    with pytest.raises(envs.InputError, match=f"MuJoCo does not compute '{field}' for this model — .*{cure}"):
        lanes.bind(field)
