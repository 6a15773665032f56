"""Reading back what a run is: its config, as it was meant when it was written."""

import logging

from metarl.runs.config import RunConfig, TrainConfig, options_from_dict, options_of_then, read_yaml
from metarl.runs.run_directory import RunDirectory
from metarl.runs.user_code import changed_files, files_of, names_to_load
from metarl.runs.worlds import algorithm_config, environment_config
from metarl.runtime.errors import InputError

logger = logging.getLogger("metarl")


def load_config(run: RunDirectory, trust: bool = False) -> RunConfig:
    """The config that a run directory holds, with what its options meant when it was written.

    InputError where it is broken, or names code (`path.py:Class`), which reading its options runs, without `trust`.
    """
    values = read_yaml(run.config_path)
    environment, algorithm, options_of_algorithm = names_to_load(values, run.path, trust)
    values = values | {"algo": options_of_algorithm}
    try:
        kinds = {
            "train": TrainConfig,
            "env": environment_config(environment),
            "algo": algorithm_config(environment, algorithm, values["algo"]),
        }
        then = options_of_then(values, kinds)
        options = {room: options_from_dict(kind, values[room] | then[room]) for room, kind in kinds.items()}
    except (TypeError, AttributeError) as error:
        raise InputError(f"{run.config_path} is damaged ({error}) — train again") from error
    config = RunConfig(environment, algorithm, **options)
    for file in changed_files(values, files_of(config, run.path), run.path):
        logger.warning("%s has changed since %s was trained", file, run.path)
    return config
