"""The adaptation curve: what tasks were worth after 0, 1, …, K adaptations, with intervals and levels.

Evaluation draws from streams of its own, so it never changes a bit of training.
"""

from typing import Any

import numpy as np
from scipy import stats

from metarl.core.types import State
from metarl.deployment.meeting import set_tasks_of
from metarl.evaluation.random_policy import random_returns
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.threads import torch_threads
from metarl.sampling.collect import collect
from metarl.training.labels import FewShotSetup
from metarl.training.setup import Setup

WORST = 0.05
"""Share of the tasks that are looked at as the worst ones."""


def returns_of(
    setup: Setup, state: State, adaptations: int, seed: int, split: str = "test", deterministic: bool = False
) -> dict[str, Any]:
    """Meet `setup.env.num_tasks` tasks of a split: of a fixed list the first N, of a law N fresh ones.

    Args:
        setup: environment and algorithm; `lanes_per_task` episodes are played a round.
        state: meta-parameters.
        adaptations: K; the curve has K + 1 points.
        seed: where evaluation's own randomness starts.
        split: "train", "test" or "outside".
        deterministic: whether the curve is of the likeliest actions (see `collect`), with that of sampled ones beside.

    Returns: a method's own part of a record: `returns` (a curve), `per_task` `[N][K + 1]`, mean undiscounted episode
        returns, and `diverged`, the lanes whose physics broke, which are left out; `diagnostics` by name, curves with
        their `per_task`, and `success` likewise, where that is told; of sampled actions also in `sampled` where
        `deterministic`.

    Raises:
        InputError: the environment does not have the split.
    """
    address, env, explores = _address(seed), setup.env, not setup.traits.adapts_after_each_episode
    set_tasks_of(env, split, address)
    part: dict[str, Any] = {}
    with torch_threads(setup.config.train.torch_threads):
        for likeliest in (False, True) if deterministic else (False,):
            trial = collect(
                env, setup.algorithm, state, adaptations + 1, address, likeliest=likeliest, explores=explores
            )
            per_task = trial.returns.double().numpy()
            of_sampled = {"sampled": part} if likeliest else {}
            part = {"returns": curve(per_task), "per_task": per_task.tolist(), "diverged": trial.diverged, **of_sampled}
            said = {name: values.numpy() for name, values in trial.diagnostics.items()}
            if "success" in said:  # which stands beside the return
                part["success"] = measured(said.pop("success"))
            part["diagnostics"] = {name: measured(values, None) for name, values in said.items()}
    return part


def scores_of(
    setup: FewShotSetup, state: State, tasks: int, adaptations: int, seed: int, split: str = "test"
) -> dict[str, Any]:
    """Meet labelled tasks of a split, as many at once as in training.

    Returns: `loss`, and `accuracy` of classes, after 0 … K steps: curves with their `per_task` `[N][K + 1]`.

    Raises:
        InputError: the source does not have the split.
    """
    if split not in setup.source.splits:
        raise InputError(f"there is no split '{split}' here — choose one of: {', '.join(setup.source.splits)}")
    with torch_threads(setup.config.train.torch_threads):
        scores = setup.scores(state, tasks, adaptations, _address(seed), split)
    met = {name: values.numpy() for name, values in scores.items()}
    return {name: measured(values, name != "loss") for name, values in met.items()}


def levels_of(setup: Setup, seed: int) -> dict[str, np.ndarray]:
    """What the returns on the tasks that were met last are measured against, `[N]` each, where there is such a level.

    `informed`: the best that who knows the task can do, as the environment says. `random`: uniformly random actions,
    in the very episodes of round 0: the same starts.
    """
    env = setup.env
    levels = {"informed": env.informed_return(env.tasks), "random": random_returns(env, _address(seed))}
    return {name: values for name, values in levels.items() if values is not None}


def measured(per_task: np.ndarray, more_is_better: bool | None = True) -> dict[str, Any]:
    """Of `[N, K + 1]` values the curve, and all of them."""
    return {**curve(per_task, more_is_better), "per_task": per_task.tolist()}


def curve(per_task: np.ndarray, more_is_better: bool | None = True) -> dict[str, list[float]]:
    """Of `[N, K + 1]` values the `mean` over tasks, `low` and `high`, the ends of its 95 % bootstrap interval, and
    `cvar`, the mean over the worst tasks, where it is known what is worse."""
    low, high = bootstrap_interval(per_task)
    figures = {"mean": per_task.mean(axis=0), "low": low, "high": high}
    if more_is_better is not None:
        figures["cvar"] = value_at_risk(per_task) if more_is_better else -value_at_risk(-per_task)
    return {name: values.tolist() for name, values in figures.items()}


def value_at_risk(per_task: np.ndarray, share: float = WORST) -> np.ndarray:
    """The conditional value at risk `[R]`: the mean over the worst `share` of N tasks, of values `[N, R]` of which the
    lowest is the worst; a task at the border counts in part (Rockafellar & Uryasev 2000), and one counts at least."""
    counted = np.clip(max(1.0, share * len(per_task)) - np.arange(len(per_task)), 0, 1)
    return np.average(np.sort(per_task, axis=0), axis=0, weights=counted)


def bootstrap_interval(per_task: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile-bootstrap interval of the mean over tasks, for `[N, R]` values: two arrays `[R]`."""
    if len(per_task) < 2:
        return per_task[0], per_task[0]
    rng = np.random.default_rng(0)
    interval = stats.bootstrap(
        (per_task,), np.mean, axis=0, n_resamples=2000, batch=100, method="percentile", rng=rng
    ).confidence_interval
    return interval.low, interval.high


def _address(seed: int) -> Address:
    return Address(seed).at(Purpose.EVALUATION)
