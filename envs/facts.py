"""What there is to know of the registered environments: for `metarl list` and `docs/environments.md` alike."""

from collections.abc import Iterator
from typing import NamedTuple

from gymnasium.spaces import Box, Discrete

from envs.contract.base import TaskEnv
from envs.contract.sources import Variant
from envs.contract.tasks import TaskList
from envs.registry import environment_class, gymnasium_id, make


class Facts(NamedTuple):
    """A family in its default variant, in words."""

    gymnasium_id: str
    """For `gymnasium.make`."""
    reward: str
    """Of a step."""
    termination: str
    """What ends an episode before the horizon."""
    rate: str
    """Of control: steps in a second."""
    horizon: int
    """Steps of an episode."""
    observation: int
    """Numbers that are seen."""
    action: str
    """What is done."""
    training: str
    """Laws of the training tasks."""
    test: str
    """Laws of the test tasks."""
    outside: str
    """Laws of tasks beyond the training range."""


def facts(name: str) -> Facts:
    """Of a registered name."""
    env = make(name, 1, 1, threads=1)
    summary, seconds = env.summary(), getattr(env, "dt", None)
    return Facts(
        gymnasium_id(name),
        summary.reward,
        summary.termination,
        f"{1 / seconds:.3g} Hz" if seconds else "–",
        env.horizon,
        env.observation_size,
        _action(env),
        *(_laws(env, split) for split in ("train", "test", "outside")),
    )


def variants(name: str) -> Iterator[tuple[str, str, Variant]]:
    """Of a registered name, the default first: name, what it changes of the default, and the variant itself."""
    family = environment_class(name)
    default = make(name, 1, 1, threads=1).config
    for variant, values in family.variants.items():
        config = make(name, 1, 1, threads=1, variant=variant).config
        fields = vars(config).items()
        changed = [f"{field} {value}" for field, value in fields if value != getattr(default, field)]
        changes = ", ".join(change for change in changed if not change.startswith("variant ")) or "the same"
        assert isinstance(values, Variant), f"{name}/{variant} has no source"
        yield variant, "the default" if variant == default.variant else changes, values


def _action(env: TaskEnv) -> str:
    space = env.single_action_space
    if isinstance(space, Discrete):
        return f"one of {space.n}"
    assert isinstance(space, Box)
    return f"{space.shape[0]} in ±{space.high[0]:g}"


def _laws(env: TaskEnv, split: str) -> str:
    """The laws of a split, where it has its own."""
    law = env.splits.get(split)
    if split != "train" and law in (None, env.splits["train"]):
        return "as in training" if split == "test" else "–"
    assert law is not None
    listed = f"{law.count} tasks of: " if isinstance(law, TaskList) else ""
    return listed + "; ".join(f"`{name}` {values}" for name, values in law.items())
