"""What lies between a robot and its policy: noise, bias, delay and loss, of what it senses and is told to do; pushes.

    disturbances={
        "gyro_noise": Noise("gyro", Uniform(0.0, 0.2)),
        "gyro_bias": Bias("gyro", Normal(0.0, 0.05, (3,))),
        "late": Delay("action", Choice((0, 1, 2))),
        "lost": PacketLoss("observation", Uniform(0.0, 0.1)),
        "pushes": Push("trunk", Uniform(0.0, 5.0), chance=0.02),
    }

Every entry is a task parameter by its own name, as of `dynamics`, and may change in mid-episode as they may. The parts
are those of an `observe` that returns them by name, `{"gyro": …, "joints": …}`; "observation" is all of it. What is
sensed is noisy first, then late or lost. Rewards see the truth. Draws have addresses: `envs/engine/streams.py`.
Letters: O observation, A action.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.contract.definition import joined
from envs.contract.errors import InputError, require_known
from envs.contract.tasks import Law, Tasks
from envs.engine import streams
from envs.engine.channels import Channel
from envs.engine.effects import moves
from envs.engine.elements import rows_by_name
from envs.engine.streams import Moment

OBSERVATION, ACTION = "observation", "action"
FIRST_PURPOSE = 1000  # those of the streams before it are of changes in mid-episode


@dataclass(frozen=True)
class Noise:
    """Normal noise on every number, drawn every step."""

    of: str
    """A part of the observation, "observation" or "action"."""
    law: Law
    """The distribution of its standard deviation, in the part's unit; one number, or one for each of the part's."""


@dataclass(frozen=True)
class Bias:
    """Constants that are added."""

    of: str
    """A part of the observation, "observation" or "action"."""
    law: Law
    """Their distribution, in the part's unit; one number for all, or one for each of the part's."""


@dataclass(frozen=True)
class Delay:
    """How many steps late a part is seen, or an action reaches the actuators; those of a part and of all add up."""

    of: str
    """A part of the observation, "observation" or "action"."""
    law: Law
    """The distribution of the whole number of steps. Until the first arrives, the episode's first observation stands,
    and the action 0."""


@dataclass(frozen=True)
class PacketLoss:
    """What does not arrive; then the last that did stands."""

    of: str
    """A part of the observation, "observation" or "action"."""
    law: Law
    """The distribution of the probability of a loss in a step. The episode's first observation always arrives."""


@dataclass(frozen=True)
class Push:
    """A force on a body for one step of the environment, in a random direction of the plane."""

    of: str
    """The body."""
    law: Law
    """The distribution of its impulse (N s): what weighs m kg becomes impulse / m faster."""
    chance: float = 0.02
    """The probability of a push in a step."""


Disturbance = Noise | Bias | Delay | PacketLoss | Push


class Line:
    """What is sensed or commanded, on its way: `[num_envs, width]` in, the same out."""

    def __init__(self, declared: Mapping[str, Disturbance], parts: Mapping[str, int], whole: str) -> None:
        """Lay the line of `parts`, their sizes by name, in a row; together they are called `whole`.

        Raises: InputError on a part that is not there.
        """
        ends = np.cumsum(list(parts.values()))
        columns = {name: np.arange(end - size, end) for (name, size), end in zip(parts.items(), ends, strict=True)}
        columns[whole] = np.arange(sum(parts.values()))
        sent = {name: given for name, given in declared.items() if not isinstance(given, Push)}
        here = {name: given for name, given in sent.items() if (given.of == ACTION) == (whole == ACTION)}
        for name, given in here.items():
            require_known(f"'{name}' is of an unknown part of the observation:", [given.of], columns)
        self.errors = {name: columns[given.of] for name, given in here.items() if isinstance(given, Noise | Bias)}
        on_way = {name: columns[given.of] for name, given in here.items() if isinstance(given, Delay | PacketLoss)}
        links: dict[tuple[str, ...], list[int]] = {}  # numbers that share their way
        for column in columns[whole].tolist():
            links.setdefault(tuple(name for name, there in on_way.items() if column in there), []).append(column)
        self.links = [(names, there) for names, there in links.items() if names]
        self.channels: dict[tuple[str, ...], Channel] = {}


class Disturbances:
    """The declared disturbances, in all lanes."""

    def __init__(self, model: mujoco.MjModel, declared: Mapping[str, Disturbance]) -> None:
        """Raises: InputError on a push of a body that the model lacks or that cannot move, and on an impossible one."""
        self.declared = dict(declared)
        self.purposes = {name: FIRST_PURPOSE + number for number, name in enumerate(self.declared)}
        self.bodies: dict[str, int] = {}
        self._lines: dict[str, Line] = {}
        for name, given in self.declared.items():
            if isinstance(given, Push):
                bodies = rows_by_name(model, "body_mass")
                require_known(f"'{name}' pushes an unknown body:", [given.of], bodies)
                self.bodies[name] = bodies[given.of][0]
                if not moves(model)[self.bodies[name]]:
                    raise InputError(f"'{name}' pushes {given.of}, which cannot move — name another body")
                if not 0 <= given.chance <= 1:
                    raise InputError(f"'{name}' has the chance {given.chance} — give a probability, 0 to 1")

    @property
    def laws(self) -> dict[str, Law]:
        """The laws of the parameters."""
        return {name: given.law for name, given in self.declared.items()}

    @property
    def random(self) -> bool:
        """Whether any of them draws within an episode."""
        return any(isinstance(given, Noise | PacketLoss | Push) for given in self.declared.values())

    def require_possible(self, tasks: Tasks) -> None:
        """Refuse negative deviations and impulses, delays of no whole number of steps, and what is no probability."""
        for name, given in self.declared.items():
            values = np.asarray(tasks[name], np.float64)
            good, wanted = np.ones(values.shape, bool), ""
            if isinstance(given, Noise | Push):
                good, wanted = values >= 0, "0 or above"
            elif isinstance(given, Delay):
                good, wanted = (values >= 0) & (values == np.round(values)), "a whole number of steps, 0 or above"
            elif isinstance(given, PacketLoss):
                good, wanted = (values >= 0) & (values <= 1), "a probability, 0 to 1"
            if not good.all():
                index = tuple(np.argwhere(~good)[0])
                raise InputError(f"task parameter '{name}' of task {index[0]} is {values[index]} — give {wanted}")
            if values.ndim > 1 and not isinstance(given, Noise | Bias):
                raise InputError(f"the law of '{name}' draws shape {values.shape[1:]} — give one that draws one number")

    def sense(self, parts: Mapping[str, np.ndarray], told: np.ndarray, now: Moment, tasks: Tasks) -> np.ndarray:
        """What lanes are told of the parts of an observation, `[num_envs, O]`, in a new array.

        Args:
            told: the lanes, bool `[num_envs]`.
            now: the steps that each lane's episode has had; at 0, it begins.
            tasks: of each lane.
        """
        values = joined(parts)
        if not self.declared:
            return values
        if OBSERVATION not in self._lines:
            sizes = {name: int(np.prod(np.shape(part)[1:])) for name, part in parts.items()}
            self._lines[OBSERVATION] = Line(self.declared, sizes, OBSERVATION)
        line = self._lines[OBSERVATION]
        self._blur(line, values, now, tasks)
        return self._carry(line, values, values, told, now, tasks)

    def command(self, actions: np.ndarray, live: np.ndarray, now: Moment, tasks: Tasks) -> np.ndarray:
        """The actions, `[num_envs, A]`, that reach the actuators of `live` lanes in the step that begins `now`."""
        if ACTION not in self._lines:
            self._lines[ACTION] = Line(self.declared, {ACTION: actions.shape[1]}, ACTION)
        line = self._lines[ACTION]
        if not (line.errors or line.links):
            return actions
        values = actions.copy()
        self._blur(line, values, now, tasks)
        return self._carry(line, values, np.zeros_like(values), live, now, tasks)

    def push(self, forces: np.ndarray, live: np.ndarray, now: Moment, tasks: Tasks, seconds: float) -> None:
        """Set the forces, `[num_envs, bodies, 6]`, of a step of some seconds."""
        forces[np.ix_(live, np.fromiter(self.bodies.values(), int))] = 0.0
        for name, body in self.bodies.items():
            drawn = streams.uniform(now, self.purposes[name], 2)
            pushed = live & (drawn[:, 0] < self.declared[name].chance)  # type: ignore[union-attr]
            angle, size = 2.0 * np.pi * drawn[pushed, 1], tasks[name][pushed] / seconds
            forces[pushed, body, 0] += size * np.cos(angle)
            forces[pushed, body, 1] += size * np.sin(angle)

    def _blur(self, line: Line, values: np.ndarray, now: Moment, tasks: Tasks) -> None:
        """Add noise and bias, in place."""
        for name, columns in line.errors.items():
            size, given = tasks[name], self.declared[name]
            if size.shape[1:] not in ((), (len(columns),)):
                raise InputError(
                    f"the law of '{name}' draws shape {size.shape[1:]} — "
                    f"give one that draws one number, or ({len(columns)},): one for each of '{given.of}'"
                )
            size = size.reshape(len(values), -1)
            noisy = isinstance(given, Noise)
            values[:, columns] += size * streams.normal(now, self.purposes[name], len(columns)) if noisy else size

    def _carry(
        self, line: Line, values: np.ndarray, first: np.ndarray, lanes: np.ndarray, now: Moment, tasks: Tasks
    ) -> np.ndarray:
        """What arrives of the values; at an episode's beginning, before anything can, `first` is there."""
        for names, columns in line.links:
            channel = line.channels.setdefault(names, Channel(len(values), len(columns)))
            delay, lost = np.zeros(len(values), np.int64), np.zeros(len(values), bool)
            for name in names:
                if isinstance(self.declared[name], Delay):
                    delay += tasks[name].astype(np.int64)
                else:
                    lost |= streams.uniform(now, self.purposes[name])[:, 0] < tasks[name]
            begins = lanes & (now.steps == 0)
            channel.start(begins, first[:, columns])
            channel.send(lanes, now.steps, values[:, columns], delay, lost & ~(begins & (first is values)))
            values[:, columns] = channel.there
        return values
