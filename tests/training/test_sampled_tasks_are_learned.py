"""What the choice of tasks is for: laws open as far as is learned."""

from pathlib import Path

import metarl as library


def test_laws_open_to_their_full_width_once_all_tasks_are_learned(tmp_path: Path) -> None:
    run = library.train(
        "point-nav",
        "oracle",
        iterations=40,
        tasks=20,
        lanes=10,
        threads=1,
        torch_threads=1,
        task_sampling="adr",
        env={"horizon": 10},
        adr={"buffer": 5},
        out=tmp_path / "run",
    )
    widths, returns = ([line[name] for line in run.metrics] for name in ("tasks/width", "return/round_0"))
    assert widths[0] == 0.1 and max(widths) == 1.0
    # nothing opens before anything is learned: of the gain in return, a third at least
    opened = next(k for k, width in enumerate(widths) if width > 0.1)
    assert returns[opened] - returns[0] > (max(returns) - returns[0]) / 3
