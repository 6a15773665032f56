"""What lies between robot and policy, against sequences made by hand, and against the truth beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from support.robots import ARM, QUADRUPED, Robot, load

import envs
from envs import Becomes, Bias, Choice, Delay, Noise, Normal, PacketLoss, Push, Uniform
from envs.engine.channels import Channel

ALL = np.ones(2, bool)


def by_parts(env: envs.MujocoTasks) -> dict[str, np.ndarray]:
    return {"place": env.qpos, "speed": env.qvel, "height": env.qpos[:, 1]}


def robot(tmp_path: Path, disturbances: Mapping[str, Any], xml: str = ARM, **more: Any) -> Robot:
    more = {"num_tasks": 2, "keyframe": "home", "see": by_parts} | more
    return Robot(load(tmp_path, xml), disturbances=disturbances, **more)


def told_and_true(env: Robot, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What was told and what was so, `[steps + 1, num_envs, O]`, under one action after another."""
    told, true = [env.reset(seed=seed)[0]], [np.hstack([env.qpos, env.qvel, env.qpos[:, 1:2]])]
    for step in range(steps):
        told.append(env.step(np.full(env.action_space.shape, np.sin(step)))[0])
        true.append(np.hstack([env.qpos, env.qvel, env.qpos[:, 1:2]]))
    return np.array(told), np.array(true)


def test_a_channel_hands_on_what_was_sent() -> None:
    channel, arrived = Channel(2, 1), []
    channel.start(ALL, np.array([[10.0], [10.0]]))
    # By hand: lane 0 is two steps late from its step 3 on, and one before; lane 1 loses its steps 2 and 3.
    for step in range(6):
        delay = np.array([2 if step >= 3 else 1, 0])
        channel.send(ALL, np.full(2, step), np.full((2, 1), step), delay, np.array([False, step in (2, 3)]))
        arrived.append(channel.there[:, 0].tolist())
    assert np.transpose(arrived).tolist() == [[10, 0, 1, 1, 2, 3], [0, 1, 1, 1, 4, 5]]


def test_a_part_is_seen_late_and_the_others_at_once(tmp_path: Path) -> None:
    env = robot(
        tmp_path, {"late": Delay("speed", Choice((0, 1, 2, 3))), "all_late": Delay("observation", Choice((0, 1)))}
    )
    env.set_tasks({"late": [3, 0], "all_late": [0, 1]})
    told, true = told_and_true(env, 8)
    speed = slice(env.model.nq, env.model.nq + env.model.nv)
    rest = np.delete(np.arange(told.shape[2]), np.arange(speed.start, speed.stop))
    for step in range(9):
        np.testing.assert_array_equal(told[step, 0, speed], true[max(step - 3, 0), 0, speed])
        np.testing.assert_array_equal(told[step, 0, rest], true[step, 0, rest])
        np.testing.assert_array_equal(told[step, 1], true[max(step - 1, 0), 1])


def test_an_action_comes_late_after_zeros_and_a_lost_one_leaves_the_last(tmp_path: Path) -> None:
    env = robot(tmp_path, {"late": Delay("action", Choice((0, 2))), "lost": PacketLoss("action", Uniform(0.0, 1.0))})
    env.set_tasks({"late": [2, 0], "lost": [0.0, 1.0]})
    env.reset(seed=0)
    controls = []
    for step in range(4):
        env.step(np.full((2, 3), [0.1 * (step + 1)] * 3))
        controls.append(env.controls_given[:, 0])
    # The shoulder's range is ±10: an action of 0.1 is a control of 1.
    np.testing.assert_allclose(np.transpose(controls), [[0, 0, 1, 2], [0, 0, 0, 0]], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(env.action[0], [0.4] * 3)  # what the policy knows that it asked for


def test_what_is_lost_leaves_the_last_that_came(tmp_path: Path) -> None:
    env = robot(tmp_path, {"lost": PacketLoss("place", Uniform(0.0, 1.0))}, lanes_per_task=300)
    env.set_tasks({"lost": [0.3, 1.0]})
    told, true = told_and_true(env, 20)
    place = slice(0, env.model.nq)
    lost = (told[1:, :300, place] != true[1:, :300, place]).any(axis=2)  # [steps, lanes]
    assert abs(lost.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / lost.size)
    for step, lane in np.argwhere(lost[:, :40]):
        np.testing.assert_array_equal(told[step + 1, lane, place], told[step, lane, place])
    np.testing.assert_array_equal(
        told[:, 300:, place], np.broadcast_to(true[0, 300:, place], told[:, 300:, place].shape)
    )
    np.testing.assert_array_equal(told[:, :, place.stop :], true[:, :, place.stop :])


def test_noise_has_its_deviation_and_a_bias_stays(tmp_path: Path) -> None:
    disturbances = {
        "speed_noise": Noise("speed", Uniform(0.0, 2.0)),
        "height_noise": Noise("height", Uniform(0.0, 2.0)),
        "place_bias": Bias("place", Normal(0.0, 1.0, (9,))),
    }
    env = robot(tmp_path, disturbances, lanes_per_task=200)
    bias = np.stack([np.arange(9.0), np.zeros(9)])
    env.set_tasks({"speed_noise": [0.5, 0.0], "height_noise": [0.0, 2.0], "place_bias": bias})
    told, true = told_and_true(env, 30)
    error = told - true
    np.testing.assert_allclose(error[:, :200, :9], np.broadcast_to(bias[0], (31, 200, 9)), rtol=0, atol=1e-12)
    noise = error[:, :200, 9:-1]
    assert abs(noise.mean()) < 4 * 0.5 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * noise.size)
    pairs = (noise[:-1], noise[1:]), (noise[..., 0], noise[..., 1]), (noise[:, 0], noise[:, 1])
    neighbours = [np.corrcoef(one.ravel(), other.ravel())[0, 1] * np.sqrt(one.size) for one, other in pairs]
    assert np.abs(neighbours).max() < 4
    assert not error[:, :200, -1].any() and not error[:, 200:, :-1].any()
    assert abs(error[:, 200:, -1].std() - 2.0) < 4 * 2.0 / np.sqrt(2 * 31 * 200)


def test_draws_depend_on_nothing_but_their_address(tmp_path: Path) -> None:
    disturbances = {"noise": Noise("observation", Choice((0.3,))), "lost": PacketLoss("place", Choice((0.2,)))}
    runs = [
        told_and_true(robot(tmp_path, disturbances, lanes_per_task=40, threads=threads), 10)[0] for threads in (1, 2)
    ]
    np.testing.assert_array_equal(*runs)
    assert (told_and_true(robot(tmp_path, disturbances, lanes_per_task=40), 10, seed=1)[0] != runs[0]).any()
    env = robot(tmp_path, disturbances, lanes_per_task=40)
    env.reset(seed=0)
    env.step(np.zeros(env.action_space.shape))
    before = env.step(np.zeros(env.action_space.shape))[0]
    mask = np.arange(80) < 3
    after = env.reset(options={"reset_mask": mask})[0]
    np.testing.assert_array_equal(after[~mask], before[~mask])  # a reset beside them tells the others nothing new
    assert (after[mask] != before[mask]).any(axis=1).all()


def test_a_push_changes_the_momentum_by_its_impulse(tmp_path: Path) -> None:
    pushed = {"pushed": Push("trunk", Uniform(0.0, 9.0), chance=1.0)}
    env = robot(tmp_path, pushed, QUADRUPED, lanes_per_task=50, frame_skip=5)
    env.set_tasks({"pushed": [0.0, 5.0]})
    env.reset(seed=0)
    env.qpos[:, 2] = 3.0  # in the air
    env.batch.forward(None, 2)
    env.step(np.zeros(env.action_space.shape))
    model, data = env.model, mujoco.MjData(env.model)
    momentum = []
    for lane in range(100):
        data.qpos, data.qvel = env.qpos[lane], env.qvel[lane]
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        momentum.append(data.subtree_linvel[0, :2] * model.body_subtreemass[0])
    gained = np.array(momentum[50:]) - momentum[:50]  # but for what moving legs do
    np.testing.assert_allclose(np.linalg.norm(gained, axis=1), 5.0, rtol=2e-3)
    angles = np.arctan2(*gained.T)
    assert len(np.unique(np.floor(angles / (np.pi / 2)))) == 4  # in all directions


def test_a_disturbance_may_come_in_mid_episode(tmp_path: Path) -> None:
    env = robot(
        tmp_path,
        {"late": Delay("observation", Choice((0, 2)))},
        changes={"late": Becomes(Choice((2,)), at=Choice((4,)))},
    )
    env.set_tasks({"late": [0, 0], "late_then": [2, 2], "late_at": [4, 1000]})
    told, true = told_and_true(env, 8)
    # Step 4, the fifth, ends in the sixth observation; until what follows arrives, the fifth stands.
    np.testing.assert_array_equal(told[:, 0], true[[0, 1, 2, 3, 4, 4, 4, 5, 6], 0])
    np.testing.assert_array_equal(told[:, 1], true[:, 1])


@pytest.mark.parametrize(
    ("disturbances", "message"),
    [
        ({"x": Noise("gyro", Choice((1.0,)))}, "'x' is of an unknown part of the observation: 'gyro'"),
        ({"x": Noise("place", Choice((-1.0,)))}, "task parameter 'x' of task 0 is -1.0 — give 0 or above"),
        (
            {"x": Delay("action", Uniform(0.5, 0.5))},
            "task parameter 'x' of task 0 is 0.5 — give a whole number of steps, 0 or above",
        ),
        ({"x": PacketLoss("place", Choice((2,)))}, "task parameter 'x' of task 0 is 2.0 — give a probability, 0 to 1"),
        ({"x": Push("hand", Choice((2.0,)))}, "'x' pushes hand, which cannot move — name another body"),
        ({"x": Push("pluck", Choice((2.0,)))}, "'x' pushes an unknown body: 'pluck' — did you mean 'puck'?"),
        ({"x": Push("puck", Choice((2.0,)), 3)}, "'x' has the chance 3 — give a probability, 0 to 1"),
        (
            {"x": Bias("place", Normal(0.0, 1.0, (2,)))},
            "the law of 'x' draws shape (2,) — give one that draws one number, or (9,): one for each of 'place'",
        ),
        (
            {"x": Delay("place", Choice(((1, 2),)))},
            "the law of 'x' draws shape (2,) — give one that draws one number",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, disturbances: Mapping[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError) as error:
        robot(tmp_path, disturbances)
    assert str(error.value).startswith(message)


def test_a_name_means_one_thing(tmp_path: Path) -> None:
    with pytest.raises(
        envs.InputError, match="'x' is declared among dynamics and disturbances — give one another name"
    ):
        robot(
            tmp_path, {"x": Noise("place", Choice((1.0,)))}, dynamics={"x": envs.Scale("mass", Uniform(1, 2), "puck")}
        )
