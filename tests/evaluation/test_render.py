"""Pictures of adaptation: files that can be read back, of the frames that were played; and what cannot be drawn."""

import json
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from support.command import Command, assert_refused, snapshot, train_arguments
from support.processes import Job

from metarl.deployment.adapt import load
from metarl.evaluation import render
from metarl.evaluation.render import CAPTION, captioned, encode, render_run, returns_so_far
from metarl.runtime.randomness import Address, Purpose

SIZE, HORIZON = 480, 5
HEIGHT = SIZE + 3 * CAPTION


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
    assert len(drawn) == 4 * len(film)
    assert drawn[:2] == ["before adaptation: return 0.0", "after 3 episodes: return 0.0"]
    assert drawn[2].startswith("goal ") and drawn[3] == "point-nav, maml-vpg, task 1 of 2"


def test_the_returns_on_screen_are_those_of_the_paths(run: Path, drawn: list[str], tmp_path: Path) -> None:
    # On the plane the reward is minus the distance to the goal, hence the return can be had from the path alone.
    policy = load(run)
    for adapted in policy.practise(1, 1, seed=3):
        positions, totals = [], []
        for total, _ in returns_so_far(policy.setup.env, adapted, Address(3)):
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
    film = encode((np.full((64, 96, 3), level, np.uint8) for level in levels), Fraction(5), kind)
    read = iio.imread(film, extension=kind, plugin="pyav" if kind == ".mp4" else "pillow")
    assert read.shape == (5, 64, 96, 3)
    np.testing.assert_allclose(read.mean(axis=(1, 2, 3)), levels, atol=3)


def test_a_map_of_the_plane_has_the_paths_of_every_round(metarl: Command, run: Path, drawn: list[str]) -> None:
    assert metarl("render", "run", "--out", "one.png", "--tasks", "2", "--adaptations", "0").code == 0
    assert metarl("render", "run", "--out", "three.png", "--tasks", "2", "--adaptations", "2").code == 0
    one, three = iio.imread("one.png"), iio.imread("three.png")
    assert one.shape == three.shape == (SIZE + 2 * CAPTION, 2 * SIZE, 3)
    assert (one != three).any()
    assert len(drawn) == 8


def test_a_caption_fits_its_picture() -> None:
    picture = np.full((10, 200, 3), 128, np.uint8)
    for text in ("short", "a text that is far too long for so narrow a picture, at the size of others"):
        shown = captioned(picture, text)
        assert shown.shape == (10 + CAPTION, 200, 3)
        np.testing.assert_array_equal(shown[CAPTION:], picture)
        assert (shown[:CAPTION] < 100).any()
    assert (captioned(picture, "short")[:CAPTION, :8] == 255).all()
    assert captioned(picture[:, :4], "no room for a letter").shape == (10 + CAPTION, 4, 3)


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


def test_what_is_practised_is_what_an_evaluation_meets(metarl: Command, run: Path) -> None:
    # The same task, starts and actions: the returns before each adaptation are those that the evaluation tells.
    record = json.loads(metarl("evaluate", "run", "--tasks", "3", "--adaptations", "3", "--json").out)
    for task in range(3):
        *_, last = load(run).practise(task, 3)
        np.testing.assert_allclose(last.returns, record["per_task"][task][:3], rtol=1e-6)


def test_a_film_shows_as_much_as_is_asked_for(metarl: Command, run: Path) -> None:
    # Five steps of 0.1 s are pictures 0, 2, 4 and the last one at 5 a second; time runs as it does there.
    asked = ["--tasks", "1", "--adaptations", "1", "--size", "200", "100", "--fps", "5"]
    assert metarl("render", "run", "--out", "few.mp4", *asked).code == 0
    assert iio.imread("few.mp4", plugin="pyav").shape == (4, 100 + 3 * CAPTION, 400, 3)
    assert iio.immeta("few.mp4", plugin="pyav")["fps"] == 5
    assert metarl("render", "run", "--out", "short.mp4", *asked, "--steps", "2").code == 0
    assert len(iio.imread("short.mp4", plugin="pyav")) == 2
    for option, value in (("--fps", "0"), ("--steps", "0"), ("--size", "0")):
        given = [option, value, value] if option == "--size" else [option, value]
        assert_refused(metarl("render", "run", "--out", "no.mp4", *given), f"{option} is 0")


def test_only_pictures_that_are_shown_are_drawn(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load(run)
    family, real, drawn = type(policy.setup.env), type(policy.setup.env).render_lane, []

    def noted(self: object, lane: int = 0, **paths: object) -> np.ndarray:
        drawn.append(lane)
        return real(self, lane, **paths)  # type: ignore[arg-type]

    noted.__annotations__ = real.__annotations__
    monkeypatch.setattr(family, "render_lane", noted)
    render_run(run, tmp_path / "film.mp4", tasks=1, adaptations=1, fps=5)
    assert len(drawn) == 2 * 4


def test_the_best_checkpoint_is_drawn_evaluated_and_exported_where_it_is_asked_for(
    metarl: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metarl(*train_arguments("seen", iterations=4), "--evaluate-every", "1").code == 0
    lines = [json.loads(line) for line in Path("seen/metrics.jsonl").read_text().splitlines()]
    unseen = [line["unseen/return/round_1"] for line in lines]
    best = 1 + unseen.index(max(unseen))
    record = metarl("evaluate", "seen", "--tasks", "2", "--checkpoint", "best", "--json")
    assert json.loads(record.out)["iteration"] == best
    # the film of an evaluation is of the checkpoint that was evaluated
    filmed: list[object] = []
    real = render.load
    monkeypatch.setattr(render, "load", lambda run, **asked: filmed.append(asked["checkpoint"]) or real(run, **asked))
    assert metarl("evaluate", "seen", "--tasks", "1", "--checkpoint", "3", "--film").code == 0
    assert filmed == [3]
    asked = ["--tasks", "1", "--adaptations", "0", "--checkpoint", "3"]
    assert metarl("render", "seen", "--out", "film.gif", *asked).code == 0
    assert metarl("export", "seen", "--out", "policy", "--checkpoint", "best").code == 0
    assert_refused(metarl("evaluate", "seen", "--checkpoint", "9"), "keeps no checkpoint '9'", "best")


LONG = ["train", "point-nav", "maml-vpg", "--tasks", "2", "--lanes", "2", "--env.horizon", "2000", "--algo.hidden", "4"]


def test_a_film_that_is_interrupted_ends_where_it_is(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*LONG, "--threads", "1", "--iterations", "1", "--out", "run").code == 0
    film, log = tmp_path / "film.mp4", tmp_path / "log"
    job = Job(["render", str(tmp_path / "run"), "--out", str(film), "--adaptations", "0"], log)
    job.wait_for(lambda: log.exists() and "picture " in log.read_text())  # the first one is drawn
    job.send(signal.SIGINT)
    assert job.end() == 130
    stopped, last = [line for line in log.read_text().splitlines() if not line.startswith("picture ")]
    assert stopped.startswith("stopped: ") and last.startswith("metarl: error: interrupted")
    assert len(iio.imread(film, plugin="pyav")) == int(stopped.split()[1])


def test_a_script_that_has_drawn_a_robot_ends_without_a_word(metarl: Command, tmp_path: Path) -> None:
    assert metarl(*train_arguments("cheetah", iterations=1, environment="half-cheetah-dir")).code == 0
    script = "import metarl; metarl.render('cheetah', 'film.mp4', tasks=1, adaptations=0, steps=1, size=(64, 48))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
