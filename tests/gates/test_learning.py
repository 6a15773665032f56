"""Methods reach published or reference levels; minutes each, so only `pytest -m gate` runs them.

Each runs on one core, so that they run side by side; their order divides them evenly between two workers.
"""

import sys
from pathlib import Path

import pytest

import metarl

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reproduce"))

import memory  # noqa: E402
from half_cheetah_dir import HALF_CHEETAH_DIR  # noqa: E402
from point_nav import POINT_NAV  # noqa: E402
from reproduction import run_seed  # noqa: E402

pytestmark = [pytest.mark.gate, pytest.mark.timeout(1200)]
ONE_CORE = {"threads": 1, "torch_threads": 1}  # as in docs/results, sum for sum


def meets_its_claim(reproduction):
    """Of a reproduction's first seed."""
    figures, _ = run_seed(reproduction, seed=0, **ONE_CORE)
    print(reproduction.name, figures)
    assert reproduction.holds(figures), f"{reproduction.claim}: {figures}"


def test_maml_runs_either_way():
    meets_its_claim(HALF_CHEETAH_DIR)


def test_maml_learns_sine_waves(tmp_path):
    # The reference run reaches 0.59 and 0.19 after 1 and 10 steps at 5,000 meta-updates and 10 shots.
    run = metarl.train("sinusoid", "maml", out=tmp_path / "run", iterations=5000, seed=0, **ONE_CORE)
    loss = metarl.evaluate(run.path, tasks=1000, adaptations=10)["loss"]["mean"]
    print("sinusoid", loss)
    assert loss[1] <= 0.75 and loss[10] <= 0.30, loss


def test_maml_finds_goals():
    meets_its_claim(POINT_NAV)


@pytest.mark.parametrize("name", ["bandit-10", "pearl-sparse-point-nav-dense"])
def test_memory_adapts(name):
    level = memory.LEVELS[name]
    figures = memory.run_seed(name, level, 0, memory.Options(**ONE_CORE))
    print(name, figures["unseen"])
    assert level.holds(figures["unseen"]), f"{level.claim}: {figures['unseen']}"
