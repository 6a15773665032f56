"""The command inside the test's own process."""

from experiment.command import metarl

__all__ = ["metarl"]
