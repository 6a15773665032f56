"""Defaults of (environment, variant, algorithm): what differs from the option classes, and where it comes from.

A preset applies where its names match; later ones win over earlier ones.
"""

from dataclasses import dataclass, field
from typing import Any

from envs.registry import environment_class
from metarl.algorithms import config_class
from metarl.experiment.config import RunConfig, TrainConfig, options_from_dict

DEFAULT_ALGORITHM = "maml-trpo"


@dataclass(frozen=True)
class Preset:
    """Overrides for matching runs; `None` matches everything."""

    environment: str
    variant: str | None = None
    algorithm: str | None = None
    train: dict[str, Any] = field(default_factory=dict)
    algo: dict[str, Any] = field(default_factory=dict)
    source: str = ""


PRESETS = (
    Preset(
        "point-nav",
        train={"iterations": 60, "tasks": 20, "episodes": 20},
        source="pytorch-maml-rl's 2D navigation: 20 tasks, 20 episodes, inner rate 0.1",
    ),
    Preset(
        "half-cheetah-dir",
        train={"iterations": 100, "tasks": 20, "episodes": 10},
        source="a quarter of the published batch (40 tasks, 20 episodes), enough to adapt within minutes",
    ),
    Preset(
        "half-cheetah-vel",
        train={"iterations": 100, "tasks": 20, "episodes": 10},
        source="a quarter of the published batch (40 tasks, 20 episodes), enough to adapt within minutes",
    ),
    *(
        Preset(
            "half-cheetah-dir",
            variant=variant,
            algo={"initial_std": 0.3, "output_gain": 0.1},
            source="actions are not scaled: noise of size 1 drowns the signal (own measurement)",
        )
        for variant in ("pearl", "varibad", "l2l")
    ),
)


def preset(environment: str, variant: str | None, algorithm: str) -> Preset:
    """All presets that match, merged."""
    train: dict[str, Any] = {}
    algo: dict[str, Any] = {}
    sources = []
    for candidate in PRESETS:
        if (
            candidate.environment == environment
            and candidate.variant in (None, variant)
            and candidate.algorithm in (None, algorithm)
        ):
            train |= candidate.train
            algo |= candidate.algo
            sources.append(candidate.source)
    return Preset(environment, variant, algorithm, train, algo, "; ".join(sources))


def default_config(environment: str, algorithm: str | None = None, variant: str | None = None) -> RunConfig:
    """The config of a run that says no more than its names.

    Raises:
        InputError: an unknown name.
    """
    algorithm = algorithm or DEFAULT_ALGORITHM
    env_class, algo_class = environment_class(environment).Config, config_class(algorithm)
    env = options_from_dict(env_class, {} if variant is None else {"variant": variant})
    chosen = preset(environment, getattr(env, "variant", None), algorithm)
    return RunConfig(
        environment, algorithm, TrainConfig(**chosen.train), env, options_from_dict(algo_class, chosen.algo)
    )
