"""The film of an evaluation: its first task before and after adaptation."""

from typing import Any

from metarl.evaluation.files import FILM, add_image, charts_folder, guest
from metarl.evaluation.identity import identity_of, places_of
from metarl.evaluation.render import render_run
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.files import write_atomic


def write_film(run: RunDirectory, record: dict[str, Any], seed: int, trust: bool) -> None:
    """Film the first task before and after adaptation; for the run's folder, and for TensorBoard, which plays it.

    Args:
        trust: whether code that the run names may be run.
    """
    from torch.utils.tensorboard import SummaryWriter

    with guest("the film"):
        rounds = len(record["returns"]["mean"]) - 1
        own, *others = places_of(run.path, identity_of(record))
        render_run(run.path, own / FILM, tasks=1, rounds=rounds, split=record["split"], seed=seed, trust=trust)
        film = (own / FILM).read_bytes()
        for place in others:
            write_atomic(place / FILM, film)
        folder = charts_folder(run, identity_of(record))
        with SummaryWriter(str(folder)) as writer:  # its own video writer fails with today's moviepy
            add_image(writer, "evaluation/film", film, record["iteration"])
