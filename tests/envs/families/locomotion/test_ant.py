"""The Ant families against Gymnasium's own environment, MuJoCo's own functions and the published definitions."""

from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.ant_v5 import AntEnv

import envs
from envs.engine.mujoco_tasks import MujocoTasks

# variant: horizon, seconds a step, action bound, observation size, survive bonus, control cost, contact cost, heights.
# Sources: rllab/envs/mujoco/ant_env_rand*.py in cbfinn/maml_rl (9c8e2eb), maml_rl/envs/mujoco/ant.py in
# tristandeleu/pytorch-maml-rl (21d4ba1), meta_policy_search/envs/mujoco_envs/ant_rand_*.py in jonasrothfuss/ProMP
# (93ae339), rlkit/envs/ant_dir.py and ant_goal.py in katerakelly/oyster (44e20fd), environments/mujoco/ant_dir.py and
# ant_goal.py in lmzintgraf/varibad (57e1795), learn2learn/gym/envs/mujoco/ant_*.py in learnables/learn2learn (db5cee3).
HIGH, ANY = (0.2, 1.0), None
GYM = (1.0, 0.5, 0.0005)
MAML = (0.05, 0.005, 0.0005)
PUBLISHED = {
    "ant-dir": {
        "metarl": (200, 0.05, 10.0, 27, 1.0, 0.5, 0.0, HIGH),
        "maml": (200, 0.02, 1.0, 125, *MAML, HIGH),
        "deleu": (100, 0.05, 10.0, 125, *MAML, HIGH),
        "promp": (100, 0.05, 10.0, 111, *GYM, (0.0, 1.0)),
        "pearl": (200, 0.05, 1.0, 27, *GYM, HIGH),
        "varibad": (200, 0.05, 1.0, 27, *GYM, HIGH),
        "l2l": (100, 0.05, 1.0, 111, *GYM, (0.0, 1.0)),
    },
    "ant-angle": {
        "metarl": (200, 0.05, 10.0, 27, 1.0, 0.5, 0.0, HIGH),
        "promp": (100, 0.05, 10.0, 111, *GYM, (0.0, 1.0)),
        "pearl": (200, 0.05, 1.0, 27, *GYM, HIGH),
        "l2l": (100, 0.05, 1.0, 111, *GYM, (0.0, 1.0)),
    },
    "ant-vel": {
        "metarl": (200, 0.05, 10.0, 27, 0.05, 0.005, 0.0, HIGH),
        "maml": (200, 0.02, 1.0, 125, *MAML, HIGH),
        "deleu": (100, 0.05, 10.0, 125, *MAML, HIGH),
    },
    "ant-goal": {
        "metarl": (200, 0.05, 10.0, 29, 0.0, 0.1, 0.0, ANY),
        "maml": (200, 0.02, 1.0, 125, *MAML, HIGH),
        "deleu": (100, 0.05, 10.0, 125, *MAML, HIGH),
        "promp": (200, 0.05, 10.0, 113, 0.0, 0.1, 0.0005, ANY),
        "pearl": (200, 0.05, 1.0, 113, 0.0, 0.1, 0.0005, ANY),
        "varibad": (200, 0.05, 1.0, 113, 0.0, 0.1, 0.0005, ANY),
    },
}
ALL = [(name, variant) for name, variants in PUBLISHED.items() for variant in variants]


class PresentAnt(AntEnv):
    """Gymnasium's Ant, whose derived quantities are those of the state after the step and not of a moment earlier."""

    def _step_mujoco_simulation(self, ctrl: Any, n_frames: int) -> None:
        super()._step_mujoco_simulation(ctrl, n_frames)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)


def make(name: str, num_tasks: int = 1, lanes_per_task: int = 1, threads: int = 1, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes_per_task, threads=threads, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def actions_for(env: MujocoTasks, steps: int) -> np.ndarray:
    """[steps, num_envs, 8]"""
    bound = env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


def start_from(base: AntEnv, qpos: np.ndarray, qvel: np.ndarray, warm: bool) -> None:
    """Put Gymnasium's environment where a lane is; `warm`: with the solver's memory of MuJoCo's forward()."""
    base.reset(seed=0)
    mujoco.mj_resetData(base.model, base.data)
    base.set_state(qpos, qvel)
    if not warm:
        base.data.qacc_warmstart[:] = 0.0


@pytest.mark.parametrize(("name", "variant"), ALL, ids=["/".join(pair) for pair in ALL])
def test_a_variant_is_as_published(name: str, variant: str) -> None:
    env = make(name, variant=variant)
    config, bound, size = env.config, env.single_action_space.high[0], env.single_observation_space.shape[0]
    costs = config.survive_bonus, config.control_cost, config.contact_cost
    *published, heights = PUBLISHED[name][variant]
    assert (env.horizon, env.dt, bound, size, *costs) == pytest.approx(tuple(published))
    assert ((config.min_height, config.max_height) if config.terminates else None) == heights


def test_every_variant_has_its_published_definition_here() -> None:
    assert all(set(make(name).variants) == set(variants) for name, variants in PUBLISHED.items())


def test_without_contacts_an_episode_equals_gymnasiums() -> None:
    """The same states and actions until the ant falls: observations, ends, and the terms of the reward."""
    base = AntEnv(include_cfrc_ext_in_observation=False)
    env = make("ant-dir", 6, action_scale=1.0)
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 200)
    steps = [env.step(action) for action in actions]
    lengths = []
    for lane in range(6):
        start_from(base, start[0][lane], start[1][lane], warm=False)
        for step, (observation, _, terminated, truncated, info) in enumerate(steps):
            before = base.data.qpos[:2].copy()
            expected, _, base_terminated, _, base_info = base.step(actions[step, lane])
            np.testing.assert_allclose(observation[lane], expected, rtol=0, atol=1e-10)
            velocity = (base.data.qpos[:2] - before) / base.dt  # that of base_info lags by part of a physics step
            np.testing.assert_allclose(info["x_velocity"][lane], velocity[0], rtol=0, atol=1e-10)
            np.testing.assert_allclose(info["y_velocity"][lane], velocity[1], rtol=0, atol=1e-10)
            np.testing.assert_allclose(-info["control_cost"][lane], base_info["reward_ctrl"], rtol=0, atol=1e-10)
            assert terminated[lane] == base_terminated
            if terminated[lane] or truncated[lane]:
                break
        lengths.append(step + 1)
    assert min(lengths) < 200 and max(lengths) > 50  # some fell, and not at once


def test_with_contacts_observation_and_reward_equal_gymnasiums_at_the_present_state() -> None:
    base = PresentAnt(terminate_when_unhealthy=False)
    env = make("ant-dir", 2, variant="l2l", terminates=False, horizon=200)
    env.set_tasks({"direction": [1.0, -1.0]})
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    actions = actions_for(env, 200)
    steps = [env.step(action) for action in actions]
    most = 0.0
    for lane, sign in enumerate((1.0, -1.0)):
        start_from(base, start[0][lane], start[1][lane], warm=True)
        for action, (observation, reward, _, _, info) in zip(actions, steps, strict=True):
            expected, base_reward, _, _, base_info = base.step(action[lane])
            expected = np.concatenate([expected[:27], np.zeros(6), expected[27:]])  # contacts on the world's body
            np.testing.assert_allclose(observation[lane], expected, rtol=0, atol=1e-10)
            np.testing.assert_allclose(-info["contact_cost"][lane], base_info["reward_contact"], rtol=0, atol=1e-10)
            # Gymnasium pays for health where the sources pay for every step.
            task_reward = base_reward + (sign - 1) * base_info["reward_forward"] + 1.0 - base_info["reward_survive"]
            np.testing.assert_allclose(reward[lane], task_reward, rtol=0, atol=1e-10)
            most = max(most, info["contact_cost"][lane])
    assert most > 0.001  # 0.0005 * Σ f²: contacts were felt


@pytest.mark.parametrize("variant", ["maml", "deleu"])
def test_the_torsos_frame_forces_and_velocity_are_those_that_mujoco_computes(variant: str) -> None:
    """A plain loop of mj_step with mj_forward, bit for bit, and finite differences of the centre of mass."""
    env = make("ant-vel", 1, 2, variant=variant, terminates=False)
    observation, _ = env.reset(seed=0)
    model, data, other = env.model, mujoco.MjData(env.model), mujoco.MjData(env.model)
    torso = model.body("torso").id
    data.qpos[:], data.qvel[:] = env.qpos[1], env.qvel[1]
    mujoco.mj_forward(model, data)

    def expected() -> np.ndarray:
        mujoco.mj_rnePostConstraint(model, data)
        place = data.subtree_com[torso] if variant == "maml" else data.xpos[torso]
        forces = np.clip(data.cfrc_ext, -1.0, 1.0)
        return np.concatenate([data.qpos, data.qvel, forces.ravel(), data.xmat[torso], place])

    np.testing.assert_allclose(observation[1], expected(), rtol=0, atol=1e-12)
    for action in actions_for(env, 40):
        before = data.qpos[:2].copy()
        observation, *_, info = env.step(action)
        data.ctrl[:] = action[1] / env.single_action_space.high
        mujoco.mj_step(model, data, env.frame_skip)
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(observation[1], expected(), rtol=0, atol=1e-12)
        velocity, tolerance = (data.qpos[:2] - before) / env.dt, 1e-12
        if variant == "maml":
            other.qpos[:], seconds, tolerance = data.qpos, 1e-6, 1e-5
            mujoco.mj_integratePos(model, other.qpos, data.qvel, seconds)
            mujoco.mj_kinematics(model, other), mujoco.mj_comPos(model, other)
            velocity = (other.subtree_com[torso, :2] - data.subtree_com[torso, :2]) / seconds
        measured = np.array([info["x_velocity"][1], info["y_velocity"][1]])
        np.testing.assert_allclose(measured, velocity, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "variant", "tasks"),
    [
        ("ant-dir", "metarl", {"direction": [1.0, -1.0]}),
        ("ant-dir", "varibad", {"direction": [1.0, -1.0]}),
        ("ant-angle", "metarl", {"angle": [0.3, 4.0]}),
        ("ant-vel", "deleu", {"velocity": [0.0, 2.5]}),
        ("ant-goal", "pearl", {"goal": [[1.0, -2.0], [0.1, 0.3]]}),
        ("ant-goal", "deleu", {"goal": [[1.0, -2.0], [0.1, 0.3]]}),
    ],
)
def test_rewards_follow_the_formulas(name: str, variant: str, tasks: dict[str, Any]) -> None:
    env = make(name, 2, variant=variant, terminates=False)
    env.set_tasks(tasks)
    env.reset(seed=0)
    value = np.array(next(iter(tasks.values())))
    survive, control_weight = PUBLISHED[name][variant][4:6]
    for action in 1.5 * actions_for(env, 30):  # some beyond the box, where they are clipped, but for VariBAD's cost
        before = env.qpos[:, :2].copy()
        _, reward, _, _, info = env.step(action)
        x, y = ((env.qpos[:, :2] - before) / 0.05).T
        fractions = action / env.single_action_space.high
        controls = fractions if variant == "varibad" else np.clip(fractions, -1.0, 1.0)
        if name == "ant-goal":
            away = np.abs(env.qpos[:, :2] - value).sum(axis=1)
            task_reward = (4.0 if variant == "deleu" else 0.0) - away
        elif variant == "varibad":
            task_reward = np.cos(1.0) * x + value * np.sin(1.0) * y
        else:
            along = np.cos(value) * x + np.sin(value) * y
            task_reward = {"ant-dir": value * x, "ant-angle": along, "ant-vel": 1.0 - np.abs(x - value)}[name]
        cost = control_weight * (controls**2).sum(axis=1) + info.get("contact_cost", 0.0)
        np.testing.assert_allclose(reward, task_reward + survive - cost, rtol=0, atol=1e-10)


def test_the_contact_forces_carry_the_weight_of_an_ant_at_rest() -> None:
    env = make("ant-goal", variant="pearl")
    env.reset(seed=0)
    for _ in range(180):
        env.step(np.zeros((1, 8)))
    upwards = env.batch.bind("cfrc_ext")[0, :, 5]  # a wrench is torque, then force
    np.testing.assert_allclose(upwards.sum(), 9.81 * env.model.body_mass.sum(), rtol=0.01)


def test_goals_are_uniform_in_their_shape_and_farther_outside() -> None:
    # 4000 draws: a fraction of 1/4 has a standard deviation of 0.007. Half the radius holds a quarter of the disk;
    # half the side a quarter of the square.
    disk, square = make("ant-goal"), make("ant-goal", variant="deleu")
    goals = disk.sample_tasks(0, 4000)["goal"]
    radius = np.hypot(*goals.T)
    assert 2.99 < radius.max() <= 3.0 and abs((radius < 1.5).mean() - 0.25) < 0.03
    assert all(abs((goals[:, axis] > 0).mean() - 0.5) < 0.04 for axis in (0, 1))
    corner = square.sample_tasks(0, 4000)["goal"]
    assert 2.99 < np.abs(corner).max() <= 3.0 and abs((np.abs(corner) < 1.5).all(axis=1).mean() - 0.25) < 0.03
    for env, farthest in ((disk, 3.0), (square, 3.0 * np.sqrt(2))):
        radius = np.hypot(*env.sample_tasks(0, 500, split="outside")["goal"].T)
        assert farthest <= radius.min() and farthest + 0.99 < radius.max() <= farthest + 1.0


def test_angles_and_velocities_are_uniform_in_their_ranges() -> None:
    angles = make("ant-angle").sample_tasks(0, 1000)["angle"]
    assert 0.0 <= angles.min() < 0.02 * np.pi and 1.98 * np.pi < angles.max() < 2 * np.pi
    env = make("ant-vel", min_velocity=1.0, max_velocity=2.0)
    inside, outside = (env.sample_tasks(0, 1000, split=split)["velocity"] for split in ("train", "outside"))
    assert 1.0 <= inside.min() < 1.01 and 1.99 < inside.max() <= 2.0
    assert 2.0 <= outside.min() < 2.01 and 2.99 < outside.max() <= 3.0


def test_pearls_goals_are_150_for_training_and_30_others_for_tests() -> None:
    env = make("ant-goal", variant="pearl")
    train, test = (np.unique(env.sample_tasks(0, 3000, split=split)["goal"], axis=0) for split in ("train", "test"))
    assert (len(train), len(test)) == (150, 30)
    assert len(np.unique(np.concatenate([train, test]), axis=0)) == 180


@pytest.mark.parametrize(
    ("variant", "height", "ends"),
    [("pearl", 0.19, True), ("pearl", 0.5, False), ("pearl", 1.3, True), ("promp", 0.19, False), ("promp", 1.3, True)],
)
def test_an_episode_ends_beyond_the_heights_of_its_source(variant: str, height: float, ends: bool) -> None:
    env, goal = make("ant-dir", variant=variant), make("ant-goal", variant=variant)
    for ant in (env, goal):
        ant.reset(seed=0)
        ant.qpos[0, 2] = height
    assert (env.terminated()[0], goal.terminated()[0]) == (ends, False)


def test_an_episode_starts_in_the_pose_of_its_source() -> None:
    # 2000 * 14 draws: a sample deviation is within 4 / sqrt(2 * 28000) = 1.7 % of the law's.
    for variant, height, deviation in (("pearl", 0.75, 0.1 / np.sqrt(3)), ("maml", 0.55, 0.01)):
        env = make("ant-dir", 1, 2000, variant=variant)
        env.reset(seed=0)
        ankles = np.array([1.0, -1.0, -1.0, 1.0]) if variant == "maml" else np.zeros(4)
        mean = env.qpos.mean(axis=0)
        np.testing.assert_allclose(mean[2], height, atol=0.01)
        np.testing.assert_allclose(mean[8::2], ankles, atol=0.01)
        position = env.qpos[:, np.r_[0:3, 7:15]]  # without the quaternion, which MuJoCo normalises
        deviations = (position - position.mean(axis=0)).std(), env.qvel.std()
        np.testing.assert_allclose(deviations, [deviation, 0.1], rtol=0.02)


@pytest.mark.parametrize("name", ["ant-dir", "ant-angle"])
def test_an_ant_that_does_nothing_lives_and_earns_its_bonus(name: str) -> None:
    # 1 a step for 100 steps, whatever is asked; it drifts by a few metres at most.
    env = make(name, 10)
    env.reset(seed=0)
    total = sum(env.step(np.zeros((10, 8)))[1] for _ in range(100))
    np.testing.assert_allclose(total.mean(), 100.0, atol=3.0)


def test_threads_change_no_bit() -> None:
    single, double = (make("ant-goal", 4, 3, threads, variant="pearl") for threads in (1, 2))
    np.testing.assert_array_equal(single.reset(seed=0)[0], double.reset(seed=0)[0])
    for action in actions_for(single, 20):
        for array, twin in zip(single.step(action)[:4], double.step(action)[:4], strict=True):
            np.testing.assert_array_equal(array, twin)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("ant-dir", {"min_height": 2.0}, "env.min_height is 2.0, above env.max_height at 1.0 — swap them"),
        ("ant-vel", {"min_velocity": 4.0}, "env.min_velocity is 4.0, above env.max_velocity at 3.0 — swap them"),
        ("ant-goal", {"goal_range": 0.0}, "env.goal_range is 0.0 — give a finite number above 0"),
        ("ant-goal", {"goal_shape": "ring"}, "env.goal_shape is 'ring' — give one of: disk, square"),
        ("ant-angle", {"contact_cost": -1.0}, "env.contact_cost is -1.0 — give a finite number, 0 or above"),
    ],
)
def test_impossible_options_are_refused_by_name(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(envs.InputError, match=message):
        make(name, **fields)
