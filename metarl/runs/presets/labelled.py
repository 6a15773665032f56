"""Presets of labelled data."""

from metarl.runs.presets.preset import Preset, Runs, budget, options

REGRESSIONS = ("sinusoid", "polynomial")

LABELLED = (
    Preset(
        "Finn et al. 2017, 5.1: 25 tasks, 10 shots, 2 x 40 ReLU, inner rate 0.01; 5,000 meta-updates do",
        Runs(REGRESSIONS),
        budget(5000, 25, checkpoint_every=500),
    ),
    Preset(
        "the strength at which the first 900 meta-updates learned most (own measurement)",
        Runs(REGRESSIONS, algorithms=("imaml",)),
        algo=options(inner_lr=0.01, proximal_strength=10.0),
    ),
    Preset(
        "Finn et al. 2017, A.1: 32 tasks, 60,000 meta-updates",
        Runs(("omniglot",)),
        budget(60_000, 32, checkpoint_every=100),
    ),
    Preset(
        "Finn et al. 2017, A.1: inner rate 0.4 of 5-way tasks",
        Runs(("omniglot",), algorithms=("maml", "fomaml", "anil", "meta-sgd", "reptile", "multitask")),
        algo=options(inner_lr=0.4),
    ),
    Preset(
        "imaml_dev, Omniglot: 16 solver steps of 0.01, lambda 2",
        Runs(("omniglot",), algorithms=("imaml",)),
        algo=options(inner_lr=0.01, proximal_strength=2.0),
    ),
)
