"""Defaults of (environment, variant, algorithm): what differs from the option classes, and where it comes from.

A preset applies where its names match; later ones win over earlier ones.
"""

from dataclasses import dataclass, field
from typing import Any

from metarl.algorithms import ALGORITHMS
from metarl.algorithms.configs import InnerLoopConfig
from metarl.experiment.config import RunConfig, TrainConfig, options_from_dict
from metarl.experiment.worlds import algorithm_config, default_algorithm, environment_config


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
        train={"iterations": 60, "tasks": 20, "episodes": 20},
        source="pytorch-maml-rl's 2D navigation: 20 tasks, 20 episodes, inner rate 0.1",
    ),
    *(
        Preset(
            environment,
            algorithms=GRADIENT_BASED,
            train={"iterations": 100, "tasks": 20, "episodes": 10},
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
            train={"iterations": 500, "tasks": 40, "episodes": 20},
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
            train={"iterations": 500, "tasks": 40, "episodes": 20},
            source="pytorch-maml-rl, configs/maml: 40 tasks, 20 episodes, 500 iterations, 2 x 64 tanh",
        )
        for environment in ("half-cheetah-dir", "half-cheetah-vel", "ant-dir", "ant-vel", "ant-goal")
    ),
    Preset(
        "bandit",
        "deleu",
        GRADIENT_BASED,
        train={"iterations": 500, "tasks": 20, "episodes": 100},
        algo={"hidden": (32, 32), "activation": "relu", "inner_lr": 0.5, "discount": 0.95},
        source="pytorch-maml-rl's bandits: 2 x 32 ReLU, inner rate 0.5, discount 0.95",
    ),
    *(
        Preset(
            environment,
            variant,
            GRADIENT_BASED,
            train={"iterations": 1001, "tasks": 40, "episodes": 20},
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
            train={"iterations": 1000, "tasks": 20, "episodes": 20},
            algo={"hidden": (100, 100), "activation": "relu", "discount": 0.95},
            source="learn2learn, examples/rl/maml_trpo.py: 20 tasks, 20 episodes, 2 x 100 ReLU, discount 0.95",
        )
        for environment in ("point-nav", "half-cheetah-dir", "ant-dir", "ant-angle", "humanoid-dir")
    ),
    Preset(
        "half-cheetah-dir",
        "garage",
        MAML,
        train={"iterations": 300, "tasks": 20, "episodes": 40},
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
        algorithms=("maml", "fomaml", "anil", "meta-sgd", "reptile", "multitask", "imaml"),
        algo={"inner_lr": 0.4},
        source="Finn et al. 2017, A.1: inner rate 0.4 of 5-way tasks",
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
