"""The walkers against Gymnasium's own Walker2d-v5, the formulas, and the published definitions."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks

FAMILIES = ("walker-dir", "walker-vel", "walker-params")
# variant: physics step (s), frames, action bound, training tasks, test tasks. Sources: rand_param_envs/base.py in
# dennisl88/rand_param_envs (4d1529d), whose walker2d.xml has the step and which ProMP, PEARL and VariBAD share;
# configs/walker_rand_params.json in katerakelly/oyster (44e20fd).
PUBLISHED_PARAMS = {
    "metarl": (0.004, 4, 10.0, 0, 0),
    "promp": (0.004, 4, 10.0, 0, 0),
    "pearl": (0.004, 4, 1.0, 40, 10),
    "varibad": (0.004, 4, 1.0, 0, 0),
}


def make(name: str, num_tasks: int = 1, lanes_per_task: int = 1, **fields: Any) -> MujocoTasks:
    env = envs.make(name, num_tasks, lanes_per_task, threads=1, **fields)
    assert isinstance(env, MujocoTasks)
    return env


def neutral(env: MujocoTasks) -> envs.Tasks:
    return {name: np.ones_like(values) for name, values in env.tasks.items()}


def gentle_actions(env: MujocoTasks, steps: int) -> np.ndarray:
    """[steps, num_envs, A], of which some reach beyond the box."""
    bound = 1.2 * env.single_action_space.high[0]
    return np.random.default_rng(3).uniform(-bound, bound, (steps, *env.action_space.shape))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_is_16_milliseconds_and_an_episode_200_steps(name: str) -> None:
    for variant in envs.registry.environment_class(name).variants:
        env = make(name, variant=variant)
        assert env.dt == pytest.approx(0.016) and env.horizon == 200
        assert env.single_observation_space.shape == (17,) and env.single_action_space.shape == (6,)


@pytest.mark.parametrize("variant", PUBLISHED_PARAMS)
def test_random_parameters_are_as_published(variant: str) -> None:
    env = make("walker-params", 3, variant=variant)
    found = env.model.opt.timestep, env.frame_skip, env.single_action_space.high[0]
    assert (*found, env.config.train_tasks, env.config.test_tasks) == pytest.approx(PUBLISHED_PARAMS[variant])
    assert env.config.set_const is (variant == "metarl")
    tasks = env.sample_tasks(0, num_tasks=1000)
    assert sum(values[0].size for values in tasks.values()) == 65
    for name, base in {"mass": 1.5, "inertia": 1.5, "damping": 1.3, "friction": 1.5}.items():
        exponent = np.log(tasks[name]) / np.log(base)
        assert 2.9 < np.abs(exponent).max() <= 3.0 + 1e-9
        if variant != "pearl":  # its 40 tasks repeat. Uniform in ±3 has deviation √3; 1000 * 8 draws or more.
            np.testing.assert_allclose(exponent.std(), np.sqrt(3), rtol=0.03)
    assert len(np.unique(tasks["mass"][:, 1])) == (40 if variant == "pearl" else 1000)


def test_pearls_test_tasks_are_none_of_its_training_tasks() -> None:
    env = make("walker-params", variant="pearl")
    train, test = (set(env.sample_tasks(0, 2000, split=split)["mass"][:, 1]) for split in ("train", "test"))
    assert (len(train), len(test), train & test) == (40, 10, set())


def test_the_models_change_by_their_factors_and_what_is_0_stays_0() -> None:
    env = make("walker-params", 4, 2)
    env.reset(seed=0)
    for field, name in (("body_mass", "mass"), ("body_inertia", "inertia"), ("geom_friction", "friction")):
        expected = np.repeat(getattr(env.model, field) * env.tasks[name], 2, axis=0)
        np.testing.assert_array_equal(env.batch.expand(field), expected)
    assert not env.batch.expand("body_mass")[:, 0].any() and not env.batch.expand("dof_damping")[:, :3].any()
    np.testing.assert_allclose(
        env.batch.expand("dof_damping")[:, 3:], 0.1 * np.repeat(env.tasks["damping"], 2, 0)[:, 3:]
    )
    np.testing.assert_array_equal(env.model.geom_friction[[4, 7], 0], [0.9, 1.9])  # the feet of the older model


def test_constants_follow_the_factors_only_where_set_const_says_so() -> None:
    for variant, follows in (("metarl", True), ("promp", False)):
        env = make("walker-params", 1, variant=variant)
        env.reset(seed=0)
        whole = env.batch.expand("body_subtreemass")[0, 0]
        expected = env.batch.expand("body_mass")[0] if follows else env.model.body_mass
        np.testing.assert_allclose(whole, expected.sum(), rtol=1e-12)


def test_exponents_outside_of_training_lie_between_3_and_4() -> None:
    env = make("walker-params", 10)
    tasks = env.sample_tasks(0, split="outside")
    exponents = np.abs(np.log(tasks["friction"])) / np.log(1.5)
    assert exponents.min() >= 3.0 - 1e-9 and exponents.max() <= 4.0 + 1e-9
    env.set_tasks(tasks)
    env.reset(seed=0)
    assert np.isfinite(env.step(env.action_space.sample())[1]).all()


def test_equals_gymnasiums_walker() -> None:
    """Neutral factors, the same states and actions for 200 steps: observations, terms of the reward, ends."""
    base: Any = gymnasium.make("Walker2d-v5", xml_file="walker2d.xml", frame_skip=8).unwrapped
    env = make(
        "walker-params", 1, 5, variant="varibad", timestep=0.002, frame_skip=8, set_const=True, clip_actions=True
    )
    env.set_tasks(neutral(env))
    actions = gentle_actions(env, 200)
    env.reset(seed=0)
    start = env.qpos.copy(), env.qvel.copy()
    steps = [env.step(action) for action in actions]
    compared = 0
    for lane in range(5):
        base.reset(seed=0)
        base.set_state(start[0][lane], start[1][lane])
        for action, (observation, reward, terminated, _, info) in zip(actions, steps, strict=True):
            controls = np.clip(action[lane], -1.0, 1.0)
            expected, _, ended, _, base_info = base.step(controls)
            np.testing.assert_allclose(observation[lane], expected, rtol=0, atol=1e-10)
            np.testing.assert_allclose(info["velocity"][lane], base_info["x_velocity"], rtol=0, atol=1e-10)
            task_reward = base_info["reward_forward"] + 1.0 + base_info["reward_ctrl"]
            np.testing.assert_allclose(reward[lane], task_reward, rtol=0, atol=1e-10)
            assert terminated[lane] == ended
            compared += 1
            if ended:
                break
    assert compared > 50


def test_the_physics_of_a_walker_that_lies_is_gymnasiums_for_200_steps() -> None:
    """The same, beyond the falls that end an episode."""
    base: Any = gymnasium.make("Walker2d-v5", xml_file="walker2d.xml", frame_skip=8).unwrapped
    env = make("walker-params", 1, 1, variant="varibad", timestep=0.002, frame_skip=8, set_const=True)
    env.set_tasks(neutral(env))
    env.terminated = lambda: np.zeros(1, bool)  # type: ignore[method-assign]
    env.reset(seed=0)
    base.reset(seed=0)
    base.set_state(env.qpos[0], env.qvel[0])
    for action in gentle_actions(env, 200):
        observation, *_ = env.step(action)
        np.testing.assert_allclose(observation[0], base.step(np.clip(action[0], -1.0, 1.0))[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("variant", ["metarl", "promp"])
def test_rewards_follow_the_formulas(variant: str) -> None:
    bonus = {"metarl": 5.0, "promp": 15.0}[variant]
    runs = {}
    for name, tasks in (("dir", {"direction": [1.0, -1.0]}), ("vel", {"velocity": [0.3, 1.7]})):
        env = make(f"walker-{name}", 2, variant=variant)
        env.set_tasks(tasks)
        env.reset(seed=0)
        runs[name] = [env.step(action) for action in gentle_actions(env, 5)]
    for action, directed, paced in zip(gentle_actions(env, 5), runs["dir"], runs["vel"], strict=True):
        assert not directed[2].any()
        velocity = directed[4]["velocity"]
        cost = 0.001 * (np.clip(action / 10, -1, 1) ** 2).sum(axis=1)
        np.testing.assert_allclose(directed[1], np.array([1.0, -1.0]) * velocity + 1.0 - cost, rtol=1e-12)
        np.testing.assert_allclose(paced[1], bonus - np.abs(velocity - np.array([0.3, 1.7])) - cost, rtol=1e-12)


def test_tasks_of_direction_and_velocity_are_as_published() -> None:
    directions = make("walker-dir").sample_tasks(0, 1000)["direction"]
    assert set(directions) == {-1.0, 1.0} and abs(directions.sum()) < 4 * np.sqrt(1000)  # 1000 fair signs
    for variant, highest in (("promp", 10.0), ("metarl", 3.0)):
        velocities = make("walker-vel", variant=variant).sample_tasks(0, 1000)["velocity"]
        assert 0.0 <= velocities.min() < 0.01 * highest and 0.99 * highest < velocities.max() <= highest
    with pytest.raises(envs.InputError, match="env.min_velocity is 4.0, above env.max_velocity at 3.0 — swap them"):
        make("walker-vel", min_velocity=4.0)


def test_an_episode_starts_within_5_millimetres_and_milliradians() -> None:
    env = make("walker-dir", 1, 2000)
    env.reset(seed=0)
    for noise in (env.qpos - env.model.qpos0, env.qvel):
        assert 0.00499 < np.abs(noise).max() <= 0.005
        np.testing.assert_allclose(noise.std(), 0.005 / np.sqrt(3), rtol=0.03)


@pytest.mark.parametrize(("policy", "mean", "tolerance"), [("random", 5.0, 8.0), ("zero", 88.0, 16.0)])
def test_untrained_returns_are_those_measured_before(policy: str, mean: float, tolerance: float) -> None:
    # With the body of gymnasium 1.4.0 at a step of 0.008 s, apart from this code: random 5 ± 10, zero 88 ± 16 (20 and 5
    # episodes).
    env = make("walker-params", 30, 1, variant="varibad", timestep=0.002, frame_skip=4)
    env.reset(seed=0)
    rng, total = np.random.default_rng(0), np.zeros(30)
    for _ in range(200):
        actions = rng.uniform(-1.0, 1.0, (30, 6)) if policy == "random" else np.zeros((30, 6))
        total += env.step(actions)[1]
    np.testing.assert_allclose(total.mean(), mean, atol=tolerance)
