"""What an agent holds true of its task, beside the picture of it: the numbers, and where they are drawn."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from support.command import Command

from metarl.core.types import Rollout
from metarl.deployment.adapt import AdaptivePolicy, load
from metarl.evaluation import render
from metarl.evaluation.beliefs import LABEL, ROW, SCALE, Believed, believed, with_beliefs
from metarl.evaluation.render import CAPTION, captioned

OPTIONS = ["--tasks", "4", "--lanes", "1", "--iterations", "1", "--env.horizon", "6", "--threads", "1"]
SMALL = ["--algo.hidden", "8", "--algo.memory-size", "8"]


def trained(metarl: Command, environment: str, algorithm: str, *options: str) -> AdaptivePolicy:
    result = metarl("train", environment, algorithm, *OPTIONS, *SMALL, "--out", "run", *options)
    assert result.code == 0, result
    return load("run")


def test_a_student_names_the_parameters_that_it_estimates_beside_the_truth(metarl: Command, tmp_path: Path) -> None:
    policy = trained(metarl, "point-nav", "system-id", "--algo.embedding-size", "0")
    (adapted,) = policy.practise(0, 0)
    env, played = policy.setup.env, []
    observation, _ = env.reset(seed=[0])
    for number in range(3):
        action = adapted(observation[0])
        following, reward, *_ = env.step(action[None])
        adapted.observe(reward[0], following[0])
        played.append((observation[0], action, number == 0))
        observation = following
    rows = believed(adapted, env)
    assert [row.name for row in rows] == ["goal 0", "goal 1"] and {row.std for row in rows} == {0.0}
    # the truth by hand, in units of what training saw behind its observations of two numbers
    moments = policy.state["observations"]
    spread = (moments["squares"] / moments["count"]).sqrt()
    wanted = (env.tasks["goal"][0] - moments["mean"][2:].numpy()) / spread[2:].numpy()
    np.testing.assert_allclose([row.truth for row in rows], wanted, rtol=1e-5)
    # the estimate by the whole sequence at once, as training computes it
    agent = policy.setup.algorithm
    seen, actions, first = (torch.from_numpy(np.stack(each)[None]) for each in zip(*played, strict=True))
    seen = ((seen - moments["mean"][:2]) / spread[:2]).float()
    nothing = torch.zeros(1, 3)
    stream = Rollout(seen, actions.float(), nothing, nothing, nothing > 0, nothing > 0, first, nothing + 1, seen)
    said = agent.estimate(policy.state["student"], agent.inputs(stream), stream.mask)[0, -1]  # type: ignore[attr-defined]
    np.testing.assert_allclose([row.mean for row in rows], said.detach(), atol=1e-5)


def test_who_has_no_belief_shows_none_and_a_latent_has_numbers(metarl: Command, tmp_path: Path) -> None:
    policy = trained(metarl, "point-nav", "recurrent")
    (adapted,) = policy.practise(0, 0)
    assert believed(adapted, policy.setup.env) == []
    result = metarl("train", "point-nav", "varibad", *OPTIONS, "--algo.latent-size", "3", "--out", "other")
    assert result.code == 0, result
    policy = load("other")
    before, after = policy.practise(0, 1)
    mean, variance = policy.setup.algorithm.belief(policy.acting, after.memory)  # type: ignore[attr-defined]
    rows = believed(after, policy.setup.env)
    assert [row.name for row in rows] == ["z0", "z1", "z2"] and {row.truth for row in rows} == {None}
    np.testing.assert_allclose([row.mean for row in rows], mean[0, 0].detach())
    np.testing.assert_allclose([row.std**2 for row in rows], variance[0, 0].detach(), rtol=1e-5)
    assert rows != believed(before, policy.setup.env)


def test_rows_are_drawn_where_their_numbers_are() -> None:
    picture = np.zeros((40, 300, 3), np.uint8)
    assert with_beliefs(picture, []) is picture
    drawn = with_beliefs(picture, [Believed("mass", 1.5, 0.0, -SCALE), Believed("z1", 99.0, 0.5)])
    assert drawn.shape == (40 + 2 * ROW, 300, 3) and (drawn[:40] == 0).all()
    left, right = LABEL * 300, 300 - 8
    blue = np.argwhere((drawn == [0x1F, 0x5F, 0xA8]).all(axis=2))
    first, second = blue[blue[:, 0] < 40 + ROW], blue[blue[:, 0] >= 40 + ROW]
    assert first.mean(axis=0)[1] == pytest.approx(left + 0.75 * (right - left), abs=1)  # 1.5 of -3 to 3
    assert second.mean(axis=0)[1] == pytest.approx(right, abs=1)  # beyond the scale, at its end
    red = np.argwhere((drawn == [0xD1, 0x49, 0x5B]).all(axis=2))
    assert red[:, 1].mean() == pytest.approx(left, abs=1) and red[:, 0].max() < 40 + ROW
    assert len(with_beliefs(picture, [Believed(str(k), 0.0, 1.0) for k in range(40)])) == 40 + 12 * ROW


def test_a_film_shows_them_and_says_what_has_changed(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = metarl(
        "train", "half-cheetah-change", "system-id", *OPTIONS, *SMALL, "--env.change", "ice", "--out", "run"
    )
    assert result.code == 0, result
    texts: list[str] = []
    monkeypatch.setattr(render, "captioned", lambda picture, text: texts.append(text) or captioned(picture, text))
    words = ("--tasks", "1", "--adaptations", "0", "--size", "160", "120", "--steps", "4")
    assert metarl("render", "run", "--out", "film.gif", *words).code == 0
    said = [text for text in texts if text.startswith("return ")]
    # ice comes between a fifth and three fifths of 6 steps, and is a tenth or so of what the ground was
    assert len(said) == 5 and "now" not in said[0] and ", ice now 0." in said[-1]
    frames = iio.imread("film.gif")
    rows = len(believed(load("run").practise(0, 0)[0], load("run").setup.env))
    assert frames.shape[1:3] == (120 + 3 * CAPTION + min(12, rows) * ROW, 160) and rows >= 3
