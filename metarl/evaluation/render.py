"""Pictures of adaptation: the same task before and after it, side by side, with the return so far.

* A video (mp4, gif) shows an episode before any adaptation beside one after the last, task after task.
* A picture (png) shows the paths of tasks in the plane, one line for each number of adaptations.

In both the policy takes its likeliest action, as it does when deployed. Letters: K adaptations, H and W pixels.
"""

import io
import itertools
import math
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from envs.adapters.episodes import FRAMES_PER_SECOND
from envs.contract.base import TaskEnv
from envs.engine.rendering import SIZE
from metarl.deployment.adapt import AdaptedPolicy, AdaptivePolicy, load
from metarl.deployment.meeting import check_meeting
from metarl.evaluation.beliefs import believed, changed_by_now, with_beliefs
from metarl.evaluation.charts import write_image
from metarl.evaluation.files import FILM, charts_folder, guest
from metarl.evaluation.identity import identity_of, places_of
from metarl.runs.progress import ProgressLine
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import InputError
from metarl.runtime.files import write_atomic
from metarl.runtime.interruption import Interrupted, interruptible_at_points, interruption_point
from metarl.runtime.options import check_number
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling.blame import blaming_environment

KINDS = (".mp4", ".gif", ".png")
CAPTION = 32  # pixels of a line of text
FONT_SIZE = 18


def render_run(
    run: str | Path,
    out: str | Path,
    tasks: int = 3,
    adaptations: int | None = None,
    split: str = "test",
    seed: int = 0,
    *,
    size: tuple[int, int] = (SIZE, SIZE),
    fps: int = 25,
    steps: int | None = None,
    checkpoint: str | int = "last",
    trust: bool = False,
    quiet: bool = True,
) -> None:
    """Draw how a run's policy adapts, into a file; the same as `metarl render`.

    Args:
        run: the run's folder.
        out: a file that ends in .mp4, .gif, or .png for tasks in the plane; replaced if it is there.
        tasks: how many, those that `metarl evaluate` with the same seed begins with.
        adaptations: K; by default as many as in training.
        split: "train", "test" or "outside".
        seed: where tasks, resets and exploration start.
        size: pixels of an episode's picture, width and height.
        fps: pictures a second at most: steps between them are not drawn, and time runs as it does there.
        steps: of an episode that are shown; all by default.
        checkpoint: "last", "best", or the iteration of one that is kept.
        trust: whether code that it names (`path.py:Class`) may be run; never say so of a run from strangers.
        quiet: show no progress.

    Raises:
        InputError: no such run, one that names code and is not trusted, a file that cannot be, impossible numbers, or
            an environment that cannot be drawn.
        EnvironmentBroke: the environment raised.
        StorageError: the file system refused.
        KeyboardInterrupt: once the pictures that were drawn by then are written.
    """
    out, console = Path(out), Console(stderr=True, quiet=quiet)
    check_meeting(tasks, adaptations or 0, seed)
    check_file(out)
    for option, value, most in (("--size", min(size), 4096), ("--size", max(size), 4096), ("--fps", fps, 1000)):
        check_number(option, value, least=1, most=most)
    check_number("--steps", 1 if steps is None else steps, least=1)
    policy = load(run, checkpoint=checkpoint, trust=trust)
    env, K = policy.setup.env, policy.adaptations if adaptations is None else adaptations
    check_drawable(type(env), out.suffix)
    is_map = out.suffix == ".png"
    rate = Fraction(1 / getattr(env, "dt", 1 / FRAMES_PER_SECOND)).limit_denominator(1000)
    stride = 1 if is_map else max(1, math.ceil(rate / fps))
    shown = Excerpt(size, stride, env.horizon if steps is None else min(steps, env.horizon))

    def pictures(task: int) -> Iterator[np.ndarray]:
        adapted = policy.practise(task, K, seed, split)  # the environment holds the task from now on
        small = {name: value[0].ravel() for name, value in env.tasks.items() if value[0].size <= 4}
        values = [f"{name} {' '.join(f'{number:.2f}' for number in value)}" for name, value in small.items()]
        config = policy.setup.config
        title = f"{config.environment}, {config.algorithm}, task {task + 1} of {tasks}"
        start = Address(seed).at(Purpose.EVALUATION).at(Purpose.RESET, task)
        for picture in draw_map(policy, adapted, start) if is_map else film(policy, adapted, start, shown):
            yield captioned(captioned(picture, ", ".join(values)), title)

    each = 1 if is_map else 1 + math.ceil(shown.steps / stride)  # pictures of a task, at most
    with interruptible_at_points(), ProgressLine(console, "drawing", "picture", tasks * each) as progress:
        write_pictures(out, drawn(pictures, tasks, each, progress), rate / stride)


def drawn(
    pictures: Callable[[int], Iterator[np.ndarray]], tasks: int, each: int, progress: ProgressLine
) -> Iterator[np.ndarray]:
    """The pictures of all tasks; where a signal stops it, those that there are by then."""
    done = 0
    try:
        for task in range(tasks):
            for number, picture in enumerate(pictures(task), start=1):
                done += 1
                progress.update(task * each + number, f"task {task + 1}")
                yield picture
            progress.update((task + 1) * each, f"task {task + 1}")
    except Interrupted:  # the signal itself is heard once they are written
        if not done:
            raise
        progress.console.print(f"stopped: {done} pictures are written")


def write_pictures(out: Path, pictures: Iterator[np.ndarray], rate: Fraction) -> None:
    """Write a film of `rate` pictures a second, or all of them beside each other.

    Raises:
        StorageError: the file system refused.
    """
    if out.suffix == ".png":
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(list(pictures), axis=1)).save(buffer, "PNG")
        write_atomic(out, buffer.getvalue())
    else:
        write_atomic(out, encode(pictures, rate, out.suffix))


class Excerpt(NamedTuple):
    """What of an episode is shown."""

    size: tuple[int, int]
    """Width and height of its picture."""
    stride: int
    """Steps between pictures."""
    steps: int
    """At most."""


def film_evaluation(run: RunDirectory, record: dict[str, Any], trust: bool) -> None:
    """Film an evaluation's first task before and after adaptation; for its folder, and for TensorBoard, which plays it.

    Args:
        trust: whether code that the run names may be run.
    """
    identity = identity_of(record)
    own, *others = places_of(run.path, identity)
    with guest("the film"):
        asked = (1, identity.adaptations, identity.split, identity.seed)
        render_run(run.path, own / FILM, *asked, checkpoint=identity.iteration, trust=trust)
        content = (own / FILM).read_bytes()
        for place in others:
            write_atomic(place / FILM, content)
        write_image(charts_folder(run, identity), "tested/film", content, record["iteration"])


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


def check_drawable(family: type[TaskEnv], kind: str) -> None:
    """Raises: InputError where environments have no pictures, or no map for a .png."""
    if family.render_lane is TaskEnv.render_lane:
        raise InputError(f"{family.__name__} has no pictures — write its render_lane, or use metarl evaluate")
    if kind == ".png" and not lies_in_the_plane(family):
        raise InputError(f"{family.__name__} is no map to draw paths on — give --out a name in .mp4 or .gif")


def lies_in_the_plane(family: type[TaskEnv]) -> bool:
    """Whether its lanes are points, whose paths `render_lane` draws."""
    return "paths" in family.render_lane.__annotations__


def film(policy: AdaptivePolicy, adapted: list[AdaptedPolicy], start: Address, shown: Excerpt) -> Iterator[np.ndarray]:
    """Frames of a task: before adaptation on the left, after it, if there is any, on the right; the shorter episode
    waits at its end."""
    policy.beside.set_tasks(policy.setup.env.tasks)
    sides = [
        played(env, adapted[k], start, shown, f"{when(k, policy.episodes)}: " * (len(adapted) > 1))
        for k, env in {0: policy.setup.env, len(adapted) - 1: policy.beside}.items()
    ]
    panels: list[Any] = [None] * len(sides)
    for new in itertools.zip_longest(*sides):
        panels = [old if panel is None else panel for panel, old in zip(new, panels, strict=True)]
        yield np.concatenate(panels, axis=1)


def played(env: Any, adapted: AdaptedPolicy, start: Address, shown: Excerpt, side: str) -> "Iterator[np.ndarray]":
    """Pictures of an episode: of its first step, every so many, and its last."""
    path: list[np.ndarray] = []
    env.picture_size = shown.size  # which robots draw in; other pictures are scaled
    for step, (total, ended) in enumerate(returns_so_far(env, adapted, start)):
        paths = {}
        if lies_in_the_plane(type(env)):
            path.append(env.position[0].copy())
            paths = {"paths": {"": np.array(path)}}
        last = ended or step == shown.steps
        if step % shown.stride == 0 or last:
            picture = fitted(env.render_lane(0, **paths), shown.size)
            words = f"{side}return {total:.1f}{changed_by_now(env)}"
            yield captioned(with_beliefs(picture, believed(adapted, env)), words)
        if last:
            return


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of this width and height; what is drawn in another one is scaled."""
    if picture.shape[:2] == size[::-1]:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def draw_map(policy: AdaptivePolicy, adapted: list[AdaptedPolicy], start: Address) -> Iterator[np.ndarray]:
    """The paths in a task after 0, …, K adaptations, uint8 [H, W, 3]: one picture."""
    env: Any = policy.setup.env
    paths = {}
    for k, policy_then in enumerate(adapted):
        moments = [(env.position[0].copy(), total) for total, _ in returns_so_far(env, policy_then, start)]
        paths[f"{when(k, policy.episodes)}: {moments[-1][1]:.1f}"] = np.array([position for position, _ in moments])
    yield env.render_lane(0, paths=paths)


def returns_so_far(env: TaskEnv, adapted: AdaptedPolicy, start: Address) -> Iterator[tuple[float, bool]]:
    """Play an episode, which starts alike whatever the policy; the return at its start (0) and after every step, and
    whether it has ended."""
    adapted.reset()
    with blaming_environment(env, "while it was filmed"):
        observation, _ = env.reset(seed=[start.seed()])
    total, ended = 0.0, False
    yield total, ended
    while not ended:
        interruption_point()
        action = np.asarray(adapted(observation[0]))
        with blaming_environment(env, "while it was filmed"):
            observation, reward, terminated, truncated, _ = env.step(action[None])
        adapted.observe(reward[0], observation[0], terminated[0], truncated[0])
        total, ended = total + float(reward[0]), bool(terminated[0] | truncated[0])
        yield total, ended


def when(adaptations: int, episodes: int) -> str:
    """How much adaptation came first, in words."""
    count = adaptations * episodes
    return f"after {count} episode{'s' * (count > 1)}" if count else "before adaptation"


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture below a line of text that is shrunk to its width, or cut, uint8 [H + CAPTION, W, 3]."""
    height, width, _ = picture.shape
    canvas = Image.new("RGB", (width, height + CAPTION), "white")
    canvas.paste(Image.fromarray(picture), (0, CAPTION))
    draw = ImageDraw.Draw(canvas)
    size = FONT_SIZE
    while size > 8 and draw.textlength(text, ImageFont.load_default(size)) > width - 16:
        size -= 1
    while len(text) > 1 and draw.textlength(text, ImageFont.load_default(size)) > width - 16:
        text = text[:-2] + "…"
    draw.text((width / 2, CAPTION / 2), text, "black", ImageFont.load_default(size), anchor="mm")
    return np.asarray(canvas)


def encode(frames: Iterator[np.ndarray], rate: Fraction, kind: str) -> bytes:
    """A film of `frames`, `rate` of them a second, as the content of a .mp4 or .gif; one frame is held at a time."""
    buffer = io.BytesIO()
    if kind == ".gif":
        pictures = (Image.fromarray(frame).quantize(128) for frame in frames)
        first = next(pictures)
        first.save(buffer, "GIF", save_all=True, append_images=pictures, duration=round(1000 / rate), loop=0)
        return buffer.getvalue()
    with iio.imopen(buffer, "w", plugin="pyav", extension=".mp4") as film:
        film.init_video_stream("libx264", fps=float(rate))
        for frame in frames:
            film.write_frame(frame)
    return buffer.getvalue()
