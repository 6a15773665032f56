"""A whole evaluation, as the command line and Python call it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from metarl.evaluation.baselines import baseline_directory, baselines, trained
from metarl.evaluation.evaluate import (
    curve_record,
    evaluate,
    evaluation_record,
    levels,
    listed_tasks,
)
from metarl.evaluation.files import write_evaluation
from metarl.evaluation.film import write_film
from metarl.evaluation.labels import evaluate_few_shot
from metarl.runs.load import load_config
from metarl.runs.run_directory import RunDirectory
from metarl.runs.worlds import is_few_shot
from metarl.runtime.errors import InputError
from metarl.runtime.options import check_evaluation
from metarl.training.setup import set_up, shapes_of_run


def evaluate_run(
    path: str | Path,
    tasks: int | None = None,
    rounds: int | None = None,
    seed: int = 0,
    split: str = "test",
    compare: Sequence[str] = (),
    film: bool = False,
    deterministic: bool = False,
    shots: int | None = None,
    *,
    trust: bool = False,
) -> dict[str, Any]:
    """Evaluate a run's last checkpoint on the tasks of a split, store the result beside it, and return it.

    No evaluation replaces another: each lies in `evaluations/` below the run's folder, named for what makes it the one
    it is (`EvaluationIdentity`), and the newest on test tasks is also `evaluation.json`.

    Args:
        path: the run's folder.
        tasks: how many; by default all of a fixed list, and 40 where tasks come fresh (600 of labelled data).
        rounds: adaptation rounds K; by default 3, or those of training where these are more.
        seed: where evaluation's own randomness starts.
        split: "train", "validation", "test" or "outside"; the record says whether its tasks are "unseen".
        compare: algorithms to train alike, in `compare/` below the run's folder, and to meet the same tasks with.
        film: also draw the first task before and after adaptation: `adaptation.gif`, and in TensorBoard.
        deterministic: report returns of the likeliest actions, beside those of sampled ones (see `collect`).
        shots: of labelled data; by default as in training.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one without a checkpoint, one that names code and is not trusted, impossible numbers,
            an algorithm that cannot be compared with, or a split that is not there.
        StorageError: all checkpoints are damaged or gone.
    """
    from metarl.evaluation.render import check_drawable  # which loads runs through this module

    check_evaluation(40 if tasks is None else tasks, rounds or 0, seed)
    run = RunDirectory.existing(Path(path))
    config = load_config(run, trust)
    if is_few_shot(config.environment):
        if film:
            raise InputError("--film is for environments — labelled data have no episodes to draw")
        if deterministic:
            raise InputError("--deterministic is for environments — labelled data have no actions; leave it out")
        return evaluate_few_shot(run, config, tasks, rounds, seed, split, compare, shots)
    if shots is not None:
        raise InputError("--shots is for labelled data — environments have no such; leave it out")
    listed = listed_tasks(config, split)
    if tasks is not None and 0 < listed < tasks:
        raise InputError(f"--tasks is {tasks}, but the list of {split} tasks holds {listed} — give at most {listed}")
    tasks = tasks or listed or 40
    # this machine need not be the one that trained: it may have no GPU, and other cores
    device = "auto" if config.train.device == "cuda" else config.train.device
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, device=device, threads=0))
    setup = set_up(config, num_tasks=tasks)
    checkpoint = run.require_checkpoint(setup.algorithm.device, shapes_of_run(setup))
    if film:
        check_drawable(setup.env, ".gif")
    train = dataclasses.replace(config.train, iterations=checkpoint.iteration)
    others = baselines(dataclasses.replace(config, train=train), compare)
    if rounds is None:
        rounds = max(3, setup.algorithm.rounds - 1)
    curve = evaluate(setup, checkpoint.state, rounds, seed, split, deterministic)
    beside = levels(setup, seed)
    compared = {}
    for name, other in others.items():
        trained_other = trained(baseline_directory(run, name), other, Console(stderr=True))
        curve_of_other = evaluate(
            set_up(other, num_tasks=tasks), trained_other.state, rounds, seed, split, deterministic
        )
        compared[name] = curve_record(trained_other, curve_of_other)
    record = evaluation_record(setup, split, seed, checkpoint, curve, beside, compared)
    write_evaluation(run, record, {name: baseline_directory(run, name) for name in compared})
    if film:
        write_film(run, record, seed, trust)
    return record
