"""Dynamics as task parameters: which numbers of a MuJoCo model a task changes, declared by quantity and by name.

    dynamics={
        "payload": Shift("mass", Uniform(0.0, 5.0), names="trunk"),                     # kg more, inertia with it
        "motors": Scale("strength", Uniform(0.6, 1.0), names="*_calf", each=True),      # a factor for each motor
        "balance": Shift("center_of_mass", Uniform(-0.05, 0.05), names="trunk", axes="x"),
        "ground": Set("friction", Uniform(0.2, 1.2)),
        "wear": (Scale("dof_frictionloss", LogUniform(2.0, 0.0, 2.0)), Scale("strength", by=lambda wear: 1 / wear)),
    }

Every entry is a task parameter like any other: `env.tasks["payload"]` holds what was drawn, `[N]`; nothing compounds
from task to task. What is changed is a quantity of `envs/engine/quantities.py`, or a field of MuJoCo's MjModel, or one
of MjOption after `opt.`; whose, see `envs/engine/elements.py`. Changes of one field follow each other as declared.
Letter: N tasks.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS

from envs.contract.errors import InputError, require_known
from envs.contract.tasks import Law, LogUniform, Normal, Tasks, Uniform
from envs.engine.changes import Change, Part, Scale, Set, Shift, find_part, model_values, require_effect
from envs.engine.effects import Fields
from envs.engine.quantities import field_quantity, quantities

__all__ = ["Change", "Dynamics", "Scale", "Set", "Shift"]


class Dynamics:
    """The declared changes of a model: the laws of their parameters, and the field values of given tasks."""

    def __init__(self, model: mujoco.MjModel, declared: Mapping[str, Change | Sequence[Change]]) -> None:
        """Raises: InputError on an unknown field or name, and on a change that would change nothing."""
        named = quantities(model)
        self.defaults: dict[str, np.ndarray] = {}
        self.parts: list[Part] = []
        self.laws: dict[str, Law] = {}
        for parameter, given in declared.items():
            changes = [given] if isinstance(given, Change) else list(given)
            self.laws[parameter] = _only_law(parameter, changes)
            for change in changes:
                for field in change.fields:
                    quantity = named[field] if field in named else field_quantity(_require_field(model, field, named))
                    for name in quantity.fields:
                        # A copy, as the model's arrays are live views: what anyone does to it does not move the tasks.
                        self.defaults[name] = np.array(model_values(model, name))
                    part = find_part(model, parameter, change, field, quantity, self.defaults)
                    require_effect(model, part, self.defaults)
                    self.parts.append(part)

    def fields(self, tasks: Tasks) -> Fields:
        """The changed fields of tasks, each `[N, *field shape]`.

        Raises: InputError on a parameter that makes the model impossible, or does not reach what it should change.
        """
        fields = Fields(self.defaults, len(next(iter(tasks.values()), ())))
        for part in self.parts:
            part.write(fields, tasks)
        for name in dict.fromkeys(part.name for part in self.parts if part.quantity.fault):
            parts = [part for part in self.parts if part.name == name]
            rows = sorted({row for part in parts for row in part.rows})  # type: ignore[union-attr]
            faulty, text = parts[0].quantity.fault(fields, rows)  # type: ignore[misc]
            if faulty.any():
                task = int(np.argmax(faulty))
                raise InputError(f"task parameter '{parts[0].parameter}' of task {task} {text} — give other numbers")
        return fields

    def fit(self, parameter: str, law: Law) -> Law:
        """The law with one number for each that changes where a change asks for it."""
        for part in self.parts:
            if part.parameter != parameter:
                continue
            shapes = part.shapes(self.defaults)
            if part.change.each and part.change.by is None and isinstance(law, Uniform | LogUniform | Normal):
                law = dataclasses.replace(law, shape=shapes[0])
            drawn = np.asarray(law.draw(np.random.default_rng(0)))[None]
            found = np.shape(drawn if part.change.by is None else part.change.by(drawn))[1:]
            if found not in shapes:
                wanted = " or ".join(map(str, shapes))
                raise InputError(f"the law of '{parameter}' draws shape {found} — give one that draws {wanted}")
        return law


def _only_law(parameter: str, changes: Sequence[Change]) -> Law:
    """The law that one of the changes has."""
    laws = [change.law for change in changes if change.law is not None]
    if len(laws) != 1:
        raise InputError(f"'{parameter}' has {len(laws)} laws — give one change a law, and the others none")
    return laws[0]


def _require_field(model: mujoco.MjModel, field: str, quantities: Iterable[str]) -> str:
    """Refuse what is no field of MuJoCo's that tasks may move."""
    require_known("unknown model field", [field], [*MODEL_FIELDS, *quantities])
    if np.asarray(model_values(model, field)).dtype.kind != "f" or field == "opt.timestep":
        raise InputError(f"model field '{field}' cannot be scaled — name a physical quantity")
    return field
