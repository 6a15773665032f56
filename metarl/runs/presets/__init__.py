"""Defaults of (environment, variant, algorithm): what differs from the option classes, and where it comes from.

Of the presets that match a run later ones win over earlier ones. Each file holds those of one family of environments.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from metarl.runs.config import RunConfig, TrainConfig, options_from_dict
from metarl.runs.presets.labelled import LABELLED
from metarl.runs.presets.locomotion import LOCOMOTION
from metarl.runs.presets.metaworld import METAWORLD
from metarl.runs.presets.point import POINT
from metarl.runs.presets.preset import Preset, Runs, budget
from metarl.runs.presets.robots import ROBOTS
from metarl.runs.presets.toy import TOY
from metarl.runs.worlds import algorithm_config, default_algorithm, environment_config

__all__ = ["PRESETS", "config_with", "default_config"]

ANYWHERE = (
    Preset(
        "few lanes: gradient steps are dearer than environment steps",
        Runs(algorithms=("pearl",)),
        budget(200, 8, 4),
    ),
    Preset(
        "few lanes, each of which is a trial: gradient steps are dearer than environment steps",
        Runs(algorithms=("recurrent-sac",)),
        budget(200, 10, 1),
    ),
)
PRESETS = (*ANYWHERE, *TOY, *POINT, *LOCOMOTION, *ROBOTS, *METAWORLD, *LABELLED)


def default_config(
    environment: str,
    algorithm: str | None = None,
    variant: str | None = None,
    given: Mapping[str, Any] = {},  # noqa: B006 - only read
) -> RunConfig:
    """The config of a run that says no more than its names.

    Args:
        environment: ENV.
        algorithm: ALGO.
        variant: of the environment.
        given: options of the algorithm, of which `inner` and `outer` name another pair of inner loop and meta-update;
            what presets say of options that this pair lacks counts for nothing then.

    Raises:
        InputError: an unknown name.
    """
    algorithm = algorithm or default_algorithm(environment)
    env_class, algo_class = environment_config(environment), algorithm_config(environment, algorithm, given)
    env = options_from_dict(env_class, {} if variant is None else {"variant": variant})
    found = [preset for preset in PRESETS if preset.runs.hold(environment, getattr(env, "variant", None), algorithm)]
    train = {name: value for preset in found for name, value in preset.train.items()}
    algo = {name: value for preset in found for name, value in preset.algo.items()}
    if algo_class is not algorithm_config(environment, algorithm):
        known = {field.name for field in dataclasses.fields(algo_class)}
        algo = {name: value for name, value in algo.items() if name in known}
    return RunConfig(environment, algorithm, TrainConfig(**train), env, options_from_dict(algo_class, algo))


def config_with(
    environment: str, algorithm: str | None, train: dict[str, Any], env: dict[str, Any], algo: dict[str, Any]
) -> RunConfig:
    """The config of a run that says so much besides its names.

    Raises:
        InputError: an unknown name, or an impossible option.
    """
    config = default_config(environment, algorithm, env.get("variant"), algo)
    changed = {}
    for room, values in (("train", train), ("env", env), ("algo", algo)):
        options = getattr(config, room)
        current = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
        changed[room] = options_from_dict(type(options), current | values)
    return dataclasses.replace(config, **changed)
