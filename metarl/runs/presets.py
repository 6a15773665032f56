"""Defaults of (environment, variant, algorithm): what differs from the option classes, and where it comes from.

A preset applies where its names match; later ones win over earlier ones.
"""

from dataclasses import dataclass, field
from typing import Any

from metarl.algorithms import ALGORITHMS
from metarl.algorithms.configs import InnerLoopConfig
from metarl.runs.config import RunConfig, TrainConfig, options_from_dict
from metarl.runs.worlds import algorithm_config, default_algorithm, environment_config


@dataclass(frozen=True)
class Preset:
    """Overrides for matching runs; `None` and an empty tuple match everything."""

    environment: str | None
    variant: str | None = None
    algorithms: tuple[str, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def matches(self, environment: str, variant: str | None, algorithm: str) -> bool:
        """Whether it is about this run."""
        return (
            self.environment in (None, environment)
            and self.variant in (None, variant)
            and (not self.algorithms or algorithm in self.algorithms)
        )


GRADIENT_BASED = tuple(name for name, entry in ALGORITHMS.items() if issubclass(entry.config, InnerLoopConfig))
MAML = ("maml-trpo", "fomaml", "anil", "meta-sgd", "e-maml")

PRESETS = (
    # What two cores train within minutes.
    Preset(
        "point-nav",
        algorithms=GRADIENT_BASED,
        train={"iterations": 60, "tasks": 20, "lanes": 20},
        source="pytorch-maml-rl's 2D navigation: 20 tasks, 20 episodes, inner rate 0.1",
    ),
    *(
        Preset(
            environment,
            algorithms=GRADIENT_BASED,
            train={"iterations": 100, "tasks": 20, "lanes": 10},
            source="a quarter of the published batch (40 tasks, 20 episodes), enough to adapt within minutes",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel")
    ),
    # Published settings, where a variant repeats what a source did.
    *(
        Preset(
            environment,
            "maml",
            GRADIENT_BASED,
            train={"iterations": 500, "tasks": 40, "lanes": 20},
            algo={"hidden": (100, 100), "activation": "relu"},
            source="cbfinn/maml_rl: 40 tasks, 20 episodes, 2 x 100 ReLU; Finn et al. 2017 train up to 500 iterations",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel", "ant-dir", "ant-vel", "ant-goal", "swimmer-vel")
    ),
    *(
        Preset(
            environment,
            "deleu",
            GRADIENT_BASED,
            train={"iterations": 500, "tasks": 40, "lanes": 20},
            source="pytorch-maml-rl, configs/maml: 40 tasks, 20 episodes, 500 iterations, 2 x 64 tanh",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel", "ant-dir", "ant-vel", "ant-goal")
    ),
    Preset(
        "bandit",
        "deleu",
        GRADIENT_BASED,
        train={"iterations": 500, "tasks": 20, "lanes": 100},
        algo={"hidden": (32, 32), "activation": "relu", "inner_lr": 0.5, "discount": 0.95},
        source="pytorch-maml-rl's bandits: 2 x 32 ReLU, inner rate 0.5, discount 0.95",
    ),
    *(
        Preset(
            environment,
            variant,
            GRADIENT_BASED,
            train={"iterations": 1001, "tasks": 40, "lanes": 20},
            source="ProMP, run_scripts and full_code: 40 tasks, 20 episodes, 1001 iterations, 2 x 64 tanh",
        )
        for environment, variant in (
            ("half-cheetah-dir", "promp"),
            ("half-cheetah-vel", "promp"),
            ("ant-dir", "promp"),
            ("ant-angle", "promp"),
            ("ant-goal", "promp"),
            ("humanoid-dir", "promp"),
            ("humanoid-dir", "promp-2d"),
            ("walker-dir", "promp"),
            ("walker-vel", "promp"),
            ("walker-params", "promp"),
            ("hopper-params", "promp"),
            ("swimmer-vel", "promp"),
            ("point-corners", "promp-momentum"),
        )
    ),
    Preset(
        "ant-goal",
        "promp",
        GRADIENT_BASED,
        algo={"inner_steps": 2},
        source="ProMP, full_code: 2 inner steps for this one",
    ),
    *(
        Preset(
            environment,
            variant,
            GRADIENT_BASED,
            algo={"hidden": (128, 128)},
            source="ProMP, full_code: 2 x 128",
        )
        for environment, variant in (
            ("humanoid-dir", "promp"),
            ("humanoid-dir", "promp-2d"),
            ("point-corners", "promp-momentum"),
        )
    ),
    Preset(
        "point-corners",
        "promp-momentum",
        GRADIENT_BASED,
        algo={"inner_steps": 3},
        source="ProMP, full_code: 3 inner steps for this one",
    ),
    *(
        Preset(
            environment,
            "l2l",
            MAML,
            train={"iterations": 1000, "tasks": 20, "lanes": 20},
            algo={"hidden": (100, 100), "activation": "relu", "discount": 0.95},
            source="learn2learn, examples/rl/maml_trpo.py: 20 tasks, 20 episodes, 2 x 100 ReLU, discount 0.95",
        )
        for environment in ("point-nav", "half-cheetah-dir", "ant-dir", "ant-angle", "humanoid-dir")
    ),
    Preset(
        "half-cheetah-dir",
        "garage",
        MAML,
        train={"iterations": 300, "tasks": 20, "lanes": 40},
        source="garage, maml_trpo_half_cheetah_dir.py: 20 tasks, 40 episodes, 300 iterations",
    ),
    # Own measurements.
    *(
        Preset(
            "half-cheetah-dir",
            variant,
            GRADIENT_BASED,
            algo={"initial_std": 0.3, "output_gain": 0.1},
            source="actions are not scaled: noise of size 1 drowns the signal (own measurement)",
        )
        for variant in ("pearl", "varibad", "l2l")
    ),
    # RL2: scaled to two cores, then published settings.
    Preset(
        "bandit",
        "rl2",
        ("rl2",),
        train={"iterations": 200, "tasks": 200, "lanes": 4},
        algo={"rounds": 1, "gae_lambda": 0.3},
        source="Duan et al. 2016: an episode of n pulls is the trial; batch and rates are own choices",
    ),
    Preset(
        "tabular-mdp",
        algorithms=("rl2",),
        train={"iterations": 170, "tasks": 320, "lanes": 1},
        algo={
            **{"rounds": 10, "memory": "attention", "memory_size": 128, "embedding_size": 128},
            **{"hidden": (128,), "previous_observation": True},
            **{"gae_lambda": 0.7, "entropy_bonus": 0.005, "minibatches": 8},
            **{"learning_rate": 2e-3, "learning_rate_decay": 0.99},
        },
        source="Duan et al. 2016: 10 episodes a trial; batch and rates are own choices, and so is attention as memory:"
        " a gated recurrent unit hardly remembers the reward of an action by state (121 in all after 300 updates)",
    ),
    Preset(
        "grid-navi",
        algorithms=("rl2",),
        train={"iterations": 200, "tasks": 100, "lanes": 2},
        algo={"rounds": 4, "discount": 0.95},
        source="varibad's gridworld: 4 episodes a trial, discount 0.95; larger batches, fewer iterations",
    ),
    *(
        Preset(
            environment,
            algorithms=("rl2",),
            train={"iterations": 100, "tasks": 40, "lanes": 2},
            algo={"memory_size": 64, "discount": 0.97, "gae_lambda": 0.9},
            source="varibad's discount 0.97 and lambda 0.9; 80 trials an iteration, half the published network",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel")
    ),
    *(
        Preset(
            environment,
            "varibad",
            ("rl2",),
            train={"iterations": 100_000_000 // (400 * tasks), "tasks": tasks, "lanes": 1},
            algo={"memory_size": 128, "hidden": (128,), "learning_rate": 7e-4, "epochs": 2, "clip": 0.1},
            source=f"varibad, {file}: 1e8 frames, GRU 128, policy 128, 2 epochs, 4 minibatches, clip 0.1",
        )
        for environment, file, tasks in (
            ("half-cheetah-vel", "args_cheetah_vel_rl2.py (16 processes x 800 steps)", 32),
            ("half-cheetah-dir", "args_cheetah_dir_rl2.py (16 processes; trials are whole here)", 16),
        )
    ),
    *(
        Preset(
            environment,
            "promp",
            ("rl2",),
            train={"iterations": 1000, "tasks": 200, "lanes": 1},
            algo={"discount": 0.99, "gae_lambda": 1.0, "entropy_bonus": 0.0},
            source="ProMP, full_code: 200 tasks, 2 episodes a trial, 64 units (an LSTM there), Adam 1e-3, 5 epochs",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel")
    ),
    # VariBAD: scaled to two cores, then published settings.
    Preset(
        "grid-navi",
        algorithms=("varibad",),
        train={"iterations": 200, "tasks": 100, "lanes": 2},
        algo={"rounds": 4, "discount": 0.95, "gae_lambda": 0.95, "kl_weight": 0.01, "model_updates": 20},
        source="varibad's gridworld: 4 episodes a trial, discount and lambda 0.95, GRU 64, latent 5, KL weight 0.01;"
        " larger batches, fewer iterations",
    ),
    Preset(
        "grid-navi",
        algorithms=("varibad",),
        algo={"hidden": (64, 64), "epochs": 4, "minibatches": 16, "entropy_bonus": 0.02},
        source="fewer gradient steps than these leave the policy behind its belief (own measurement)",
    ),
    *(
        Preset(
            environment,
            algorithms=("varibad",),
            train={"iterations": 100, "tasks": 40, "lanes": 2},
            algo={"hidden": (64, 64), "minibatches": 16, "reward_from_action": True, "replay_size": 400_000},
            source="varibad's discount 0.97, lambda 0.9, latent 5, KL weight 0.1; 80 trials an iteration, half the"
            " published networks",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel")
    ),
    *(
        Preset(
            environment,
            "varibad",
            ("varibad",),
            train={
                "iterations": 100_000_000 // (400 * tasks),
                "tasks": tasks,
                "lanes": 1,
                "checkpoint_every": 500,  # each holds the replay
            },
            algo={"hidden": (128, 128), "memory_size": 128, "reward_from_action": True, "replay_size": 4_000_000},
            source=f"varibad: 1e8 frames, 16 processes x {steps} steps (trials are whole here), GRU 128, 2 x 128,"
            " discount 0.97, lambda 0.9, latent 5 (10 for ant-goal), KL weight 0.1",
        )
        for environment, steps, tasks in (
            ("half-cheetah-dir", 800, 32),
            ("half-cheetah-vel", 400, 16),
            ("ant-goal", 200, 16),
        )
    ),
    *(
        Preset(
            environment,
            "varibad",
            ("varibad",),
            algo={**rates, "model_batch": 10, "bound_terms": 50},
            source=f"varibad: replay of 10,000 trials, {what}; the bound at 50 of the 401 prefixes",
        )
        for environment, what, rates in (
            (
                "half-cheetah-dir",
                "16 epochs, 4 minibatches, clip 0.1, 1 model update of 10 trials",
                {"epochs": 16, "minibatches": 4, "clip": 0.1, "learning_rate": 7e-4, "model_updates": 1},
            ),
            (
                "half-cheetah-vel",
                "2 epochs, 8 minibatches, clip 0.1, 1 model update of 10 trials",
                {"epochs": 2, "minibatches": 8, "clip": 0.1, "learning_rate": 7e-4, "model_updates": 1},
            ),
            (
                "ant-goal",
                "2 epochs, 1 minibatch, clip 0.05, 5 model updates of 10 trials",
                {"latent_size": 10, "epochs": 2, "minibatches": 1, "clip": 0.05, "model_updates": 5},
            ),
        )
    ),
    # PEARL: what two cores can train. Networks, batches and the steps of an iteration are scaled in all of them.
    Preset(
        None,
        algorithms=("pearl",),
        train={"iterations": 200, "tasks": 8, "lanes": 4},
        source="few lanes: gradient steps are dearer than environment steps",
    ),
    Preset(
        "sparse-point-nav",
        algorithms=("pearl",),
        train={"iterations": 60, "tasks": 8, "lanes": 8},
        algo={
            **{"hidden": (64, 64), "encoder_hidden": (64, 64), "context_size": 32, "update_ratio": 0.1},
            **{"discount": 0.9, "reward_scale": 10.0, "temperature": 0.1, "kl_weight": 0.1},
            **{"learning_rate": 1e-3, "target_rate": 0.02},
        },
        source="oyster, sparse-point-robot: discount 0.9, reward scale 100 at temperature 1 (here 10 at 0.1: as greedy,"
        " with smaller values); scaled: context 1024, 3 x 300 units, rate 3e-4, target rate 0.005 (own measurement)",
    ),
    Preset(
        "half-cheetah-vel",
        "pearl",
        ("pearl",),
        train={"iterations": 100, "tasks": 5, "lanes": 2},
        algo={
            **{"context_size": 100, "warmup_iterations": 5, "update_ratio": 0.1, "learning_rate": 1e-3},
            **{"discount": 0.97, "target_rate": 0.02, "reward_scale": 1.0, "temperature": 0.1, "kl_weight": 0.1},
            **{"replay_size": 700_000},
        },
        source="oyster, cheetah-vel: 5 tasks an iteration, context 100, nothing forgotten; scaled: 3 x 300 units,"
        " 16 tasks x 256 transitions, 0.4 gradient steps for an environment step, 2000 steps on each of the 100 tasks"
        " before the first. Context is of all episodes: of the first alone, as there, it learns more slowly. Rate 3e-4,"
        " discount 0.99, target rate 0.005 and rewards times 5 (at temperature 1) need more gradient steps than minutes"
        " allow (own measurement)",
    ),
    # Labelled data.
    *(
        Preset(
            regression,
            train={"iterations": 5000, "tasks": 25, "checkpoint_every": 500},
            source="Finn et al. 2017, 5.1: 25 tasks, 10 shots, 2 x 40 ReLU, inner rate 0.01; 5,000 meta-updates do",
        )
        for regression in ("sinusoid", "polynomial")
    ),
    Preset(
        "omniglot",
        train={"iterations": 60_000, "tasks": 32, "checkpoint_every": 100},
        source="Finn et al. 2017, A.1: 32 tasks, 60,000 meta-updates",
    ),
    Preset(
        "omniglot",
        algorithms=("maml", "fomaml", "anil", "meta-sgd", "reptile", "multitask"),
        algo={"inner_lr": 0.4},
        source="Finn et al. 2017, A.1: inner rate 0.4 of 5-way tasks",
    ),
    Preset(
        "omniglot",
        algorithms=("imaml",),
        algo={"inner_lr": 0.01, "proximal_strength": 2.0},
        source="imaml_dev, Omniglot: 16 solver steps of 0.01, lambda 2",
    ),
    *(
        Preset(
            regression,
            algorithms=("imaml",),
            algo={"inner_lr": 0.01, "proximal_strength": 10.0},
            source="the strength at which the first 900 meta-updates learned most (own measurement)",
        )
        for regression in ("sinusoid", "polynomial")
    ),
)


def preset(environment: str, variant: str | None, algorithm: str) -> Preset:
    """All presets that match, merged."""
    found = [candidate for candidate in PRESETS if candidate.matches(environment, variant, algorithm)]
    train = {name: value for candidate in found for name, value in candidate.train.items()}
    algo = {name: value for candidate in found for name, value in candidate.algo.items()}
    return Preset(environment, variant, (algorithm,), train, algo, "; ".join(candidate.source for candidate in found))


def default_config(environment: str, algorithm: str | None = None, variant: str | None = None) -> RunConfig:
    """The config of a run that says no more than its names.

    Raises:
        InputError: an unknown name.
    """
    algorithm = algorithm or default_algorithm(environment)
    env_class, algo_class = environment_config(environment), algorithm_config(environment, algorithm)
    env = options_from_dict(env_class, {} if variant is None else {"variant": variant})
    chosen = preset(environment, getattr(env, "variant", None), algorithm)
    return RunConfig(
        environment, algorithm, TrainConfig(**chosen.train), env, options_from_dict(algo_class, chosen.algo)
    )
