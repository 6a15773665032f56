"""Narrower laws: parts of intervals, exactly; and nothing else changes."""

from dataclasses import dataclass

import numpy as np
import pytest

from envs.contract.mixed import Mixture
from envs.contract.tasks import Choice, Law, LogUniform, Normal, TaskDistribution, TaskList, Uniform
from envs.contract.widths import has_interval, laws_of, names_of_intervals, narrowed, value_at

LAWS = TaskDistribution(a=Uniform(-1.0, 3.0, (2,)), mass=LogUniform(2.0, -3.0, 1.0), kind=Choice((1, 2)))


def rngs(count: int = 200) -> list[np.random.Generator]:
    return [np.random.default_rng(number) for number in range(count)]


@dataclass(frozen=True)
class Reversed(Uniform):
    """One that draws in a way of its own."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return -super().draw(rng)


def test_what_can_be_narrowed_is_what_is_drawn_from_an_interval() -> None:
    assert names_of_intervals(LAWS) == ("a", "mass")
    laws: list[Law] = [Normal(0.0, 1.0), Choice((1, 2)), Reversed(0.0, 1.0), Uniform(1.0, 1.0)]
    assert not any(map(has_interval, laws))
    assert names_of_intervals(TaskList({"a": [0.5]}, TaskDistribution(a=Uniform(0.0, 1.0)))) == ()


def test_a_part_is_drawn_from_as_a_law_of_its_ends_would_be() -> None:
    # a: a quarter of 4 above -1, and all of it up to 3/4, 2. mass: exponents from -3 + 4/2 to 1.
    part = narrowed(LAWS, {"a": (0.25, 0.75), "mass": (0.5, 1.0)})
    same = TaskDistribution(a=Uniform(0.0, 2.0, (2,)), mass=LogUniform(2.0, -1.0, 1.0), kind=LAWS["kind"])
    for name, values in part.sample(rngs()).items():
        assert np.array_equal(values, same.sample(rngs())[name])


def test_whole_intervals_are_the_laws_themselves() -> None:
    assert narrowed(LAWS, {"a": (0.0, 1.0), "mass": (0.0, 1.0)}) == LAWS


@pytest.mark.parametrize(
    ("name", "fraction", "value"), [("a", 0.0, -1.0), ("a", 0.25, 0.0), ("a", 1.0, 3.0), ("mass", 0.5, 0.5)]
)
def test_a_fraction_of_an_interval_is_a_value(name: str, fraction: float, value: float) -> None:
    assert value_at(LAWS[name], fraction) == value


def test_families_of_a_mixture_share_the_part_of_a_name_and_lists_stay() -> None:
    families = {
        0: TaskDistribution(slope=Uniform(0.0, 1.0)),
        2: TaskDistribution(slope=Uniform(10.0, 20.0)),
        5: TaskList({"leap": [[1.0, 2.0], [2.0, 3.0]]}),
    }
    laws = Mixture(families, {"slope": (), "leap": (2,)})
    assert names_of_intervals(laws) == ("slope",)
    tasks, before = narrowed(laws, {"slope": (0.5, 0.5)}).sample(rngs()), laws.sample(rngs())
    assert np.array_equal(tasks["family"], before["family"]) and np.array_equal(tasks["leap"], before["leap"])
    middle = {0: 0.5, 2: 15.0, 5: 0.0}
    assert set(tasks["family"]) == middle.keys()
    for number, family in enumerate(tasks["family"]):
        assert tasks["slope"][number] == middle[family]
        assert laws_of(laws, tasks, number) is families[family]
