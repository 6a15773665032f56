"""Reading back what a run is: its config, as it was meant when it was written."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metarl.runs.config import RunConfig, TrainConfig, options_from_dict, options_of_then, read_yaml
from metarl.runs.presets import config_with
from metarl.runs.user_code import changed_files, files_of, names_to_load, own_names
from metarl.runs.worlds import algorithm_config, default_algorithm, environment_config
from metarl.runtime.errors import InputError

if TYPE_CHECKING:
    from metarl.runs.run_directory import RunDirectory

logger = logging.getLogger("metarl")


def load_config(run: "RunDirectory", trust: bool = False) -> RunConfig:
    """The config that a run directory holds, with what its options meant when it was written.

    InputError where it is broken, or names code (`path.py:Class`), which reading its options runs, without `trust`.
    """
    values = read_yaml(run.config_path)
    environment, algorithm, options_of_algorithm = names_to_load(values, run.path, trust)
    values = values | {"algo": options_of_algorithm}
    try:
        kinds = _kinds(environment, algorithm, values["algo"])
        then = options_of_then(values, kinds)
        options = {room: options_from_dict(kind, values[room] | then[room]) for room, kind in kinds.items()}
    except (TypeError, AttributeError) as error:
        raise InputError(f"{run.config_path} is damaged ({error}) — train again") from error
    config = RunConfig(environment, algorithm, **options)
    for file in changed_files(values, files_of(config, run.path), run.path):
        logger.warning("%s has changed since %s was trained", file, run.path)
    return config


def _kinds(environment: str, algorithm: str, given: dict[str, Any]) -> dict[str, type]:
    """The classes of options of a run, by room."""
    algo = algorithm_config(environment, algorithm, given)
    return {"train": TrainConfig, "env": environment_config(environment), "algo": algo}


def config_from(
    file: Path | None,
    environment: str | None,
    algorithm: str | None,
    train: dict[str, Any],
    env: dict[str, Any],
    algo: dict[str, Any],
    trust: bool = False,
) -> RunConfig:
    """The config that is asked for by names and options, and for the rest by a `config.yaml`, or a file like it.

    Such a file says at least `environment`; what it leaves out is as presets say, and so are the options of an
    environment or algorithm in it where another is named. What an older run's options meant, they mean.

    Raises:
        InputError: no environment, an unknown name, an impossible option, a file that is none, or one that names code
            (`path.py:Class`) and is not to be trusted.
    """
    if file is None:
        if environment is None:
            raise InputError("no environment is named — name one of `metarl list envs`")
        return config_with(environment, algorithm, train, env, algo)
    values = read_yaml(file, whole=False)
    for room, named, said in (("env", environment, "environment"), ("algo", algorithm, "algorithm")):
        if named not in (None, values[said]):
            values[room] = {}
    names = {"environment": environment or values["environment"], "algorithm": algorithm or values["algorithm"]}
    its_own = own_names(
        "" if environment else names["environment"], "" if algorithm else names["algorithm"], values["algo"]
    )
    environment, algorithm, options = names_to_load(values | names, file.parent, trust or not its_own)
    algorithm = algorithm or default_algorithm(environment)
    kinds = _kinds(environment, algorithm, options | algo)
    then = options_of_then(values, kinds)
    rooms = {"train": (values["train"], train), "env": (values["env"], env), "algo": (options, algo)}
    return config_with(environment, algorithm, *(of_file | then[room] | own for room, (of_file, own) in rooms.items()))


def train_options(run: Path, changes: dict[str, Any]) -> TrainConfig:
    """How the run in a folder trains, but for the `changes`; InputError where it is none, or one is impossible."""
    values = read_yaml(run / "config.yaml")
    then = options_of_then(values, {"train": TrainConfig})["train"]
    options: TrainConfig = options_from_dict(TrainConfig, values["train"] | then | changes)
    return options
