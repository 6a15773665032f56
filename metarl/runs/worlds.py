"""Which world a run is of: environments where policies act, or sources of labelled tasks. Names become options here.

Reading this needs no torch.
"""

from collections.abc import Mapping
from typing import Any

from envs.catalogue import ENVIRONMENTS
from envs.contract.base import TaskEnv
from envs.contract.errors import InputError, nearest
from envs.registry import LISTED, environment_class, load_attribute
from metarl.algorithms import config_class
from metarl.fewshot import SOURCES

DEFAULT_ALGORITHM, DEFAULT_ON_LABELS = "maml-trpo", "maml"


def is_few_shot(environment: str) -> bool:
    """Whether ENV names a source of labelled tasks; a `module:attribute` is loaded and asked.

    Raises:
        InputError: a name that neither world knows, or nothing that can be loaded.
    """
    if environment in SOURCES or environment in ENVIRONMENTS:
        return environment in SOURCES
    if ":" not in environment:
        known = [*ENVIRONMENTS, *SOURCES]
        raise InputError(f"unknown environment '{environment}'" + nearest(environment, known, LISTED))
    found = load_attribute(environment)
    is_environment = isinstance(found, type) and issubclass(found, TaskEnv)
    return not is_environment and all(hasattr(found, name) for name in ("Config", "sample"))


def environment_config(environment: str) -> type:
    """The options of ENV, of either world."""
    if not is_few_shot(environment):
        return environment_class(environment).Config
    config: type = SOURCES[environment].config if environment in SOURCES else load_attribute(environment).Config
    return config


def algorithm_config(environment: str, algorithm: str, given: Mapping[str, Any] = {}) -> type:  # noqa: B006
    """The options of ALGO, in the world of ENV; `given` ones may make another pair of it (`inner`, `outer`).

    Raises:
        InputError: a name that this world does not know, or nothing that can be loaded.
    """
    return config_class(algorithm, given, labelled=is_few_shot(environment))


def default_algorithm(environment: str) -> str:
    """What trains where ALGO is not named."""
    return DEFAULT_ON_LABELS if is_few_shot(environment) else DEFAULT_ALGORITHM
