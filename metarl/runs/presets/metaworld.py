"""Presets of Meta-World: what two cores train within minutes or hours, and published settings by variant.

Published are those of Meta-World+ (rainx0r/metaworld-algorithms@30c9991, examples/meta_learning, with the defaults of
its algorithms) as `plus`, and of Beck et al. 2022 and 2023 (jacooba/hyper@3a7639b, config/metaworld and
experiment_sets) as `beck`. Meta-World+ has neither PEARL nor VariBAD; garage has PEARL.
"""

from metarl.runs.presets.preset import GRADIENT_BASED, Preset, Runs, budget, options

ML = ("metaworld-ml1", "metaworld-ml10", "metaworld-ml25", "metaworld-ml45")
PLUS = (("metaworld-ml1", 1, 10), ("metaworld-ml10", 10, 20), ("metaworld-ml25", 25, 50), ("metaworld-ml45", 45, 45))
"""Of Meta-World+: the tasks of a suite, each of which adds two million steps, and those of a meta-batch."""
EPISODES, HORIZON = 10, 500  # of a task, before adaptation: `rollouts_per_task`
IN_TENS = "Meta-World's RNNBasedMetaRLWrapper: a memory is told of a tenth of the reward; "

SCALED = (
    Preset(
        "forty trials of two episodes; a wide deviation, since a step within a divergence moves a mean the further, and"
        " a short discount, since each step pays (own measurement, with --env.horizon 150)",
        Runs(ML, algorithms=("rl2", "varibad")),
        budget(300, 40, 1, normalise_observations=True),
        options(hidden=(64, 64), embedding_size=64, head="state", initial_std=1.0, entropy_bonus=0.002, desired_kl=0.03)
        | options(discount=0.95, gae_lambda=0.95),
    ),
    Preset(
        "a model that learns fast: a belief that tells where the goal is comes before a policy that uses it (own"
        " measurement, with --env.horizon 150)",
        Runs(ML, algorithms=("varibad",)),
        algo=options(model_updates=20, model_batch=32, model_learning_rate=3e-3, kl_weight=0.01, replay_size=400_000)
        | options(epochs=10, minibatches=8),
    ),
    Preset(
        "the ten episodes of Meta-World+ in each of ten tasks, 10 million steps; not tuned",
        Runs(ML, algorithms=GRADIENT_BASED),
        budget(100, 10, EPISODES),
        options(initial_std=0.5),
    ),
    Preset(
        "episodes of 500 steps: few of them, and critics that learn from a tenth of the reward; not tuned",
        Runs(ML, algorithms=("pearl",)),
        budget(200, 5, 1, normalise_observations=True, reward_unit=10.0),
        options(latent_size=7, reward_scale=1.0, temperature=0.1, kl_weight=0.1, replay_size=400_000),
    ),
)

PUBLISHED_PLUS = (
    *(
        Preset(
            f"Meta-World+, maml_trpo_{environment.removeprefix('metaworld-')}.py: 2 million steps a task, 2 x 512 tanh,"
            " deviation 1 at first, inner rate 0.1, discount 0.99, lambda 1, divergence 0.01",
            Runs((environment,), "plus", ("maml-trpo",)),
            budget(2_000_000 * tasks // (2 * batch * EPISODES * HORIZON), batch, EPISODES),
            options(hidden=(512, 512), initial_std=1.0, inner_lr=0.1, discount=0.99, gae_lambda=1.0, max_kl=0.01),
        )
        for environment, tasks, batch in PLUS
    ),
    *(
        Preset(
            f"Meta-World+, rl2_{environment.removeprefix('metaworld-')}.py: 2 million steps a task, trials of ten"
            " episodes, GRU 256 behind 256 tanh (two layers there), 10 epochs, Adam 5e-4, gradients to 1, clip 0.2,"
            " entropy 5e-3, discount 0.99, lambda 0.95; a trial a step, where there it is chunks of 250; a value"
            " function is learned, where there a linear one is fitted; " + IN_TENS,
            Runs((environment,), "plus", ("rl2",)),
            budget(
                2_000_000 * tasks // (batch * EPISODES * HORIZON),
                batch,
                1,
                normalise_observations=False,
                reward_unit=10.0,
            ),
            options(rounds=EPISODES, memory_size=256, embedding_size=256, hidden=(), head="memory", initial_std=1.0)
            | options(epochs=10, minibatches=batch, learning_rate=5e-4, desired_kl=0.0, max_gradient_norm=1.0)
            | options(clip=0.2, entropy_bonus=5e-3, discount=0.99, gae_lambda=0.95),
        )
        for environment, tasks, batch in PLUS
    ),
    Preset(
        "garage, pearl_metaworld_ml10.py: 15 tasks an epoch, 750 steps of each before the posterior and 750 behind it,"
        " 4,000 gradient steps (16 tasks x 256, context 64), 3 x 300 and 3 x 200, latent 7, rewards times 10",
        Runs(ML, "plus", ("pearl",)),
        budget(1000, 15, 1, normalise_observations=False, reward_unit=1.0, checkpoint_every=50),
        options(hidden=(300, 300, 300), encoder_hidden=(200, 200, 200), latent_size=7, update_ratio=0.178)
        | options(meta_batch=16, batch_size=256, context_size=64, replay_size=1_000_000, reward_scale=10.0)
        | options(temperature=1.0, kl_weight=1.6, learning_rate=3e-4, discount=0.99, target_rate=0.005),
    ),
)

BECK = tuple(
    Preset(
        f"Beck et al., {source}: {frames:.0e} frames, 4,800 an iteration, trials of two episodes, GRU 256, a policy of"
        " 256 x 128 whose weights a hypernetwork emits, 2 epochs, 8 minibatches, clip 0.1, entropy 1e-3, discount 0.97,"
        " lambda 0.9; of the rates that they search over 3e-4",
        Runs((environment,), "beck", (algorithm,)),
        budget(int(frames) // 4_800, 16, 1, normalise_observations=True, reward_unit=unit, checkpoint_every=500),
        options(rounds=2, memory_size=256, embedding_size=64, hidden=(256, 128), head="hypernetwork", initial_std=1.0)
        | options(epochs=2, minibatches=8, clip=0.1, learning_rate=3e-4, desired_kl=0.0, entropy_bonus=1e-3)
        | options(discount=0.97, gae_lambda=0.9, **others),
    )
    for environment, frames in (("metaworld-ml1", 5e7), ("metaworld-ml10", 1e8))
    for algorithm, source, unit, others in (
        ("rl2", "all_envs.py, RNN+HN", 1.0, {}),
        (
            "varibad",
            "all_envs.py and args_ml10_varibad.py, VI+HN, which decodes rewards as parts of the largest",
            10.0,
            options(latent_size=5, reward_from_action=True, transition_weight=1.0, kl_weight=1.0, bound_terms=50)
            | options(model_updates=3, model_batch=10, model_learning_rate=1e-3, replay_size=3_000_000),
        ),
    )
)

METAWORLD = (*SCALED, *PUBLISHED_PLUS, *BECK)
