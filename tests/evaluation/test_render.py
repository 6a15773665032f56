"""Pictures of adaptation: files that can be read back, of the frames that were played; and what cannot be drawn."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from support.command import Command, assert_refused, snapshot, train_arguments

from metarl.deployment.adapt import load
from metarl.evaluation import render
from metarl.evaluation.render import CAPTION, captioned, encode, render_run, returns_so_far
from metarl.runtime.randomness import Address, Purpose

SIZE, HORIZON = 480, 5
HEIGHT = SIZE + 2 * CAPTION


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are written above pictures."""
    texts: list[str] = []

    def note(picture: np.ndarray, text: str) -> np.ndarray:
        texts.append(text)
        return captioned(picture, text)

    monkeypatch.setattr(render, "captioned", note)
    return texts


def test_a_video_shows_every_step_of_every_task_before_beside_after(
    metarl: Command, run: Path, drawn: list[str]
) -> None:
    # Nobody reaches a goal in 5 steps, so an episode is its start and 5 steps; and there are two tasks.
    assert (
        metarl("render", "run", "--out", "film.mp4", "--tasks", "2", "--adaptations", "1").out == "written: film.mp4\n"
    )
    film = iio.imread("film.mp4", plugin="pyav")
    assert film.shape == (2 * (HORIZON + 1), HEIGHT, 2 * SIZE, 3)
    assert (film[0] != film[-1]).any()
    assert len(drawn) == 3 * len(film)
    assert drawn[:2] == ["before adaptation: return 0.0", "after 3 episodes: return 0.0"]
    assert drawn[2].startswith("point-nav, maml-vpg, task 1 of 2: goal ")


def test_the_returns_on_screen_are_those_of_the_paths(run: Path, drawn: list[str], tmp_path: Path) -> None:
    # On the plane the reward is minus the distance to the goal, hence the return can be had from the path alone.
    policy = load(run)
    for adapted in policy.practise(1, 1, seed=3):
        positions, totals = [], []
        for total in returns_so_far(policy.setup.env, adapted, Address(3)):
            positions.append(policy.setup.env.position[0].copy())  # type: ignore[attr-defined]
            totals.append(total)
        distances = np.linalg.norm(np.array(positions[1:]) - policy.setup.env.tasks["goal"][0], axis=1)
        np.testing.assert_allclose(totals[1:], -np.cumsum(distances), rtol=1e-12)
        assert totals[0] == 0 and (positions[0] == 0).all()


def test_the_tasks_are_those_that_evaluation_meets(run: Path) -> None:
    from metarl.training.loop import set_new_tasks
    from metarl.training.setup import set_up

    policy = load(run)
    evaluated = set_up(policy.setup.config, num_tasks=3).env
    set_new_tasks(evaluated, Address(5).at(Purpose.EVALUATION), "test")
    for task in range(3):
        policy.practise(task, 0, seed=5)
        np.testing.assert_array_equal(policy.setup.env.tasks["goal"][0], evaluated.tasks["goal"][task])


def test_a_gif_can_be_read_back(run: Path, tmp_path: Path) -> None:
    render_run(run, tmp_path / "film.gif", tasks=1, adaptations=1)
    frames = iio.imread(tmp_path / "film.gif")
    assert frames.shape[1:] == (HEIGHT, 2 * SIZE, 3) and 2 <= len(frames) <= HORIZON + 1  # equal ones are merged


@pytest.mark.parametrize("kind", [".mp4", ".gif"])
def test_frames_come_out_as_they_went_in(kind: str) -> None:
    levels = [20, 80, 140, 200, 250]
    film = encode((np.full((64, 96, 3), level, np.uint8) for level in levels), 5, kind)
    read = iio.imread(film, extension=kind, plugin="pyav" if kind == ".mp4" else "pillow")
    assert read.shape == (5, 64, 96, 3)
    np.testing.assert_allclose(read.mean(axis=(1, 2, 3)), levels, atol=3)


def test_a_map_of_the_plane_has_the_paths_of_every_round(metarl: Command, run: Path, drawn: list[str]) -> None:
    assert metarl("render", "run", "--out", "one.png", "--tasks", "2", "--adaptations", "0").code == 0
    assert metarl("render", "run", "--out", "three.png", "--tasks", "2", "--adaptations", "2").code == 0
    one, three = iio.imread("one.png"), iio.imread("three.png")
    assert one.shape == three.shape == (SIZE + CAPTION, 2 * SIZE, 3)
    assert (one != three).any()
    assert len(drawn) == 4


def test_a_caption_fits_its_picture() -> None:
    picture = np.full((10, 200, 3), 128, np.uint8)
    for text in ("short", "a text that is far too long for so narrow a picture, at the size of others"):
        shown = captioned(picture, text)
        assert shown.shape == (10 + CAPTION, 200, 3)
        np.testing.assert_array_equal(shown[CAPTION:], picture)
        assert (shown[:CAPTION] < 100).any()
    assert (captioned(picture, "short")[:CAPTION, :8] == 255).all()


def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(metarl: Command, run: Path, tmp_path: Path) -> None:
    assert metarl(*train_arguments("pulls", iterations=1, environment="bandit")).code == 0
    assert metarl(*train_arguments("cheetah", iterations=1, environment="half-cheetah-dir")).code == 0
    (tmp_path / "folder.gif").mkdir()
    before = snapshot(tmp_path)
    assert_refused(metarl("render", "no-such", "--out", "film.mp4"), "no run at no-such")
    assert_refused(metarl("render", "run", "--out", "film.avi"), "film.avi", ".mp4, .gif or .png")
    assert_refused(metarl("render", "run", "--out", "film"), "no known kind")
    assert_refused(metarl("render", "run", "--out", "folder.gif"), "folder.gif is a folder")
    assert_refused(metarl("render", "run", "--out", "no/such/film.gif"), "no/such is no folder")
    assert_refused(metarl("render", "run", "--out", "film.gif", "--tasks", "0"), "--tasks is 0")
    assert_refused(metarl("render", "run", "--out", "film.gif", "--adaptations=-1"), "--adaptations is -1")
    assert_refused(metarl("render", "pulls", "--out", "film.gif"), "Bandit has no pictures")
    assert_refused(metarl("render", "cheetah", "--out", "map.png"), "no map", ".mp4")
    assert_refused(metarl("render", "cheetah", "--out", "film.gif", "--split", "outside"), "no split 'outside'")
    assert snapshot(tmp_path) == before
