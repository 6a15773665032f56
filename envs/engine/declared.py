"""The laws of task parameters that are declared beside a distribution: of dynamics, disturbances, changes."""

import copy
from collections.abc import Callable, Collection, Mapping

from envs.contract.errors import InputError, require_known
from envs.contract.tasks import Law, TaskDistribution, TaskList
from envs.engine.disturbances import Disturbances
from envs.engine.dynamics import Dynamics
from envs.engine.schedule import THEN, Schedule

Fit = Callable[[str, Law], Law]
"""Fits a law to the shape of its parameter, or refuses it (InputError)."""


def all_laws(
    dynamics: Dynamics, disturbances: Disturbances, schedule: Schedule, others: Collection[str]
) -> tuple[dict[str, Law], Fit]:
    """All declared laws, and what fits them to their parameters.

    Raises: InputError on a name that is declared twice, and on a change of a parameter that is neither declared nor of
    the `others`.
    """
    for name in dynamics.laws.keys() & disturbances.laws.keys():
        raise InputError(f"'{name}' is declared among dynamics and disturbances — give one another name")
    laws = dynamics.laws | disturbances.laws
    laws |= schedule.laws([*others, *laws])
    then = {name + THEN: name for name in schedule.changes}
    return laws, lambda parameter, law: dynamics.fit(then.get(parameter, parameter), law)


def with_laws(distribution: TaskDistribution, laws: Mapping[str, Law], fit: Fit) -> TaskDistribution:
    """The distribution with the declared laws added; a law that it names itself stands instead of theirs.

    Raises: InputError on a law that does not fit, and on a list of tasks that lacks a declared parameter.
    """
    require_whole(distribution, laws)
    completed = copy.copy(distribution)
    for name, law in laws.items():
        completed[name] = fit(name, distribution.get(name, law))
    return completed


def complete(
    distribution: TaskDistribution | None, train: TaskDistribution, laws: Mapping[str, Law], fit: Fit
) -> TaskDistribution | None:
    """The distribution of another split, in which parameters that it does not name follow the training law.

    Raises: InputError on a parameter that training tasks lack, and on a list that lacks one of theirs.
    """
    if distribution is None:
        return None
    require_known("a split has the unknown task parameter", distribution, train)
    require_whole(distribution, train)
    completed = copy.copy(distribution)
    completed.update({name: law for name, law in train.items() if name not in distribution})
    return with_laws(completed, laws, fit)


def require_whole(distribution: TaskDistribution, names: Collection[str]) -> None:
    """Refuse a list of tasks without a parameter: its rows belong together, so that none can be drawn apart."""
    lacking = [name for name in names if name not in distribution]
    if isinstance(distribution, TaskList) and lacking:
        raise InputError(f"a list of tasks lacks '{lacking[0]}' — list it too, one row per task")
