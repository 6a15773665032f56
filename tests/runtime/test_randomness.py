"""Addressed random streams: the same address is the same stream, and no two addresses share one."""

import itertools

import numpy as np
import torch

from metarl.runtime.randomness import Address, Purpose


def draw(address: Address) -> tuple[float, ...]:
    return tuple(address.generator().random(4))


def test_the_same_address_draws_the_same_numbers() -> None:
    assert draw(Address(3).at(Purpose.TRAINING, 7)) == draw(Address(3, 1).at(7))
    assert Address(3, 1).seed() == Address(3, 1).seed()
    a, b = (torch.randn(5, generator=Address(3, 1).torch_generator()) for _ in range(2))
    assert torch.equal(a, b)


def test_drawing_from_one_address_does_not_move_another() -> None:
    address = Address(5)
    before = draw(address.at(1))
    address.generator().random(1000)
    assert draw(address.at(1)) == before


def test_distinct_addresses_draw_distinct_numbers() -> None:
    # All keys of length 1 to 4 over {0, 1, 2}, among them (1, 2) and (1, 2, 0), which numpy would make one stream.
    keys = [key for length in range(1, 5) for key in itertools.product(range(3), repeat=length)]
    addresses = [Address(*key) for key in keys]
    assert len({draw(address) for address in addresses}) == len(keys)
    assert len({address.seed() for address in addresses}) == len(keys)
    streams = {tuple(torch.rand(3, generator=address.torch_generator()).tolist()) for address in addresses}
    assert len(streams) == len(keys)


def test_seeds_suit_every_generator() -> None:
    # numpy takes seeds from 0 on, torch's manual_seed wraps those from 2^63 on.
    seeds = [Address(0).at(task).seed() for task in range(1000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert np.median(seeds) > 2**60  # they use all 63 bits


def test_streams_of_neighbouring_addresses_are_uncorrelated() -> None:
    # 200 streams of 200 normal numbers; for independent ones |correlation| > 5 / sqrt(200) has probability 6e-7 a pair.
    streams = np.stack([Address(0, 5, task).generator().standard_normal(200) for task in range(200)])
    correlation = np.corrcoef(streams) - np.eye(200)
    assert np.abs(correlation).max() < 5 / np.sqrt(200)


def test_purposes_keep_their_numbers() -> None:
    # Part of the format of a run: a run must resume the same after an upgrade.
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "PARAMETERS": 0,
        "TRAINING": 1,
        "EVALUATION": 2,
        "TASKS": 3,
        "RESET": 4,
        "ACTIONS": 5,
        "UPDATE": 6,
        "AGENT": 7,
        "MOMENTS": 8,
        "UNSEEN": 9,
        "TASK_SAMPLING": 10,
    }
