"""Options: what a variant fills, and what is refused."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from envs.contract.config import option, resolve
from envs.contract.errors import InputError


@dataclass(frozen=True)
class Options:
    variant: str = "slow"
    horizon: int | None = option(above=0)
    speed: float | None = option(least=0)
    law: Literal["normal", "uniform"] | None = None
    noisy: bool | None = None


OPTIONS = {
    "slow": {"horizon": 10, "speed": 0.0, "law": "normal", "noisy": False},
    "fast": {"horizon": 10, "speed": 2.0, "law": "normal", "noisy": True},
}


def test_a_variant_fills_what_the_user_left_open() -> None:
    assert resolve(Options(), OPTIONS) == Options("slow", 10, 0.0, "normal", False)
    assert resolve(Options("fast", horizon=3, noisy=False), OPTIONS) == Options("fast", 3, 2.0, "normal", False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variant": "fats"}, "unknown env.variant 'fats' — did you mean 'fast'?"),
        ({"horizon": 0}, "env.horizon is 0 — give a whole number above 0"),
        ({"horizon": 10**19}, "env.horizon is 10000000000000000000 — give a whole number of at most 1e+09"),
        ({"horizon": 2.5}, "env.horizon is 2.5 — give a whole number above 0"),
        ({"horizon": True}, "env.horizon is True — give a whole number above 0"),
        ({"speed": -1.0}, "env.speed is -1.0 — give a finite number, 0 or above"),
        ({"speed": np.nan}, "env.speed is nan — give a finite number, 0 or above"),
        ({"speed": "1"}, "env.speed is '1' — give a finite number, 0 or above"),
        ({"law": "unifrom"}, "env.law is 'unifrom' — give one of: normal, uniform"),
        ({"noisy": 1}, "env.noisy is 1 — give true or false"),
    ],
)
def test_an_impossible_option_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        resolve(Options(**fields), OPTIONS)
    assert str(error.value) == message
