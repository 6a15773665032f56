"""sb3-contrib's RecurrentPPO learns to learn: which of five arms pays best, in trials of two episodes of ten pulls.

python scripts/examples/stable_baselines.py     (a minute; needs the extra: pip install -e '.[sb3]')
"""

import time

import numpy as np
import torch
from sb3_contrib import RecurrentPPO

import envs
from envs.adapters.stable_baselines import vec_env


def returns(model: RecurrentPPO, tasks: int = 500) -> np.ndarray:
    """Mean return of each episode of a trial, over unseen tasks, with the likeliest actions."""
    env = envs.VectorTasks("bandit", tasks, split="test", episodes=2, autoreset_mode="SameStep")
    (observation, info), state, over = env.reset(seed=1), None, np.ones(tasks, bool)
    for _ in range(2 * 10):
        action, state = model.predict(observation, state=state, episode_start=over, deterministic=True)
        observation, _, over, _, info = env.step(action)
    return info["returns"].mean(axis=0)


if __name__ == "__main__":
    torch.set_num_threads(1)  # the networks are small
    options = {"n_steps": 40, "batch_size": 320, "gamma": 1.0, "learning_rate": 3e-3, "ent_coef": 0.01}
    small = {"lstm_hidden_size": 32}
    env = vec_env("bandit", 32, episodes=2)
    model = RecurrentPPO("MlpLstmPolicy", env, seed=0, device="cpu", policy_kwargs=small, **options)
    start = time.monotonic()
    for steps in (0, 50_000, 100_000):
        model.learn(steps - model.num_timesteps, reset_num_timesteps=False) if steps else None
        first, second = returns(model)
        print(
            f"{model.num_timesteps:7,} steps, {time.monotonic() - start:3.0f} s: {first:.2f}, then {second:.2f} of 10"
        )
