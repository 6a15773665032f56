"""Meta-World's suites: which tasks are met in training, and which are held out (ML) or none are (MT).

Of ML25 the release trains on `basketball-v3` and tests on it too; here it is a training task alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from envs.contract.config import option
from envs.contract.definition import states
from envs.contract.mixed import Member, Mixed
from envs.families.metaworld.environment import SECONDS, TASKS, MetaWorld, MetaWorldConfig, ends, variants_of

MT10 = (
    "reach", "push", "pick-place", "door-open", "drawer-open", "drawer-close", "button-press-topdown",
    "peg-insert-side", "window-open", "window-close",
)  # fmt: skip
ML10 = (
    "reach", "push", "pick-place", "door-open", "drawer-close", "button-press-topdown", "peg-insert-side",
    "window-open", "sweep", "basketball",
)  # fmt: skip
ML10_TEST = ("drawer-open", "door-close", "shelf-place", "sweep-into", "lever-pull")
ML25 = (
    *MT10, "coffee-pull", "pick-out-of-hole", "disassemble", "pick-place-wall", "basketball", "stick-pull",
    "button-press-wall", "faucet-open", "door-lock", "lever-pull", "sweep-into", "faucet-close", "coffee-button",
    "button-press-topdown-wall", "dial-turn",
)  # fmt: skip
ML25_TEST = ("door-close", "shelf-place", "sweep", "button-press")
ML45_TEST = ("bin-picking", "box-close", "hand-insert", "door-lock", "door-unlock")
MT50 = tuple(sorted(name.removesuffix("-v3") for name in TASKS))
ML45 = tuple(name for name in MT50 if name not in ML45_TEST)


@dataclass(frozen=True)
class SuiteConfig:
    """The options of a suite; what is None comes from the variant."""

    variant: str = "metarl"
    """Published definition that fills every option left open."""
    horizon: int | None = option(above=0)
    """Steps in an episode."""
    goals: int | None = option(above=0)
    """Goals of each task in training, and others in tests."""
    goal_shown: bool | None = None
    """Whether the observation ends with the goal instead of zeros."""
    reward: Literal["v1", "v2"] | None = None
    """The version of the reward: of 2019, or of today."""
    ends_at_success: bool | None = option(unsaid=False)
    """Whether an episode ends where it succeeds, which changes no rate of success."""


SAME = ("horizon", "goal_shown", "reward", "ends_at_success")
"""What all tasks of a suite have alike."""


def suite(name: str, train: Sequence[str], test: Sequence[str] = (), goal_shown: bool = False) -> type[Mixed]:
    """An environment of training tasks and others to test on; without these, tests have other goals."""

    class Suite(Mixed):
        """Task parameters: `family`, the number of a task of Meta-World, and its `places`."""

        Config, variants = SuiteConfig, variants_of(goals=50, goal_shown=goal_shown)
        native_steps, events, dt = True, ("success",), SECONDS
        summary = states("its task's own, version {reward}", ends)

        def mixture(self, options: Any) -> dict[str, list[Member]]:
            goals = {"train_tasks": options.goals, "test_tasks": options.goals}
            same = {name: getattr(options, name) for name in SAME}

            def members(names: Sequence[str]) -> list[Member]:
                configs = [MetaWorldConfig(task=f"{name}-v3", **goals, **same) for name in names]
                return [Member(name, MetaWorld, config) for name, config in zip(names, configs, strict=True)]

            return {"train": members(train)} | ({"test": members(test)} if test else {})

    Suite.__name__ = Suite.__qualname__ = name
    return Suite


MetaWorldML10 = suite("MetaWorldML10", ML10, ML10_TEST)
MetaWorldML25 = suite("MetaWorldML25", ML25, ML25_TEST)
MetaWorldML45 = suite("MetaWorldML45", ML45, ML45_TEST)
MetaWorldMT10 = suite("MetaWorldMT10", MT10, goal_shown=True)
MetaWorldMT50 = suite("MetaWorldMT50", MT50, goal_shown=True)
