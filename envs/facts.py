"""What there is to know of the registered environments: for `metarl list` and `docs/environments.md` alike."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gymnasium.spaces import Box, Discrete

from envs.contract.base import TaskEnv
from envs.contract.config import resolve
from envs.contract.sources import Variant
from envs.contract.tasks import TaskList
from envs.registry import environment_class, make, names


def paid(env: Any) -> dict[str, str]:
    """What steps of an environment pay, what ends an episode, and how long steps and episodes are."""
    summary, seconds = env.summary(), getattr(env, "dt", None)
    return {
        "a step pays": summary.reward,
        "terminates": summary.termination,
        "control": f"{1 / seconds:.3g} Hz" if seconds else "–",
        "steps": str(env.horizon),
    }


def paid_by_default(name: str) -> dict[str, str]:
    """The same of a registered name in its default variant: where it needs a package, which may be missing, as its
    class says."""
    if name in names():
        return paid(make(name, 1, 1, threads=1))
    family: Any = environment_class(name)
    env = family.__new__(family)
    env.config = resolve(family.Config(), family.variants)
    env.horizon = env.config.horizon
    return paid(env)


def facts(name: str) -> dict[str, str]:
    """Of a registered name, in its default variant: the columns of the tables, by their titles."""
    env = make(name, 1, 1, threads=1)
    space = env.single_action_space
    if isinstance(space, Discrete):
        action = f"one of {space.n}"
    else:
        assert isinstance(space, Box)
        action = f"{space.shape[0]} in ±{space.high[0]:g}"
    return {
        **paid(env),
        "knowing the task": worth(name),
        "observation": str(env.observation_size),
        "action": action,
        "training tasks": _laws(env, "train"),
        "test tasks": _laws(env, "test") or "as in training",
        "outside": _laws(env, "outside") or "–",
    }


@cache
def levels() -> dict[str, dict[str, float]]:
    """Mean returns of an episode by environment, as far as they are known: of `random` actions, of a policy that is
    `untold` the task, and of one that is `told`; trained alike (the suite `reference`, written by
    `scripts/show_results.py`).
    """
    known: dict[str, dict[str, float]] = json.loads(Path(__file__).with_name("worth.json").read_text())
    return known


def worth(name: str) -> str:
    """What an episode earns untold the task, and told, where that is known."""
    known = levels().get(name)
    return f"{known['untold']:g} → {known['told']:g}" if known else "–"


def variants(name: str) -> Iterator[tuple[str, str, Variant]]:
    """Of a registered name: each variant's name, what it changes of the default, and the variant itself."""
    family = environment_class(name)
    default = make(name, 1, 1, threads=1).config
    for variant, definition in family.variants.items():
        fields = vars(make(name, 1, 1, threads=1, variant=variant).config).items()
        changed = {field: value for field, value in fields if value != getattr(default, field)}
        is_default = changed.pop("variant", default.variant) == default.variant
        changes = ", ".join(f"{field} {value}" for field, value in changed.items()) or "the same"
        assert isinstance(definition, Variant), f"{name}/{variant} has no source"
        yield variant, "the default" if is_default else changes, definition


def _laws(env: TaskEnv, split: str) -> str:
    """The laws of a split; nothing where it has none of its own."""
    law = env.splits.get(split)
    if law is None or (split != "train" and law == env.splits["train"]):
        return ""
    listed = f"{law.count} tasks of: " if isinstance(law, TaskList) else ""
    return listed + "; ".join(f"`{name}` {values}" for name, values in law.items())
