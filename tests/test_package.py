"""What importing the package says to the libraries below it."""

import os
import subprocess
import sys

import pytest

ASK = "import os, metarl; print(os.environ.get('GOMP_SPINCOUNT'), 'OMP_WAIT_POLICY' in os.environ)"


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, "10000 False"), ({"GOMP_SPINCOUNT": "7"}, "7 False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None True")],
)
def test_torchs_threads_stay_awake_between_regions_unless_the_user_says_otherwise(said: dict[str, str], expected: str):
    unsaid = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", ASK], env=unsaid | said, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
