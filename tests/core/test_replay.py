"""Replay against a plain Python list of meetings."""

import pytest
import torch

from metarl.core.replay import FIELDS, drawn_lanes, empty_replay, remembered, replay_bytes, slots_of, write_trial
from metarl.core.types import Rollout, State, Trial
from metarl.runtime.errors import InputError

N, E, T, A, ROUNDS = 3, 2, 4, 1, 2
SEEN = 2  # numbers of an observation
S = ROUNDS * E * T
REWARD = SEEN + A + 1  # where a transition as numbers has it: behind observation, action and log-probability
CPU = torch.device("cpu")


def imagined(seed: int, rounds: int = ROUNDS, tasks: torch.Tensor | None = None) -> Trial:
    """A trial of random numbers whose episodes end at random steps."""
    random = torch.Generator().manual_seed(seed)
    rollouts = []
    for _ in range(rounds):
        lengths = torch.randint(1, T + 1, (N, E, 1), generator=random)
        flags = torch.zeros(N, E, T, dtype=torch.bool)
        rollouts.append(
            Rollout(
                observation=torch.randn(N, E, T, SEEN, generator=random),
                action=torch.randn(N, E, T, A, generator=random),
                log_probability=torch.randn(N, E, T, generator=random),
                reward=torch.randn(N, E, T, generator=random),
                terminated=torch.rand(N, E, T, generator=random) < 0.3,
                truncated=flags | (torch.arange(T) == lengths - 1),
                first=flags | (torch.arange(T) == 0),
                mask=(torch.arange(T) < lengths).float(),
                next_observation=torch.randn(N, E, T, SEEN, generator=random),
            )
        )
    return Trial(rollouts, tasks=tasks)


def meetings_of(trial: Trial) -> list[list[tuple[float, ...]]]:
    """Every task's valid transitions, one after the other, as plain numbers."""
    meetings: list[list[tuple[float, ...]]] = [[] for _ in range(N)]
    for n in range(N):
        for e in range(E):
            for rollout in trial.rollouts:
                for t in range(T):
                    if rollout.mask[n, e, t]:
                        values = [getattr(rollout, name)[n, e, t].flatten().tolist() for name in FIELDS]
                        meetings[n].append(tuple(float(x) for value in values for x in value))
    return meetings


def held(replay: State, slot: int) -> list[tuple[float, ...]]:
    """The valid transitions of a slot."""
    rows = range(slot * S, (slot + 1) * S)
    return [
        tuple(float(x) for name in FIELDS for x in replay[name][row].flatten().tolist())
        for row in rows
        if replay["mask"][row]
    ]


def remembered_in(replay: State) -> list[list[tuple[float, ...]]]:
    """The valid transitions of the meetings that count, oldest first."""
    return [held(replay, slot) for slot in remembered(replay, N, S).tolist()]


def test_the_last_meetings_are_remembered() -> None:
    # 10 slots (and 5 rows too many), of which 3 are there for the next trial: 7 meetings count, and the ring closes in
    # the midst of the fourth trial
    replay, met = empty_replay(10 * S + 5, SEEN, A, CPU), list[list[tuple[float, ...]]]()
    for seed in range(9):
        trial = imagined(seed)
        replay = write_trial(replay, trial)
        met += meetings_of(trial)
        assert int(replay["meetings"]) == len(met)
        assert remembered_in(replay) == met[-7:]
        assert slots_of(replay, trial).tasks == min(7, len(met))


def test_writing_is_in_place_and_leaves_what_the_old_replay_remembers() -> None:
    replay = empty_replay(7 * S, SEEN, A, CPU)
    for seed in range(8):
        before, old = remembered_in(replay), replay
        replay = write_trial(old, imagined(seed))
        assert remembered_in(old) == before
        assert all(old[name].data_ptr() == replay[name].data_ptr() for name in FIELDS)
        # an update that failed is tried again: with another trial, so that the first one must leave no trace
        first = remembered_in(replay)
        other = write_trial(old, imagined(100 + seed))
        assert remembered_in(other)[:-N] == first[:-N] and remembered_in(other)[-N:] == meetings_of(
            imagined(100 + seed)
        )
        replay = write_trial(old, imagined(seed))
        assert remembered_in(replay) == first


def test_only_valid_steps_of_the_drawn_task_come_out_and_all_of_them_equally_often() -> None:
    trial = imagined(3)
    slots = slots_of(write_trial(empty_replay(6 * S, SEEN, A, CPU), trial), trial)
    meetings = torch.tensor([2, 0])
    draws = 4000
    drawn = slots.draw(meetings, draws, torch.Generator().manual_seed(0))
    for row, meeting in enumerate(meetings.tolist()):
        rewards = [transition[REWARD] for transition in meetings_of(trial)[meeting]]
        values, counts = drawn.reward[row].unique(return_counts=True)
        assert sorted(values.tolist()) == sorted(rewards)
        # a count is binomial with p = 1 / len: five standard deviations
        expected = draws / len(rewards)
        assert (counts - expected).abs().max() < 5 * expected**0.5
        # and the fields of a drawn row belong together
        wanted = {transition[REWARD]: transition[:SEEN] for transition in meetings_of(trial)[meeting]}
        for k in range(20):
            assert wanted[float(drawn.reward[row, k])] == tuple(drawn.observation[row, k].tolist())


def test_tasks_are_drawn_without_repetition_from_those_that_were_met() -> None:
    trial = imagined(0)
    slots = slots_of(write_trial(empty_replay(9 * S, SEEN, A, CPU), trial), trial)
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        two = slots.draw_tasks(2, random).tolist()
        assert len(set(two)) == 2 and set(two) <= {0, 1, 2}
    assert sorted(slots.draw_tasks(8, random).tolist()) == [0, 1, 2]


def rewards_by_lane(trial: Trial, rounds: int = ROUNDS) -> list[list[set[float]]]:
    """The rewards that were valid in the first rounds, by task and lane."""
    return [
        [set(torch.cat([r.reward[n, e][r.mask[n, e] > 0] for r in trial.rollouts[:rounds]]).tolist()) for e in range(E)]
        for n in range(N)
    ]


def test_context_is_what_one_lane_has_seen_alone() -> None:
    trial = imagined(5)
    slots = slots_of(write_trial(empty_replay(6 * S, SEEN, A, CPU), trial), trial)
    seen_by = rewards_by_lane(trial)
    random, lanes = torch.Generator().manual_seed(0), set()
    for _ in range(20):
        drawn = slots.draw_context(torch.tensor([1, 2]), 200, random)
        for row, n in enumerate((1, 2)):
            (lane,) = (e for e in range(E) if set(drawn.reward[row].tolist()) <= seen_by[n][e])
            assert set(drawn.reward[row].tolist()) == seen_by[n][lane]
            lanes.add((n, lane))
    assert lanes == {(n, e) for n in (1, 2) for e in range(E)}


# Of three tasks, 1.0 is met in every trial, and as the trial's first, second and third task. The first trial meets 7.0
# twice, so that only its later meeting is the last one.
LISTED = [[[1.0], [7.0], [7.0]], [[2.0], [1.0], [3.0]], [[3.0], [2.0], [1.0]]]


@pytest.mark.parametrize("kept", [9, 7])  # 7: the first two meetings are forgotten
def test_a_tasks_meetings_teach_together_and_its_context_is_of_the_last_alone(kept: int) -> None:
    replay = empty_replay((kept + N) * S, SEEN, A, CPU)
    trials = [imagined(seed, tasks=torch.tensor(rows, dtype=torch.float64)) for seed, rows in enumerate(LISTED)]
    taught: dict[float, set[float]] = {}  # what is still remembered of each task
    last: dict[float, list[set[float]]] = {}
    for number, (trial, rows) in enumerate(zip(trials, LISTED, strict=True)):
        replay = write_trial(replay, trial)
        for n, ((name,), lanes) in enumerate(zip(rows, rewards_by_lane(trial), strict=True)):
            last[name] = lanes
            if number * N + n >= len(trials) * N - kept:
                taught[name] = taught.get(name, set()).union(*lanes)
    drawn_from = slots_of(replay, trials[0])
    assert drawn_from.tasks == len(taught) == 4
    random = torch.Generator().manual_seed(0)
    every = torch.arange(4)
    draws = 4000
    batch = drawn_from.draw(every, draws, random).reward
    contexts = torch.stack([drawn_from.draw_context(every, 200, random).reward for _ in range(20)])
    names = []
    for row in range(4):
        values, counts = batch[row].unique(return_counts=True)
        (name,) = (name for name, rewards in taught.items() if rewards == set(values.tolist()))
        names.append(name)
        # every step of every meeting equally often: a count is binomial with p = 1 / len, five standard deviations
        expected = draws / len(values)
        assert (counts - expected).abs().max() < 5 * expected**0.5
        seen = [set(context[row].tolist()) for context in contexts]
        assert all(context in last[name] for context in seen) and all(lane in seen for lane in last[name])
    assert sorted(names) == sorted(taught)


def test_tasks_that_are_not_known_are_never_the_same_nor_are_meetings_that_are_not_drawn_by_task() -> None:
    replay, named = empty_replay(12 * S, SEEN, A, CPU), empty_replay(12 * S, SEEN, A, CPU)
    for seed in range(3):
        replay = write_trial(replay, imagined(seed))
        named = write_trial(named, imagined(seed, tasks=torch.zeros(N, 1, dtype=torch.float64)))
    assert slots_of(replay, imagined(0)).tasks == slots_of(named, imagined(0), by_task=False).tasks == 9
    assert slots_of(named, imagined(0)).tasks == 1


def test_whole_lanes_come_out_as_they_were_played() -> None:
    # Episodes keep their borders: in each lane what was played, in order, with every field.
    trial = imagined(4)
    replay = write_trial(empty_replay(6 * S, SEEN, A, CPU), trial)
    drawn = drawn_lanes(replay, trial, 100, torch.Generator().manual_seed(0))
    assert drawn.mask.shape == (N * E, ROUNDS * T)
    lanes = []
    for n in range(N):
        for e in range(E):
            joined = [torch.cat([getattr(r, name)[n, e] for r in trial.rollouts]) for name in FIELDS]
            played = joined[FIELDS.index("mask")] > 0
            lanes.append(torch.cat([x[played].float().reshape(int(played.sum()), -1) for x in joined], dim=1).tolist())
    for lane in range(N * E):
        length = int(drawn.mask[lane].sum())
        assert drawn.mask[lane, :length].all() and int(drawn.first[lane, :length].sum()) == ROUNDS
        parts = [x[lane, :length].float().reshape(length, -1) for x in drawn]
        assert torch.cat(parts, dim=1).tolist() in lanes
    assert len(drawn_lanes(replay, trial, 2, torch.Generator().manual_seed(0)).mask) == 2


def test_its_memory_is_known_before_it_is_made() -> None:
    taken = sum(value.numel() * value.element_size() for value in empty_replay(1000, 7, 3, CPU).values())
    assert replay_bytes(1000, 7, 3) == taken


@pytest.mark.parametrize("slots", [3, 5])
def test_a_replay_without_room_for_two_trials_is_copied_and_remembers_all_its_slots(slots: int) -> None:
    replay, met = empty_replay(slots * S, SEEN, A, CPU), list[list[tuple[float, ...]]]()
    for seed in range(4):
        old, before = replay, {name: value.clone() for name, value in replay.items()}
        replay = write_trial(old, imagined(seed))
        met += meetings_of(imagined(seed))
        assert remembered_in(replay) == met[-slots:]
        assert all(torch.equal(value, before[name]) for name, value in old.items())
    assert slots_of(replay, imagined(0)).tasks == slots


def test_a_replay_that_cannot_hold_one_trial_is_refused() -> None:
    write_trial(empty_replay(N * S, SEEN, A, CPU), imagined(0))
    with pytest.raises(InputError, match=rf"^algo.replay_size is {N * S - 1}, but a trial of 3 tasks has 48 steps — "):
        write_trial(empty_replay(N * S - 1, SEEN, A, CPU), imagined(0))
