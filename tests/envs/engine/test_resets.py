"""How lanes start: keyframes, states by name, states that depend on the task; and what a robot keeps of each lane."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.robots import ARM, QUADRUPED, Robot, load

import envs
from envs import Scale, Set, Shift, TaskDistribution, Uniform

CONTROLS, ACTIVATION = [1.0, -2.0, 0.5], 0.25


class Placed(Robot):
    """An arm whose hand is where its task says, with all that a state has."""

    def initial_state(self, rng: np.random.Generator, task: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        E = self.lanes_per_task
        return {
            "qpos": np.tile(self.home, (E, 1)) + rng.uniform(0.0, 0.1, (E, 1)) * task["spread"],
            "ctrl": np.tile(CONTROLS, (E, 1)),
            "act": np.full((E, 1), ACTIVATION),
            "mocap_pos": np.tile(task["hand"], (E, 1, 1)),
        }


def placed(tmp_path: Path) -> Placed:
    laws = TaskDistribution(hand=Uniform(0.0, 1.0, (3,)), spread=Uniform(0.0, 1.0))
    return Placed(load(tmp_path, ARM), 2, 2, keyframe="home", task_distribution=laws)


def test_episodes_start_in_the_keyframe(tmp_path: Path) -> None:
    env = Robot(load(tmp_path, ARM), 1, 2, keyframe="home")
    env.reset(seed=0)
    np.testing.assert_array_equal(env.qpos, [[0.4, -0.8, 0.5, 0.0, 0.03, 1.0, 0.0, 0.0, 0.0]] * 2)
    np.testing.assert_array_equal(env.batch.bind("ctrl"), [[1.0, -2.0, 0.5]] * 2)
    plain = Robot(load(tmp_path, ARM))
    plain.reset(seed=0)
    np.testing.assert_array_equal(plain.qpos[0], plain.model.qpos0)


def test_a_start_sees_its_task_and_names_what_it_sets(tmp_path: Path) -> None:
    env = placed(tmp_path)
    hands = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    env.set_tasks({"hand": hands, "spread": [0.0, 1.0]})
    env.reset(seed=0)
    np.testing.assert_array_equal(env.batch.bind("mocap_pos")[:, 0], hands[[0, 0, 1, 1]])
    np.testing.assert_array_equal(env.body("hand").position, hands[[0, 0, 1, 1]])
    np.testing.assert_array_equal(env.qpos[:2], [env.home] * 2)
    assert (env.qpos[2:, 0] > env.home[0]).all() and env.qpos[2, 0] != env.qpos[3, 0]
    np.testing.assert_array_equal(env.qvel, 0.0)
    np.testing.assert_array_equal(env.batch.bind("ctrl"), [CONTROLS] * 4)
    np.testing.assert_array_equal(env.batch.bind("act"), [[ACTIVATION]] * 4)


def test_a_masked_reset_leaves_the_other_lanes_state_alone(tmp_path: Path) -> None:
    env = placed(tmp_path)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.ones((4, 3)))
    before = {name: env.batch.bind(name).copy() for name in ("qpos", "qvel", "act", "ctrl", "mocap_pos")}
    env.set_tasks({"hand": np.ones((2, 3)), "spread": [0.0, 0.0]})
    mask = np.array([True, False, False, True])
    env.reset(options={"reset_mask": mask})
    for name, values in before.items():
        np.testing.assert_array_equal(env.batch.bind(name)[~mask], values[~mask])
    np.testing.assert_array_equal(env.batch.bind("mocap_pos")[mask], 1.0)


def test_what_a_robot_keeps_of_each_lane_is_reset_with_it(tmp_path: Path) -> None:
    class Counting(Robot):
        def build(self) -> None:
            self.steps, self.highest = self.lane_state(), self.lane_state(2, fill=-1.0)

        def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            self.steps += 1
            self.highest[...] = np.maximum(self.highest, self.qpos[:, :2])
            return self.steps, {}

    env = Counting(load(tmp_path, ARM), 1, 2)
    env.reset(seed=0)
    for _ in range(3):
        reward = env.step(np.zeros((2, 3)))[1]
    np.testing.assert_array_equal(reward, 3.0)
    env.reset(options={"reset_mask": np.array([False, True])})
    np.testing.assert_array_equal(env.steps, [3.0, 0.0])
    np.testing.assert_array_equal(env.highest[1], -1.0)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"qps": np.zeros((1, 9))}, "initial_state gives unknown 'qps' — did you mean 'qpos'?"),
        ({"qpos": np.zeros((1, 8))}, "initial_state gives qpos of shape (1, 8) — give (1, 9)"),
        ((np.zeros((1, 9)), np.zeros(8)), "initial_state gives qvel of shape (8,) — give (1, 8)"),
    ],
)
def test_an_impossible_start_is_refused(tmp_path: Path, state: Any, message: str) -> None:
    env = Robot(load(tmp_path, ARM))
    env.initial_state = lambda rng: state  # type: ignore[method-assign]
    with pytest.raises(envs.InputError) as error:
        env.reset(seed=0)
    assert str(error.value) == message


def test_no_bit_depends_on_the_number_of_threads(tmp_path: Path) -> None:
    sensors = {"force": ("contact", "FR_foot")}
    model = load(tmp_path, QUADRUPED, sensors=sensors, latency=0.02)
    dynamics = {
        "payload": Shift("mass", Uniform(0.0, 3.0), "trunk"),
        "balance": Shift("center_of_mass", Uniform(-0.05, 0.05), "trunk", each=True),
        "motors": Scale("strength", Uniform(0.5, 1.0), "*_knee", each=True),
        "ground": Set("friction", Uniform(0.3, 1.0)),
        "slope": Set("slope", Uniform(-0.1, 0.1)),
        "late": Set("latency", Uniform(0.0, 0.02)),
    }

    def see(env: Robot) -> np.ndarray:
        trunk = env.body("trunk")
        parts = [env.sensor("gyro"), env.sensor("force"), trunk.projected_gravity, trunk.local_velocity, env.action]
        return np.concatenate([env.qpos, *parts], axis=1)

    runs = []
    for threads in (1, 2):
        env = Robot(
            model, 4, 3, see, threads, controls="around-home", control_rate=5.0, frame_skip=5, dynamics=dynamics
        )
        seen = [env.reset(seed=0)[0]]
        rng = np.random.default_rng(0)
        for step in range(30):
            seen.append(env.step(rng.uniform(-1.0, 1.0, env.action_space.shape))[0])
            if step == 15:
                env.set_tasks(env.sample_tasks(1))
                seen.append(env.reset(options={"reset_mask": np.arange(12) % 2 == 0})[0])
        runs.append(np.array(seen))
    np.testing.assert_array_equal(*runs)
    assert len(np.unique(runs[0][-1][:, 0])) > 6
