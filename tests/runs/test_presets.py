"""Presets: every run has defaults that it can be started with, and every preset is for some run."""

import itertools
from collections.abc import Iterator

import pytest

from envs.registry import ENVIRONMENTS, environment_class
from metarl.algorithms import names_for
from metarl.fewshot import SOURCES
from metarl.runs.presets import PRESETS, default_config


def all_runs() -> Iterator[tuple[str, str | None, str]]:
    """Environment, variant and algorithm of every run that there can be."""
    for environment in ENVIRONMENTS:
        methods = [*names_for("experience"), *names_for("histories")]
        yield from itertools.product([environment], environment_class(environment).variants, methods)
    yield from ((source, None, learner) for source in SOURCES for learner in names_for("labels"))


def test_every_run_has_defaults_that_its_options_accept() -> None:
    for environment, variant, algorithm in all_runs():
        config = default_config(environment, algorithm, variant)
        assert (config.environment, config.algorithm) == (environment, algorithm)


def test_every_preset_is_for_some_run_and_says_where_it_comes_from() -> None:
    runs = list(all_runs())
    for preset in PRESETS:
        assert any(preset.runs.hold(*run) for run in runs), preset
        assert preset.source and (preset.train or preset.algo)


@pytest.mark.parametrize(
    ("names", "train", "algo"),
    [
        # one of the general row, of one that is more particular, and of both, of which the later one counts
        (("point-nav", "pearl", None), {"iterations": 200, "tasks": 8, "lanes": 4}, {}),
        (("half-cheetah-vel", "pearl", "pearl"), {"iterations": 100, "tasks": 5, "lanes": 2}, {"target_rate": 0.02}),
        (("ant-goal", "promp", "promp"), {"iterations": 1001, "tasks": 40}, {"inner_steps": 2, "hidden": (64, 64)}),
        (("ant-goal", "imaml", "promp"), {"iterations": 1001, "tasks": 40}, {"inner_steps": 1}),
        (("half-cheetah-dir", "anil", "l2l"), {"iterations": 1000}, {"hidden": (100, 100), "initial_std": 0.3}),
        # two million steps of each of 45 tasks, in trials of ten episodes of 500 steps; of ten tasks, in two rounds
        (("metaworld-ml45", "rl2", "plus"), {"iterations": 400, "tasks": 45, "reward_unit": 10.0}, {"rounds": 10}),
        (("metaworld-ml10", "maml-trpo", "plus"), {"iterations": 100, "lanes": 10}, {"hidden": (512, 512)}),
        (("metaworld-ml1", "varibad", "beck"), {"iterations": 10416, "tasks": 16}, {"head": "hypernetwork"}),
        (("sinusoid", "imaml", None), {"iterations": 5000}, {"proximal_strength": 10.0}),
    ],
)
def test_later_presets_win_over_earlier_ones(
    names: tuple[str, str, str | None], train: dict[str, object], algo: dict[str, object]
) -> None:
    config = default_config(*names)
    assert {name: getattr(config.train, name) for name in train} == train
    assert {name: getattr(config.algo, name) for name in algo} == algo
