"""The options of the methods refuse impossible values by name."""

import dataclasses
import math

import pytest

from metarl.algorithms import config_class, names_for
from metarl.runtime.errors import InputError

NUMBERS = [
    (name, field.name, type(field.default))
    for name in names_for("experience")
    for field in dataclasses.fields(config_class(name))
    if type(field.default) in (int, float)
]


@pytest.mark.parametrize("name, field, kind", NUMBERS)
def test_no_number_may_be_negative_or_infinite_or_none(name: str, field: str, kind: type) -> None:
    for value in (-1,) if kind is int else (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=f"^algo.{field} is {value} — it must be "):
            config_class(name)(**{field: value})


@pytest.mark.parametrize(
    "name, field, value",
    [
        ("maml-trpo", "hidden", (64, 0)),
        ("maml-trpo", "inner_steps", 0),
        ("maml-trpo", "inner_lr", 0.0),
        ("maml-trpo", "initial_std", 0.0),
        ("maml-trpo", "discount", 1.01),
        ("maml-trpo", "gae_lambda", 1.01),
        ("maml-trpo", "max_kl", 0.0),
        ("maml-trpo", "cg_iterations", 0),
        ("maml-trpo", "max_backtracks", 0),
        ("maml-trpo", "curvature_share", 0.0),
        ("maml-trpo", "curvature_share", 1.01),
        ("maml-trpo", "backtrack_ratio", 1.0),
        ("maml-trpo", "backtrack_ratio", 0.0),
        ("maml-vpg", "learning_rate", 0.0),
        ("maml-ppo", "epochs", 0),
        ("maml-ppo", "clip", 0.0),
        ("promp", "target_kl", 0.0),
        ("cavia", "context_size", 0),
        ("imaml", "inner_steps", 2),
        ("imaml", "proximal_strength", 0.0),
        ("imaml", "proximal_steps", 0),
        ("imaml", "implicit_iterations", 0),
        ("reptile", "learning_rate_decay", 0.0),
        ("reptile", "learning_rate_decay", 1.01),
        ("reptile", "max_gradient_norm", 0.0),
    ],
)
def test_values_just_outside_of_their_range_are_refused(name: str, field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^algo.{field} is "):
        config_class(name)(**{field: value})


@pytest.mark.parametrize(
    "name, field, value, words",
    [
        # Stadie et al. 2018, eq. 6, has the sampling's gradient as a term of its own; these objectives have it, too.
        ("e-maml", "inner_objective", "likelihood_ratio", "algo.inner_objective is likelihood_ratio, .* — leave it"),
        ("e-maml", "inner_objective", "dice", "algo.inner_objective is dice, .* — leave it"),
    ],
)
def test_what_a_method_could_not_follow_is_refused(name: str, field: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=f"^{words}"):
        config_class(name)(**{field: value})
    config_class(name)(**{field: getattr(config_class(name)(), field)})


def test_the_ends_of_the_ranges_are_allowed() -> None:
    zero = {"later_inner_lr": 0.0, "discount": 0.0, "gae_lambda": 0.0}
    config_class("maml-trpo")(cg_damping=0.0, curvature_share=1.0, **zero)
    config_class("promp")(kl_coefficient=0.0, discount=1.0, gae_lambda=1.0, hidden=())
    config_class("maml-vpg")(entropy_bonus=0.0, learning_rate_decay=1.0)
    config_class("e-maml")(sampling_credit=0.0)
