"""Presets of bandits, tabular processes and grids."""

from metarl.runs.presets.preset import GRADIENT_BASED, Preset, Runs, budget, options

TOY = (
    Preset(
        "pytorch-maml-rl's bandits: 2 x 32 ReLU, inner rate 0.5, discount 0.95",
        Runs(("bandit",), "deleu", GRADIENT_BASED),
        budget(500, 20, 100),
        options(hidden=(32, 32), activation="relu", inner_lr=0.5, discount=0.95),
    ),
    Preset(
        "Duan et al. 2016: an episode of n pulls is the trial; batch and rates are own choices",
        Runs(("bandit",), "rl2", ("rl2",)),
        budget(200, 200, 4),
        options(rounds=1, gae_lambda=0.3),
    ),
    Preset(
        "Duan et al. 2016: 10 episodes a trial; batch and rates are own choices, and so is attention as memory:"
        " a gated recurrent unit hardly remembers the reward of an action by state (121 in all after 300 updates)",
        Runs(("tabular-mdp",), algorithms=("rl2",)),
        budget(310, 320, 1),
        options(
            rounds=10, memory="attention", memory_size=128, embedding_size=128, hidden=(128,), previous_observation=True
        )
        | options(gae_lambda=0.7, entropy_bonus=0.005, minibatches=8, learning_rate=2e-3, learning_rate_decay=0.9957),
    ),
    Preset(
        "varibad's gridworld: 4 episodes a trial, discount 0.95; larger batches, fewer iterations",
        Runs(("grid-navi",), algorithms=("rl2", "varibad")),
        budget(200, 100, 2),
        options(rounds=4, discount=0.95),
    ),
    Preset(
        "own measurement: with a discount of 0.95 and an entropy bonus of 0.01 the first way of searching stays, and"
        " what it leaves is found late in the second episode (9.9 where 11.07 can be had)",
        Runs(("grid-navi",), algorithms=("rl2",)),
        budget(300, 210, 2),
        options(discount=1.0, gae_lambda=0.97, entropy_bonus=0.06, entropy_bonus_decay=0.99)
        | options(learning_rate=3e-3, learning_rate_decay=0.995, epochs=3, minibatches=8),
    ),
    Preset(
        "varibad's gridworld: lambda 0.95, GRU 64, latent 5, KL weight 0.01; with fewer gradient steps than these the"
        " policy stays behind its belief (own measurement)",
        Runs(("grid-navi",), algorithms=("varibad",)),
        algo=(
            options(gae_lambda=0.95, kl_weight=0.01, model_updates=20)
            | options(hidden=(64, 64), epochs=4, minibatches=16, entropy_bonus=0.02)
        ),
    ),
    Preset(
        "as rl2 above; a reward tells of what was seen and done before it. Own choices, not tuned",
        Runs(("tabular-mdp",), algorithms=("varibad",)),
        budget(200, 320, 1, checkpoint_every=50),  # each holds the replay
        options(rounds=10, memory="attention", memory_size=128, embedding_size=128, hidden=(128,), latent_size=32)
        | options(reward_from_action=True, transition_weight=1.0, kl_weight=0.01)
        | options(discount=0.99, gae_lambda=0.7, entropy_bonus=0.005, minibatches=8),
    ),
    Preset(
        "as grid-navi's; ten episodes, as many as `ad` and `dpt` have. Own choices, not tuned",
        Runs(("dark-room",), algorithms=("rl2", "varibad")),
        budget(300, 200, 1),
        options(rounds=10, discount=1.0, gae_lambda=0.97, entropy_bonus=0.06, minibatches=8),
    ),
    Preset(
        "own choices: ten episodes of a dark room, in which a good source has found its goal",
        Runs(("dark-room",), algorithms=("ad", "dpt")),
        budget(300, 16, 10),
        options(rounds=10, learning_rate_decay=0.99),
    ),
)
