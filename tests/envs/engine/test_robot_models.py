"""What `load_model` adds to a file: sensors in one line, servos, controls kept for latency."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from support.robots import ARM, QUADRUPED, load

import envs
from envs import Servos

MOTORS = ARM.replace(
    '<general name="valve" joint="elbow" dyntype="filter" dynprm="0.1" ctrlrange="0 1" gainprm="0.5"/>', ""
)
MOTORS = MOTORS.replace('ctrl="1 -2 0.5"', "")


def test_sensors_are_added_and_a_body_gets_the_site_that_they_need(tmp_path: Path) -> None:
    sensors = {
        "spin": ("gyro", "lower"),
        "tip_speed": ("framelinvel", "tip"),
        "elbow": ("jointpos", "elbow"),
        "effort": ("actuatorfrc", "shoulder"),
        "mass_center": ("subtreecom", "upper"),
        "touching": ("contact", "puck"),
    }
    model = load(tmp_path, ARM, sensors=sensors)
    assert [model.sensor(name).name for name in sensors] == list(sensors)
    data = mujoco.MjData(model)
    data.qpos[:2], data.qvel[:2], data.ctrl[0] = (0.3, -0.5), (1.0, 2.0), 3.0
    mujoco.mj_forward(model, data)
    # Both hinges turn about -y; the motor of gear 2 gives its control as force before the gear.
    np.testing.assert_allclose(data.sensor("spin").data, [0.0, -3.0, 0.0], atol=1e-12)
    assert data.sensor("elbow").data == -0.5 and data.sensor("effort").data == 3.0
    # The first link's tip is 0.3 from the shoulder, at 0.3 rad above x, the second's 0.2 further, 0.2 rad below x.
    low, high = np.array([0.3 * np.cos(0.3), 0.3 * np.sin(0.3)]), np.array([0.2 * np.cos(0.2), -0.2 * np.sin(0.2)])
    turned = 1.0 * np.array([-low[1], low[0]]) + 3.0 * np.array([-high[1], high[0]])
    np.testing.assert_allclose(data.sensor("tip_speed").data, [turned[0], 0.0, turned[1]], atol=1e-12)


def test_servos_take_the_place_of_motors_with_their_limits(tmp_path: Path) -> None:
    # The shoulder's motor has a gear of 2 and controls in ±10: 20 N m. The elbow's gives 8, or what is asked for.
    model = load(tmp_path, MOTORS, servos=(Servos(50, 2, names="shoulder"), Servos(30, 1, torque=5.0, names="elb*")))
    np.testing.assert_array_equal(model.actuator_forcerange, [[-20, 20], [-5, 5]])
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[-2, 2], [-2, 2]])  # the joints' ranges
    np.testing.assert_array_equal(model.actuator_gear[:, 0], 1.0)
    data = mujoco.MjData(model)
    data.qpos[:2], data.qvel[:2], data.ctrl[:] = (0.1, -0.2), (0.5, 1.0), (0.3, 1.5)
    mujoco.mj_forward(model, data)
    # 50 (0.3 - 0.1) - 2 * 0.5; 30 (1.5 + 0.2) - 1 is more than 5.
    np.testing.assert_allclose(data.actuator_force, [9.0, 5.0], rtol=1e-12)


def test_joints_without_actuators_get_servos(tmp_path: Path) -> None:
    bare = MOTORS[: MOTORS.index("<actuator>")] + MOTORS[MOTORS.index("</actuator>") + len("</actuator>") :]
    model = load(tmp_path, bare, servos=Servos(50, 2))
    assert [model.actuator(number).name for number in range(model.nu)] == ["shoulder", "elbow"]
    assert not model.actuator_forcelimited.any()


def test_old_controls_are_kept_for_the_longest_latency(tmp_path: Path) -> None:
    # 0.021 s at 0.004 s a step: six old controls; and none is late unless a task says so.
    model = load(tmp_path, QUADRUPED, latency=0.021)
    np.testing.assert_array_equal(model.actuator_history[:, 0], 6)
    assert not model.actuator_delay.any()


@pytest.mark.parametrize(
    ("xml", "more", "message"),
    [
        (ARM, {"sensors": {"a": ("gryo", "lower")}}, "'a' is the unknown sensor 'gryo' — did you mean 'gyro'?"),
        (ARM, {"sensors": {"a": ("gyro", "lowr")}}, "'a' senses gyro of unknown 'lowr' — did you mean 'lower'?"),
        (ARM, {"sensors": {"a": ("touch", "lower")}}, "'a' senses touch of unknown 'lower' — choose one of: tip"),
        (ARM, {"sensors": {"a": ("contact", "pukc")}}, "'a' senses contact of unknown 'pukc' — did you mean 'puck'?"),
        (
            QUADRUPED,
            {"sensors": {"gyro": ("gyro", "trunk")}},
            "the model has a sensor 'gyro' already — give the new one another name",
        ),
        (
            MOTORS,
            {"servos": Servos(1, 1, names="elbwo")},
            "there are servos on the unknown joint 'elbwo' — did you mean 'elbow'?",
        ),
        (ARM, {"servos": Servos(1, 1)}, "joint 'elbow' has several actuators — name other joints for the servos"),
    ],
)
def test_what_cannot_be_added_is_refused_by_name(tmp_path: Path, xml: str, more: Any, message: str) -> None:
    with pytest.raises(envs.InputError) as error:
        load(tmp_path, xml, **more)
    assert str(error.value) == message
