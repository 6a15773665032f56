"""Random numbers of many lanes at once, each found by its address: (the lane's episode, step, purpose, place).

The address is mixed by SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), so
that a number depends on nothing else: not on other lanes, on what else is drawn, on the order, nor on threads.
"""

import numpy as np

GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(states: np.ndarray) -> np.ndarray:
    """SplitMix64's output at states, uint64 both: bits that look random of numbers that do not."""
    mixed = states + GOLDEN
    mixed = (mixed ^ (mixed >> SHIFTS[0])) * FIRST
    mixed = (mixed ^ (mixed >> SHIFTS[1])) * SECOND
    return np.asarray(mixed ^ (mixed >> SHIFTS[2]))


def uniform(keys: np.ndarray, steps: np.ndarray, purpose: int, width: int = 1) -> np.ndarray:
    """Numbers in [0, 1), `[num_envs, width]`, of lanes with keys (uint64) at steps, `[num_envs]` both."""
    address = mix(mix(keys) ^ steps.astype(np.uint64)) ^ np.uint64(purpose)
    bits = mix(mix(address)[:, None] ^ np.arange(width, dtype=np.uint64))
    return (bits >> np.uint64(11)) * 2.0**-53


def normal(keys: np.ndarray, steps: np.ndarray, purpose: int, width: int = 1) -> np.ndarray:
    """Standard normal numbers, `[num_envs, width]` (Box and Muller 1958)."""
    drawn = uniform(keys, steps, purpose, 2 * width)
    radius, angle = np.sqrt(-2.0 * np.log1p(-drawn[:, :width])), 2.0 * np.pi * drawn[:, width:]
    return np.asarray(radius * np.cos(angle))
