"""Every method on one environment, for the same number of iterations: docs/results/methods/ENV/METHOD.json.

    python scripts/reproduce/methods.py --environment point-nav [--methods anil fomaml] [--seeds 0 1 2]

`scripts/show_methods.py` makes the tables of docs/algorithms.md from these files. Two processes with different methods
may run side by side.
"""

from dataclasses import dataclass, field

import reproduction
import tyro

from metarl.algorithms import names_for


@dataclass(frozen=True)
class Comparison(reproduction.Options):
    """What to compare."""

    environment: str = "point-nav"
    """A name from `metarl list envs`."""
    methods: tuple[str, ...] = field(default_factory=lambda: tuple(names_for("experience")))
    """Names from `metarl list algos`; all by default."""
    iterations: int = 60
    """Meta-updates of each."""


def main(options: Comparison) -> None:
    """Train all seeds of all methods."""
    folder = reproduction.RESULTS / "methods" / options.environment
    for method in options.methods:
        what = reproduction.Reproduction(
            name=method,
            claim="adaptation curve on 40 unseen tasks",
            environment=options.environment,
            algorithm=method,
            train={"iterations": options.iterations},
            holds=lambda figures: True,
            seeds_needed=0,
            evaluate=True,
        )
        reproduction.reproduce(what, options, folder)


if __name__ == "__main__":
    main(tyro.cli(Comparison))
