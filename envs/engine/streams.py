"""Random numbers of many lanes at once, each found by its address: (the lane's episode, step, purpose, place).

The address is mixed by SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), so
that a number depends on nothing else: not on other lanes, on what else is drawn, on the order, nor on threads.
"""

from typing import NamedTuple

import numpy as np

GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(states: np.ndarray) -> np.ndarray:
    """SplitMix64's output at states, uint64 both: bits that look random of numbers that do not."""
    mixed = states + GOLDEN
    mixed = (mixed ^ (mixed >> SHIFTS[0])) * FIRST
    mixed = (mixed ^ (mixed >> SHIFTS[1])) * SECOND
    return np.asarray(mixed ^ (mixed >> SHIFTS[2]))


class Moment(NamedTuple):
    """Where every lane is."""

    keys: np.ndarray
    """Of the lanes' episodes, uint64 `[num_envs]`."""
    steps: np.ndarray
    """The number of the step in its episode, `[num_envs]`."""


def bits(now: Moment, purpose: int, width: int) -> np.ndarray:
    """64 random bits in each of `width` places of every lane, uint64 `[num_envs, width]`."""
    address = mix(mix(now.keys) ^ now.steps.astype(np.uint64)) ^ np.uint64(purpose)
    return mix(mix(address)[:, None] ^ np.arange(width, dtype=np.uint64))


def uniform(now: Moment, purpose: int, width: int = 1) -> np.ndarray:
    """Numbers in [0, 1), `[num_envs, width]`."""
    return (bits(now, purpose, width) >> np.uint64(11)) * 2.0**-53


def normal(now: Moment, purpose: int, width: int = 1) -> np.ndarray:
    """Standard normal numbers, `[num_envs, width]` (Box and Muller 1958).

    Two come from 64 bits, in float32, which is several times as fast and fine for noise: none is beyond 6.7.
    """
    halves = bits(now, purpose, (width + 1) // 2).view(np.uint32).astype(np.float32)  # [num_envs, 2 pairs]
    distance, turn = (halves[:, 0::2] + np.float32(0.5)) * np.float32(2.0**-32), halves[:, 1::2]
    radius = np.sqrt(np.float32(-2.0) * np.log(distance))
    angle = turn * np.float32(2.0 * np.pi * 2.0**-32)
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return both[:, :width].astype(np.float64)
