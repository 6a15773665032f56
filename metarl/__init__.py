"""metarl: policies that adapt within a few trials to tasks they have never seen.

run = metarl.train("half-cheetah-vel", "promp", iterations=300, seed=0)     # the same as the command
metarl.evaluate(run.path)                                                   # returns on unseen tasks
adapted = metarl.load(run.path).adapt(env, episodes=20)                     # to any single Gymnasium environment
"""

import os
from typing import TYPE_CHECKING, Any

# torch's worker threads spin after every parallel region and take the cores from the physics, or from whoever else
# works on the machine; told to sleep instead, they cost nothing. This must be said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
