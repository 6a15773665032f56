"""Presets of points in the plane."""

from metarl.runs.presets.preset import BY_SEVERAL_STEPS, GRADIENT_BASED, MAML, Preset, Runs, budget, options

POINT = (
    Preset(
        "pytorch-maml-rl's 2D navigation: 20 tasks, 20 episodes, inner rate 0.1; two cores train it within minutes",
        Runs(("point-nav",), algorithms=GRADIENT_BASED),
        budget(60, 20, 20),
    ),
    Preset(
        "learn2learn, examples/rl/maml_trpo.py: 20 tasks, 20 episodes, 2 x 100 ReLU, discount 0.95",
        Runs(("point-nav",), "l2l", MAML),
        budget(1000, 20, 20),
        options(hidden=(100, 100), activation="relu", discount=0.95),
    ),
    Preset(
        "ProMP, run_scripts and full_code: 40 tasks, 20 episodes, 1001 iterations, 2 x 128 tanh",
        Runs(("point-corners",), "promp-momentum", GRADIENT_BASED),
        budget(1001, 40, 20),
        options(hidden=(128, 128)),
    ),
    Preset(
        "ProMP, full_code: 3 inner steps for this one",
        Runs(("point-corners",), "promp-momentum", BY_SEVERAL_STEPS),
        algo=options(inner_steps=3),
    ),
    Preset(
        "oyster, sparse-point-robot: discount 0.9, reward scale 100 at temperature 1 (here 10 at 0.1: as greedy, with"
        " smaller values); scaled: context 1024, 3 x 300 units, rate 3e-4, target rate 0.005 (own measurement)",
        Runs(("sparse-point-nav",), algorithms=("pearl",)),
        budget(60, 8, 8),
        options(hidden=(64, 64), encoder_hidden=(64, 64), context_size=32, update_ratio=0.1)
        | options(
            discount=0.9, reward_scale=10.0, temperature=0.1, kl_weight=0.1, learning_rate=1e-3, target_rate=0.02
        ),
    ),
)
