"""What an error about an unknown name says."""

import pytest

from envs.contract.errors import InputError, nearest, require_known


def test_nearest_suggests_one_name_or_lists_a_few() -> None:
    assert nearest("horzon", ["horizon", "variant"]) == " — did you mean 'horizon'?"
    assert nearest("zzz", ["horizon", "variant"]) == " — choose one of: horizon, variant"
    assert nearest("zzz", map(str, range(400))) == " — check the name"


def test_the_first_unknown_name_is_refused_and_known_ones_pass() -> None:
    require_known("unknown fruit", ["fig", "date"], ["date", "fig"])
    with pytest.raises(InputError) as error:
        require_known("unknown fruit", ["fig", "daet", "x"], ["date", "fig"])
    assert str(error.value) == "unknown fruit 'daet' — did you mean 'date'?"
