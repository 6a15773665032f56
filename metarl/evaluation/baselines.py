"""What a run is compared with: baselines on the same environment, trained as long, met with the same tasks.

They live in the run's own folder, `RUN/compare/ALGO`, each an ordinary run: one that was interrupted goes on, one that
is finished is not trained again.
"""

import dataclasses
from collections.abc import Sequence

from rich.console import Console

from metarl.algorithms import algorithm_class
from metarl.runs.checkpoint import Checkpoint, shapes_of
from metarl.runs.config import RunConfig, read_yaml
from metarl.runs.continuing import mismatch, taken_up
from metarl.runs.presets import default_config
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import InputError
from metarl.runtime.files import slug
from metarl.sampling.normalisation import running
from metarl.training.loop import train
from metarl.training.offline import world_of
from metarl.training.setup import World, fresh_state, set_up


def baselines(config: RunConfig, algorithms: Sequence[str]) -> dict[str, RunConfig]:
    """Configs of the algorithms that a run of `config` is compared with, by name.

    Environment and training are the run's. So is every option that the run sets otherwise than its own method does,
    where the baseline has that option with that default: a smaller network is the baselines' too.

    Raises:
        InputError: an unknown name, the run's own, or a method that cannot be used here.
    """
    found = {}
    for name in dict.fromkeys(algorithms):
        if name == config.algorithm:
            raise InputError(f"--compare {name}, but the run is of {name} itself — name other algorithms")
        defaults = default_config(config.environment, name, getattr(config.env, "variant", None))
        theirs, ours = dataclasses.asdict(type(defaults.algo)()), dataclasses.asdict(type(config.algo)())
        chosen = {
            option: value
            for option, value in dataclasses.asdict(config.algo).items()
            if value != ours[option] and theirs.get(option) == ours[option]
        }
        algo = dataclasses.replace(defaults.algo, **chosen)
        found[name] = RunConfig(config.environment, name, config.train, config.env, algo)
        # whatever is impossible is refused before anything is trained
        if set_up(found[name], num_tasks=1).traits.learns_from_histories:
            world_of(found[name])
    return found


def baseline_directory(run: RunDirectory, algorithm: str) -> RunDirectory:
    """Where a baseline of `run` lives."""
    return RunDirectory(run.path / "compare" / slug(algorithm))


def trained(run: RunDirectory, config: RunConfig, console: Console) -> Checkpoint:
    """A baseline's last checkpoint, after training what is left of its iterations; one that learns nothing needs none.

    Raises:
        InputError: the folder holds something else, or another process is training it.
        StorageError: the file system refused, or all its checkpoints are damaged.
    """
    if not algorithm_class(config.algorithm).traits(config.algo).learns:
        start = fresh_state(set_up(config, num_tasks=1))
        if not running(start):
            return Checkpoint(0, 0, start)
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, iterations=1))  # which measures
    old = run.config_path.exists()
    if old:
        config = taken_up(config, read_yaml(run.config_path))
    setup = world_of(config)
    start = fresh_state(setup)
    shapes = shapes_of(start)
    if old:
        _require_same(setup, run)
    checkpoint = run.load(setup.device, shapes) if old else None
    if checkpoint is None or checkpoint.iteration < config.train.iterations:
        with run.writing(setup.config, old, shapes):
            console.out(f"{config.algorithm}: training {config.train.iterations} iterations to compare with")
            train(setup, run, start, console)
        checkpoint = run.load(setup.device, shapes)
    assert checkpoint is not None
    return checkpoint


def _require_same(setup: World, run: RunDirectory) -> None:
    different = mismatch(setup.config, read_yaml(run.config_path), run.path)
    if different:
        raise InputError(f"{run.path} holds another run ({different}) — move it away to train it anew")
