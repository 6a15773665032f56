"""Pictures of adaptation: the same task before and after it, side by side, with the return so far.

* A video (mp4, gif) shows an episode before any adaptation beside one after the last, task after task.
* A picture (png) shows the paths of tasks in the plane, one line for each round of adaptation.

In both the policy takes its likeliest action, as it does when deployed. Letters: K rounds, T steps, P tasks shown,
H and W pixels.
"""

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.contract.base import TaskEnv
from metarl.deployment.adapt import AdaptedPolicy, AdaptivePolicy, load
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic
from metarl.runtime.interruption import interruption_point
from metarl.runtime.options import check_evaluation
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.collect import blaming_environment

KINDS = (".mp4", ".gif", ".png")
FRAMES_PER_SECOND = 10  # of what has no seconds
CAPTION = 32  # pixels of a line of text
FONT_SIZE = 18


class Step(NamedTuple):
    """A moment of an episode."""

    picture: np.ndarray  # uint8 [H, W, 3]
    return_so_far: float


def render_run(
    path: str | Path,
    out: str | Path,
    tasks: int = 3,
    rounds: int | None = None,
    split: str = "test",
    seed: int = 0,
    *,
    trust: bool = False,
) -> None:
    """Draw how a run's policy adapts, into a file.

    Args:
        path: the run's folder.
        out: a file that ends in .mp4, .gif, or .png for tasks in the plane; replaced if it is there.
        tasks: how many, those that `metarl evaluate` with the same seed begins with.
        rounds: adaptations K; by default as many as in training.
        split: "train", "test" or "outside".
        seed: where tasks, resets and exploration start.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.

    Raises:
        InputError: no such run, one that names code and is not trusted, a file that cannot be, impossible numbers, or
            an environment that cannot be drawn.
        EnvironmentBroke: the environment raised.
        StorageError: the file system refused.
    """
    out = Path(out)
    check_evaluation(tasks, 0 if rounds is None else rounds, seed)
    check_file(out)
    policy = load(path, trust=trust)
    env, K = policy.setup.env, policy.rounds if rounds is None else rounds
    check_drawable(env, out.suffix)
    if out.suffix == ".png":
        maps = [draw_map(policy, task, tasks, K, split, seed) for task in range(tasks)]
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(maps, axis=1)).save(buffer, "PNG")
        write_atomic(out, buffer.getvalue())
        return
    frames = itertools.chain.from_iterable(film(policy, task, tasks, K, split, seed) for task in range(tasks))
    rate = max(1, round(1 / getattr(env, "dt", 1 / FRAMES_PER_SECOND)))
    write_atomic(out, encode(frames, rate, out.suffix))


def check_file(out: Path) -> None:
    """Raises: InputError where no picture can be written."""
    if out.suffix not in KINDS:
        raise InputError(f"--out is {out}, of no known kind — end it in {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if out.is_dir():
        raise InputError(f"{out} is a folder — give a file in it")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out.parent} is no folder — make it first, or choose another --out")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"{out.parent} cannot be written — choose another --out")


def check_drawable(env: TaskEnv, kind: str) -> None:
    """Raises: InputError where an environment has no pictures, or no map for a .png."""
    name = type(env).__name__
    if type(env).render_lane is TaskEnv.render_lane:
        raise InputError(f"{name} has no pictures — write its render_lane, or use metarl evaluate")
    if kind == ".png" and not lies_in_the_plane(env):
        raise InputError(f"{name} is no map to draw paths on — give --out a name in .mp4 or .gif")


def lies_in_the_plane(env: TaskEnv) -> bool:
    """Whether its lanes are points, whose paths `render_lane` draws."""
    return "paths" in type(env).render_lane.__annotations__


def film(policy: AdaptivePolicy, task: int, tasks: int, rounds: int, split: str, seed: int) -> Iterator[np.ndarray]:
    """Frames of a task: before adaptation on the left, after it on the right; the shorter episode waits at its end."""
    adapted = policy.practise(task, rounds, seed, split)
    title = title_of(policy, task, tasks)
    sides = [
        (when(0, policy.episodes), list(play(policy.setup.env, adapted[0], seed, task))),
        (when(rounds, policy.episodes), list(play(policy.setup.env, adapted[-1], seed, task))),
    ]
    for t in range(max(len(steps) for _, steps in sides)):
        panels = []
        for label, steps in sides:
            step = steps[min(t, len(steps) - 1)]
            panels.append(captioned(step.picture, f"{label}: return {step.return_so_far:.1f}"))
        yield captioned(np.concatenate(panels, axis=1), title)


def draw_map(policy: AdaptivePolicy, task: int, tasks: int, rounds: int, split: str, seed: int) -> np.ndarray:
    """The paths in a task after 0, …, K rounds, uint8 [H, W, 3]."""
    env: Any = policy.setup.env
    paths = {}
    for k, adapted in enumerate(policy.practise(task, rounds, seed, split)):
        moments = [(env.position[0].copy(), total) for total in returns_so_far(env, adapted, seed, task)]
        paths[f"{when(k, policy.episodes)}: {moments[-1][1]:.1f}"] = np.array([position for position, _ in moments])
    return captioned(env.render_lane(0, paths=paths), title_of(policy, task, tasks))


def play(env: Any, adapted: AdaptedPolicy, seed: int, task: int) -> Iterator[Step]:
    """An episode in the only lane of `env`, drawn at its start and after every step."""
    path: list[np.ndarray] = []
    for return_ in returns_so_far(env, adapted, seed, task):
        if lies_in_the_plane(env):
            path.append(env.position[0].copy())
            yield Step(env.render_lane(0, paths={"": np.array(path)}), return_)
        else:
            yield Step(env.render_lane(0), return_)


def returns_so_far(env: TaskEnv, adapted: AdaptedPolicy, seed: int, task: int) -> Iterator[float]:
    """Play an episode, which starts alike whatever the policy; the return at its start (0) and after every step."""
    address = Address(seed).at(Purpose.EVALUATION).at(Purpose.RESET, task)
    adapted.reset()
    with blaming_environment(env, "while it was filmed"):
        observation, _ = env.reset(seed=[address.seed()])
    total, ended = 0.0, False
    yield total
    while not ended:
        interruption_point()
        action = np.asarray(adapted(observation[0]))
        with blaming_environment(env, "while it was filmed"):
            observation, reward, terminated, truncated, _ = env.step(action[None])
        adapted.observe(reward[0], observation[0], terminated[0], truncated[0])
        total, ended = total + float(reward[0]), bool(terminated[0] | truncated[0])
        yield total


def when(rounds: int, episodes: int) -> str:
    """How much adaptation came first, in words."""
    if not rounds:
        return "before adaptation"
    count = rounds * episodes
    return f"after {count} episode{'s' if count > 1 else ''}"


def title_of(policy: AdaptivePolicy, task: int, tasks: int) -> str:
    """What is played by whom."""
    config = policy.setup.config
    small = {name: value[0].ravel() for name, value in policy.setup.env.tasks.items() if value[0].size <= 4}
    values = [f"{name} {' '.join(f'{number:.2f}' for number in value)}" for name, value in small.items()]
    return f"{config.environment}, {config.algorithm}, task {task + 1} of {tasks}: {', '.join(values)}"


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture below a line of text that is cut or shrunk to its width, uint8 [H + CAPTION, W, 3]."""
    height, width, _ = picture.shape
    canvas = Image.new("RGB", (width, height + CAPTION), "white")
    canvas.paste(Image.fromarray(picture), (0, CAPTION))
    draw = ImageDraw.Draw(canvas)
    size = FONT_SIZE
    while size > 8 and draw.textlength(text, ImageFont.load_default(size)) > width - 16:
        size -= 1
    draw.text((width / 2, CAPTION / 2), text, "black", ImageFont.load_default(size), anchor="mm")
    return np.asarray(canvas)


def encode(frames: Iterator[np.ndarray], rate: int, kind: str) -> bytes:
    """A film of `frames`, `rate` of them a second, as the content of a .mp4 or .gif; one frame is held at a time."""
    buffer = io.BytesIO()
    if kind == ".gif":
        pictures = (Image.fromarray(frame).quantize(128) for frame in frames)
        first = next(pictures)
        first.save(buffer, "GIF", save_all=True, append_images=pictures, duration=round(1000 / rate), loop=0)
        return buffer.getvalue()
    with iio.imopen(buffer, "w", plugin="pyav", extension=".mp4") as film:
        film.init_video_stream("libx264", fps=rate)
        for frame in frames:
            film.write_frame(frame)
    return buffer.getvalue()
