"""Signals wait for points and for the block to unwind, and then do what they would have done without it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from metarl.runtime import interruption
from metarl.runtime.interruption import Interrupted, interruptible_at_points, interruption_point

TERM, HUP, INT = signal.SIGTERM, signal.SIGHUP, signal.SIGINT


class Heard(Exception):
    """What a handler of these tests raises."""


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that the program's handlers have got, in order; they return."""
    numbers: list[int] = []
    before = {number: signal.signal(number, lambda number, _: numbers.append(number)) for number in (TERM, HUP, INT)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)
    assert not interruption._noted


def raising(number: int, frame: FrameType | None) -> None:
    raise Heard(number)


@contextmanager
def saving(order: list[object], heard: list[int]) -> Iterator[None]:
    """Notes what was heard by the time that a run is saved."""
    try:
        yield
    finally:
        order.append(list(heard))


@pytest.mark.parametrize("number", [TERM, HUP, INT])
def test_the_work_is_saved_then_the_handler_runs_and_what_it_does_not_stop_is_stopped(
    heard: list[int], number: int
) -> None:
    before, order = signal.getsignal(number), []
    with pytest.raises(Interrupted, match=signal.Signals(number).name), interruptible_at_points(), saving(order, heard):
        signal.raise_signal(number)
        assert heard == []
        interruption_point()
    assert order == [[]] and heard == [number]
    assert signal.getsignal(number) is before


def test_what_a_handler_raises_is_what_is_seen_even_where_something_else_went_wrong(heard: list[int]) -> None:
    signal.signal(TERM, raising)
    with pytest.raises(Heard) as raised, interruptible_at_points():
        signal.raise_signal(TERM)
        raise FloatingPointError("while it waited")
    assert isinstance(raised.value.__context__, FloatingPointError)


def test_a_signal_after_the_last_point_is_heard_and_finished_work_stays_finished(heard: list[int]) -> None:
    with interruptible_at_points():
        signal.raise_signal(HUP)
    assert heard == [HUP]


def test_all_signals_are_heard_and_the_first_one_decides(heard: list[int]) -> None:
    signal.signal(TERM, raising)
    signal.signal(HUP, raising)
    with pytest.raises(Heard) as raised, interruptible_at_points():
        for number in (HUP, TERM, HUP):  # as when a terminal is closed, which may signal more than once
            signal.raise_signal(number)
        interruption_point()
    assert raised.value.args == (HUP,)
    assert raised.value.__context__ is not None and raised.value.__context__.args == (TERM,)


def test_a_second_ctrl_c_does_not_wait(heard: list[int]) -> None:
    with pytest.raises(Interrupted), interruptible_at_points():
        signal.raise_signal(INT)
        with pytest.raises(Interrupted):
            signal.raise_signal(INT)
        raise Interrupted("as it would have gone on")
    assert heard == [INT]


def test_blocks_within_blocks_hand_signals_on(heard: list[int]) -> None:
    with pytest.raises(Interrupted), interruptible_at_points():
        with pytest.raises(Interrupted), interruptible_at_points():
            signal.raise_signal(TERM)
            interruption_point()
        assert heard == []
        interruption_point()
    assert heard == [TERM]


def test_what_is_ignored_stays_ignored(heard: list[int]) -> None:
    signal.signal(HUP, signal.SIG_IGN)  # as by nohup
    with interruptible_at_points():
        signal.raise_signal(HUP)
        interruption_point()
