"""What an agent holds true of its task, drawn below a picture of it: a row for each number of its latent.

A row shows mean and standard deviation on a scale of ±3, which is that of a unit prior, or of parameters in units of
their spread in training. Where the latent is the task's parameters, rows have their names and a mark at the truth.
Letters: Z latent · H and W pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from envs.contract.base import TaskEnv
from metarl.algorithms.algorithm import Believing
from metarl.deployment.adapt import AdaptedPolicy

ROW = 20  # pixels
MOST = 12  # rows that are drawn
SCALE = 3.0
LABEL = 0.34  # of the width


class Believed(NamedTuple):
    """One number of a latent."""

    name: str
    mean: float
    std: float
    truth: float | None = None


@torch.no_grad()
def believed(adapted: AdaptedPolicy, env: TaskEnv) -> list[Believed]:
    """What a policy believes now of the task that the only lane of `env` plays; nothing where it has no belief."""
    agent = adapted.agent
    if not isinstance(agent, Believing):
        return []
    said = agent.belief(adapted.policy.acting, adapted.memory)
    mean, std = said[0][0, 0].numpy(), said[1][0, 0].sqrt().numpy()  # [Z]
    if not adapted.policy.setup.traits.estimates_task:
        return [Believed(f"z{number}", float(m), float(s)) for number, (m, s) in enumerate(zip(mean, std, strict=True))]
    names, values = named_parameters(env)
    # as training showed them: behind the observation, in units of their spread there
    shown = np.concatenate([np.zeros(env.observation_size), values])
    truth = adapted.normalise(torch.from_numpy(shown).float())[env.observation_size :].numpy()
    return [Believed(*row) for row in zip(names, map(float, mean), map(float, std), map(float, truth), strict=True)]


def named_parameters(env: TaskEnv) -> tuple[list[str], np.ndarray]:
    """Every number of the task that the only lane plays, as a teacher is told them: names, and values `[P]`."""
    rows = {name: env.lane_tasks[name].ravel() for name in sorted(env.lane_tasks)}
    names = [f"{name} {k}" if len(row) > 1 else name for name, row in rows.items() for k in range(len(row))]
    return names, np.concatenate([np.empty(0), *rows.values()])


def changed_by_now(env: TaskEnv) -> str:
    """In words, which parameters of its task the only lane no longer has, and what they are in their place."""
    differ = {name: value for name, value in env.lane_tasks.items() if (value[0] != env.tasks[name][0]).any()}
    shown = {name: " ".join(f"{number:.2f}" for number in value.ravel()) for name, value in differ.items()}
    return "".join(f", {name} now {numbers}" for name, numbers in shown.items())


def with_beliefs(picture: np.ndarray, rows: list[Believed]) -> np.ndarray:
    """The picture with the rows below it, uint8 `[H + ROW · rows, W, 3]`; the same without rows."""
    if not rows:
        return picture
    height, width, _ = picture.shape
    canvas = Image.new("RGB", (width, height + ROW * len(rows[:MOST])), "white")
    canvas.paste(Image.fromarray(picture))
    draw, left = ImageDraw.Draw(canvas), LABEL * width

    def place(value: float) -> float:
        share = (np.clip(value, -SCALE, SCALE) + SCALE) / (2 * SCALE)
        return float(left + share * (width - 8 - left))

    for number, (name, mean, std, truth) in enumerate(rows[:MOST]):
        top = height + ROW * number
        middle, font = top + ROW / 2, ImageFont.load_default(12)
        draw.text((left - 6, middle), name, "black", font, anchor="rm")
        draw.line([(place(-SCALE), middle), (place(SCALE), middle)], "#d0d4da")
        draw.rectangle([place(mean - std), middle - 4, place(mean + std), middle + 4], "#9ec1e8")
        draw.ellipse([place(mean) - 4, middle - 4, place(mean) + 4, middle + 4], "#1f5fa8")
        if truth is not None:
            draw.line([(place(truth), top + 2), (place(truth), top + ROW - 2)], "#d1495b", width=3)
    return np.asarray(canvas)
