"""The UR5e against published totals and a pose by hand, and what reaching and pushing pay."""

from typing import Any

import numpy as np
import pytest

import envs
from envs.contract.errors import InputError
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.robots.arm import bend


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


def pushing(goals: list[tuple[float, float]], friction: float = 0.3, **fields: Any) -> MujocoTasks:
    """ArmPush with a task for each place, a balanced box of 0.5 kg and one lane each."""
    env = make("arm-push", len(goals), 1, **fields)
    boxes = {"mass": np.full(len(goals), 0.5), "friction": np.full(len(goals), friction)}
    env.set_tasks({"goal": np.array(goals), **boxes, "balance": np.zeros((len(goals), 2))})
    env.reset(seed=0)
    return env


def test_bent_arms_hold_the_tip_where_it_is_told_to_be() -> None:
    """Forward kinematics are MuJoCo's; the stick points down where the ball is 0.2 m below the last wrist."""
    places = np.array([[0.5, 0.0], [0.4, -0.25], [0.8, 0.25], [0.65, 0.1]])
    env = pushing([(0.75, 0.0)] * len(places))
    env.qpos[:, :6] = bend(places, 0.035)
    env.batch.forward(np.ones(len(places), bool), env.batch.stage)
    tip = env.site("tip").position
    np.testing.assert_allclose(tip, np.insert(places, 2, 0.035, axis=1), atol=1e-12)
    np.testing.assert_allclose(env.body("wrist_3_link").position - tip, [[0, 0, 0.2]] * len(places), atol=1e-12)


def test_an_action_is_the_velocity_of_the_tip_up_to_the_edge() -> None:
    """0.5 m/s for 10 steps of 40 ms: 20 cm to the left; along x it halts at the edge, and a reset brings it back."""
    env = pushing([(0.75, 0.0)] * 2)
    for _ in range(10):
        env.step(np.array([[0.0, 1.0], [-0.5, 0.0]]))
    for _ in range(10):
        env.step(np.zeros((2, 2)))
    # The second would be 10 cm nearer to the foot. Gravity bends the servos by 0.04 rad at the most: 3 cm of height.
    np.testing.assert_allclose(env.site("tip").position[:, :2], [(0.5, 0.2), (0.4, 0.0)], atol=0.005)
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.array([[1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(env.moved, [(0.3, 0.25), (0.0, 0.0)], atol=1e-12)


def test_an_edge_beyond_the_arms_reach_is_refused() -> None:
    """Shoulder to wrist 425 + 392 mm, 72 mm up: 0.814 m out, then the wrist's 0.1 m, 0.134 m aside; 0.25 m to the side:

    sqrt(0.914² + 0.134² - 0.25²) = 0.889 m along x.
    """
    pushing([(0.75, 0.0)], edge=0.88)
    assert np.isfinite(bend(np.array([[0.88, 0.25]]), 0.035)).all()
    with pytest.raises(InputError, match=r"env.edge is 0.9 — give at most 0.88"):
        pushing([(0.75, 0.0)], edge=0.9)


def test_what_pushing_pays_at_states_set_by_hand() -> None:
    """The place is 10 cm away along (0.6, 0.8); then 4 cm along x: the box is there, wherever the tip is.

    Behind the box is 45 mm from its middle, against its way: (0.6, 0) - 0.045 * (0.6, 0.8) = (0.573, -0.036); a tip at
    (0.573, 0.014) is 5 cm from there. 2 - tanh(0.5) - tanh(2) + (1 - tanh(0.5)) / 2; 2 - tanh(0.2) - tanh(0.8) + 1/2.
    By a calculator: tanh(0.2) = 0.197375, tanh(0.5) = 0.462117, tanh(0.8) = 0.664037, tanh(2) = 0.964028.
    """
    env = pushing([(0.66, 0.08), (0.7, 0.0)])
    env.qpos[:, :6] = bend(np.array([(0.573, 0.014), (0.5, 0.0)]), 0.3)
    env.qpos[1, 6], env.qvel[:, 6] = 0.66, (0.0, 0.03)
    env.batch.forward(np.ones(2, bool), env.batch.stage)
    reward, said = env.reward(np.zeros((2, 6)))
    np.testing.assert_allclose(
        reward, [2 - 0.462117 - 0.964028 + (1 - 0.462117) / 2, 2 - 0.197375 - 0.664037 + 0.5], atol=2e-6
    )
    np.testing.assert_allclose(said["distance"], [0.1, 0.04], atol=1e-12)
    assert said["success"].tolist() == [0.0, 0.0]  # one is far, the other moves
    env.qvel[:] = 0.0
    env.batch.forward(np.ones(2, bool), env.batch.stage)
    assert env.reward(np.zeros((2, 6)))[1]["success"].tolist() == [0.0, 1.0]


def test_a_box_stands_until_it_is_pushed_and_on_ice_it_slides_on() -> None:
    """Pushed at 0.5 m/s until the tip halts at 0.64 m, it slides v² / (2 µ g): 13 cm at µ = 0.1, 2 cm at 0.6."""
    slid = []
    for friction in (0.1, 0.6):
        env = pushing([(0.8, 0.0)], friction)
        for _ in range(5):
            env.step(np.zeros((1, 2)))
        # The box's weight presses it into the table by less than a millimetre.
        np.testing.assert_allclose(env.body("box").position, [(0.6, 0.0, 0.03)], atol=1e-3)
        for step in range(30):
            env.step(np.array([[1.0 if step < 7 else 0.0, 0.0]]))
        slid.append(env.body("box").position[0, 0] - env.site("tip").position[0, 0] - 0.05)
    assert slid[0] > 3 * slid[1] > 0


def push_by_rule(env: MujocoTasks) -> np.ndarray:
    """Go behind the box, then push it at up to 0.25 m/s, no faster than it would slide to its place alone."""
    tip, box = env.site("tip").position[:, :2], env.body("box").position[:, :2]
    way = env.lane_tasks["goal"] - box
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    ahead = way / distance
    along = ((tip - box) * ahead).sum(axis=1, keepdims=True)
    aside = tip - box - along * ahead
    slide = np.sqrt(2 * 9.81 * env.lane_tasks["friction"][:, None] * np.maximum(distance - 0.01, 0))
    push = np.minimum(slide, 0.25) * ahead - 8 * aside
    behind = (along < -0.03) & (np.linalg.norm(aside, axis=1, keepdims=True) < 0.015)
    velocity = np.where(behind, push, 10 * (box - 0.07 * ahead - tip))
    return np.clip(np.where(distance < 0.03, 0, velocity) / env.config.speed, -1, 1)


def test_a_rule_pushes_nearly_every_box_to_its_place() -> None:
    """So that what is asked can be done, by these actions and in this time."""
    env = make("arm-push", 40, 1)
    env.set_tasks(env.sample_tasks(0, 40))
    env.reset(seed=0)
    for _ in range(env.horizon):
        *_, info = env.step(push_by_rule(env))
    assert (info["distance"] < 0.05).mean() >= 0.95


def test_loads_and_boxes_beyond_training_are_outside() -> None:
    for name, parameter, most in (("arm-reach", "load", 3.0), ("arm-push", "mass", 1.0)):
        env = make(name)
        assert env.sample_tasks(0, 200)[parameter].max() <= most
        assert env.sample_tasks(0, 200, split="outside")[parameter].min() >= most
