"""Randomness has an address: every draw is keyed by what it is for, never by what was drawn before.

A key names seed, iteration, purpose, task and round. So a run gives the same numbers for any number of
threads or ranks, a resumed run continues exactly, and evaluation never disturbs training.
"""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a draw is for. The numbers are part of the format of a run: never renumber."""

    PARAMETERS = 0
    TRAINING = 1
    EVALUATION = 2
    TASKS = 3
    RESET = 4
    ACTIONS = 5
    UPDATE = 6
    AGENT = 7  # what an agent itself draws while it meets a task
    MOMENTS = 8  # rounds before the first iteration, where observations are normalised
    UNSEEN = 9  # tasks that are met while training goes on, and never learned from
    TASK_SAMPLING = 10  # which tasks are met anew or changed, where training does not take them as their laws draw them


class Address:
    """A point in the space of random streams; `at` goes one level deeper.

    Example:
        `Address(seed).at(Purpose.TRAINING, iteration).at(Purpose.ACTIONS, task, round).generator()`
    """

    def __init__(self, *key: int) -> None:
        self.key = key

    def at(self, *key: int) -> "Address":
        """The address below this one."""
        return Address(*self.key, *key)

    def _sequence(self) -> np.random.SeedSequence:
        # numpy pads short keys with zeros, so (1, 2) and (1, 2, 0) would be one stream: say the length
        return np.random.SeedSequence([len(self.key), *self.key])

    def generator(self) -> np.random.Generator:
        """A counter-based generator that starts at this address."""
        return np.random.Generator(np.random.Philox(self._sequence()))

    def seed(self) -> int:
        """A 63-bit seed for somebody else's generator."""
        return int(self._sequence().generate_state(1, np.uint64)[0] >> np.uint64(1))

    def torch_generator(self) -> torch.Generator:
        """A CPU torch generator that starts at this address."""
        return torch.Generator().manual_seed(self.seed())
