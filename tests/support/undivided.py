"""A method of a user's own that says nothing of ranks."""

from typing import Any

from metarl.algorithms.algorithm import Traits
from metarl.algorithms.rl2 import RL2


class Undivided(RL2):
    """RL², with the traits that are there by default."""

    @classmethod
    def traits(cls, config: Any) -> Traits:
        return Traits()
