"""What the command line offers: a dataclass of options for each command; called, it does it and returns its exit code.

torch is imported by what needs it, once the input is known to be good.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from metarl.listing import ListCommand
from metarl.output import Exit, Output, fail
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.worlds import DEFAULT_ALGORITHM

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class TrainCommand:
    """Meta-train a policy on a distribution of tasks. Name ENV (and ALGO) first; each adds its own options."""

    environment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A name from `metarl list envs`, `module:attribute` or `path/to/file.py:attribute`."""
    algorithm: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ALGO")] = DEFAULT_ALGORITHM
    """A name from `metarl list algos`, `module:attribute` or `path/to/file.py:attribute`."""
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    config: Path | None = None
    """Take names and options, where others are not given, from a run's config.yaml or a file like it."""
    begin_from: Annotated[Path | None, tyro.conf.arg(name="from", metavar="RUN")] = None
    """Begin from what another run has learned: of the same spaces, algorithm and sizes of networks."""
    out: Path | None = None
    """The run's folder (default: runs/ENV/ALGO/seed-S)."""
    name: str = ""
    """Put into that default: runs/ENV/ALGO/NAME-seed-S."""
    resume: Flag = False
    """Go on with the run in --out, or with the newest one of this ENV, ALGO and seed (as `metarl resume`)."""
    quiet: Flag = False
    """Say nothing but errors."""
    trust: Flag = False
    """Let code be run that --config or --from name (path.py:Class): you know where it comes from."""

    def __call__(self) -> int:
        """`metarl train`."""
        from metarl.training.run import Job, train_run

        options: Any = self  # with those of the environment and the algorithm
        config = RunConfig(self.environment, self.algorithm, self.train, options.env, options.algo)
        train_run(Job(config, self.out, self.name, self.begin_from, self.resume, self.trust), Output(self.quiet))
        return 0


@dataclass(frozen=True, kw_only=True)
class ResumeCommand:
    """Go on with a run, to the end that it was to have, or to another one."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    quiet: Flag = False
    """Say nothing but errors."""
    trust: Flag = False
    """Let the run's own code (path.py:Class in its config.yaml) be run: you know where it comes from."""

    def __call__(self) -> int:
        """`metarl resume`."""
        from metarl.training.run import resume_run

        resume_run(self.run, self.train, Output(quiet=self.quiet), self.trust)
        return 0


@dataclass(frozen=True)
class ShowCommand:
    """Show a run: its options, curve, checkpoints and evaluations."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""

    def __call__(self) -> int:
        """`metarl show`."""
        from metarl.evaluation.show import show_run

        Output().print(*show_run(self.run), sep="\n")
        return 0


@dataclass(frozen=True, kw_only=True)
class OfARun:
    """What is asked of a trained run."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    seed: int = 0
    """Where randomness starts, that of tasks too."""
    checkpoint: str = "last"
    """last; best, by unseen tasks (--evaluate-every in training); or the iteration of one that is kept."""
    trust: Flag = False
    """Let the run's own code (path.py:Class in its config.yaml) be run: you know where it comes from."""


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand(OfARun):
    """Adapt a trained policy to tasks, those of the test split by default; print its returns after each adaptation."""

    tasks: int | None = None
    """How many tasks (default: all of a fixed list, 40 fresh ones otherwise)."""
    adaptations: int | None = None
    """Adaptations K (default: 3, or those of training where these are more)."""
    compare: tuple[str, ...] = ()
    """Algorithms to compare with, e.g. random-init multitask: trained alike in RUN/compare/, on the same tasks."""
    split: Literal["train", "validation", "test", "outside"] = "test"
    """Tasks as in training; held out from it; or beyond its range, where the environment has such."""
    deterministic: Flag = False
    """Report returns of the likeliest actions (a Gaussian's mean), as PEARL and VariBAD publish them, beside those of
    sampled ones."""
    shots: int | None = None
    """Labelled data: examples to learn from (default: as in training)."""
    film: Flag = False
    """Also film the first task before and after adaptation: adaptation.gif, and in TensorBoard."""
    json: Flag = False
    """Print one JSON object instead of a table."""

    def __call__(self) -> int:
        """`metarl evaluate`."""
        from metarl.evaluation.files import files_of
        from metarl.evaluation.run import evaluate_run
        from metarl.evaluation.tables import evaluation_table
        from metarl.runtime.files import as_json

        options = asdict(self)
        as_object = options.pop("json")
        record = evaluate_run(**options, quiet=False)
        console = Output()
        if as_object:
            console.say(as_json(record))
        else:
            console.print(evaluation_table(record))
            for path in files_of(self.run, record):
                console.say(f"written: {path}")
        return 0


@dataclass(frozen=True, kw_only=True)
class RenderCommand(OfARun):
    """Show tasks before and after adaptation: as a video, side by side, or as a map of paths in the plane."""

    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """A name in .mp4 or .gif; or in .png, for tasks in the plane. A file that is there is replaced."""
    tasks: int = 3
    """How many tasks, one after the other: those that `metarl evaluate` begins with."""
    adaptations: int | None = None
    """Adaptations K (default: as in training)."""
    split: Literal["train", "test", "outside"] = "test"
    """Tasks as in training; held out from it; or beyond its range, where the environment has such."""
    size: tuple[int, int] = (480, 480)
    """Width and height of an episode's picture, in pixels."""
    fps: int = 25
    """Pictures a second, at most: the steps between them are not drawn, and time runs as it does there."""
    steps: int | None = None
    """Steps of an episode that are shown (default: all)."""

    def __call__(self) -> int:
        """`metarl render`."""
        from metarl.evaluation.render import render_run

        render_run(**asdict(self), quiet=False)
        Output().say(f"written: {self.out}")
        return 0


@dataclass(frozen=True, kw_only=True)
class ExportCommand(OfARun):
    """Write a policy for programs without metarl: weights, a description, and a program that torch alone runs."""

    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """A new folder."""
    adaptations: int = 0
    """How often to adapt first, each time to as many episodes as in training; 0: the policy as it was trained."""
    task: int = 0
    """The number of the unseen task that it adapts to, as `metarl evaluate` counts them."""

    def __call__(self) -> int:
        """`metarl export`."""
        from metarl.deployment.export import export_run

        export_run(**asdict(self))
        Output().say(f"written: {self.out} (policy.pt2, weights.safetensors, policy.json)")
        return 0


@dataclass(frozen=True)
class SpeedCommand:
    """Measure environment steps per second, update times and memory, against bare physics and Gymnasium."""

    environments: tyro.conf.Positional[tuple[str, ...]] = ()
    """MuJoCo environments to measure (default: half-cheetah-dir; all of them with --only-environments)."""
    only_environments: Flag = False
    """Measure stepping and switching tasks alone: no sampling, no Gymnasium, no training."""
    every_update: Flag = False
    """Measure the updates of all algorithms instead, on trials of the same size."""
    tasks: int = 40
    """Tasks N."""
    lanes: int = 20
    """Lanes E of each task."""
    horizon: int = 100
    """Steps of an episode."""
    threads: int = 0
    """Physics threads (0: one for each core)."""
    repeats: int = 3
    """Measurements of each row; the median counts."""
    devices: tuple[Literal["cpu", "cuda"], ...] = ()
    """Where updates and whole iterations are measured (default: the CPU, and the GPU where there is one)."""
    json: Flag = False
    """Print one JSON object instead of a table."""

    def __call__(self) -> int:
        """`metarl speed`."""
        from metarl.runtime.files import as_json
        from metarl.speed.benchmark import measure_speed, speed_table

        options = asdict(self)
        as_object = options.pop("json")
        rows = measure_speed(**options, quiet=False)
        if as_object:
            Output().say(as_json({"rows": rows}))
        else:
            Output().print(speed_table(rows))
        return 0


@dataclass(frozen=True)
class CompareCommand:
    """Compare methods: train and evaluate a suite's grid (again: go on where it ended), or folders with runs."""

    what: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SUITE|RUN")]
    """A suite: smoke, classic, dynamics, memory, robots, reference, in-context, reproduce-…; a YAML file; or runs."""
    out: Path | None = None
    """The suite's folder (default: grids/SUITE); any number of launchers may work on it."""
    parallel: int = 0
    """Cells side by side, each on one thread (0: one for each core)."""
    only: tuple[str, ...] = ()
    """Cells to work on, all by default: ENV, ENV/ALGO or ENV/ALGO/seed-S, as their folders are called."""
    part: str = ""
    """Which part of these, K/N: N machines that each take one take all."""
    dry_run: Flag = False
    """Print each unfinished cell's commands, a line a cell, and run nothing."""

    def __call__(self) -> int:
        """`metarl compare`; the exit code is that of the first cell that failed."""
        from metarl.comparison.compare import is_suite, tables_of_runs, work_on_suite
        from metarl.comparison.grid import dry_run

        console = Output()
        if not is_suite(self.what, self.out, self.parallel, self.only, self.part, self.dry_run):
            tables, left_open = tables_of_runs(self.what)
            console.print(*tables, sep="\n")
            console.say("\n".join(left_open))
            return 0
        if self.dry_run:
            console.say("\n".join(dry_run(self.what[0], self.out, self.only, self.part)))
            return 0
        failures = work_on_suite(self.what[0], self.out, self.parallel, console, self.only, self.part)
        for each in failures:
            fail(f"{each.cell.folder} failed (exit code {each.code}: {each.reason}) — see its log", each.code)
        return max(failures[0].code, Exit.BUG) if failures else 0


@dataclass(frozen=True)
class ReportCommand:
    """Show runs on one HTML page: curves with intervals, tables, configs, and their data as CSV."""

    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="DIR")]
    """Folders with runs in or below them."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("report.html")
    """The page; it needs no network. One that is there is replaced."""

    def __call__(self) -> int:
        """`metarl report`."""
        from metarl.comparison.report import write_report

        write_report(self.folders, self.out)
        Output().say(f"written: {self.out}")
        return 0


COMMANDS: dict[str, Any] = {
    "train": TrainCommand,
    "resume": ResumeCommand,
    "show": ShowCommand,
    "evaluate": EvaluateCommand,
    "render": RenderCommand,
    "export": ExportCommand,
    "compare": CompareCommand,
    "speed": SpeedCommand,
    "report": ReportCommand,
    "list": ListCommand,
}
