"""An evaluation on disk: `evaluation.json`; of policies `evaluation.csv`, `adaptation.png`, charts of TensorBoard too.

They lie in `evaluations/IDENTITY/`, so that none replaces another, and the newest on test tasks in the run's folder as
well (`identity.py`). The numbers are part of the run. Pictures and charts are guests: where they fail, the evaluation
stands. TensorBoard's files lie in a folder of their own, since their steps are adaptations and not iterations:
`evaluation/`, or that of the identity.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metarl.evaluation.baselines import baseline_directory
from metarl.evaluation.charts import picture_of, png, write_charts
from metarl.evaluation.identity import FILE, EvaluationIdentity, identity_of, places_of, read_evaluations
from metarl.evaluation.tables import csv_text
from metarl.runs.loggers import quiet_writers
from metarl.runs.run_directory import RunDirectory
from metarl.runtime.errors import StorageError
from metarl.runtime.files import as_json, write_atomic

logger = logging.getLogger("metarl")

TABLE, PICTURE, FILM = "evaluation.csv", "adaptation.png", "adaptation.gif"


def write_evaluation(run: RunDirectory, record: dict[str, Any]) -> None:
    """Store an evaluation in the folder of the run that it is of; each method compared with gets its own curve's chart.

    Raises:
        StorageError: the file system refused.
    """
    known, _ = read_evaluations(run.path)
    for older, content in known.items():
        own, *_ = places_of(run.path, older)
        if not own.exists():  # the only one of a run from before evaluations had places of their own
            _store(own, content)
    identity = identity_of(record)
    places = places_of(run.path, identity)
    for place in places:
        _store(place, record)
    if "returns" not in record:
        return
    for place in places:
        write_atomic(place / TABLE, csv_text(record).encode())
    picture = None
    with guest("the picture"):
        for place in places:
            for name in (PICTURE, FILM):
                (place / name).unlink(missing_ok=True)  # at worst there is none, but never another evaluation's
        picture = png(picture_of(record))
        for place in places:
            write_atomic(place / PICTURE, picture)
    with guest("TensorBoard"):
        write_charts(charts_folder(run, identity), record, record, picture)
        for name, part in record["compared"].items():
            write_charts(charts_folder(baseline_directory(run, name), identity), part, record, None)


def _store(folder: Path, record: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made ({error.strerror}) — free space or fix permissions") from error
    write_atomic(folder / FILE, (as_json(record) + "\n").encode())


def charts_folder(run: RunDirectory, identity: EvaluationIdentity) -> Path:
    """Where TensorBoard finds an evaluation."""
    own, *newest = places_of(run.path, identity)
    return run.path / "evaluation" if newest else own


def files_of(run: Path, record: dict[str, Any]) -> list[Path]:
    """What was written of an evaluation, where it is best seen; and its own folder, where that is another."""
    own, *newest = places_of(run, identity_of(record))
    shown = [place / name for place in [*newest, own][:1] for name in (FILE, TABLE, PICTURE, FILM)]
    return [path for path in (*shown, *([own] if newest else ())) if path.exists()]


@contextmanager
def guest(what: str) -> Iterator[None]:
    """Whatever fails within is a warning."""
    quiet_writers()
    try:
        yield
    except Exception as error:  # whatever a picture does, the numbers are there
        logger.warning("%s failed (%s); the evaluation stands without it", what, error)
