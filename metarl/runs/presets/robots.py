"""Presets of robots with servos: many bodies at once, each for one episode, as roboticists train."""

from metarl.runs.presets.preset import Preset, Runs, budget, options

QUADRUPEDS = ("quadruped-velocity", "quadruped-leg", "quadruped-change")
ARMS = ("arm-reach", "arm-push")
ROBUST = ("randomised", "recurrent", "rma", "system-id")  # an episode is a trial

ROBOTS = (
    Preset(
        "many bodies at once, each for an episode",
        Runs(algorithms=ROBUST),
        budget(500, 64, 1, normalise_observations=True),
    ),
    Preset(
        "8 million steps (own measurement: it walks after 4); actions begin with a deviation of 0.25 rad of a servo's "
        "target, as legged_gym's do",
        Runs(QUADRUPEDS, algorithms=ROBUST),
        algo=options(initial_std=0.5, entropy_bonus=0.002),
    ),
    Preset(
        "the student acts in the last fifth",
        Runs(algorithms=("rma", "system-id")),
        algo=options(teacher_iterations=400),
    ),
    Preset(
        "an arm's actions begin with a deviation of 0.12 rad (own measurement)",
        Runs(("arm-reach",), algorithms=ROBUST),
        algo=options(initial_std=0.2, entropy_bonus=0.0),
    ),
    Preset(
        "1.6 million steps (own measurement); a pushing tip's velocities begin with a deviation of 0.25 m/s",
        Runs(("arm-push",), algorithms=ROBUST),
        algo=options(initial_std=0.5, entropy_bonus=0.0),
    ),
    Preset(
        "as many steps as the methods above take, in trials of two episodes; not tuned",
        Runs((*QUADRUPEDS, *ARMS), algorithms=("rl2", "varibad")),
        budget(250, 64, 1, normalise_observations=True),
        options(initial_std=0.5, entropy_bonus=0.002, desired_kl=0.01),
    ),
)
