"""What a grid's cells cost, said before they start: their environment steps, and how fast those are made here."""

from collections.abc import Sequence

from metarl.comparison.suite import Cell
from metarl.runs.worlds import is_few_shot
from metarl.training.forecast import steps_of, steps_per_second, time_said
from metarl.training.setup import Setup, set_up


def cost(cells: Sequence[Cell], parallel: int) -> str:
    """One line about cells that are worked on `parallel` at once, on one thread each.

    Cells that differ in nothing but their seed, and worlds whose steps take no time to speak of, are not measured.
    """
    steps, seconds = 0, 0.0
    known: dict[str, tuple[int, float]] = {}  # steps of a run, and how many a second, by everything but its seed
    for cell in cells:
        kind = str(cell.entry)
        if kind not in known and not is_few_shot(cell.environment):
            try:
                known[kind] = _measured(set_up(cell.config), cell.iterations)
            except Exception:  # whatever is wrong with it is said when it is met
                known[kind] = 0, 0.0
        of_run, rate = known.get(kind, (0, 0.0))
        steps += of_run
        seconds += of_run / rate if rate else 0.0
    parts = [f"{len(cells)} cell" + "s" * (len(cells) != 1)]
    if steps:
        parts.append(f"{steps / 1e6:,.1f} million steps")
    if seconds:
        at_once = min(parallel, len(cells))
        parts.append(f"their environments alone: {time_said(seconds / at_once)}, {at_once} at once; and updates")
    return " · ".join(parts)


def _measured(setup: Setup, iterations: int) -> tuple[int, float]:
    """Steps of a run, and how many its environment makes in a second; 0 where they take no time to speak of."""
    steps = steps_of(setup, iterations)
    rate = steps_per_second(setup.env) if setup.env.native_steps else 0.0
    for env in setup.envs:
        env.close()
    return steps, rate
