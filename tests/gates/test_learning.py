"""Methods reach published or reference levels; minutes each, so only `pytest -m gate` runs them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reproduce"))

from half_cheetah_dir import HALF_CHEETAH_DIR  # noqa: E402
from point_nav import POINT_NAV  # noqa: E402
from reproduction import run_seed  # noqa: E402


@pytest.mark.gate
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reproduction", [POINT_NAV, HALF_CHEETAH_DIR], ids=lambda reproduction: reproduction.name)
def test_first_seed_meets_the_claim(reproduction):
    figures, _ = run_seed(reproduction, seed=0, torch_threads=1)  # as in docs/results, sum for sum
    print(reproduction.name, figures)
    assert reproduction.holds(figures), f"{reproduction.claim}: {figures}"
