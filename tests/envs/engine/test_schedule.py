"""Tasks that change in mid-episode, against MuJoCo's own steps of two models, one after the other."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from support.robots import ARM, Robot, load

import envs
from envs import Becomes, Choice, Scale, Uniform
from envs.engine import streams

MOTOR = {"power": Scale("strength", Uniform(0.5, 1.0), "shoulder")}
LAW = Uniform(0.0, 1.0)


def test_a_motor_weakens_at_its_step_in_its_lanes_and_is_whole_after_a_reset(tmp_path: Path) -> None:
    model = load(tmp_path, ARM)
    env = Robot(model, 3, 2, keyframe="home", dynamics=MOTOR, changes={"power": Becomes(LAW, at=Uniform(0.0, 50.0))})
    env.set_tasks({"power": [1.0, 0.8, 1.0], "power_then": [0.2, 0.0, 0.5], "power_at": [7.0, 12.5, 1000.0]})
    weak = {power: load(tmp_path, ARM) for power in (1.0, 0.8, 0.2, 0.0)}
    for power, changed in weak.items():
        changed.actuator_gainprm[0, 0] *= power
    whens = {0: (7, 1.0, 0.2), 2: (13, 0.8, 0.0), 4: (1000, 1.0, 1.0)}  # 12.5 waits for the next step
    for _ in range(2):  # the second time after a reset
        env.reset(seed=0)
        found = []
        for _ in range(30):
            seen, reward, _, _, said = env.step(np.ones((6, 3)))
            found.append(seen)
            around = np.stack(
                [said["reward_before_change"], said["reward_after_change"]]
            )  # each step is of one of both
            np.testing.assert_array_equal(np.isnan(around).sum(axis=0), 1)
            np.testing.assert_array_equal(np.nansum(around, axis=0), reward)
            late = [len(found) > when for when, _, _ in whens.values()]
            np.testing.assert_array_equal(np.isnan(around[0])[[0, 2, 4]], late)
        for lane, (when, before, after) in whens.items():
            data = mujoco.MjData(model)
            mujoco.mj_resetDataKeyframe(model, data, 0)
            data.ctrl[:] = (10.0, 8.0, 1.0)
            for step in range(30):
                mujoco.mj_step(weak[after if step >= when else before], data)
                np.testing.assert_allclose(found[step][lane], [*data.qpos, *data.qvel], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(env.lane_tasks["power"], [0.2, 0.2, 0.0, 0.0, 1.0, 1.0])
        np.testing.assert_array_equal(env.tasks["power"], [1.0, 0.8, 1.0])


def test_lanes_meet_a_hazard_each_in_its_own_time(tmp_path: Path) -> None:
    # The steps before a change at a hazard h are geometric: mean (1 - h) / h = 4, deviation sqrt(1 - h) / h = 4.5.
    changes = {"power": Becomes(Choice((0.0,)), hazard=Choice((0.2,)))}
    times = []
    for threads in (1, 2):
        env = Robot(load(tmp_path, ARM), 2, 400, threads=threads, dynamics=MOTOR, changes=changes)
        env.set_tasks({"power": [1.0, 1.0], "power_then": [0.0, 0.0], "power_hazard": [0.2, 0.0]})
        env.reset(seed=0)
        alive = np.zeros(800)
        for _ in range(60):
            env.step(np.zeros((800, 3)))
            alive += env.lane_tasks["power"] == 1.0
        times.append(alive)
    np.testing.assert_array_equal(*times)
    assert (times[0][400:] == 60).all()
    assert abs(times[0][:400].mean() - 4.0) < 4 * 4.5 / np.sqrt(400)


def test_splitmix_gives_its_published_numbers() -> None:
    # The reference implementation's first outputs from the seed 1234567; its state grows by the golden gamma.
    states = np.array([1234567], np.uint64) + np.arange(2, dtype=np.uint64) * streams.GOLDEN
    assert streams.mix(states).tolist() == [6457827717110365317, 3203168211198807973]
    drawn = streams.normal(streams.Moment(np.arange(20000, dtype=np.uint64), np.zeros(20000, np.int64)), 5, 2)
    assert abs(drawn.mean()) < 4 / np.sqrt(40000) and abs(drawn.std() - 1.0) < 0.02
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / np.sqrt(20000)


def test_impossible_changes_are_refused(tmp_path: Path) -> None:
    model = load(tmp_path, ARM)
    for changes, message in (
        ({"power": Becomes(LAW)}, "the change of 'power' needs a time — give it at=, or hazard="),
        (
            {"powr": Becomes(LAW, at=LAW)},
            "there is a change of the unknown task parameter 'powr' — did you mean 'power'?",
        ),
    ):
        with pytest.raises(envs.InputError) as error:
            Robot(model, dynamics=MOTOR, changes=changes)
        assert str(error.value) == message
    env = Robot(model, dynamics=MOTOR, changes={"power": Becomes(LAW, hazard=LAW)})
    with pytest.raises(envs.InputError, match="'power_hazard' of task 0 is 2.0 — give 0 to 1"):
        env.set_tasks({"power": [1.0], "power_then": [0.5], "power_hazard": [2.0]})
    with pytest.raises(envs.InputError, match="'power' of task 0 is -0.5 — give factors of 0 or above"):
        env.set_tasks({"power": [1.0], "power_then": [-0.5], "power_hazard": [0.1]})
