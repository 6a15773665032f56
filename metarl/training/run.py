"""A whole training job, as the command line and Python call it."""

import dataclasses
import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from metarl.core.types import Metrics, State
from metarl.runs.checkpoint import Checkpoint, shapes_of
from metarl.runs.config import RunConfig, TrainConfig, read_yaml
from metarl.runs.continuing import taken_up
from metarl.runs.load import config_from, load_config, train_options
from metarl.runs.loggers import check_logs
from metarl.runs.metrics import CURVES, curves_of, read_metrics
from metarl.runs.run_directory import RunDirectory, latest_run_path, make_run_path
from metarl.runs.until import UNSEEN
from metarl.runs.worlds import is_few_shot
from metarl.runtime.errors import InputError
from metarl.runtime.ranks import rank, value_of_first, wait_for_all
from metarl.sampling.normalisation import REWARDS
from metarl.training import loop
from metarl.training.labels import set_up_few_shot
from metarl.training.offline import world_of
from metarl.training.ranks import joined
from metarl.training.setup import World, fresh_state, set_up, shapes_of_run
from metarl.training.task_sampling import SAMPLING


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: where it is, and what it measured."""

    path: Path
    metrics: list[Metrics]
    """One for each iteration, as in `metrics.jsonl`."""


def train(
    environment: str | None = None,
    algorithm: str | None = None,
    *,
    config: str | Path | None = None,
    begin_from: str | Path | None = None,
    out: str | Path | None = None,
    name: str = "",
    resume: bool = False,
    env: dict[str, Any] | None = None,
    algo: dict[str, Any] | None = None,
    trust: bool = False,
    quiet: bool = True,
    **train: Any,
) -> Run:
    """Meta-train a policy; the same as `metarl train`.

    Args:
        environment: a registered name, `module:attribute` or `path/to/file.py:attribute`; may be left to `config`.
        algorithm: likewise; by default what `config` says, else `maml-trpo` (`maml` for labelled data).
        config: a run's `config.yaml`, or a file like it, for all that is not said here.
        begin_from: a run whose parameters training begins from (`--from`).
        out: the run's folder; default `runs/ENV/ALGO/seed-S`.
        name: of the run, for that default: `NAME-seed-S`.
        resume: go on with the run in `out`.
        env: options of the environment's `Config`.
        algo: options of the algorithm's `Config`.
        trust: whether code that `config` or `begin_from` name (`path.py:Class`) may be run.
        quiet: show nothing.
        train: fields of `TrainConfig`: `iterations`, `seed`, `tasks`, `lanes`, `device`, …

    Raises:
        InputError: anything impossible, named; also where another process is writing this run.
        Interrupted: SIGINT, SIGTERM or SIGHUP came. The last finished iteration is saved, and then the signal does what
            it did before: by default it raises `KeyboardInterrupt` or ends the process. This is raised only where the
            program has a handler of its own that returns.
    """
    given: dict[str, Any] = {"config": config, "begin_from": begin_from, "out": out, "name": name, "resume": resume}
    asked = job(environment, algorithm, env=env, algo=algo, trust=trust, **given, **train)
    return train_run(asked, Console(quiet=quiet))


def resume(run: str | Path, *, trust: bool = False, quiet: bool = True, **train: Any) -> Run:
    """Go on with a run; the same as `metarl resume`.

    Args:
        run: its folder.
        trust: whether code that it names (`path.py:Class`) may be run.
        quiet: show nothing.
        train: fields of `TrainConfig` that may change: `iterations`, `minutes`, `until`, `evaluate_every`, `device`, …

    Raises:
        InputError: no such run, an option that may not change, or another process is writing the run.
        StorageError: its checkpoints are damaged or gone.
        Interrupted: as `train`.
    """
    path = Path(run)
    return resume_run(path, train_options(path, train), Console(quiet=quiet), trust)


def iterate(
    environment: str | None = None, algorithm: str | None = None, *, quiet: bool = True, **options: Any
) -> Iterator[Metrics]:
    """Train, one iteration after the other: yields each one's metrics, as they stand in `metrics.jsonl`.

    Who stops reading stops training, with the last iteration saved: a notebook draws its curves, a search prunes.

        for step in metarl.iterate("point-nav", iterations=40):
            print(step["iteration"], step["return/round_1"])

    Takes and raises what `train` does; what is wrong with names and options is raised at once.
    """
    asked = job(environment, algorithm, **options)

    def iterations() -> Iterator[Metrics]:
        with at_work(asked, Console(quiet=quiet)) as work:
            yield from loop.iterate(*work)

    return iterations()


class Job(NamedTuple):
    """What is to be trained, and where."""

    config: RunConfig
    out: Path | None = None
    """The run's folder; by default `runs/ENV/ALGO/[NAME-]seed-S`."""
    name: str = ""
    begin_from: Path | None = None
    """A run whose parameters it begins from."""
    resume: bool = False
    """Whether it goes on with the run that is there."""
    trust: bool = False
    """Whether code that another run's files name may be run."""


def job(
    environment: str | None,
    algorithm: str | None,
    *,
    config: str | Path | None = None,
    begin_from: str | Path | None = None,
    out: str | Path | None = None,
    name: str = "",
    resume: bool = False,
    env: dict[str, Any] | None = None,
    algo: dict[str, Any] | None = None,
    trust: bool = False,
    **train: Any,
) -> Job:
    """What `train` and `iterate` are asked for; takes and raises what they do."""
    file, place, other = (None if path is None else Path(path) for path in (config, out, begin_from))
    whole = config_from(file, environment, algorithm, train, env or {}, algo or {}, trust)
    return Job(whole, place, name, other, resume, trust)


def resume_run(path: Path, train: TrainConfig, console: Console, trust: bool) -> Run:
    """Go on with the run in a folder, with these options of training."""
    config = dataclasses.replace(load_config(RunDirectory.existing(path), trust), train=train)
    return train_run(Job(config, path, resume=True, trust=trust), console)


def train_run(asked: Job, console: Console) -> Run:
    """Train a new run, or go on with an old one. Nothing is written before the input is known to be good."""
    with at_work(asked, console) as work:
        loop.train(*work)
        if work.run is None:
            return value_of_first(Run(Path(), []))
        metrics = read_metrics(work.run.metrics_path)
        if metrics:
            console.print(_summary(metrics))
        _print_paths(work.run, console)
        return value_of_first(Run(work.run.path, metrics))


class Work(NamedTuple):
    """What the training loop is given."""

    world: World
    run: RunDirectory | None
    start: State
    console: Console


@contextmanager
def at_work(asked: Job, console: Console) -> Iterator[Work]:
    """Everything made ready to train, with this process the only one that writes the run, within the block.

    Of the processes that torchrun started rank 0 alone looks at the run's folder, which the others need not see.
    """
    config, out, name, begin_from, resume, trust = asked
    with joined():
        if out is not None and name:
            raise InputError("--name is for the default folder, and --out names one — leave one of them out")
        if resume and begin_from:
            raise InputError("a run that goes on has its beginning — leave --from out")
        names = (config.environment, config.algorithm, config.train.seed, name)
        run = None if out is None else RunDirectory(out)
        if rank() == 0 and resume:
            run = RunDirectory.existing(out or latest_run_path(*names))
            config = taken_up(config, read_yaml(run.config_path))
        config = value_of_first(config)
        world = world_of(config)
        check_target(world)
        check_logs(config.train.log)
        start, facts = fresh_state(world), dict[str, Any]()
        if rank() == 0 and begin_from:
            start, facts = begun_from(world, start, RunDirectory.existing(begin_from), trust)
        wait_for_all()  # every rank has found its input good
        if rank() > 0:
            yield Work(world, None, start, console)
            return
        run = run or RunDirectory(make_run_path(*names))
        with run.writing(world.config, resume, shapes_of(start), facts):
            if facts:  # so that going on does not need the other run
                run.save(Checkpoint(0, 0, start), world.config.train.keep_checkpoints)
            console.out(world.describe(), highlight=False)
            yield Work(world, run, start, console)


def begun_from(world: World, start: State, other: RunDirectory, trust: bool) -> tuple[State, dict[str, Any]]:
    """A fresh state with what another run has learned, and the facts about that.

    Optimisers, a replay and what a sampler of tasks knows begin anew.

    Raises:
        InputError: no such run, one without a checkpoint, or its networks are not this run's.
    """
    config = load_config(other, trust)
    theirs = set_up_few_shot(config) if is_few_shot(config.environment) else set_up(config, num_tasks=1)
    found = other.require_checkpoint(world.device, shapes_of_run(theirs))
    anew = {room for room in start if room.endswith("optimiser") or room in ("replay", SAMPLING)}
    if any("unit" in state.get(REWARDS, {}) for state in (start, found.state)):  # an option, not learned
        anew.add(REWARDS)
    learned = {room: value for room, value in found.state.items() if room in start and room not in anew}
    for name, (shape, _) in shapes_of({room: start[room] for room in start if room not in anew}).items():
        has = shapes_of(learned).get(name)
        if has is None and name.startswith("policy/") or has is not None and has[0] != shape:
            was = list(has[0]) if has else "not there"
            raise InputError(
                f"{other.path} cannot be begun from: {name} is {was}, here it is {list(shape)} — "
                "choose the same spaces, algorithm and sizes of networks"
            )
    return {**start, **learned}, {"began_from": {"run": str(other.path), "iteration": found.iteration}}


def check_target(world: World) -> None:
    """Refuse a level to train until of what this world does not measure.

    Raises:
        InputError: names the curves that there are.
    """
    until = world.config.train.until
    if until and until.partition("=")[0].removeprefix(UNSEEN) not in world.curves:
        raise InputError(f"--until is '{until}', but what is measured here is {' and '.join(world.curves)} — name that")


def _summary(metrics: list[Metrics]) -> Table:
    """Every curve (returns; loss and accuracy), at the start and at the end of training."""
    window = min(max(5, len(metrics) // 50), len(metrics))
    first, last = metrics[:window], metrics[-window:]
    curves = curves_of(metrics[-1])
    table = Table(", ".join(curves), f"first {window} iterations", f"last {window} iterations", title="training")
    for what, names in curves.items():
        prefix, form = CURVES[what]
        step = prefix.split("/")[1].rstrip("_")  # "round" or "step"
        for k, name in enumerate(names):
            label = "before adaptation" if k == 0 else f"after {k} {step}{'s' if k > 1 else ''}"
            means = [sum(line.get(name, math.nan) for line in lines) / window for lines in (first, last)]
            table.add_row(label, *(format(mean, ".2f" if what == "return" else form) for mean in means))
    return table


def _print_paths(run: RunDirectory, console: Console) -> None:
    folder = shlex.quote(str(run.path))
    for what, path in (
        ("metrics", run.metrics_path),
        ("checkpoints", run.checkpoints),
        ("curves", f"tensorboard --logdir {folder}"),
        ("next", f"metarl evaluate {folder}"),
    ):
        console.out(f"{what + ':':13}{path}", highlight=False)
