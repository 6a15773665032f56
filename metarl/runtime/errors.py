"""What can go wrong, by whose fault; the command line turns each into one line and an exit code."""

from envs.contract.errors import InputError, NonFiniteError

__all__ = ["EnvironmentBroke", "InputError", "NonFiniteError", "RankLost", "StorageError"]


class EnvironmentBroke(RuntimeError):
    """An environment raised while it was stepped (exit code 4); the cause is chained."""


class RankLost(RuntimeError):
    """Another of the processes that train together has ended (exit code 143)."""


class StorageError(OSError):
    """A run directory cannot be read or written, or what it holds is damaged (exit code 5)."""
