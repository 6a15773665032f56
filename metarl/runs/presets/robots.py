"""Presets of robots with servos: many bodies at once, each for one episode, as roboticists train."""

from metarl.runs.presets.preset import Preset, Runs, budget, options

QUADRUPEDS = ("quadruped-velocity", "quadruped-leg", "quadruped-change")
ARMS = ("arm-reach", "arm-push")
ROBUST = ("randomised", "recurrent", "rma", "system-id")  # an episode is a trial
LANES = {"lanes": 1, "normalise_observations": True}

ROBOTS = (
    Preset(
        "8 million steps (own measurement: it walks after 4); actions begin with a deviation of 0.25 rad of a servo's "
        "target, as legged_gym's do; every lane has a body of its own",
        Runs(QUADRUPEDS, algorithms=ROBUST),
        budget(500, 64, **LANES),
        options(initial_std=0.5, entropy_bonus=0.002),
    ),
    Preset(
        "the student acts in the last fifth",
        Runs(QUADRUPEDS, algorithms=("rma", "system-id")),
        algo=options(teacher_iterations=400),
    ),
    Preset(
        "the same number of steps, in trials of two episodes; not tuned",
        Runs(QUADRUPEDS, algorithms=("rl2", "varibad")),
        budget(250, 64, **LANES),
        options(initial_std=0.5, entropy_bonus=0.002, desired_kl=0.01),
    ),
    Preset(
        "the same for an arm, whose actions begin with a deviation of 0.12 rad (own measurement)",
        Runs(ARMS, algorithms=ROBUST),
        budget(400, 64, **LANES),
        options(initial_std=0.2, entropy_bonus=0.0),
    ),
    Preset(
        "the student acts in the last quarter",
        Runs(ARMS, algorithms=("rma", "system-id")),
        algo=options(teacher_iterations=300),
    ),
    Preset(
        "the same number of steps, in trials of two episodes; not tuned",
        Runs(ARMS, algorithms=("rl2", "varibad")),
        budget(200, 64, **LANES),
        options(initial_std=0.2, entropy_bonus=0.0, desired_kl=0.01),
    ),
)
