"""The adaptation curve: returns on held-out tasks after 0, 1, …, K rounds of adaptation, with intervals and levels.

Evaluation draws from streams of its own, so it never changes a bit of training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from envs.contract.base import TaskEnv
from envs.contract.tasks import TaskList, Tasks
from envs.registry import environment_class
from metarl.core.types import State
from metarl.evaluation.random_policy import random_returns
from metarl.runs.checkpoint import Checkpoint
from metarl.runs.config import RunConfig
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.collect import blaming_environment, collect, torch_threads
from metarl.training.loop import set_new_tasks
from metarl.training.setup import Setup


@dataclass(frozen=True)
class AdaptationCurve:
    """Mean undiscounted episode returns of each task in each round."""

    per_task: np.ndarray
    """[N, K + 1]"""
    mean: np.ndarray
    """[K + 1], over tasks"""
    low: np.ndarray
    """[K + 1], lower end of the 95 % bootstrap interval over tasks"""
    high: np.ndarray
    """[K + 1], upper end"""
    diverged: int
    """Lanes whose physics broke, left out of the returns."""
    tasks: Tasks
    """What was met, `[N, ...]` each."""
    sampled: "AdaptationCurve | None" = None
    """The same tasks met with sampled actions, where this curve is of the likeliest ones."""


@dataclass(frozen=True)
class Levels:
    """What the returns of a curve's tasks are measured against, `[N]` each; None where there is no such level."""

    informed: np.ndarray | None
    """The best that who knows the task can do, where the environment says so."""
    random: np.ndarray | None
    """Uniformly random actions, one episode in every lane; None where actions have no bounds."""


def evaluate(
    setup: Setup, state: State, rounds: int, seed: int, split: str = "test", deterministic: bool = False
) -> AdaptationCurve:
    """Meet `setup.env.num_tasks` tasks of a split with `rounds` rounds of adaptation.

    Args:
        setup: environment and algorithm; `lanes_per_task` episodes are played a round.
        state: meta-parameters.
        rounds: adaptations K; the curve has K + 1 points.
        seed: where evaluation's own randomness starts.
        split: "train", "test" or "outside"; of a fixed list the first N tasks are met, of a law N fresh ones.
        deterministic: whether the curve is of the likeliest actions (see `collect`), with that of sampled ones beside.

    Raises:
        InputError: the environment does not have the split.
    """
    address = Address(seed).at(Purpose.EVALUATION)
    env = setup.env
    law = env.splits.get(split)
    if isinstance(law, TaskList):
        env.set_tasks({name: values[: env.num_tasks] for name, values in law.tasks.items()})
    else:
        set_new_tasks(env, address, split)
    sampled, explores = None, not setup.traits.adapts_after_each_episode
    with torch_threads(setup.config.train.torch_threads):
        for likeliest in (False, True) if deterministic else (False,):
            trial = collect(env, setup.algorithm, state, rounds + 1, address, likeliest=likeliest, explores=explores)
            per_task = trial.returns.double().numpy()
            interval = bootstrap_interval(per_task)
            curve = AdaptationCurve(per_task, per_task.mean(axis=0), *interval, trial.diverged, env.tasks, sampled)
            sampled = curve
    return curve


def listed_tasks(config: RunConfig, split: str) -> int:
    """How many tasks the fixed list of a split holds; 0 where tasks come fresh."""
    family: Any = environment_class(config.environment)
    with blaming_environment(config.environment, "when it was made"):
        env: TaskEnv = family(1, 1, config.env)
    law = env.splits.get(split)
    env.close()
    return law.count if isinstance(law, TaskList) else 0


def levels(setup: Setup, seed: int) -> Levels:
    """Of the tasks that were evaluated last, in the very episodes of round 0: the same starts."""
    env = setup.env
    return Levels(env.informed_return(env.tasks), random_returns(env, Address(seed).at(Purpose.EVALUATION)))


def bootstrap_interval(per_task: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile-bootstrap interval of the mean over tasks, for `[N, R]` values: two arrays `[R]`."""
    if len(per_task) < 2:
        return per_task[0], per_task[0]
    rng = np.random.default_rng(0)
    interval = stats.bootstrap(
        (per_task,), np.mean, axis=0, n_resamples=2000, batch=100, method="percentile", rng=rng
    ).confidence_interval
    return interval.low, interval.high


def curve_record(checkpoint: Checkpoint, curve: AdaptationCurve) -> dict[str, Any]:
    """A method's own part of an evaluation."""
    return {
        "iteration": checkpoint.iteration,
        "env_steps": checkpoint.env_steps,
        **_returns(curve),
        **({"sampled": _returns(curve.sampled)} if curve.sampled else {}),
    }


def _returns(curve: AdaptationCurve) -> dict[str, Any]:
    return {
        "returns": {name: getattr(curve, name).tolist() for name in ("mean", "low", "high")},
        "per_task": curve.per_task.tolist(),
        "diverged": curve.diverged,
    }


def evaluation_record(
    setup: Setup,
    split: str,
    seed: int,
    checkpoint: Checkpoint,
    curve: AdaptationCurve,
    beside: Levels,
    compared: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """What `metarl evaluate --json` prints and `evaluation.json` holds.

    Args:
        compared: `curve_record` of the other methods that met the same tasks, by name.
    """
    known = {name: values for name, values in vars(beside).items() if values is not None}
    return {
        "env": setup.config.environment,
        "algo": setup.config.algorithm,
        "split": split,
        "unseen": setup.env.unseen(split),
        "seed": seed,
        "tasks": len(curve.per_task),
        "rounds": len(curve.mean) - 1,
        "deterministic": curve.sampled is not None,
        **curve_record(checkpoint, curve),
        "no_adaptation": float(curve.mean[0]),
        **{name: float(known[name].mean()) if name in known else None for name in ("informed", "random")},
        "per_task_levels": {name: values.tolist() for name, values in known.items()},
        "task_parameters": {name: values.tolist() for name, values in curve.tasks.items()},
        "compared": dict(compared),
    }
