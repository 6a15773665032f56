"""How a name becomes an environment, here and in `gymnasium.make`.

A user's own environment needs no entry in the catalogue: it is named `module:attribute`, or
`path/to/file.py:attribute`.
"""

import dataclasses
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium

from envs.catalogue import ENVIRONMENTS
from envs.contract.base import TaskEnv
from envs.contract.errors import InputError, nearest

LISTED = "`metarl list envs` names them all"
"""What to do about an unknown environment."""


def names() -> list[str]:
    """The registered names, but for those that need another package."""
    return [name for name, entry in ENVIRONMENTS.items() if not entry.needs]


def describe() -> dict[str, str]:
    """One line about every registered environment, by name."""
    return {name: entry.description for name, entry in ENVIRONMENTS.items()}


def environment_class(name: str) -> type[TaskEnv]:
    """The class behind a registered name, `module:attribute` or `path/to/file.py:attribute`.

    Raises: InputError on a name that is not registered, a module that does not import, and an attribute that
    is missing or no TaskEnv.
    """
    target = ENVIRONMENTS[name].target if name in ENVIRONMENTS else name
    if ":" not in target:
        raise InputError(f"unknown environment '{name}'" + nearest(name, ENVIRONMENTS, LISTED))
    found = load_attribute(target)
    if not (isinstance(found, type) and issubclass(found, TaskEnv)):
        raise InputError(f"'{target}' is no environment — name a subclass of envs.TaskEnv")
    return found


def load_attribute(target: str) -> Any:
    """What `module:attribute` or `path/to/file.py:attribute` names.

    Raises: InputError on a module that does not import and an attribute that is missing.
    """
    module_name, _, attribute = target.rpartition(":")
    module = _load_file(Path(module_name)) if module_name.endswith(".py") else _load_module(module_name)
    if not hasattr(module, attribute):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise InputError(f"'{module_name}' has no '{attribute}'" + nearest(attribute, own))
    return getattr(module, attribute)


def make(
    family: type[TaskEnv] | str, num_tasks: int, lanes_per_task: int, *, threads: int = 0, **fields: Any
) -> TaskEnv:
    """An environment of `num_tasks` tasks with `lanes_per_task` lanes each; its tasks are drawn from seed 0.

    Args:
        family: a class, or a name as for `environment_class`.
        threads: physics threads, 0 for one per CPU; the results do not depend on it.
        fields: options of the environment's `Config`, such as `variant="pearl"` or `horizon=50`.

    Raises: InputError on an unknown name or field and on an impossible value.
    """
    name, family = (family, environment_class(family)) if isinstance(family, str) else (family.__name__, family)
    options = [field.name for field in dataclasses.fields(family.Config)]
    for field in fields:
        if field not in options:
            raise InputError(f"'{name}' has no option env.{field}" + nearest(field, options))
    return family(num_tasks, lanes_per_task, family.Config(**fields), threads=threads)


def gymnasium_id(name: str, kind: str = "") -> str:
    """`half-cheetah-vel` -> `metarl/HalfCheetahVel-v0`; of the kind "Trial", `metarl/HalfCheetahVelTrial-v0`."""
    return "metarl/" + "".join(word.capitalize() for word in name.split("-")) + f"{kind}-v0"


def register_all() -> None:
    """Make every family known to `gymnasium.make` and `make_vec`, and as trials of two episodes.

    They truncate their own episodes, at a horizon that is an option: what is registered has no limit of its own.
    """
    for name in ENVIRONMENTS:
        for kind, options in (("", {}), ("Trial", {"episodes": 2})):
            if gymnasium_id(name, kind) not in gymnasium.registry:
                gymnasium.register(
                    gymnasium_id(name, kind),
                    entry_point="envs.adapters.single:SingleTask",
                    vector_entry_point="envs.adapters.vector:VectorTasks",
                    kwargs={"env": name, **options},
                )


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _refused(f"module '{name}'", error, "check its name, or give its file: path/to/file.py:Class") from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"there is no file '{path}' — check the path")
    # Dataclasses look their module up by name, so it must be registered while it runs.
    name = f"metarl_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _refused(f"'{path}'", error, "repair it") from error
    return module


def _refused(what: str, error: Exception, cure: str) -> InputError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return InputError(f"{what} does not import ({reason}) — {cure}")
