"""Tasks that change in mid-episode: from a step on, or at a hazard, a parameter is another.

    changes={"motors": Becomes(Uniform(0.0, 0.3), at=Uniform(50, 150))}

When and what are task parameters too, `motors_at` and `motors_then`; with `hazard=` in place of `at=`, `motors_hazard`
is the probability of the change in a step, which every lane draws for itself. Any parameter may change, of the dynamics
or of the reward; a lane is back at its task's own at its next reset. Letter: N tasks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from envs.contract.errors import InputError, require_known
from envs.contract.tasks import Law, Tasks

THEN, AT, HAZARD = "_then", "_at", "_hazard"


@dataclass(frozen=True)
class Becomes:
    """What a task parameter becomes in mid-episode, and when: give `at` or `hazard`."""

    law: Law
    """The distribution of what it becomes."""
    at: Law | None = None
    """Of the step before which it changes: 0 is the episode's first; a fraction waits for the next step."""
    hazard: Law | None = None
    """Of the probability that it changes before a step, in [0, 1]."""


class Schedule:
    """The declared changes."""

    def __init__(self, changes: Mapping[str, Becomes]) -> None:
        """Raises: InputError on a change with neither or both of its two times."""
        self.changes = dict(changes)
        for name, change in self.changes.items():
            if (change.at is None) == (change.hazard is None):
                raise InputError(f"the change of '{name}' needs a time — give it at=, or hazard=")

    def when(self, name: str) -> str:
        """The parameter that says when another one changes."""
        return name + (HAZARD if self.changes[name].at is None else AT)

    @property
    def hazardous(self) -> bool:
        """Whether any of them draws within an episode."""
        return any(change.hazard is not None for change in self.changes.values())

    def laws(self, known: Collection[str]) -> dict[str, Law]:
        """The laws of what parameters become and when.

        Raises: InputError on a change of a parameter that is not known.
        """
        require_known("there is a change of the unknown task parameter", self.changes, known)
        laws: dict[str, Law] = {}
        for name, change in self.changes.items():
            laws[name + THEN], laws[self.when(name)] = change.law, change.at or change.hazard  # type: ignore[assignment]
        return laws

    def after(self, tasks: Tasks) -> Tasks:
        """The tasks when all has changed.

        Raises: InputError on an impossible time.
        """
        for name in self.changes:
            when = self.when(name)
            high = 1.0 if when.endswith(HAZARD) else np.inf
            good = (tasks[when] >= 0) & (tasks[when] <= high)
            if not good.all():
                task, wanted = int(np.argmin(good)), "0 to 1" if high == 1.0 else "0 or above"
                raise InputError(f"task parameter '{when}' of task {task} is {tasks[when][task]} — give {wanted}")
        return tasks | {name: tasks[name + THEN] for name in self.changes}

    @staticmethod
    def around(changed: np.ndarray, reward: np.ndarray) -> dict[str, np.ndarray]:
        """Diagnostics: the reward of a step before anything has changed, and after; NaN in the others `[num_envs]`.

        Args:
            changed: which changes have happened where, bool `[changes, num_envs]`.
        """
        if not len(changed):
            return {}
        late = changed.any(axis=0)
        before, after = np.where(late, np.nan, reward), np.where(late, reward, np.nan)
        return {"reward_before_change": before, "reward_after_change": after}

    def due(self, name: str, tasks: Tasks, steps: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """In which lanes a parameter changes before step number `steps`, if it has not, bool `[num_envs]`.

        Args:
            chance: uniform in [0, 1), `[num_envs]`.
        """
        when = self.when(name)
        due: np.ndarray = chance < tasks[when] if when.endswith(HAZARD) else steps >= tasks[when]
        return due
