"""Presets of robots with servos: many bodies at once, each for one episode, as roboticists train."""

from metarl.runs.presets.preset import Preset, Runs, budget, options

QUADRUPEDS = ("quadruped-velocity", "quadruped-leg", "quadruped-change")
ARMS = ("arm-reach", "arm-push")

ROBOTS = (
    Preset(
        "a body is met for one episode and every lane has another; with a deviation of 0.6 (0.3 rad of a servo's target) "
        "proximal updates learn to walk, with 0.37 they learned to stand (own measurement)",
        Runs((*QUADRUPEDS, *ARMS), algorithms=("rl2",)),
        budget(300, 128, 1),
        options(rounds=1, initial_std=0.6, learning_rate=1e-3),
    ),
)
