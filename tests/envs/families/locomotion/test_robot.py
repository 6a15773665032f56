"""Which action the control cost charges for, where an action leaves its box."""

import numpy as np
import pytest

import envs
from envs.engine.mujoco_tasks import MujocoTasks

# VariBAD (github.com/lmzintgraf/varibad, commit 57e1795, environments/mujoco): weight of Σ a² in each `step`, of the
# action as the policy gives it; for HumanoidDir of Σ ctrl², whose controls are 0.4 times the action.
VARIBAD = {
    "half-cheetah-dir": 0.05,
    "half-cheetah-vel": 0.05,
    "ant-dir": 0.5,
    "ant-goal": 0.1,
    "humanoid-dir": 0.1 * 0.4**2,
    "walker-params": 0.001,
    "hopper-params": 0.001,
}


def make(name: str, variant: str, lanes: int) -> MujocoTasks:
    env = envs.make(name, 1, lanes, threads=1, variant=variant)
    assert isinstance(env, MujocoTasks)
    return env


@pytest.mark.parametrize(("name", "weight"), VARIBAD.items())
def test_varibad_charges_for_actions_beyond_the_box_and_moves_as_on_its_border(name: str, weight: float) -> None:
    env, held = make(name, "varibad", 3), make(name, "varibad", 3)
    env.reset(seed=0), held.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-3.0, 3.0, env.action_space.shape)
    assert np.abs(actions).max(axis=1).min() > 1.0
    found, expected = env.step(actions), held.step(np.clip(actions, -1.0, 1.0))
    np.testing.assert_array_equal(found[0], expected[0])
    clipped = np.clip(actions, -1.0, 1.0)
    cost, held_cost = (weight * (charged**2).sum(axis=1) for charged in (actions, clipped))
    np.testing.assert_allclose(found[4]["control_cost"], cost, rtol=1e-12)
    np.testing.assert_allclose(expected[1] - found[1], cost - held_cost, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "variant"), [("half-cheetah-vel", "pearl"), ("ant-goal", "metarl")])
def test_the_others_charge_for_the_clipped_action(name: str, variant: str) -> None:
    # PEARL (github.com/katerakelly/oyster, rlkit/envs/wrappers.py) clips to the box first.
    env = make(name, variant, 2)
    env.reset(seed=0)
    bound = env.single_action_space.high[0]
    *_, info = env.step(np.repeat([[3.0], [-1.0]], env.model.nu, axis=1) * bound)
    assert info["control_cost"][0] == pytest.approx(info["control_cost"][1]) and info["control_cost"][0] > 0
