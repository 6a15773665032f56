"""Presets of robots with servos: many bodies at once, each for one episode, as roboticists train."""

from metarl.runs.presets.preset import Preset, Runs, budget, options

QUADRUPEDS = ("quadruped-velocity", "quadruped-leg", "quadruped-change")
ARMS = ("arm-reach", "arm-push")

ROBOTS = (
    Preset(
        "every lane has a body of its own, for one episode; with a deviation of 0.6 (0.3 rad of a servo's target) "
        "plain PPO left standing within 2 minutes, with 0.37 it did not; not tuned for this method (own measurement)",
        Runs((*QUADRUPEDS, *ARMS), algorithms=("rl2",)),
        budget(300, 128, 1),
        options(rounds=1, initial_std=0.6, learning_rate=1e-3),
    ),
)
