"""Presets of walkers: what two cores train within minutes, and published settings where a variant repeats a source."""

from metarl.runs.presets.preset import BY_SEVERAL_STEPS, GRADIENT_BASED, MAML, Preset, Runs, budget, options

CHEETAHS = ("half-cheetah-dir", "half-cheetah-vel")
ANTS = ("ant-dir", "ant-vel", "ant-goal")
WALKERS = ("walker-dir", "walker-vel", "walker-params", "hopper-params", "swimmer-vel")
OTHERS_OF_PROMP = ("ant-dir", "ant-angle", "ant-goal", "humanoid-dir", *WALKERS)
BY_VARIBAD = (*CHEETAHS, "ant-dir", "ant-goal", "walker-params")  # what VariBAD's code is run on
PROMP = budget(1001, 40, 20)
FAST_PEARL = options(
    learning_rate=1e-3, discount=0.97, target_rate=0.02, reward_scale=1.0, temperature=0.1, kl_weight=0.1
)

BY_GRADIENT_STEPS = (
    Preset(
        "a quarter of the published batch (40 tasks, 20 episodes), enough to adapt within minutes",
        Runs(CHEETAHS, algorithms=GRADIENT_BASED),
        budget(100, 20, 10),
    ),
    Preset(
        "cbfinn/maml_rl: 40 tasks, 20 episodes, 2 x 100 ReLU; Finn et al. 2017 train up to 500 iterations",
        Runs((*CHEETAHS, *ANTS, "swimmer-vel"), "maml", GRADIENT_BASED),
        budget(500, 40, 20),
        options(hidden=(100, 100), activation="relu"),
    ),
    Preset(
        "pytorch-maml-rl, configs/maml: 40 tasks, 20 episodes, 500 iterations, 2 x 64 tanh",
        Runs((*CHEETAHS, *ANTS), "deleu", GRADIENT_BASED),
        budget(500, 40, 20),
    ),
    Preset(
        "ProMP, run_scripts and full_code: 40 tasks, 20 episodes, 1001 iterations, 2 x 64 tanh",
        Runs((*CHEETAHS, *OTHERS_OF_PROMP), "promp", GRADIENT_BASED),
        PROMP,
    ),
    Preset(
        "ProMP, full_code: 2 inner steps for this one",
        Runs(("ant-goal",), "promp", BY_SEVERAL_STEPS),
        algo=options(inner_steps=2),
    ),
    *(
        Preset(
            "ProMP, full_code: as the others, 2 x 128",
            Runs(("humanoid-dir",), variant, GRADIENT_BASED),
            PROMP,
            options(hidden=(128, 128)),
        )
        for variant in ("promp", "promp-2d")
    ),
    Preset(
        "learn2learn, examples/rl/maml_trpo.py: 20 tasks, 20 episodes, 2 x 100 ReLU, discount 0.95",
        Runs(("half-cheetah-dir", "ant-dir", "ant-angle", "humanoid-dir"), "l2l", MAML),
        budget(1000, 20, 20),
        options(hidden=(100, 100), activation="relu", discount=0.95),
    ),
    Preset(
        "garage, maml_trpo_half_cheetah_dir.py: 20 tasks, 40 episodes, 300 iterations",
        Runs(("half-cheetah-dir",), "garage", MAML),
        budget(300, 20, 40),
    ),
    *(
        Preset(
            "actions are not scaled: noise of size 1 drowns the signal (own measurement)",
            Runs(("half-cheetah-dir",), variant, GRADIENT_BASED),
            algo=options(initial_std=0.3, output_gain=0.1),
        )
        for variant in ("pearl", "varibad", "l2l")
    ),
)

BY_MEMORY = (
    Preset(
        "varibad's discount 0.97, lambda 0.9; 80 trials an iteration, half the published networks",
        Runs(BY_VARIBAD, algorithms=("rl2",)),
        budget(100, 40, 2),
        options(memory_size=64, discount=0.97, gae_lambda=0.9),
    ),
    *(
        Preset(
            f"varibad, {file}: 1e8 frames, GRU 128, policy 128, 2 epochs, {what}",
            Runs((environment,), "varibad", ("rl2",)),
            budget(100_000_000 // (400 * tasks), tasks, 1),
            options(memory_size=128, hidden=(128,), epochs=2, **rates),
        )
        for environment, file, tasks, what, rates in (
            (
                *("half-cheetah-vel", "args_cheetah_vel_rl2.py (16 processes x 800 steps)", 32),
                *("4 minibatches, clip 0.1", options(learning_rate=7e-4, clip=0.1)),
            ),
            (
                *("half-cheetah-dir", "args_cheetah_dir_rl2.py (16 processes; trials are whole here)", 16),
                *("4 minibatches, clip 0.1", options(learning_rate=7e-4, clip=0.1)),
            ),
            (
                *("ant-dir", "args_ant_dir_rl2.py (16 processes; trials are whole here)", 16),
                *("4 minibatches, clip 0.05", options(learning_rate=7e-4, clip=0.05)),
            ),
            (
                *("ant-goal", "args_ant_goal_rl2.py (16 processes; trials are whole here)", 16),
                *("1 minibatch, clip 0.05, rate 3e-4", options(learning_rate=3e-4, clip=0.05, minibatches=1)),
            ),
            (
                *("walker-params", "args_walker_rl2.py (16 processes; trials are whole here)", 16),
                *("1 minibatch, clip 0.05", options(learning_rate=7e-4, clip=0.05, minibatches=1)),
            ),
        )
    ),
    Preset(
        "ProMP, full_code: 200 tasks, 2 episodes a trial, 64 units (an LSTM there), Adam 1e-3, 5 epochs",
        Runs(CHEETAHS, "promp", ("rl2",)),
        budget(1000, 200, 1),
        options(discount=0.99, gae_lambda=1.0, entropy_bonus=0.0),
    ),
    Preset(
        "varibad's discount 0.97, lambda 0.9, latent 5, KL weight 0.1; 80 trials an iteration, half the published"
        " networks",
        Runs(BY_VARIBAD, algorithms=("varibad",)),
        budget(100, 40, 2),
        options(hidden=(64, 64), minibatches=16, reward_from_action=True, replay_size=400_000),
    ),
    Preset(
        "varibad: latent 10 for ant-goal and walker",
        Runs(("ant-goal", "walker-params"), algorithms=("varibad",)),
        algo=options(latent_size=10),
    ),
    Preset(
        "varibad, args_walker_varibad.py: where a step leads tells the body; KL weight 1",
        Runs(("walker-params",), algorithms=("varibad",)),
        algo=options(transition_weight=1.0, kl_weight=1.0),
    ),
    *(
        Preset(
            f"varibad: 1e8 frames, 16 processes x {steps} steps (trials are whole here), GRU 128, 2 x 128, discount"
            f" 0.97, lambda 0.9, replay of 10,000 trials, {what} of 10 trials; the bound at 50 of the 401 prefixes",
            Runs((environment,), "varibad", ("varibad",)),
            budget(100_000_000 // (400 * tasks), tasks, 1, checkpoint_every=500),  # each holds the replay
            options(hidden=(128, 128), memory_size=128, reward_from_action=True)
            | options(replay_size=4_000_000, model_batch=10, bound_terms=50, **rates),
        )
        for environment, steps, tasks, what, rates in (
            (
                *("half-cheetah-dir", 800, 32, "16 epochs, 4 minibatches, clip 0.1, 1 model update"),
                options(epochs=16, minibatches=4, clip=0.1, learning_rate=7e-4, model_updates=1),
            ),
            (
                *("half-cheetah-vel", 400, 16, "2 epochs, 8 minibatches, clip 0.1, 1 model update"),
                options(epochs=2, minibatches=8, clip=0.1, learning_rate=7e-4, model_updates=1),
            ),
            (
                *("ant-goal", 200, 16, "2 epochs, 1 minibatch, clip 0.05, 5 model updates"),
                options(epochs=2, minibatches=1, clip=0.05, model_updates=5),
            ),
            (
                *("ant-dir", 200, 16, "2 epochs, 1 minibatch, clip 0.1, 1 model update"),
                options(epochs=2, minibatches=1, clip=0.1, learning_rate=7e-4, model_updates=1),
            ),
            (
                *("walker-params", 200, 16, "2 epochs, 2 minibatches, clip 0.05, 1 model update"),
                options(epochs=2, minibatches=2, clip=0.05, learning_rate=7e-4, model_updates=1),
            ),
        )
    ),
    Preset(
        "trials of 400 steps, eight in a gradient step; discount 0.97 as varibad's, a target rate for few steps",
        Runs(BY_VARIBAD, algorithms=("recurrent-sac",)),
        budget(100, 10, 1),
        options(batch_size=8, update_ratio=0.02, discount=0.97, target_rate=0.02),
    ),
    Preset(
        "rates of the row for half-cheetah-vel below, which minutes allow; half as many gradient steps",
        Runs(BY_VARIBAD, algorithms=("pearl",)),
        budget(100, 5, 2),
        FAST_PEARL,
    ),
    Preset(
        "oyster, cheetah-vel: 5 tasks an iteration, context 100, nothing forgotten; scaled: 3 x 300 units,"
        " 16 tasks x 256 transitions, 0.4 gradient steps for an environment step, 2000 steps on each of the 100 tasks"
        " before the first. Context is of all episodes: of the first alone, as there, it learns more slowly. Rate 3e-4,"
        " discount 0.99, target rate 0.005 and rewards times 5 (at temperature 1) need more gradient steps than minutes"
        " allow (own measurement)",
        Runs(("half-cheetah-vel",), "pearl", ("pearl",)),
        budget(100, 5, 2),
        options(context_size=100, warmup_iterations=5, update_ratio=0.1, replay_size=700_000) | FAST_PEARL,
    ),
)

LOCOMOTION = (*BY_GRADIENT_STEPS, *BY_MEMORY)
