"""A whole evaluation, as the command line and Python call it: prepare, measure, write."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from envs.contract.tasks import TaskList
from envs.registry import environment_class
from metarl.deployment.meeting import check_meeting, on_this_machine
from metarl.evaluation.baselines import baseline_directory, baselines, trained
from metarl.evaluation.evaluate import levels_of, returns_of, scores_of
from metarl.evaluation.files import write_evaluation
from metarl.evaluation.render import check_drawable, film_evaluation
from metarl.evaluation.tables import LEVELS
from metarl.runs.checkpoint import Checkpoint
from metarl.runs.config import RunConfig
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.runs.worlds import is_few_shot
from metarl.runtime.errors import InputError
from metarl.sampling.blame import blaming_environment
from metarl.training.labels import set_up_few_shot
from metarl.training.setup import Setup, set_up, shapes_of_run

FRESH_TASKS, LABELLED_TASKS, LEAST_ADAPTATIONS = 40, 600, 3  # where nothing else is asked for


class Asked(NamedTuple):
    """What an evaluation is to be of."""

    tasks: int | None
    adaptations: int | None
    seed: int
    split: str
    checkpoint: str

    def adaptations_of(self, trained: int) -> int:
        """K, where training had so many."""
        return max(LEAST_ADAPTATIONS, trained) if self.adaptations is None else self.adaptations

    def facts(self, config: RunConfig, tasks: int, adaptations: int) -> dict[str, Any]:
        """What every record says of itself."""
        names = {"env": config.environment, "algo": config.algorithm, "split": self.split}
        return {**names, "seed": self.seed, "tasks": tasks, "adaptations": adaptations}


def evaluate_run(
    run: str | Path,
    tasks: int | None = None,
    adaptations: int | None = None,
    seed: int = 0,
    split: str = "test",
    compare: Sequence[str] = (),
    film: bool = False,
    deterministic: bool = False,
    shots: int | None = None,
    *,
    checkpoint: str | int = "last",
    trust: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Evaluate a run's checkpoint on the tasks of a split, store the result beside it, and return it; the same as
    `metarl evaluate`.

    No evaluation replaces another: each lies in `evaluations/` below the run's folder, named for what makes it the one
    it is (`EvaluationIdentity`), and the newest on test tasks is also `evaluation.json`.

    Args:
        run: the run's folder.
        tasks: how many; by default all of a fixed list, and 40 where tasks come fresh (600 of labelled data).
        adaptations: K; by default 3, or those of training where these are more. Of labelled data gradient steps.
        seed: where evaluation's own randomness starts.
        split: "train", "validation", "test" or "outside"; the record says whether its tasks are "unseen".
        compare: algorithms to train alike, in `compare/` below the run's folder, and to meet the same tasks with.
        film: also draw the first task before and after adaptation: `adaptation.gif`, and in TensorBoard.
        deterministic: report returns of the likeliest actions, beside those of sampled ones (see `collect`).
        shots: of labelled data; by default as in training.
        checkpoint: "last", "best", or the iteration of one that is kept.
        quiet: show no progress.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one without a checkpoint, one that names code and is not trusted, impossible numbers,
            an algorithm that cannot be compared with, a split that is not there, or what this world does not have.
        StorageError: all checkpoints are damaged or gone.
    """
    check_meeting(1 if tasks is None else tasks, adaptations or 0, seed)
    directory = RunDirectory.existing(Path(run))
    config = on_this_machine(load_config(directory, trust))
    labelled = is_few_shot(config.environment)
    here, there = ("labelled data", "environments") if labelled else ("environments", "labelled data")
    of_policies = {"--film": film, "--deterministic": deterministic, "--compare": compare}
    for option, given in (of_policies if labelled else {"--shots": shots is not None}).items():
        if given:
            raise InputError(f"{option} is for {there}, not for {here} — leave it out")
    if film:
        check_drawable(environment_class(config.environment), ".gif")
    asked = Asked(tasks, adaptations, seed, split, str(checkpoint))
    if labelled:
        record = _on_labels(directory, config, asked, shots)
    else:
        record = _on_experience(directory, config, asked, compare, deterministic, Console(stderr=True, quiet=quiet))
    write_evaluation(directory, record)
    if film:
        film_evaluation(directory, record, trust)
    return record


def _on_experience(
    run: RunDirectory, config: RunConfig, asked: Asked, compare: Sequence[str], deterministic: bool, console: Console
) -> dict[str, Any]:
    """The record of a run on environments."""
    N = _count_tasks(config, asked)
    setup = set_up(config, num_tasks=N)
    checkpoint = run.require_checkpoint(setup.device, shapes_of_run(setup), asked.checkpoint)
    alike = replace(config, train=replace(config.train, iterations=checkpoint.iteration))
    others = baselines(alike, compare)
    K = asked.adaptations_of(setup.algorithm.rounds - 1)

    def met(setup: Setup, checkpoint: Checkpoint) -> dict[str, Any]:
        with console.status(f"{setup.config.algorithm} meets {N} tasks, {K + 1} rounds each"):
            part = returns_of(setup, checkpoint.state, K, asked.seed, asked.split, deterministic)
        return {"iteration": checkpoint.iteration, "env_steps": checkpoint.env_steps, **part}

    own, levels, compared = met(setup, checkpoint), levels_of(setup, asked.seed), {}
    for name, other in others.items():
        found = trained(baseline_directory(run, name), other, console)
        compared[name] = met(set_up(other, num_tasks=N), found)
    return {
        **asked.facts(config, N, K),
        "unseen": setup.env.unseen(asked.split),
        "deterministic": deterministic,
        **own,
        "no_adaptation": own["returns"]["mean"][0],
        **{name: float(levels[name].mean()) if name in levels else None for name in LEVELS},
        "per_task_levels": {name: values.tolist() for name, values in levels.items()},
        "task_parameters": {name: values.tolist() for name, values in setup.env.tasks.items()},
        "compared": compared,
    }


def _on_labels(run: RunDirectory, config: RunConfig, asked: Asked, shots: int | None) -> dict[str, Any]:
    """The record of a run on labelled data."""
    trained_with = getattr(config.env, "shots", None)
    if shots is not None and trained_with is None:
        raise InputError(f"--shots is {shots}, but {config.environment} has no such option — leave it out")
    other = {} if shots in (None, trained_with) else {"shots": shots}
    setup = set_up_few_shot(replace(config, env=replace(config.env, **other)))
    checkpoint = run.require_checkpoint(setup.device, shapes_of_run(setup), asked.checkpoint)
    N, K = asked.tasks or LABELLED_TASKS, asked.adaptations_of(setup.algorithm.steps)
    scores = scores_of(setup, checkpoint.state, N, K, asked.seed, asked.split)
    return {**asked.facts(config, N, K), "iteration": checkpoint.iteration, **other, **scores}


def _count_tasks(config: RunConfig, asked: Asked) -> int:
    """How many tasks are met: those asked for, else all of a fixed list, else some fresh ones.

    Raises:
        InputError: a fixed list holds fewer.
    """
    family: Any = environment_class(config.environment)
    with blaming_environment(config.environment, "when it was made"):
        env = family(1, 1, config.env)
    law = env.splits.get(asked.split)
    env.close()
    listed = law.count if isinstance(law, TaskList) else 0
    if asked.tasks is not None and 0 < listed < asked.tasks:
        holds = f"the list of {asked.split} tasks holds {listed}"
        raise InputError(f"--tasks is {asked.tasks}, but {holds} — give at most {listed}")
    return asked.tasks or listed or FRESH_TASKS
