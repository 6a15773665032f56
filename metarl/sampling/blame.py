"""Whose fault an error is."""

from collections.abc import Iterator
from contextlib import contextmanager

from envs.contract.base import TaskEnv
from metarl.runtime.errors import EnvironmentBroke, InputError, NonFiniteError


@contextmanager
def blaming_environment(env: TaskEnv | str, when: str) -> Iterator[None]:
    """Whatever is raised within the block is the environment's fault.

    Raises:
        EnvironmentBroke: from any error but those that say themselves whose fault it was.
    """
    try:
        yield
    except (InputError, NonFiniteError, MemoryError):
        raise
    except Exception as error:
        name = env if isinstance(env, str) else type(env).__name__
        raise EnvironmentBroke(f"{name} raised {type(error).__name__} {when}: {error}") from error
