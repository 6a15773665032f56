"""TaskEnv: a vector environment whose lanes are copies of N tasks; the contract that every family fulfils.

It is a `gymnasium.vector.VectorEnv` without autoreset: lane `task * lanes_per_task + copy` plays that task
until its episode ends, then stands still until it is reset. Randomness has one generator per task, so that a
task's numbers never depend on the other tasks; and whatever is not finite is named where it arises.

Letters: N tasks, E lanes per task, O observation, A action; num_envs = N * E.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.contract.config import resolve
from envs.contract.definition import Definition, NoConfig, Outcome, Summary, joined
from envs.contract.errors import InputError, nearest
from envs.contract.guards import checked_actions, require_finite, reset_mask
from envs.contract.seeding import RUN_LANES, SAMPLE_TASKS, Seeds, generators, require_counts
from envs.contract.splits import make_splits, overlap
from envs.contract.tasks import TaskDistribution, Tasks

__all__ = ["Definition", "NoConfig", "Outcome", "TaskEnv"]


class TaskEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N tasks with E lanes each.

    A family is a subclass that overrides some of these, and no constructor: `Family(num_tasks, lanes_per_task,
    config=None, *, threads=0)` makes one.

        define(options)          must be    once, first
        build()                             once, then: spaces are known, tasks are not
        prepare_tasks(tasks)                at every `set_tasks`, of all tasks; at first with tasks drawn from seed 0
        apply_tasks(lanes)                  at a reset, before `reset_lanes`, where a lane's task is a new one
        reset_lanes(mask)        must be    at every reset
        advance(actions, live)   must be    at every step
        observe()                must be    after every reset and step; where `observation_size` is open, once before
        render_lane(lane)                   for a picture
        informed_return(tasks)              by evaluation, to say how good a return is
        informed_action()                   by `metarl collect-data`, to say what had been best
        summary()                           by the tables of environments

    They find each lane's task in `lane_tasks`, and draw what is random through `tasks_to_reset`.
    """

    Config: ClassVar[type[Any]] = NoConfig
    """The family's options: a frozen dataclass."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The family's published definitions: name -> field of Config -> value; registered ones are each a `Variant`."""
    defines: ClassVar[type[Any]] = Definition
    """What `define` says, by name."""
    events: ClassVar[tuple[str, ...]] = ()
    """Diagnostics that happen or not, as a fall does: of an episode they say whether it ever did; others are means."""
    native_steps: ClassVar[bool] = False
    """Whether most of a step's time is spent outside Python, so that another thread gets on meanwhile."""
    config: Any
    """The options of this environment, with a value each."""
    horizon: int
    """Steps after which an episode is truncated."""
    splits: dict[str, TaskDistribution]
    """What tasks are drawn from: "train"; "test", held out where the family or its config holds tasks out (`unseen`
    tells); and, where the family has them, "outside": tasks beyond the training range."""
    lane_tasks: Tasks
    """The task parameters that each lane plays with, [num_envs, ...]: its task's at its last reset."""
    rngs: list[np.random.Generator]
    """One generator per task, for what is random in its resets and steps."""

    def __init__(
        self, num_tasks: int, lanes_per_task: int, config: Any = None, *, threads: int = 0, **given: Any
    ) -> None:
        """Build the lanes.

        Args:
            config: a `Config`; its open options are filled from its variant.
            threads: of the simulation, 0 for one per CPU; of no use to a family that does not simulate.
            given: fields of `Definition`, which count instead of what `define` says.

        Raises: InputError on a number of tasks, lanes or steps below 1, on an impossible option, and where tasks cannot
        be held out.
        """
        require_counts(num_tasks=num_tasks, lanes_per_task=lanes_per_task)
        self.num_tasks, self.lanes_per_task, self.num_envs = num_tasks, lanes_per_task, num_tasks * lanes_per_task
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        config = self.Config() if config is None else config
        self.config = resolve(config, self.variants) if self.variants else config
        definition = self.assemble(self.defines(**{**self.define(self.config), **given}), threads)
        self.horizon = self.config.horizon if definition.horizon is None else definition.horizon
        require_counts(horizon=self.horizon)
        self.splits = make_splits(self.config, definition)
        self.single_action_space = definition.action_space
        self.action_space = batch_space(definition.action_space, self.num_envs)
        self.build()

        self.rngs = []
        self._observation: np.ndarray | None = None  # [num_envs, O]; None before the first reset
        self._steps = np.zeros(self.num_envs, np.int64)
        self._terminated, self._truncated, self._diverged = np.zeros((3, self.num_envs), bool)
        self.set_tasks(self.sample_tasks(0))
        self.lane_tasks = self._per_lane(self._tasks)
        self.observation_size = definition.observation_size or np.shape(self.perceive(self._terminated))[1]
        self.single_observation_space = Box(-np.inf, np.inf, (self.observation_size,), np.float64)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    # Tasks

    def sample_tasks(self, seeds: Seeds, num_tasks: int | None = None, split: str = "train") -> Tasks:
        """Draw `num_tasks` tasks (default N) from one seed, or one from each seed; `[num_tasks, ...]` each.

        Raises: InputError on a seed below 0 or not whole, on another number of seeds than `num_tasks`, and on a split
        that the family does not have.
        """
        if split not in self.splits:
            raise InputError(f"there is no split '{split}' here" + nearest(split, self.splits))
        if num_tasks is None:
            num_tasks = len(seeds) if isinstance(seeds, Sequence | np.ndarray) else self.num_tasks
        require_counts(num_tasks=num_tasks)
        return self.splits[split].sample(generators(seeds, num_tasks, SAMPLE_TASKS))

    def unseen(self, split: str) -> bool:
        """Whether no task of the split is one that training draws."""
        return not overlap(self.splits["train"], self.splits[split])

    def set_tasks(self, tasks: Mapping[str, Any]) -> None:
        """Give the N tasks their parameters, `[N, ...]` each; a lane takes its task's at its next reset.

        Raises: InputError on an unknown, missing or impossible parameter; the tasks then stay as they were.
        """
        checked = self.splits["train"].check(tasks, self.num_tasks)
        self.prepare_tasks(checked)
        self._tasks = checked
        self._stale = np.ones(self.num_envs, bool)  # lanes that still play with earlier parameters

    @property
    def tasks(self) -> Tasks:
        """Copies of the parameters last set, `[N, ...]` each; at first, tasks drawn from seed 0."""
        return {name: values.copy() for name, values in self._tasks.items()}

    # Gymnasium's vector interface

    def reset(
        self, *, seed: Seeds | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every lane, or only in those of `options["reset_mask"]` (bool `[num_envs]`).

        Args:
            seed: one for all tasks, or one per task; it restarts the generators of the tasks that have a lane to reset.
                None lets them run on, and takes the first ones from the operating system.
            options: nothing but `reset_mask`. The other lanes keep going, and their observation stands.

        Returns: observations `[num_envs, O]`, float64, and `{"diverged": bool [num_envs]}`.

        Raises: InputError on an impossible seed or option; ResetNeeded if the first reset leaves lanes out;
        NonFiniteError on a non-finite observation.
        """
        mask = reset_mask(options or {}, self.num_envs)
        if self._observation is None and not mask.all():
            raise ResetNeeded("the first reset leaves lanes out — call reset() without reset_mask first")
        self._seed(seed, mask)
        changed = mask & self._stale
        if changed.any():
            for name, values in self._per_lane(self._tasks).items():
                self.lane_tasks[name][changed] = values[changed]
            self.apply_tasks(changed)
            self._stale[changed] = False
        self.reset_lanes(mask)
        for state in (self._steps, self._terminated, self._truncated, self._diverged):
            state[mask] = 0
        self._observation = self._observe(~mask)
        return self._observation.copy(), {"diverged": self._diverged.copy()}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every live lane. A lane whose episode has ended stands still: reward 0, the same flags.

        Args:
            actions: `[num_envs, A]`, or whole numbers `[num_envs]` where actions are discrete.

        Returns: observations `[num_envs, O]`; rewards, terminated and truncated, `[num_envs]` each, a lane never being
        both; info with the family's diagnostics and `diverged`, bool, `[num_envs]` each: the simulation broke, which
        truncates the lane at its last good observation with reward 0. All arrays are the caller's to keep.

        Raises: ResetNeeded before the first reset; InputError on actions of another shape or kind;
        NonFiniteError on a non-finite action, observation or reward of a live lane.
        """
        if self._observation is None:
            raise ResetNeeded("step() before reset() — call reset() first")
        live = ~(self._terminated | self._truncated)
        actions = checked_actions(actions, self.single_action_space, self.action_space.shape, live)
        self._require_finite("action", actions)
        outcome = self.advance(actions, live)
        diverged = live & outcome.diverged
        counted = live & ~diverged
        reward = np.where(counted, outcome.reward, 0.0)
        self._require_finite("reward", reward)
        self._observation = self._observe(~counted)

        self._steps += live
        self._diverged |= diverged
        self._terminated |= counted & outcome.terminated
        ends = diverged | (self._steps >= self.horizon) | outcome.truncated
        self._truncated |= live & ~self._terminated & ends
        info = {name: np.where(counted, term, 0.0) for name, term in outcome.terms.items()}
        info["diverged"] = self._diverged.copy()
        return self._observation.copy(), reward, self._terminated.copy(), self._truncated.copy(), info

    def render(self) -> tuple[np.ndarray, ...]:
        """A picture of each lane."""
        return tuple(map(self.render_lane, range(self.num_envs)))

    # Hooks of a family

    def define(self, options: Any) -> dict[str, Any]:
        """The fields of `Definition`, by name. `options` is a `Config`, complete where there are variants."""
        return {}

    def assemble(self, definition: Any, threads: int) -> Definition:
        """For families that simulate: start the simulation. Returns the definition, completed."""
        return definition

    def build(self) -> None:
        """Set up what the lanes keep."""

    def reset_lanes(self, mask: np.ndarray) -> None:
        """Put the lanes of `mask` (bool `[num_envs]`) into initial states, drawn through `tasks_to_reset`."""
        raise NotImplementedError

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        """Move the `live` lanes (bool `[num_envs]`) by one step; the actions are finite and of good shape."""
        raise NotImplementedError

    def observe(self) -> np.ndarray | Mapping[str, np.ndarray]:
        """What there is to see in every lane now, `[num_envs, O]`, or in parts by name."""
        raise NotImplementedError

    def perceive(self, told: np.ndarray) -> np.ndarray:
        """For families that simulate: what lanes of `told` (bool `[num_envs]`) are told of it, `[num_envs, O]`."""
        return joined(self.observe())

    def informed_return(self, tasks: Tasks) -> np.ndarray | None:
        """The best return of an episode for who knows the task, `[N]`; None where nobody has worked it out."""
        return None

    def informed_action(self) -> np.ndarray | None:
        """What who knows the task does now, in every lane, to earn that; None where nobody has worked it out."""
        return None

    def summary(self) -> Summary:
        """What a step pays and what ends an episode, in words: see `states`."""
        return Summary("", "never")

    def render_lane(self, lane: int = 0) -> np.ndarray:
        """A picture of a lane, uint8 `[height, width, 3]`; of a family in the plane, which has `position`
        `[num_envs, 2]`, also with `paths`, lines `[points, 2]` by name."""
        raise NotImplementedError

    def prepare_tasks(self, tasks: Tasks) -> None:
        """Refuse (InputError) what the laws let pass but is impossible; keep what `apply_tasks` needs."""

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Fit `lanes` (bool `[num_envs]`), which are about to be reset, to the tasks last prepared."""

    def tasks_to_reset(self, mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.random.Generator]]:
        """For each task with lanes in `mask`: these lanes, which of its E copies they are, and its generator. Draw for
        all copies, then select: `state[lanes] = rng.normal(size=(E, ...))[copies]`."""
        for task, copies in enumerate(mask.reshape(self.num_tasks, self.lanes_per_task)):
            if copies.any():
                yield task * self.lanes_per_task + np.flatnonzero(copies), copies, self.rngs[task]

    # Between the caller and the hooks

    def _per_lane(self, tasks: Tasks) -> Tasks:
        return {name: np.repeat(values, self.lanes_per_task, axis=0) for name, values in tasks.items()}

    def _seed(self, seed: Seeds | None, mask: np.ndarray) -> None:
        if seed is None and self.rngs:
            return
        seed = secrets.randbits(64) if seed is None else seed
        touched = np.unique(np.flatnonzero(mask) // self.lanes_per_task).tolist()
        fresh = dict(zip(touched, generators(seed, self.num_tasks, RUN_LANES, touched), strict=True))
        self.rngs = [fresh[task] if task in fresh else self.rngs[task] for task in range(self.num_tasks)]

    def _observe(self, standing: np.ndarray) -> np.ndarray:
        """A fresh, checked observation of all lanes; the last one where the lane stands still."""
        observation = np.array(self.perceive(~standing), np.float64)
        announced = (self.num_envs, self.observation_size)
        if observation.shape != announced:
            raise InputError(f"observe() gives shape {observation.shape} — it was announced as {announced}")
        if self._observation is not None:
            observation[standing] = self._observation[standing]
        self._require_finite("observation", observation)
        return observation

    def _require_finite(self, quantity: str, values: np.ndarray) -> None:
        require_finite(quantity, values, self._steps, self.lanes_per_task)
