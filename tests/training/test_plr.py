"""Prioritised level replay: probabilities by hand and by enumeration; scores, and what is remembered, by hand."""

import numpy as np
import pytest

from envs.contract.tasks import TaskDistribution, TaskList, Uniform
from metarl.core.types import State
from metarl.runs.task_sampling import PLROptions
from metarl.training.plr import NEVER, PLR, replay_probabilities, without_replacement

LAWS = TaskDistribution(place=Uniform(0.0, 1.0, (2,)))


def test_probabilities_go_by_rank_of_score_and_by_staleness() -> None:
    scores, ages = np.array([3.0, 1.0, 2.0]), np.array([1, 2, 1])
    # ranks 1, 3, 2; β = 1: 1, 1/3, 1/2 of 11/6; β = 0.5: 1, 1/9, 1/4 of 49/36; ages 1/4, 2/4, 1/4
    by_hand = {1.0: np.array([6, 2, 3]) / 11, 0.5: np.array([36, 4, 9]) / 49}
    stale = np.array([1, 2, 1]) / 4
    for temperature, by_score in by_hand.items():
        for staleness in (0.0, 0.2, 1.0):
            expected = (1 - staleness) * by_score + staleness * stale
            found = replay_probabilities(scores, ages, temperature, staleness)
            assert found == pytest.approx(expected, abs=1e-15)
    assert replay_probabilities(1000 * scores - 7, ages, 1.0, 0.0) == pytest.approx(by_hand[1.0])  # ranks alone


def test_draws_without_replacement_are_each_by_probability_among_those_left() -> None:
    probabilities, count = np.array([0.6, 0.3, 0.1, 0.0]), 4000
    rng = np.random.default_rng(0)
    found = np.zeros((4, 4))
    for _ in range(count):
        first, second = without_replacement(probabilities, 2, rng)
        found[first, second] += 1
    # one after the other: p_i, then p_j of what is left, 1 - p_i
    expected = probabilities[:, None] * probabilities / (1 - probabilities[:, None])
    np.fill_diagonal(expected, 0.0)
    assert (np.abs(found - count * expected) <= 4 * np.sqrt(count * expected * (1 - expected))).all()


def met(plr: PLR, state: State, *meetings: tuple[float, float, float]) -> State:
    """After one meta-batch of (place, mean of the last round, best episode)."""
    place, last, best = np.array(meetings).T
    return plr.learn(state, {"place": np.stack([place, place], axis=1)}, np.full(len(place), NEVER), last, best)


def remembered(state: State) -> dict[float, tuple[float, float, int]]:
    """Score, best return and last meeting by place."""
    rows = zip(*(state[name].tolist() for name in ("tasks", "score", "best", "met")), strict=True)
    return {place[0]: rest for place, *rest in rows if rest[-1] != NEVER}  # type: ignore[misc]


def test_a_score_is_the_best_return_ever_less_the_mean_of_now() -> None:
    plr = PLR(LAWS, PLROptions(capacity=9))
    state = met(plr, plr.start(), (0.1, 1.0, 3.0), (0.5, 2.0, 2.5))
    assert remembered(state) == {0.1: [2.0, 3.0, 0], 0.5: [0.5, 2.5, 0]}
    state = met(plr, state, (0.1, 2.5, 2.6), (0.9, 0.0, 5.0))
    assert remembered(state) == {0.1: [0.5, 3.0, 1], 0.5: [0.5, 2.5, 0], 0.9: [5.0, 5.0, 1]}
    # a task that a meta-batch meets twice: mean of 1 and 3, best of 4 and 2
    state = met(plr, state, (0.5, 1.0, 4.0), (0.5, 3.0, 2.0))
    assert remembered(state)[0.5] == [2.0, 4.0, 2] and len(remembered(state)) == 3


def test_what_is_remembered_is_what_is_likeliest_to_be_replayed() -> None:
    plr = PLR(LAWS, PLROptions(capacity=2, staleness=0.0))
    state = met(plr, plr.start(), (0.1, 0.0, 1.0), (0.2, 0.0, 3.0), (0.3, 0.0, 2.0))
    assert remembered(state).keys() == {0.2, 0.3}
    state = met(plr, state, (0.2, 3.0, 3.0), (0.7, 0.0, 0.5))  # 0.2 is solved; 0.7 leaves more to gain
    assert remembered(state).keys() == {0.3, 0.7}
    # by staleness alone, what was met longest ago stays: 0.3, and of the others the first
    plr = PLR(LAWS, PLROptions(capacity=2, staleness=1.0))
    state = met(plr, state, (0.7, 0.0, 9.0), (0.8, 0.0, 9.0))
    assert remembered(state).keys() == {0.3, 0.7}


def test_replays_come_in_proportion_to_what_is_remembered_each_at_most_once_in_a_meta_batch() -> None:
    plr = PLR(LAWS, PLROptions(capacity=4, replay=0.8))
    rng, seeds = np.random.default_rng(0), range(5000)
    state = plr.start()
    fresh, note = plr.draw(state, seeds, rng)
    assert (note == NEVER).all()
    for place, least in ((0.25, 0), (0.5, 1), (0.75, 2)):
        state = met(plr, state, (place, 0.0, 1.0))
        assert len(remembered(state)) == least + 1
    again = 0
    for batch in range(400):
        tasks, note = plr.draw(state, range(batch, batch + 2), rng)
        replayed = note != NEVER
        again += replayed.sum()
        assert len(set(note[replayed])) == replayed.sum()
        assert (tasks["place"][replayed] == state["tasks"].numpy()[note[replayed]]).all()
        assert not np.isin(tasks["place"][~replayed], (0.25, 0.5, 0.75)).any()
    # of 800 tasks 0.8 · 3/4: 480, whose standard deviation is 14
    assert abs(again - 480) < 56
    tasks, note = plr.draw(state, seeds, rng)  # more places than tasks to replay
    assert sorted(note[note != NEVER]) == [0, 1, 2]
    assert np.array_equal(tasks["place"][note == NEVER], fresh["place"][note == NEVER])


def test_rows_of_equal_numbers_are_one_task_of_a_list() -> None:
    listed = TaskList({"leg": [0, 1, 1, 2], "mass": [1.0, 2.0, 2.0, 3.0]})
    plr = PLR(listed, PLROptions(capacity=100, replay=1.0))
    state = plr.start()
    assert state["tasks"].shape == (3, 2)
    tasks, note = plr.draw(state, range(40), np.random.default_rng(0))
    state = plr.learn(state, tasks, note, np.zeros(40), np.ones(40))
    assert state["tasks"].tolist() == [[0, 1], [1, 2], [2, 3]]
    tasks, note = plr.draw(state, range(3), np.random.default_rng(0))
    assert sorted(note) == [0, 1, 2] and sorted(tasks["leg"]) == [0, 1, 2]
    assert tasks["leg"].dtype == np.int64 and listed.check(tasks, 3)["mass"].tolist() == (tasks["leg"] + 1.0).tolist()
