"""Reading by name, against MuJoCo's own functions on one lane's model and state."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from support.robots import ARM, LEGS, QUADRUPED, Robot, load

import envs
from envs import Set, Shift, Uniform

FEET = {f"{leg}_force": ("contact", f"{leg}_foot") for leg in LEGS}
SENSORS = FEET | {"speed": ("velocimeter", "imu"), "shin": ("gyro", "FR_calf"), "place": ("framepos", "FR_foot")}
TASKS = {"payload": Shift("mass", Uniform(0.0, 3.0), "trunk"), "slope": Set("slope", Uniform(-0.2, 0.2))}


def moving(tmp_path: Path, **more: object) -> Robot:
    """Four quadrupeds of two tasks that have fallen about for a while."""
    env = Robot(load(tmp_path, QUADRUPED, sensors=SENSORS), 2, 2, controls="around-home", dynamics=TASKS, **more)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(80):
        env.step(rng.uniform(-1.0, 1.0, env.action_space.shape))
    return env


def alone(env: Robot, lane: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A lane's own model, and its state with all that MuJoCo derives from it."""
    model, data = env.batch.get_model(lane), env.batch.get_data(lane)
    mujoco.mj_forward(model, data)
    return model, data


def test_a_sensor_says_what_it_says_to_mujoco(tmp_path: Path) -> None:
    names = ("gyro", "accelerometer", *SENSORS)
    env = moving(tmp_path, see=lambda env: np.concatenate([env.sensor(name) for name in names], axis=1))
    assert env.observation_size == 3 * len(names)
    assert np.abs(env.sensor("FR_force")).max() > 1.0  # the feet are on the ground
    for lane in range(4):
        _, data = alone(env, lane)
        for name in names:
            np.testing.assert_allclose(env.sensor(name)[lane], data.sensor(name).data, rtol=1e-6, atol=1e-6)


def test_frames_are_those_of_mujoco(tmp_path: Path) -> None:
    env = moving(tmp_path)
    objects = {"body": mujoco.mjtObj.mjOBJ_XBODY, "site": mujoco.mjtObj.mjOBJ_SITE, "geom": mujoco.mjtObj.mjOBJ_GEOM}
    for frame, kind, name in (
        (env.body("trunk"), "body", "trunk"),
        (env.body("RL_calf"), "body", "RL_calf"),
        (env.site("imu"), "site", "imu"),
        (env.geom("FL_foot"), "geom", "FL_foot"),
    ):
        for lane in range(4):
            model, data = alone(env, lane)
            view = getattr(data, kind)(name)
            np.testing.assert_array_equal(frame.position[lane], view.xpos)
            np.testing.assert_array_equal(frame.rotation[lane].ravel(), view.xmat)
            for local, linear, angular in (
                (0, frame.velocity, frame.angular_velocity),
                (1, frame.local_velocity, frame.local_angular_velocity),
            ):
                found = np.zeros(6)
                mujoco.mj_objectVelocity(model, data, objects[kind], view.id, found, local)
                np.testing.assert_allclose(angular[lane], found[:3], atol=1e-12)
                np.testing.assert_allclose(linear[lane], found[3:], atol=1e-12)


def test_gravity_is_projected_by_the_rotation_and_leans_with_the_slope(tmp_path: Path) -> None:
    env = moving(tmp_path)
    gravity = env.body("trunk").projected_gravity
    for lane, slope in enumerate(np.repeat(env.tasks["slope"], 2)):
        down, inverse = np.zeros(3), np.zeros(4)
        mujoco.mju_negQuat(inverse, env.qpos[lane, 3:7] / np.linalg.norm(env.qpos[lane, 3:7]))
        mujoco.mju_rotVecQuat(down, np.array([-np.sin(slope), 0.0, -np.cos(slope)]), inverse)
        np.testing.assert_allclose(gravity[lane], down, atol=1e-12)
    env.reset(seed=0)  # upright
    slopes = np.repeat(env.tasks["slope"], 2)
    expected = np.stack([-np.sin(slopes), np.zeros(4), -np.cos(slopes)], axis=1)
    np.testing.assert_allclose(env.body("trunk").projected_gravity, expected, atol=1e-12)


def test_the_force_on_a_foot_is_the_sum_of_its_contacts(tmp_path: Path) -> None:
    env = moving(tmp_path)
    seen = 0
    for lane in range(4):
        model, data = alone(env, lane)
        for leg in LEGS:
            foot, total = model.geom(f"{leg}_foot").id, np.zeros(3)
            for contact in range(data.ncon):
                pair, force = data.contact.geom[contact], np.zeros(6)
                if foot in pair:
                    mujoco.mj_contactForce(model, data, contact, force)
                    world = data.contact.frame[contact].reshape(3, 3).T @ force[:3]  # on the second of the pair
                    total += world if pair[1] == foot else -world
                    seen += 1
            np.testing.assert_allclose(env.sensor(f"{leg}_force")[lane], total, rtol=1e-5, atol=1e-5)
    assert seen > 4


def test_a_standing_robot_presses_its_weight_onto_its_feet(tmp_path: Path) -> None:
    # Trunk 6 kg, and four legs of 0.8 + 0.2 + 0.1 kg; the payload is on top of these.
    env = Robot(
        load(tmp_path, QUADRUPED, sensors=FEET), 2, 1, controls="around-home", dynamics={"load": TASKS["payload"]}
    )
    env.set_tasks({"load": [0.0, 2.0]})
    env.reset(seed=0)
    for _ in range(1000):
        env.step(np.zeros((2, 8)))
    pressed = sum(env.sensor(name)[:, 2] for name in FEET)
    np.testing.assert_allclose(pressed, 9.81 * np.array([10.4, 12.4]), rtol=1e-3)


def test_nothing_is_computed_that_nobody_reads(tmp_path: Path) -> None:
    env = Robot(load(tmp_path, QUADRUPED))
    stages, stage = [env.batch.stage], mujoco.mjtStage
    for read in (
        lambda: env.site("imu").position,
        lambda: env.body("trunk").velocity,
        lambda: env.sensor("gyro"),  # that there is an accelerometer besides costs nothing
        lambda: env.sensor("accelerometer"),
    ):
        read()
        stages.append(env.batch.stage)
    assert stages == [stage.mjSTAGE_NONE, stage.mjSTAGE_POS, *[stage.mjSTAGE_VEL] * 2, stage.mjSTAGE_ACC]


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    env, arm = Robot(load(tmp_path, QUADRUPED)), Robot(load(tmp_path, ARM))
    for read, message in (
        (lambda: env.sensor("gryo"), "unknown sensor 'gryo' — did you mean 'gyro'?"),
        (lambda: env.body("trnuk"), "unknown body 'trnuk' — did you mean 'trunk'?"),
        (lambda: arm.site("top"), "unknown site 'top' — did you mean 'tip'?"),
        (lambda: env.geom("FR_fot"), "unknown geom 'FR_fot' — did you mean 'FR_foot'?"),
        (
            lambda: arm.sensor("gyro"),
            "the model has no sensor 'gyro', nor any — give it one: load_model(sensors={'gyro': (KIND, OF)})",
        ),
    ):
        with pytest.raises(envs.InputError) as error:
            read()
        assert str(error.value) == message
