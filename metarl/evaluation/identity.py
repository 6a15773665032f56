"""Which evaluation of a run is which, and where it lies: `RUN/evaluations/IDENTITY/evaluation.json`.

A run is evaluated many times: on other tasks, with other seeds, at other iterations. Each keeps its place, and whoever
wants one asks for it. `RUN/evaluation.json` is the newest of those that a reader takes for the run's: on test tasks,
with sampled actions. Runs from before evaluations had places of their own have only that one.

Nothing here imports torch.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from metarl.runtime.files import read_json

FOLDER, FILE = "evaluations", "evaluation.json"
RENAMED = {"oracle": "informed", "rounds": "adaptations"}
"""What records of former days call what they hold, and what it is called now."""


class EvaluationIdentity(NamedTuple):
    """What makes an evaluation the one it is; two of one identity have the same numbers."""

    split: str
    """Where its tasks come from: "train", "validation", "test" or "outside"."""
    seed: int
    tasks: int
    adaptations: int
    """K; gradient steps of labelled data."""
    iteration: int
    """Of the checkpoint."""
    deterministic: bool = False
    """Whether the likeliest actions were taken instead of sampled ones."""
    shots: int = 0
    """Of labelled data, where they are not those of training."""

    @property
    def name(self) -> str:
        """Its folder's, e.g. `test-seed-0-tasks-40-adaptations-3-iteration-60`."""
        words = [self.split]
        words += [f"{name}-{getattr(self, name)}" for name in ("seed", "tasks", "adaptations", "iteration")]
        words += ["deterministic"] * self.deterministic + [f"shots-{self.shots}"] * bool(self.shots)
        return "-".join(words)

    @property
    def is_of_test_tasks(self) -> bool:
        """Whether it is what is meant by a run's evaluation: on test tasks, with sampled actions, as many shots."""
        return self.split == "test" and not self.deterministic and not self.shots


def identity_of(record: dict[str, Any]) -> EvaluationIdentity:
    """The identity of a record as `metarl evaluate` writes it.

    Older ones lack a seed, and are taken for those of the default, 0.

    Raises:
        ValueError: it is no such record.
    """
    curve = record.get("returns") or record.get("loss")
    mean = curve.get("mean") if isinstance(curve, dict) else None
    if not isinstance(mean, list) or not mean:
        raise ValueError("there is no curve in it")
    split, deterministic = record.get("split", "test"), record.get("deterministic", False)
    numbers = [record.get("seed", 0), record.get("tasks"), len(mean) - 1, record.get("iteration")]
    numbers.append(record.get("shots", 0))
    is_named = isinstance(split, str) and re.fullmatch(r"[\w.-]{1,40}", split, re.ASCII)  # it is a part of a path
    if not is_named or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise ValueError("it does not say of what it is")
    seed, tasks, adaptations, iteration, shots = numbers
    return EvaluationIdentity(split, seed, tasks, adaptations, iteration, bool(deterministic), shots)


def places_of(run: Path, identity: EvaluationIdentity) -> list[Path]:
    """The folders that an evaluation of a run is written to: its own, and the run's where it is the run's newest."""
    own = run / FOLDER / identity.name
    former = own.with_name(own.name.replace("-adaptations-", "-rounds-"))
    return [former if former.is_dir() else own, *([run] if identity.is_of_test_tasks else [])]


def read_evaluations(run: Path) -> tuple[dict[EvaluationIdentity, dict[str, Any]], list[str]]:
    """All evaluations of the run at `run`, by the names of today, and a line about each file that is none."""
    found: dict[EvaluationIdentity, dict[str, Any]] = {}
    broken = []
    for path in (run / FILE, *sorted((run / FOLDER).glob(f"*/{FILE}"))):
        try:
            if not path.is_file():
                continue
            record = read_json(path)
            if not isinstance(record, dict):
                raise ValueError("it is no table")
            record = {RENAMED.get(name, name): value for name, value in record.items()}
            found[identity_of(record)] = record
        except (OSError, ValueError) as error:
            broken.append(f"{path.relative_to(run)} cannot be read ({error})")
    return found, broken


def best_known(
    identities: Iterable[EvaluationIdentity], iteration: int, tasks: int | None = None, adaptations: int | None = None
) -> EvaluationIdentity | None:
    """Of the evaluations on test tasks that one which says most: at this iteration, of seed 0, of most tasks.

    Args:
        iteration: where it must be from.
        tasks: how many it must have, if that matters.
        adaptations: likewise.
    """
    fitting = [
        each
        for each in identities
        if each.is_of_test_tasks
        and each.iteration == iteration
        and tasks in (None, each.tasks)
        and adaptations in (None, each.adaptations)
    ]
    return max(fitting, key=lambda each: (-each.seed, each.tasks, each.adaptations), default=None)
