"""`metarl collect-data`: what source algorithms do in tasks of their own is stored, for others to learn from."""

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from envs.contract.errors import InputError, nearest
from metarl.output import Output
from metarl.runs.config import options_from_dict
from metarl.runs.worlds import environment_config, is_few_shot
from metarl.sources import SOURCES


@dataclass(frozen=True)
class CollectDataCommand:
    """Store learning histories: a source algorithm meets each task alone. Name ENV and SOURCE first; each adds its own
    options. The same command again goes on where it was interrupted."""

    environment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A name from `metarl list envs`, `module:attribute` or `path/to/file.py:attribute`."""
    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """random, q-learning (tabular), posterior-sampling (of few tasks), ucb (of bandits), or `module:attribute`."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder of the histories."""
    tasks: int = 500
    """How many tasks of the training split, each with a history."""
    episodes: int = 100
    """Episodes of each history."""
    seed: int = 0
    """Where all randomness starts."""

    def __call__(self) -> int:
        """`metarl collect-data`."""
        from metarl.sources.collect import collect_data

        options = dict(vars(self))  # with those of the environment and the source
        collect_data(options.pop("environment"), options.pop("source"), **options, quiet=False)
        Output().say(f"written: {self.out}")
        return 0


def options_of(arguments: list[str], variant: str | None) -> tuple[tuple[str, ...], dict[str, tuple[Any, Any]]]:
    """The names that come first; and, if both are there, the options of the environment and the source that they name:
    by field of the command, their class and their defaults.

    Raises:
        InputError: an unknown name.
    """
    names = tuple(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments[1:3]))
    if len(names) < 2:
        return names, {}
    environment, source = names
    if is_few_shot(environment):
        raise InputError(f"'{environment}' is labelled data, where nothing acts — name an environment")
    env = options_from_dict(environment_config(environment), {} if variant is None else {"variant": variant})
    if source in SOURCES:
        options = SOURCES[source].config()
    elif ":" not in source:
        raise InputError(f"unknown source '{source}'" + nearest(source, SOURCES))
    else:
        from metarl.sources.collect import source_class

        options = source_class(source).Config()
    named: Any = Annotated[type(options), tyro.conf.arg(name="source")]
    return names, {"env": (type(env), env)} | ({"options": (named, options)} if asdict(options) else {})
