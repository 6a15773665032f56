"""Automatic domain randomisation: widths against decisions by hand; tasks within them; boundaries where they are."""

import numpy as np
import pytest
import torch

from envs.contract.mixed import Mixture
from envs.contract.tasks import Choice, LogUniform, TaskDistribution, Tasks, Uniform
from metarl.core.types import State
from metarl.runs.task_sampling import ADROptions
from metarl.training.adr import ADR, INSIDE

LOWER, UPPER = 0, 1
ONE = ADR(TaskDistribution(speed=Uniform(0.0, 10.0)), ADROptions(start=0.2, buffer=2, raise_above=0.6, lower_below=0.3))
BOX = TaskDistribution(place=Uniform(-1.0, 1.0, (3,)), mass=LogUniform(2.0, -2.0, 2.0), kind=Choice((1, 2)))


def learned(adr: ADR, state: State, *met: tuple[int, float]) -> State:
    """After one meta-batch of (boundary, return)."""
    note, returns = np.array([where for where, _ in met]), np.array([value for _, value in met], float)
    return adr.learn(state, {}, note, returns, returns)


def widths(state: State) -> list[float]:
    return state["width"].tolist()  # type: ignore[no-any-return]


def test_widths_follow_the_mean_returns_at_their_boundaries() -> None:
    state = ONE.start()
    assert widths(state) == [0.2, 0.2]
    # untrained: (0 + 2) / 2 = 1. Nothing is gained yet, so that no return at a boundary counts.
    state = learned(ONE, state, (INSIDE, 0), (INSIDE, 2), (LOWER, 100), (LOWER, 100))
    assert widths(state) == [0.2, 0.2]
    # 11 is 10 more: a side grows from 1 + 0.6 · 10 = 7 on, and shrinks from 1 + 0.3 · 10 = 4 down
    state = learned(ONE, state, (INSIDE, 11), (INSIDE, 11), (LOWER, 6), (LOWER, 8), (UPPER, 5), (UPPER, 3))
    assert widths(state) == [0.3, 0.1]
    # one is no mean of two; the second makes (0 + 2) / 2 = 1, below 4. Between 4 and 7 nothing happens.
    state = learned(ONE, state, (LOWER, 0), (UPPER, 6.9), (UPPER, 4.1))
    assert widths(state) == [0.3, 0.1]
    state = learned(ONE, state, (LOWER, 2))
    assert widths(state) == [0.2, 0.1]
    # ordinary tasks of 5 are a worse mean than 11, which stays the best: 6 still is below 7, and 8 above
    state = learned(ONE, state, (INSIDE, 5), (INSIDE, 5), (LOWER, 6), (LOWER, 6), (UPPER, 8), (UPPER, 8))
    assert widths(state) == [0.2, 0.2]
    for _ in range(3):
        state = learned(ONE, state, (LOWER, -9), (LOWER, -9))
    assert widths(state) == [0.0, 0.2]
    for _ in range(9):
        state = learned(ONE, state, (UPPER, 30), (UPPER, 30), (UPPER, 30))
    assert widths(state) == [0.0, 1.0]


def test_a_factor_and_an_offset_of_rewards_change_no_decision() -> None:
    rng = np.random.default_rng(0)
    plain, scaled = ONE.start(), ONE.start()
    seen = set()
    for progress in range(60):
        note = rng.integers(INSIDE, 2, size=8)
        returns = progress + rng.normal(0.0, 10.0, size=8)
        plain, scaled = (
            ONE.learn(state, {}, note, values, values)
            for state, values in ((plain, returns), (scaled, 4 * returns - 1024))
        )
        assert widths(plain) == widths(scaled)
        seen.add(tuple(widths(plain)))
    assert len(seen) > 5


def test_nothing_grows_before_anything_is_learned() -> None:
    rng, state = np.random.default_rng(1), ONE.start()
    for _ in range(200):
        note, returns = rng.integers(INSIDE, 2, size=8), rng.normal(size=8)
        state = ONE.learn(state, {}, note, returns, returns)
    assert max(widths(state)) < 0.2  # chance has made a best mean, which no boundary reaches for long


def drawn(adr: ADR, width: list[float], count: int = 2000) -> tuple[Tasks, np.ndarray]:
    state = adr.start() | {"width": torch.tensor(width, dtype=torch.float64)}
    return adr.draw(state, range(count), np.random.default_rng(3))


def test_tasks_lie_within_the_present_widths_and_boundary_tasks_at_their_ends() -> None:
    adr = ADR(BOX, ADROptions(boundary=0.4))
    assert adr.names == ("place", "mass")
    tasks, note = drawn(adr, [0.5, 0.25, 0.0, 1.0])
    # place: half way from 0 to -1, a quarter of the way to 1. mass: from its middle, 2^0, to its end, 2^2.
    ends = {"place": (-0.5, 0.25), "mass": (1.0, 4.0)}
    for side in range(4):
        name = adr.names[side // 2]
        end = ends[name][side % 2]
        values = tasks[name].reshape(len(note), -1)
        low, high = ends[name]
        assert (values >= low).all() and (values <= high).all()
        at_end = values == end
        assert (at_end[note == side].sum(axis=1) == 1).all()  # one element
        assert not at_end[note // 2 != side // 2].any()
        if name == "place":
            assert at_end[note == side].any(axis=0).all()  # each has its turn
    # 2000 draws at 0.4 and, of each of four sides, at 0.1: five standard deviations are 110 and 67
    assert abs((note != INSIDE).sum() - 800) < 110
    assert (np.abs(np.bincount(note[note != INSIDE]) - 200) < 67).all()
    assert set(tasks["kind"]) == {1, 2}


def test_at_full_width_ordinary_tasks_are_those_of_the_laws() -> None:
    adr = ADR(BOX, ADROptions())
    tasks, note = drawn(adr, [1.0] * 4)
    uniform, _ = drawn(ADR(BOX, ADROptions(boundary=1e-12)), [1.0] * 4)
    for name in BOX:
        assert np.array_equal(tasks[name][note == INSIDE], uniform[name][note == INSIDE])


def test_in_a_mixture_a_task_is_at_a_boundary_that_its_family_has() -> None:
    families = {0: TaskDistribution(slope=Uniform(0.0, 1.0)), 1: TaskDistribution(lift=Uniform(5.0, 7.0))}
    adr = ADR(Mixture(families, {"slope": (), "lift": ()}), ADROptions(boundary=0.5))
    tasks, note = drawn(adr, [0.0, 0.5, 0.5, 1.0])
    assert set(note) == {INSIDE, 0, 1, 2, 3}
    for side, (name, value) in enumerate((("slope", 0.5), ("slope", 0.75), ("lift", 5.5), ("lift", 7.0))):
        assert (tasks[name][note == side] == value).all()
        assert (tasks["family"][note == side] == side // 2).all()
    told = adr.measure(adr.start(), note)
    assert told == dict.fromkeys(
        ("tasks/width", "tasks/slope_low", "tasks/slope_high", "tasks/lift_low", "tasks/lift_high"), 0.1
    )


def test_curves_show_the_ends_of_intervals() -> None:
    told = ONE.measure(ONE.start(), np.array([INSIDE]))  # a fifth of the way from 5 to either end
    assert told == pytest.approx({"tasks/width": 0.2, "tasks/speed_low": 4.0, "tasks/speed_high": 6.0})
