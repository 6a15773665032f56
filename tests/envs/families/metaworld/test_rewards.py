"""Meta-World's observations, rewards and successes, from what the package itself said of recorded states.

The sample is of the package's own environments (release 3.1.1), played by its scripted policies: two goals of each task
at four steps. `scripts/compare_metaworld.py --record` wrote it; nothing here needs the package.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from envs.families.metaworld import terms
from envs.families.metaworld.environment import TASKS, look
from envs.families.metaworld.first_rewards import FIRST
from envs.families.metaworld.scene import HAND_HIGH, HAND_LOW, Scene

SAMPLE = np.load(Path(__file__).parent / "data" / "sample.npz")
NUMBERS = ("travel", "most", "height")  # kept ones that are no places
LAYOUT: dict[str, dict[str, int]] = json.loads(str(SAMPLE["layout"]))


def recorded(task: str) -> dict[str, np.ndarray]:
    """What was recorded of a task, by name, `[8, …]` each."""
    ends = np.cumsum(list(LAYOUT[task].values()))[:-1]
    return dict(zip(LAYOUT[task], np.split(SAMPLE[task], ends, axis=1), strict=True))


class Recorded(Scene):
    """A scene without a simulation: reading it gives what was recorded."""

    def __init__(self, task: str) -> None:
        self.said = recorded(task)
        count = len(self.said["seen"])
        self.batch: Any = SimpleNamespace(nsim=count)
        self.hand_start = np.broadcast_to(np.asarray(TASKS[task].hand, np.float64), (count, 3))
        self.start = {name[5:]: values for name, values in self.said.items() if name.startswith("kept/")}
        self.start |= {name: values[:, 0] for name, values in self.start.items() if name in NUMBERS}
        self.action, self.first = self.start.pop("action"), self.start.pop("first")[:, 0].copy()
        self.seen = self.said["seen"]
        self.touches = (self.said["touching"],) * 2

    def body(self, name: str) -> np.ndarray:
        return self.said[f"body/{name}"]

    def site(self, name: str) -> np.ndarray:
        return self.said[f"site/{name}"]

    def local(self, site: str) -> np.ndarray:
        return self.said[f"local/{site}"]

    def geom(self, name: str) -> np.ndarray:
        return self.said[f"geom/{name}"]

    def turned(self, body: str) -> np.ndarray:
        return self.said[f"turned/{body}"]

    def rotated(self, kind: str, name: str) -> np.ndarray:
        return self.said[f"rotated/{kind}/{name}"]

    def joint(self, name: str) -> np.ndarray:
        return self.said[f"joint/{name}"][:, 0]


def test_the_sample_is_of_all_fifty_tasks_and_most_succeed_in_it() -> None:
    assert len(TASKS) == 50 and LAYOUT.keys() == TASKS.keys()
    for version in ("v1", "v2"):
        successes = [recorded(task)[f"success/{version}"] for task in TASKS]
        assert sum(bool(values.any()) for values in successes) > 40
        assert sum(bool((values == 0).any()) for values in successes) > 40


@pytest.mark.parametrize("task", TASKS)
def test_observation_reward_and_success_are_the_packages(task: str) -> None:
    scene = Recorded(task)
    frame = look(scene, TASKS[task])
    frame[:, :3] = np.clip(frame[:, :3], HAND_LOW, HAND_HIGH)
    np.testing.assert_allclose(frame, scene.seen[:, :18], rtol=0, atol=1e-12)
    for version, reward, exact in (
        ("v2", TASKS[task].reward, 1e-12),
        ("v1", FIRST[task.removesuffix("-v3")].reward, 1e-10),  # which are a hundred times as large
    ):
        score = reward(scene)
        np.testing.assert_allclose(score.reward, scene.said[f"reward/{version}"][:, 0], rtol=0, atol=exact)
        np.testing.assert_array_equal(score.success, scene.said[f"success/{version}"][:, 0])


def test_tolerance_is_one_within_a_tenth_at_the_margin_and_nothing_without_one() -> None:
    # 1 / (1 + 9 d²) at d = 0, 1, 2 margins beyond: 1, 0.1, 1/37; gaussian: 0.1^(d²) = 1, 0.1, 1e-4
    values = np.array([0.5, 2.0, 3.0])
    np.testing.assert_allclose(terms.tolerance(values, 1.0, 1.0), [1.0, 0.1, 1 / 37])
    np.testing.assert_allclose(terms.tolerance(values, 1.0, 1.0, tail="gaussian"), [1.0, 0.1, 1e-4])
    np.testing.assert_allclose(terms.tolerance(values, 1.0, np.zeros(3)), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(terms.tolerance(np.array([-1.0]), 1.0, 0.5, low=-0.5), [0.1])


def test_hamachers_product() -> None:
    # ab / (a + b − ab): 0.25 / 0.75, 1·b = b, and 0 of zeros
    products = terms.hamacher(np.array([0.5, 1.0, 0.0]), np.array([0.5, 0.3, 0.0]))
    np.testing.assert_allclose(products, [1 / 3, 0.3, 0.0])


def test_a_prism_pays_its_share_within_and_all_without() -> None:
    zero, one = np.zeros((2, 3)), np.array([[2.0, -2.0, 4.0]] * 2)
    places = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])  # 1/2 · 1/2 · 1/4; outside
    np.testing.assert_allclose(terms.in_prism(places, zero, one), [1 / 16, 1.0])
