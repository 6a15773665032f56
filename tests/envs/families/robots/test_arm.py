"""The UR5e against published totals and a pose by hand, and what reaching and pushing pay."""

from typing import Any

import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks


def make(name: str, num_tasks: int = 1, lanes: int = 2, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes, threads=1, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def still(env: MujocoTasks) -> np.ndarray:
    """The action that stays at home, [num_envs, A]."""
    return np.zeros((env.num_envs, env.model.nu))


def test_masses_ranges_and_torques_are_published_ones() -> None:
    """mujoco_menagerie, universal_robots_ur5e/ur5e.xml: 3.7 + 8.393 + 2.275 + 2 * 1.219 + 0.1889 kg = 16.9949 kg."""
    model = make("arm-reach").model
    assert model.body_mass.sum() == pytest.approx(3.7 + 8.393 + 2.275 + 2 * 1.219 + 0.1889, abs=1e-12)
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], [150, 150, 150, 28, 28, 28])
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], [6.28319, 6.28319, 3.1415, 6.28319, 6.28319, 6.28319])


def test_stretched_out_it_reaches_as_far_as_its_links() -> None:
    """All joints 0: upper arm 425 and forearm 392 mm lie along x, the last wrist 100 mm below; the stick along y.

    Height: 163 - 100 = 63 mm; y: 138 - 131 + 127 + 200 (the stick's ball) = 334 mm.
    """
    env = make("arm-reach")
    env.reset(seed=0)
    env.qpos[:] = 0.0
    env.batch.forward(np.ones(2, bool), env.batch.stage)
    np.testing.assert_allclose(env.site("tip").position, [[0.425 + 0.392, 0.334, 0.063]] * 2, atol=1e-9)


def test_it_starts_over_the_table_and_holds_its_pose() -> None:
    env = make("arm-reach")
    goal = np.array([[0.5, 0.0, 0.05]])
    env.set_tasks({"goal": goal, "load": np.zeros(1), "strength": np.ones(1), "stiffness": np.ones(1)})
    env.reset(seed=0)
    for _ in range(100):
        _, reward, _, _, info = env.step(still(env))
    # 17 kg sag by the torque of gravity over 3500 N m/rad: at the most 17 * 9.81 * 0.5 / 3500 rad over 0.7 m, 17 mm.
    assert (info["distance"] < 0.017).all()
    np.testing.assert_allclose(reward, -info["distance"], atol=1e-12)


def test_the_box_stands_until_it_is_pushed_and_a_light_one_goes_further() -> None:
    """A step of the shoulder's lift and elbow that sweeps the tip forward hits both boxes; friction stops the heavy."""
    env = make("arm-push", 2, 1)
    tasks = {"goal": np.tile([0.8, 0.0], (2, 1)), "mass": np.array([0.2, 2.0]), "friction": np.array([0.2, 0.6])}
    env.set_tasks(tasks | {"balance": np.zeros((2, 2))})
    env.reset(seed=0)
    for _ in range(25):
        env.step(still(env))
    # The box's weight presses it into the table by less than a millimetre.
    np.testing.assert_allclose(env.body("box").position, [(0.6, 0.0, 0.03)] * 2, atol=1e-3)
    action = still(env)
    action[:, 1:4] = 0.5, -0.5, 0.0
    for _ in range(25):
        _, reward, _, _, info = env.step(action)
    x = env.body("box").position[:, 0]
    assert x[0] > x[1] > 0.6
    np.testing.assert_allclose(info["distance"], np.linalg.norm(env.body("box").position[:, :2] - [0.8, 0.0], axis=1))


def test_loads_and_boxes_beyond_training_are_outside() -> None:
    for name, parameter, most in (("arm-reach", "load", 3.0), ("arm-push", "mass", 1.0)):
        env = make(name)
        assert env.sample_tasks(0, 200)[parameter].max() <= most
        assert env.sample_tasks(0, 200, split="outside")[parameter].min() >= most
