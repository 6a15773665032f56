"""Random numbers by address."""

from envs.contract.seeding import RUN_LANES, SAMPLE_TASKS, generators


def test_streams_differ_by_seed_purpose_and_task() -> None:
    streams = [
        *generators(0, 2, SAMPLE_TASKS),
        *generators(0, 2, RUN_LANES),
        *generators([0, 1], 2, RUN_LANES),
    ]
    assert len({rng.random() for rng in streams}) == len(streams)
