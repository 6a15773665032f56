"""metarl: policies that adapt within a few trials to tasks they have never seen.

run = metarl.train("half-cheetah-vel", "promp", iterations=300, seed=0)     # the same as the command
metarl.evaluate(run.path)                                                   # returns on unseen tasks
adapted = metarl.load(run.path).adapt(env, episodes=20)                     # to any single Gymnasium environment
"""

import os
from typing import TYPE_CHECKING, Any

# For how many turns torch's worker threads (libgomp's) spin after a parallel region before they sleep. It must be said
# before torch is imported, and 10,000 is between two evils. Threads that sleep at once have to be woken for every
# region: 0.57 s for an update of half-cheetah-dir, 0.43 so, 0.41 with libgomp's own 300,000. Threads that spin for so
# long take the cores from others, and wait for each other: beside one busy process that update takes 10 s, 1.3 so.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from metarl.experiment.api import evaluate_run as evaluate
    from metarl.experiment.api import train
    from metarl.experiment.deploy import load

__all__ = ["evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    """Import torch when a job is first asked for, so that `metarl list` and `--help` stay quick."""
    names = {"train": "train", "evaluate": "evaluate_run"}
    if name in names:
        from metarl.experiment import api

        return getattr(api, names[name])
    if name == "load":
        from metarl.experiment import deploy

        return deploy.load
    raise AttributeError(f"module 'metarl' has no attribute {name!r}")
