"""Write what the registry says of every environment into docs/environments.md.

python scripts/list_environments.py
"""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import gymnasium
import numpy as np

import envs
from envs.registry import describe, environment_class, gymnasium_id

ROOT = Path(__file__).parents[1]
LEVELS = "## Levels\n"
LANES = (40, 5)  # tasks, episodes of each, that a level is the mean of


def cell(text: object) -> str:
    """What may stand in a table."""
    return str(text).replace("|", "\\|")


def laws(env: envs.TaskEnv, split: str) -> str:
    """The laws of a split, where it has its own."""
    if split != "train" and env.splits.get(split) in (None, env.splits["train"]):
        return "as in training" if split == "test" else "–"
    listed = f"{env.splits[split].count} tasks of: " if isinstance(env.splits[split], envs.TaskList) else ""
    return listed + "; ".join(f"`{name}` {law}" for name, law in env.splits[split].items())


def action(env: envs.TaskEnv) -> str:
    """The action space in a few words."""
    space = env.single_action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        return f"one of {space.n}"
    return f"{space.shape[0]} in ±{space.high[0]:g}"


def definitions() -> str:
    """The main table, and the variants by what they change."""
    lines = [
        "# Environments",
        "",
        "Written by `scripts/list_environments.py` from the registry. Where nothing else is said, a row is the default",
        "variant. `U(a, b)` is the uniform law, `b^U(…)` one of exponents; an observation is a vector of float64.",
        "Each is also a plain `gymnasium.Env`:",
        '`gymnasium.make("envs:metarl/HalfCheetahVel-v0", task={"velocity": 1.0})`.',
        "",
        "| environment | `gymnasium.make` | training tasks | test tasks | outside | observation | action | horizon |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in envs.names():
        env = envs.make(name, 1, 1)
        facts = [f"`{name}`", f"`{gymnasium_id(name)}`", *(laws(env, split) for split in ("train", "test", "outside"))]
        facts += [env.observation_size, action(env), env.horizon]
        lines.append("| " + " | ".join(map(cell, facts)) + " |")
    lines += ["", "## Variants", "", "By what they change of the default variant (in bold)."]
    for name, description in describe().items():
        default = envs.make(name, 1, 1).config
        lines += ["", f"**{name}**: {description}", ""]
        for variant in envs.make(name, 1, 1).variants:
            if variant == default.variant:
                lines.append(f"* **`{variant}`**")
                continue
            config = envs.make(name, 1, 1, variant=variant).config
            changed = [
                f"{field} {value}"
                for field, value in vars(config).items()
                if field != "variant" and value != getattr(default, field)
            ]
            remark = environment_class(name).remarks.get(variant, "")
            lines.append(f"* `{variant}`: {', '.join(changed) or 'the same'}" + (f" ({remark})" if remark else ""))
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
