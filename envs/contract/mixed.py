"""Mixed: families of equal spaces in one environment, so that tasks of different models are met side by side.

    class Errands(Mixed):
        def mixture(self, options):
            return {"train": [Member("fetch", Fetch, FetchConfig()), Member("carry", Carry, CarryConfig())],
                    "test": [Member("pour", Pour, PourConfig())]}

A task of it is a family's number and that family's own parameters; those of the others are 0. Tasks of one family lie
together in an environment of that family, one `Batch` where it simulates.

Letters: N tasks, E lanes per task; num_envs = N * E.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from envs.contract.base import TaskEnv
from envs.contract.definition import Definition, Outcome
from envs.contract.errors import InputError
from envs.contract.tasks import Choice, Law, TaskDistribution, Tasks, check_numbers

FAMILY = "family"
"""The task parameter that says whose task it is."""


class Member(NamedTuple):
    """A family, with its options."""

    name: str
    family: type[TaskEnv]
    config: Any = None


class Group(NamedTuple):
    """Tasks of one family, in an environment of their own."""

    member: int
    env: TaskEnv
    tasks: np.ndarray
    """Their numbers, `[n]`."""
    lanes: np.ndarray
    """Their lanes, `[n * E]`."""
    played: np.ndarray
    """Which of these lanes play here, bool `[n * E]`: others still finish an episode of an earlier task."""


@dataclass(frozen=True)
class Anything:
    """A parameter's law in a mixture: its shape, as what it may be depends on the family."""

    shape: tuple[int, ...]

    def __str__(self) -> str:
        return "as its family has it"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """0: another family's."""
        return np.zeros(self.shape)

    check = check_numbers


class Mixture(TaskDistribution):
    """Each family as likely as the others; then a task of its own law."""

    def __init__(self, laws: Mapping[int, TaskDistribution], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """`laws` by the number of their family; `shapes` of the parameters that any family of the environment has."""
        parameters: dict[str, Law] = {name: Anything(shape) for name, shape in shapes.items()}
        super().__init__({FAMILY: Choice(tuple(laws)), **parameters})
        self.laws = laws

    def sample(self, rngs: Sequence[np.random.Generator]) -> Tasks:
        """One task from each generator: every parameter `[N, ...]`."""
        drawn = [self._draw(rng) for rng in rngs]
        return {name: np.stack([task[name] for task in drawn]) for name in self}

    def members(self) -> Tasks | None:
        """Every task that there is, `[count, ...]` each, where those of all families can be counted."""
        listed = {number: law.members() for number, law in self.laws.items()}
        known = {number: tasks for number, tasks in listed.items() if tasks is not None}
        if len(known) < len(listed):
            return None
        rows = [self._padded(number, tasks) for number, tasks in known.items()]
        return {name: np.concatenate([tasks[name] for tasks in rows]) for name in self}

    def _draw(self, rng: np.random.Generator) -> Tasks:
        number = int(self[FAMILY].draw(rng))
        return {name: values[0] for name, values in self._padded(number, self.laws[number].sample([rng])).items()}

    def _padded(self, number: int, tasks: Tasks) -> Tasks:
        """A family's tasks as the mixture's: with its number, and 0 for what only others have."""
        count = len(next(iter(tasks.values())))
        zeros = {name: np.zeros((count, *law.shape)) for name, law in self.items() if isinstance(law, Anything)}
        return {FAMILY: np.full(count, number), **zeros, **tasks}


class Mixed(TaskEnv):
    """Tasks of several families; a subclass says in `mixture` which."""

    def mixture(self, options: Any) -> Mapping[str, Sequence[Member]]:
        """The families by split, "train" and maybe "test"; a split that has none shares those of training."""
        raise NotImplementedError

    def define(self, options: Any) -> dict[str, Any]:
        """Raises: InputError on families whose spaces or horizons differ."""
        mixture = self.mixture(options)
        self._members = list({member.name: member for members in mixture.values() for member in members}.values())
        numbers = {member.name: number for number, member in enumerate(self._members)}
        probes = [member.family(1, 1, member.config, threads=1) for member in self._members]
        first = probes[0]
        for member, probe in zip(self._members, probes, strict=True):
            for what in ("single_observation_space", "single_action_space", "horizon"):
                if getattr(probe, what) != getattr(first, what):
                    raise InputError(
                        f"'{member.name}' has another {what} than '{self._members[0].name}' — mix equal ones"
                    )
        self._shape = first.single_observation_space.shape or ()
        shapes = {name: values.shape[1:] for probe in probes for name, values in probe.tasks.items()}

        def law(split: str) -> Mixture:
            chosen = [numbers[member.name] for member in mixture.get(split, mixture["train"])]
            return Mixture({number: probes[number].splits[split] for number in chosen}, shapes)

        self._laws = [probe.splits["train"] for probe in probes]
        all_know = all(type(probe).informed_return is not TaskEnv.informed_return for probe in probes)
        self._knowing = probes if all_know else []
        return {
            "task_distribution": law("train"),
            "test_distribution": law("test") if "test" in mixture or first.unseen("test") else None,
            "action_space": first.single_action_space,
            "observation_size": first.observation_size,
            "horizon": first.horizon,
        }

    def assemble(self, definition: Any, threads: int) -> Definition:
        """Remember the threads: groups start their simulations when tasks are known."""
        self._threads = threads
        whole: Definition = definition
        return whole

    def build(self) -> None:
        self._groups: list[Group] = []
        self._current: list[Group] = []  # those of the tasks last set
        self._seen = np.zeros((self.num_envs, *self._shape))

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Raises: InputError on a number that is no family's, and on what its family refuses."""
        for number, rows in self._rows(tasks).items():
            if number not in range(len(self._members)):
                raise InputError(f"task parameter '{FAMILY}' is {number} — give 0 to {len(self._members) - 1}")
            self._laws[number].check(self._own(number, tasks, rows), len(rows))
        self._unmet = True

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Group the tasks by family, once for all lanes that come to them; these leave the groups they played in."""
        for group in self._groups:
            group.played[lanes[group.lanes]] = False
        if self._unmet:
            idle = {(group.member, len(group.tasks)): group.env for group in self._groups if not group.played.any()}
            self._current = [
                self._group(number, rows, idle.pop((number, len(rows)), None))
                for number, rows in self._rows(self._tasks).items()
            ]
            self._unmet = False
        for group in self._current:
            group.played[lanes[group.lanes]] = True
        older = (group for group in self._groups if not any(group is other for other in self._current))
        self._groups = [*(group for group in older if group.played.any()), *self._current]

    def _group(self, number: int, rows: np.ndarray, env: TaskEnv | None) -> Group:
        """A group of the tasks `rows`, of a family; `env`: one of its environments that is of use no more."""
        member, E = self._members[number], self.lanes_per_task
        env = env or member.family(len(rows), E, member.config, threads=self._threads)
        env.set_tasks(self._own(number, self._tasks, rows))
        env.reset(seed=0)  # a first reset is of all lanes; what it draws is drawn again
        lanes = (rows[:, None] * E + np.arange(E)).ravel()
        return Group(number, env, rows, lanes, np.zeros(len(lanes), bool))

    def reset_lanes(self, mask: np.ndarray) -> None:
        for group in self._groups:
            mine = mask[group.lanes] & group.played
            if mine.any():
                group.env.rngs = [self.rngs[task] for task in group.tasks]
                seen, _ = group.env.reset(options={"reset_mask": mine})
                self._seen[group.lanes[mine]] = seen[mine]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Step every group; what a family does not tell of is NaN in its lanes."""
        reward, terms = np.zeros(self.num_envs), dict[str, np.ndarray]()
        terminated, diverged, truncated = np.zeros((3, self.num_envs), bool)
        for group in self._groups:
            mine, lanes = group.played, group.lanes[group.played]
            seen, *said, info = group.env.step(actions[group.lanes])
            self._seen[lanes] = seen[mine]
            for whole, part in zip(
                (reward, terminated, truncated, diverged), (*said, info.pop("diverged")), strict=True
            ):
                whole[lanes] = part[mine]
            for name, part in info.items():
                terms.setdefault(name, np.full(self.num_envs, np.nan))[lanes] = part[mine]
        return Outcome(reward, terminated, diverged, terms, truncated)

    def observe(self) -> np.ndarray:
        return self._seen

    def parts(self) -> list[tuple[TaskEnv, np.ndarray]]:
        """The families' environments that play now, with the lanes of each."""
        return [(group.env, group.lanes) for group in self._groups]

    def render_lane(self, lane: int = 0) -> np.ndarray:
        """As the lane's family has it."""
        for group in self._groups:
            found = np.flatnonzero((group.lanes == lane) & group.played)
            if found.size:
                return group.env.render_lane(int(found[0]))
        raise InputError("there is nothing to draw before the first reset — call reset()")

    def informed_return(self, tasks: Tasks) -> np.ndarray | None:
        """Each family's own, where all have one."""
        values = np.zeros(len(tasks[FAMILY]))
        for number, rows in self._rows(tasks).items():
            known = self._knowing[number].informed_return(self._own(number, tasks, rows)) if self._knowing else None
            if known is None:
                return None
            values[rows] = known
        return values

    def close_extras(self, **kwargs: Any) -> None:
        """Close the families' environments."""
        for group in self._groups:
            group.env.close()

    def _own(self, number: int, tasks: Tasks, rows: np.ndarray) -> Tasks:
        return {name: tasks[name][rows] for name in self._laws[number]}

    @staticmethod
    def _rows(tasks: Tasks) -> dict[int, np.ndarray]:
        """The tasks' numbers by family."""
        return {int(number): np.flatnonzero(tasks[FAMILY] == number) for number in np.unique(tasks[FAMILY])}
