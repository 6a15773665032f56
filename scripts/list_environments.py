"""Write what the registry says of every environment into docs/environments.md.

python scripts/list_environments.py
"""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

import envs
from envs.facts import facts, variants
from envs.registry import describe

ROOT = Path(__file__).parents[1]
LEVELS = "## Levels\n"
HEAD = """# Environments

Written by `scripts/list_environments.py` from the registry, as is what `metarl list envs` shows. Where nothing else is
said, a row is the default variant. An observation is a vector of float64.

In what a step pays, v is the velocity (m/s; along x, where nothing is said), a the controls in ±1 (the humanoid's in
±0.4), f the contact forces, p the place and d its distance to the goal, before and after (′) the step; other words
are the task's parameters. *Knowing the task* is what an episode earns by a policy that is trained without being told
the task, and by one that is told it, both by trust regions and the same steps ([results](results.md)). Of a
quadruped, v* and ω* are the commanded velocities, v and ω its trunk's, Δa is the change of the action, g the
direction of gravity in the trunk's axes, and τ are the torques. An episode terminates where the table says so; its
last step, and broken physics, truncate it.
"""
TASKS = """
## Tasks

`U(a, b)` is the uniform law, `b^U(…)` one of exponents.
"""
GYMNASIUM = """
## For other libraries

Each environment has an id for Gymnasium, `metarl/HalfCheetahVel-v0` for `half-cheetah-vel`; options, a task and a split
are keywords. With no task given, every episode has a new one, which the seed of its reset decides. How long an episode
is at the most, options considered, stands in `env.spec.max_episode_steps`.

```python
import gymnasium

env = gymnasium.make("envs:metarl/HalfCheetahVel-v0", task={"velocity": 1.0})  # a lane
lanes = gymnasium.make_vec("envs:metarl/HalfCheetahVel-v0", num_envs=64)  # on all cores, each with tasks of its own
```

`metarl/HalfCheetahVelTrial-v0` makes one episode of several (`episodes=2`) of one task, for learners that know no tasks
but have a memory. Behind the observation stand the last action (one-hot where actions are discrete), the last reward,
and 1 where an episode begins. Within a trial, an episode that ends is followed by the next in the same step;
`terminated` comes with the trial's end, and `info["returns"]` tells what each of its episodes has earned. So
Stable-Baselines3 meta-trains (`pip install -e '.[sb3]'`):

```python
from sb3_contrib import RecurrentPPO
from envs.adapters.stable_baselines import vec_env

env = vec_env("bandit", 32, episodes=2)  # as `make_vec_env("envs:metarl/BanditTrial-v0", 32)`, on native threads
model = RecurrentPPO("MlpLstmPolicy", env, n_steps=40, batch_size=320, gamma=1.0, learning_rate=3e-3)
model.learn(100_000)
```

`python scripts/examples/stable_baselines.py` does so, and prints what it reaches on unseen bandits (5 by chance):

```
      0 steps,   0 s: 5.13, then 5.00 of 10
 51,200 steps,  23 s: 5.69, then 5.85 of 10
101,120 steps,  45 s: 5.78, then 6.10 of 10
```

A class of your own is as good as a name: `vec_env(MyRobot, 32, episodes=2)`, `envs.SingleTask(MyRobot, episodes=2)`.
"""
VARIANTS = """
## Variants

By what they change of the default variant (in bold), and where they come from: the paper, and the file of its code at
the commit that was read.
"""
LANES = (40, 5)  # tasks, episodes of each, that a level is the mean of


def cell(text: object) -> str:
    """What may stand in a table."""
    return str(text).replace("|", "\\|")


def table(*columns: str) -> list[str]:
    """A row for each environment, of its facts by these titles."""
    lines = ["| environment | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in envs.names():
        known = facts(name)
        lines.append(f"| `{name}` | " + " | ".join(cell(known[column]) for column in columns) + " |")
    return lines


def definitions() -> str:
    """The tables, and the variants by what they change and where they come from."""
    lines = [
        HEAD,
        *table("a step pays", "terminates", "control", "steps", "observation", "action", "knowing the task"),
        TASKS,
        *table("training tasks", "test tasks", "outside"),
        GYMNASIUM + VARIANTS.rstrip(),
    ]
    described = describe()
    for name in envs.names():
        description = described[name]
        lines += ["", f"**{name}**: {description}", ""]
        for variant, changes, definition in variants(name):
            bold = f"**`{variant}`**" if changes == "the default" else f"`{variant}`: {changes}"
            remark = f" ({definition.remark})" if definition.remark else ""
            lines.append(f"* {bold}{remark}. {definition.source.markdown()}")
    return "\n".join(lines) + "\n\n"


def mean_return(env: envs.TaskEnv, act: Callable[[], np.ndarray]) -> tuple[float, float]:
    """Mean over tasks of the undiscounted return, and its standard error."""
    env.reset(seed=0)
    total, ended = np.zeros(env.num_envs), np.zeros(env.num_envs, bool)
    while not ended.all():
        _, reward, terminated, truncated, _ = env.step(act())
        total += reward
        ended = terminated | truncated
    per_task = total.reshape(env.num_tasks, env.lanes_per_task).mean(axis=1)
    return per_task.mean(), per_task.std(ddof=1) / np.sqrt(env.num_tasks)


def levels() -> str:
    """What doing anything, doing nothing, and knowing the task are worth, measured now."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("mujoco", "gymnasium", "numpy"))
    lines = [
        LEVELS,
        f"Mean return of an episode over {LANES[0]} training tasks × {LANES[1]} episodes (± standard error over",
        f"tasks), default variants; Python {platform.python_version()}, {versions}.",
        "",
        "| environment | uniformly random actions | action 0 | knowing the task |",
        "|---|---|---|---|",
    ]
    for name in envs.names():
        env = envs.make(name, *LANES)
        env.action_space.seed(0)
        random = mean_return(env, env.action_space.sample)
        nothing = mean_return(env, lambda env=env: np.zeros_like(env.action_space.sample()))
        best = env.informed_return(env.tasks)
        oracle = "–" if best is None else f"{best.mean():.2f}"
        lines.append(
            f"| `{name}` | {random[0]:.1f} ± {random[1]:.1f} | {nothing[0]:.1f} ± {nothing[1]:.1f} | {oracle} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write it."""
    (ROOT / "docs" / "environments.md").write_text(definitions() + levels())


if __name__ == "__main__":
    main()
