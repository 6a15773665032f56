"""A channel on which numbers arrive late or never, in many lanes at once."""

import numpy as np


class Channel:
    """Numbers on their way, `[num_envs, width]`: the last few that were sent, and what is there."""

    def __init__(self, num_envs: int, width: int) -> None:
        self.sent = np.zeros((1, num_envs, width))
        self.there = np.zeros((num_envs, width))
        """What arrived last."""
        self.newest = np.full(num_envs, -1)
        """The step in which it was sent."""

    def start(self, lanes: np.ndarray, values: np.ndarray) -> None:
        """Have `values` be there in `lanes` (bool `[num_envs]`) before anything is sent."""
        self.there[lanes], self.newest[lanes] = values[lanes], -1

    def send(
        self, lanes: np.ndarray, steps: np.ndarray, values: np.ndarray, delay: np.ndarray, lost: np.ndarray
    ) -> None:
        """Send `values` in `lanes`, and have arrive what was sent `delay` steps ago, unless it is `lost`.

        Nothing older takes the place of what is there: when a delay grows, that stands for a while.

        Args:
            steps: the number of this step in each lane, `[num_envs]`; a lane's first is 0.
            delay: in steps, `[num_envs]`.
            lost: bool `[num_envs]`.
        """
        self._hold(int(delay.max(initial=0)) + 1, steps)
        length, rows = len(self.sent), np.flatnonzero(lanes)
        self.sent[steps[rows] % length, rows] = values[rows]
        rows = np.flatnonzero(lanes & (steps - delay > self.newest) & ~lost)
        self.newest[rows] = (steps - delay)[rows]
        self.there[rows] = self.sent[self.newest[rows] % length, rows]

    def _hold(self, length: int, steps: np.ndarray) -> None:
        """Keep at least the last `length` that were sent."""
        old = len(self.sent)
        if length <= old:
            return
        sent, lanes = np.zeros((length, *self.there.shape)), np.arange(len(self.there))
        for back in range(1, old + 1):
            sent[(steps - back) % length, lanes] = self.sent[(steps - back) % old, lanes]
        self.sent = sent
