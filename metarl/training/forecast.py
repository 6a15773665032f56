"""How long a run will take at least, said before it starts: what its robot alone needs on this machine."""

import time
from typing import TYPE_CHECKING

import numpy as np

from envs.contract.base import TaskEnv
from metarl.runtime.ranks import world_size

if TYPE_CHECKING:
    from metarl.training.setup import Setup

PROBE = 0.1  # s


def forecast(setup: "Setup", iterations: int) -> str:
    """One line about `iterations` iterations: their steps, how fast the environment makes them, how long that takes.

    Nothing where steps take no time to speak of. Whoever meets tasks afterwards sets tasks, and resets by seeds of
    their own: it changes no bit.
    """
    if not setup.env.native_steps or iterations < 1:
        return ""
    steps = steps_of(setup, iterations)
    try:
        rate = world_size() * steps_per_second(setup.env)  # ranks have as many lanes, and threads of their own
    except Exception:  # whatever is wrong with it is said when it is met
        return ""
    alone = f"the environment alone makes {rate / 1000:.1f}k a second: {time_said(steps / rate)}, and updates"
    return f"{steps / 1e6:,.1f} million steps · {alone}"


def steps_of(setup: "Setup", iterations: int) -> int:
    """Environment steps of so many iterations, of all ranks, if no episode ends early."""
    lanes = world_size() * sum(env.num_envs for env in setup.envs)
    return iterations * setup.algorithm.rounds * lanes * setup.env.horizon


def time_said(seconds: float) -> str:
    """As people say it: "50 seconds", "12 minutes", "3.5 hours"."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def steps_per_second(env: TaskEnv) -> float:
    """Steps of all lanes under random actions, from their start, for a tenth of a second."""
    actions = np.random.default_rng(0).uniform(-0.5, 0.5, (16, *(env.action_space.shape or ())))
    env.reset(seed=0)
    env.step(actions[0])  # the first one warms up
    start, count = time.perf_counter(), 0
    while (took := time.perf_counter() - start) < PROBE and count < env.horizon:
        env.step(actions[count % len(actions)])
        count += 1
    return count * env.num_envs / took
