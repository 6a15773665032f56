"""Acting around a home pose, no faster than a rate, with the last actions at hand: numbers worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.robots import ARM, QUADRUPED, Robot, load

import envs
from envs import Scale, Set, Uniform

HOME = [0.5, -1.0] * 4  # the joints' positions in the keyframe, which has no controls
SLIDER = """
<mujoco><option timestep="0.01" gravity="0 0 0"/><worldbody><body name="cart">
  <joint name="rail" type="slide" axis="1 0 0" range="-1 1"/><geom size="0.1" mass="1"/></body></worldbody>
  <actuator><position name="servo" joint="rail" kp="1" kv="0" ctrlrange="-1 1"/></actuator>
  <keyframe><key name="home" qpos="0.5"/><key name="far" qpos="0.9" ctrl="0.6"/></keyframe></mujoco>"""


def test_actions_reach_around_the_home_pose_and_stay_in_the_control_range(tmp_path: Path) -> None:
    env = Robot(load(tmp_path, QUADRUPED), 1, 3, controls="around-home", control_reach=[0.2, 0.4] * 4, action_scale=2.0)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.qpos[:, 7:], [HOME] * 3)  # it starts there
    env.step(np.outer([0.0, 1.0, -2.0], np.ones(8)))
    # Action 2 is full control: home + 0.2 or 0.4 times the action's half.
    half = np.array([0.2, 0.4] * 4)
    np.testing.assert_allclose(env.controls_given, [HOME, HOME + 0.5 * half, HOME - half])
    far = Robot(load(tmp_path, QUADRUPED), 1, 1, controls="around-home", control_reach=1.5)
    far.reset(seed=0)
    far.step(np.ones((1, 8)))
    np.testing.assert_allclose(far.controls_given, [[1.5, 0.0] * 4])  # 0.5 + 1.5 and -1 + 1.5, but for the ranges


def test_a_keyframes_own_controls_are_home_where_it_has_them(tmp_path: Path) -> None:
    model = load(tmp_path, SLIDER)
    for key, home in ((None, 0.5), ("far", 0.6)):
        env = Robot(model, controls="around-home", keyframe=key, control_reach=0.1)
        env.reset(seed=0)
        env.step(np.array([[1.0]]))
        np.testing.assert_allclose(env.controls_given, [[home + 0.1]])


def test_controls_follow_no_faster_than_their_rate(tmp_path: Path) -> None:
    # At most 3 a second, 0.06 in a step of 2 * 0.01 s, from home at 0.5; full control is 0.1 away.
    env = Robot(load(tmp_path, SLIDER), 1, 2, controls="around-home", control_reach=0.1, control_rate=3.0, frame_skip=2)
    env.reset(seed=0)
    found = []
    for actions in ([1.0, 0.2], [1.0, 0.2], [-1.0, 0.2]):
        env.step(np.array(actions)[:, None])
        found.append(env.controls_given[:, 0])
    np.testing.assert_allclose(found, [[0.56, 0.52], [0.6, 0.52], [0.54, 0.52]])
    env.reset(options={"reset_mask": np.array([True, False])})
    env.step(np.array([[-1.0], [-1.0]]))
    np.testing.assert_allclose(env.controls_given[:, 0], [0.44, 0.46])  # the first lane from home again


def test_the_last_action_and_the_one_before_are_seen_and_reset_with_the_lane(tmp_path: Path) -> None:
    env = Robot(load(tmp_path, SLIDER), 1, 2, see=lambda env: np.concatenate([env.action, env.action_before], axis=1))
    first, _ = env.reset(seed=0)
    np.testing.assert_array_equal(first, np.zeros((2, 2)))
    env.step(np.array([[0.3], [0.5]]))
    seen = env.step(np.array([[-0.7], [7.0]]))[0]
    np.testing.assert_array_equal(seen, [[-0.7, 0.3], [7.0, 0.5]])
    seen, _ = env.reset(options={"reset_mask": np.array([False, True])})
    np.testing.assert_array_equal(seen, [[-0.7, 0.3], [0.0, 0.0]])


def test_a_latent_servo_holds_home_until_the_first_control_arrives(tmp_path: Path) -> None:
    # Two lanes told to move from home at once, one of them 0.03 s late: three steps at rest, then the same way.
    late = Set("latency", Uniform(0.0, 0.03))
    env = Robot(load(tmp_path, SLIDER, latency=0.03), 2, 1, controls="around-home", dynamics={"late": late})
    env.set_tasks({"late": [0.0, 0.03]})
    for _ in range(2):  # the second time with old controls in the buffer
        env.reset(seed=0)
        places = np.array([env.step(np.ones((2, 1)))[0][:, 0] for _ in range(20)])
        np.testing.assert_array_equal(places[:3, 1], 0.5)
        np.testing.assert_allclose(places[3:, 1], places[:-3, 0], rtol=0, atol=1e-12)
        assert places[2, 0] > 0.5001


def test_a_tasks_own_control_range_bounds_its_lanes(tmp_path: Path) -> None:
    narrow = Scale("actuator_ctrlrange", Uniform(0.1, 1.0))
    env = Robot(load(tmp_path, SLIDER), 2, 1, controls="around-home", control_reach=1.0, dynamics={"narrow": narrow})
    env.set_tasks({"narrow": [1.0, 0.6]})
    env.reset(seed=0)
    env.step(np.ones((2, 1)))
    np.testing.assert_allclose(env.controls_given[:, 0], [1.0, 0.6])


@pytest.mark.parametrize(
    ("xml", "definition", "message"),
    [
        (QUADRUPED, {"keyframe": "hom"}, "unknown keyframe 'hom' — did you mean 'home'?"),
        (QUADRUPED, {"controls": "around-hom"}, "controls are unknown: 'around-hom' — did you mean 'around-home'?"),
        (
            SLIDER.replace('name="home"', "").replace('name="far"', ""),
            {"controls": "around-home"},
            "the model has no keyframe 'home', nor any — add <key name=\"home\" qpos=…> to the XML",
        ),
        (
            SLIDER[: SLIDER.index("<keyframe>")] + "</mujoco>",
            {"controls": "around-home"},
            "the model has no keyframe 'home', nor any — add <key name=\"home\" qpos=…> to the XML",
        ),
        (
            ARM.replace('ctrl="1 -2 0.5"', ""),
            {"controls": "around-home"},
            "the keyframe has no controls, and actuator 0 is no position servo — give it a ctrl in the XML",
        ),
        (
            QUADRUPED,
            {"controls": "around-home", "control_reach": 0},
            "control_reach is 0 — give a number above 0, or one for each of 8",
        ),
        (QUADRUPED, {"control_rate": -1.0}, "control_rate is -1.0 — give a number above 0, or None"),
    ],
)
def test_impossible_ways_of_acting_are_refused(tmp_path: Path, xml: str, definition: Any, message: str) -> None:
    model = load(tmp_path, xml)
    with pytest.raises(envs.InputError) as error:
        Robot(model, **definition)
    assert str(error.value) == message
