"""metarl: policies that adapt within a few trials to tasks they have never seen.

run = metarl.train("half-cheetah-vel", "promp", iterations=300, seed=0)     # the same as the command
for step in metarl.iterate("point-nav"): ...                                # likewise, one iteration after the other
metarl.resume(run.path, iterations=400)
metarl.evaluate(run.path)                                                   # returns on unseen tasks
adapted = metarl.load(run.path).adapt(env, episodes=20)                     # to any single Gymnasium environment
metarl.export(adapted, "policy")                                            # for programs without metarl
metarl.collect_data("dark-room", "q-learning", "histories")                 # for methods that learn from histories
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# For how many turns torch's worker threads (libgomp's) spin after a parallel region before they sleep. It must be said
# before torch is imported, and 10,000 is between two evils. Threads that sleep at once have to be woken for every
# region: 0.57 s for an update of half-cheetah-dir, 0.43 so, 0.41 with libgomp's own 300,000. Threads that spin for so
# long take the cores from others, and wait for each other: beside one busy process that update takes 10 s, 1.3 so.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _find_own_environments() -> None:
    """Have `import envs` mean the package that was installed with this one, not a folder of that name elsewhere.

    `python -m metarl`, and so `torchrun -m metarl`, look in the working directory first.

    Raises:
        ImportError: the other one has been imported already.
    """
    own = Path(__file__).resolve().parents[1] / "envs" / "__init__.py"
    loaded = sys.modules.get("envs")
    if loaded is None:
        found = importlib.util.find_spec("envs")
        place = found.origin if found else None
    else:
        place = getattr(loaded, "__file__", None)
    if not own.exists() or (place and Path(place).resolve() == own):
        return
    if loaded is not None:
        raise ImportError(f"{place} hides metarl's own package 'envs' — rename it, or import metarl first")
    spec = importlib.util.spec_from_file_location("envs", own, submodule_search_locations=[str(own.parent)])
    assert spec is not None and spec.loader is not None
    sys.modules["envs"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_find_own_environments()

if TYPE_CHECKING:
    from metarl.comparison.compare import compare
    from metarl.comparison.report import write_report as report
    from metarl.deployment.adapt import load
    from metarl.deployment.export import export_policy as export
    from metarl.evaluation.render import render_run as render
    from metarl.evaluation.run import evaluate_run as evaluate
    from metarl.sources.collect import collect_data
    from metarl.speed.benchmark import measure_speed as speed
    from metarl.training.run import iterate, resume, train

__all__ = ["collect_data", "compare", "evaluate", "export", "iterate", "load"]
__all__ += ["render", "report", "resume", "speed", "train"]

PLACES = {
    "collect_data": ("metarl.sources.collect", "collect_data"),
    "compare": ("metarl.comparison.compare", "compare"),
    "render": ("metarl.evaluation.render", "render_run"),
    "speed": ("metarl.speed.benchmark", "measure_speed"),
    "report": ("metarl.comparison.report", "write_report"),
    "evaluate": ("metarl.evaluation.run", "evaluate_run"),
    "export": ("metarl.deployment.export", "export_policy"),
    "load": ("metarl.deployment.adapt", "load"),
    **{name: ("metarl.training.run", name) for name in ("iterate", "resume", "train")},
}


def __getattr__(name: str) -> Any:
    """Import torch when a job is first asked for, so that `metarl list` and `--help` stay quick."""
    if name not in PLACES:
        raise AttributeError(f"module 'metarl' has no attribute {name!r}")
    module, attribute = PLACES[name]
    return getattr(importlib.import_module(module), attribute)
