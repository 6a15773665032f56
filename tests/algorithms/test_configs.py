"""The options of the methods refuse impossible values by name."""

import dataclasses

import pytest

from metarl.algorithms import ALGORITHMS
from metarl.core.errors import InputError

ABOVE_ZERO = [
    "inner_steps",
    "inner_lr",
    "initial_std",
    "max_kl",
    "cg_iterations",
    "max_backtracks",
    "learning_rate",
    "clip",
    "epochs",
    "target_kl",
    "curvature_share",
]
AT_LEAST_ZERO = ["cg_damping", "later_inner_lr", "kl_coefficient"]
AT_MOST_ONE = ["discount", "gae_lambda", "backtrack_ratio", "curvature_share"]


def cases() -> list[tuple[str, str, object, str]]:
    """(method, field, impossible value, what it must be) for every numeric field of every method."""
    found = []
    for name, entry in ALGORITHMS.items():
        for field in dataclasses.fields(entry.config):
            kind = int if isinstance(field.default, int) else float
            if field.name in ABOVE_ZERO:
                found += [(name, field.name, kind(0), "above 0"), (name, field.name, kind(-1), "above 0")]
            if field.name in AT_LEAST_ZERO:
                found.append((name, field.name, kind(-1), "at least 0"))
            if field.name in AT_MOST_ONE:
                found.append((name, field.name, 1.5, "between 0 and 1"))
            if type(field.default) is float:
                found += [(name, field.name, value, "a finite number") for value in (float("nan"), float("inf"))]
    return found


@pytest.mark.parametrize("name, field, value, requirement", cases())
def test_impossible_values_are_refused_by_name(name: str, field: str, value: object, requirement: str) -> None:
    with pytest.raises(InputError, match=f"^algo.{field} is {value} — it must be {requirement}$"):
        ALGORITHMS[name].config(**{field: value})


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_layer_without_units_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="^algo.hidden is .* — it must be positive sizes$"):
        ALGORITHMS[name].config(hidden=(64, 0))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_number_among_the_options_has_a_range(name: str) -> None:
    numbers = {
        field.name
        for field in dataclasses.fields(ALGORITHMS[name].config)
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    }
    assert numbers <= {*ABOVE_ZERO, *AT_LEAST_ZERO, *AT_MOST_ONE}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_ends_of_the_ranges_are_allowed(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(ALGORITHMS[name].config)}
    ends = {name: 0.0 for name in AT_LEAST_ZERO} | {name: 1.0 for name in AT_MOST_ONE} | {"discount": 0.0}
    ALGORITHMS[name].config(**{key: value for key, value in ends.items() if key in fields})
